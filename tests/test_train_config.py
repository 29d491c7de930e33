"What a run is asked to do, as one object; and that the old names are gone."
import inspect
from dataclasses import MISSING, FrozenInstanceError, fields
from importlib import import_module

import pytest

from video_convs.cli import parser
from video_convs.guards import LIMITS
from video_convs.train.scale_out import TrainConfig, run_training

@pytest.mark.parametrize('name',
                         ['train.evaluate', 'train.loop.held_still', 'train.loop.plot_runs'])
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
    with pytest.raises(FrozenInstanceError):
        config.keep = 2
    with pytest.raises(ValueError, match='the folder of a run is empty'):
        TrainConfig('videos', ' ')
    with pytest.raises(ValueError, match='keep must be'):
        run_training(config, keep=0)

def test_every_field_has_its_line_and_its_default():
    "The line behind a field explains it; a flag of its name has its default."
    lines = inspect.getsource(TrainConfig).splitlines()
    typed = parser().parse_args(['train', '--data', 'd', '--out', 'o'])
    for f in fields(TrainConfig):
        line, = [line for line in lines if line.startswith(f'    {f.name}: ')]
        assert ' # ' in line, f.name
        if f.default in (None, MISSING):
            continue
        assert getattr(typed, f.name) == f.default, f.name
