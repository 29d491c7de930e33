"The project's own checkpoints are found by name, also where the package is installed alone."
import pytest
from pathlib import Path

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
