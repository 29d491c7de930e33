"The tool behind the study of few videos, on a set small enough to render."
import sys
from pathlib import Path

import pytest
import torch
from small_sets import write_words

from video_convs import create_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tools'))
import few_videos
import study
from real_videos import VideoSet

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    "Sentences of two words in three folds: it grows brighter in one of them, darker in the other."
    return write_words(tmp_path_factory.mktemp('videos'), ('word', 'word'), brighter=1)

@pytest.fixture
def tool(videos, tmp_path, monkeypatch):
    "The tool with a tiny trunk, two sizes and trainings of three steps."
    monkeypatch.setenv('TINY', str(videos))
    torch.manual_seed(0)
    net = create_model('tsn_tiny', num_classes=2, frames=4, input_spec=dict(size=16)).eval()
    for name, value in dict(names=('words',), sizes={2: 3, 3: 3}, work=tmp_path/'work',
                            results=tmp_path/'r.jsonl', batch=2, trunk=lambda: net).items():
        monkeypatch.setattr(few_videos, name, value)
    monkeypatch.setitem(few_videos.sets, 'words', VideoSet('tiny', (), 'words.csv', window=13))
    yield few_videos
    few_videos.load.cache_clear()

def test_every_run_is_a_line_and_none_is_repeated(tool):
    tool.main(['words', '--draws', '2', '--share', '1/2'])
    tool.main(['words', '--draws', '2'])
    lines = study.read_lines(tool.results)
    count = {method: sum(r['method'] == method for r in lines) for method in tool.methods}
    assert count == {'linear': 12, 'temporal': 12, 'finetune': 4}  # 2 draws, 3 folds, 2 sizes
    assert len(set(map(tool.key, lines))) == 28
    for r in lines:
        assert set(r['units']) == {f's{k}' for k in range(9) if k % 3 == int(r['fold'])}
        assert all(videos == 2 for videos, _ in r['units'].values())
        assert r['videos'] == 2 * r['size'] and r['classes'] == 2
        assert r['fold'] == str(r['draw']) or r['method'] != 'finetune'
    tool.main(['words', '--draws', '2'])
    assert len(study.read_lines(tool.results)) == 28

def test_smaller_draws_are_part_of_larger_ones(tool):
    _, features = tool.load('words')
    for draw in range(3):
        two, three = (set(tool.drawn(features, '1', draw, k)) for k in (2, 3))
        assert two < three and len(two) == 4
        assert all(features.splits[i] != '1' for i in three)
        assert torch.bincount(features.labels[list(three)]).tolist() == [3, 3]
    assert len(tool.drawn(features, '1', 0, 99)) == 12  # all that there are

def test_a_training_changes_the_trunk_and_not_the_norms(tool):
    data, features = tool.load('words')
    rows = tool.drawn(features, '0', 0, 2)
    chosen = list(tool.subset(data, features, rows))
    names = {name for one in chosen for name in one.names()}
    assert names == {features.ids[i] for i in rows} and sum(map(len, chosen)) == 4
    fit = few_videos.fit_head(tool.trunk(), features.subset(rows), 'temporal')
    before = {key: value.clone() for key, value in fit.model.state_dict().items()}
    net = tool.finetune(fit.model, chosen, 3, 0)
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert 'head.fc.weight' in moved and 'trunk.conv1.weight' in moved
    assert not any('running' in key for key in moved)

def test_sessions_stay_together(tool, monkeypatch):
    monkeypatch.setitem(tool.sets, 'words', VideoSet('tiny', (), held='group'))
    rows = [dict(group=g) for g in 'aaabbcdddd']
    folds = tool.fold_of(rows, 'words')
    assert len(set(folds)) == 4
    assert all(len({f for r, f in zip(rows, folds) if r['group'] == g}) == 1 for g in 'abcd')

@pytest.mark.parametrize('typed, says', [
    (['nothing'], "there is no set 'nothing'"),
    (['words', '--methods', 'big'], "there is no method 'big'"),
    (['--draws', '0'], '--draws takes a whole number')])
def test_what_is_typed_wrong(tool, typed, says, capsys):
    with pytest.raises(SystemExit) as end:
        tool.main(typed)
    assert end.value.code == 2 and says in capsys.readouterr().err
