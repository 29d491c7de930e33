"The train room: what its modules hold, how large they are, and what they take from each other."
import ast
import inspect
from dataclasses import MISSING, FrozenInstanceError, fields
from importlib import import_module
from pathlib import Path

import pytest

import video_convs
from video_convs.cli import parser
from video_convs.guards import LIMITS
from video_convs.train.scale_out import TrainConfig, run_training

CLI = Path(video_convs.__file__).parent/'cli.py'
FILES = sorted((Path(video_convs.__file__).parent/'train').glob('[a-z]*.py'))
ORDER = ('recipes distributed device groups step checks run_folder epoch loop scores evaluation'
         ' submission plots scale_out').split()

def tree(file): return ast.parse(file.read_text(encoding='utf-8'))

def ours(file):
    "(module, name, column) of all that a module takes from this package."
    found = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ImportFrom)]
    return [(node.module or '', alias.name, node.col_offset) for node in found if node.level
            for alias in node.names]

def test_the_modules():
    assert sorted(ORDER) == [file.stem for file in FILES]

@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_small_modules(file):
    assert len(file.read_text(encoding='utf-8').splitlines()) <= 400

@pytest.mark.parametrize('file', [*FILES, CLI], ids=lambda file: file.stem)
def test_small_functions(file):
    functions = [node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if node.end_lineno - node.lineno >= 60]
    assert not long

@pytest.mark.parametrize('file', FILES, ids=lambda file: file.stem)
def test_imports_point_to_earlier_modules(file):
    "At the top of the file, and by public names."
    before = ORDER[:ORDER.index(file.stem)]
    for module, name, column in ours(file):
        assert column == 0 and not name.startswith('_'), f'{module}.{name}'
    siblings = {node.module for node in tree(file).body
                if isinstance(node, ast.ImportFrom) and node.level == 1}
    assert siblings <= set(before)

@pytest.mark.parametrize('name', ['train.evaluate', 'train.loop.held_still', 'train.loop.plot_runs'])
def test_old_places_are_gone(name):
    module, _, attribute = name.rpartition('.')
    assert not hasattr(import_module(f'video_convs.{module}'), attribute)

# --- what a run is asked to do

NUMBERS = ('frames', 'size', 'stride', 'seconds', 'workers', 'keep', 'save_every', 'log_every',
           'max_skipped')

@pytest.mark.parametrize('name', NUMBERS)
def test_a_number_outside_its_range(name):
    for value in (LIMITS[name].high + 1, float('nan'), 'three'):
        with pytest.raises(ValueError, match=f'^{name} must be {LIMITS[name]}, got'):
            TrainConfig('videos', 'run', **{name: value})
        with pytest.raises(ValueError, match=f'^{name} must be'):
            run_training('videos', 'run', **{name: value})

def test_a_config_is_whole_and_stays():
    config = TrainConfig('videos', 'run', cache=True)
    assert config.readers == 0 and TrainConfig('videos', 'run', workers=3, cache=True).readers == 3
    with pytest.raises(FrozenInstanceError): config.keep = 2
    with pytest.raises(ValueError, match='the folder of a run is empty'): TrainConfig('videos', ' ')
    with pytest.raises(ValueError, match='keep must be'): run_training(config, keep=0)

def test_every_field_has_its_line_and_its_default():
    "The line behind a field explains it; a flag of its name has its default."
    lines = inspect.getsource(TrainConfig).splitlines()
    typed = parser().parse_args(['train', '--data', 'd', '--out', 'o'])
    for f in fields(TrainConfig):
        line, = [line for line in lines if line.startswith(f'    {f.name}: ')]
        assert ' # ' in line, f.name
        if f.default in (None, MISSING): continue
        assert getattr(typed, f.name) == f.default, f.name
