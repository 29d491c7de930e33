"The project's own checkpoints are found by name, also where the package is installed alone."
import ast
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from test_first_cell import code, nbs

from video_convs import checkpoint, utils
from video_convs.checkpoint import checkpoint_around
from video_convs.train.scale_out import start_model

NAME = 'hgc_tiny.motion-order_8f'
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    "An empty folder, and a package without a checkout; what it fetches is noted."
    fetched = []

    def fetch(name):
        fetched.append(name)
        return ROOT/name
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(utils, 'files', lambda package: tmp_path/'site-packages'/package)
    monkeypatch.setattr(utils, '_fetched', fetch)
    return fetched


def test_it_is_fetched_by_the_path_that_the_readme_prints(elsewhere):
    folder = checkpoint_around(f'data/checkpoints/{NAME}')
    assert elsewhere == [f'data/checkpoints/{NAME}/{file}'
                         for file in ('config.json', 'model.safetensors')]
    assert folder == ROOT/'data/checkpoints'/NAME


def test_training_starts_from_it(elsewhere):
    model, said = start_model(None, ['a', 'b'], f'data/checkpoints/{NAME}')
    assert model.num_classes == 2 and said.startswith(NAME)


def test_a_folder_of_this_name_is_not_fetched(elsewhere, tmp_path):
    (tmp_path/'data/checkpoints/mine').mkdir(parents=True)
    assert checkpoint_around('data/checkpoints/mine') == Path('data/checkpoints/mine')
    assert checkpoint_around('data/checkpoints/..') == Path('data/checkpoints/..')
    assert not elsewhere


def test_without_a_network_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('VIDEO_CONVS_FILES', 'http://127.0.0.1:9')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with pytest.raises(ValueError, match='data/checkpoints/no_such/config.json is not on this'):
        checkpoint.checkpoint_around('data/checkpoints/no_such')


# --- one way to ask for them

def units():
    "Each cell that may fetch, and each file of Python: (where, its text)."
    for path in sorted(nbs.rglob('*.ipynb')):
        for text in code(path):
            if 'project_file' in text:
                yield path.name, TransformerManager().transform_cell(text)
    for path in sorted([*ROOT.glob('tools/*.py'), *ROOT.glob('tests/*.py')]):
        yield path.name, path.read_text(encoding='utf-8')


def fetches_by_hand(text):
    "Is a checkpoint fetched file by file, or taken for the folder around one of its files?"
    nodes = [*ast.walk(ast.parse(text))]
    if not any(getattr(node, 'id', None) == 'project_file' for node in nodes):
        return False
    both = any(isinstance(node, ast.Tuple) and {'config.json', 'model.safetensors'} <= {
        getattr(part, 'value', None) for part in node.elts} for node in nodes)
    around = any(isinstance(node, ast.Attribute) and node.attr in ('parent', 'parents')
                 and 'project_file' in ast.dump(node) and 'data/checkpoints' in ast.dump(node)
                 for node in nodes)
    return both or around


@pytest.mark.parametrize('text', [
    "run = [project_file(f'data/checkpoints/x/{n}') for n in FILES][0].parent",
    "load(project_file('data/checkpoints/x/config.json').parent)",
    "parts = 'config.json', 'model.safetensors'\nfiles = map(project_file, parts)"])
def test_the_old_ways_are_seen(text):
    assert fetches_by_hand(text)


def test_each_checkpoint_is_asked_for_by_its_name():
    by_hand = [where for where, text in units() if fetches_by_hand(text)]
    assert by_hand == ['04_utils.ipynb'], 'use project_checkpoint'
