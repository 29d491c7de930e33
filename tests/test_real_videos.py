"The tool behind the study of real videos, on a set small enough to render."
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_sets import write_words


sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tools'))
import real_videos
import study

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def words(tmp_path_factory):
    "Sentences of two words: it grows brighter in one of them and darker in the other."
    return write_words(tmp_path_factory.mktemp('words'))

@pytest.fixture
def tool(words, tmp_path, monkeypatch):
    "The tool with two networks, two rates, small frames and short trainings."
    monkeypatch.setenv('TINY', str(words))
    about = real_videos.VideoSet('tiny', ('2',), 'words.csv', window=13, most=1,
                                 networks=('tsn', 'hgc_causal'))
    for name, value in dict(
            sets={'words': about}, multiples=(1., 3.), stored=20, fall=1, batch=6,
            spec=replace(real_videos.spec, size=16), results=tmp_path/'r.jsonl').items():
        monkeypatch.setattr(real_videos, name, value)
    yield real_videos
    real_videos.load.cache_clear()

def test_every_group_is_left_out_once_with_a_rate_chosen_elsewhere(tool):
    tool.main(['words', '--seeds', '1', '--share', '1/2'])
    assert {r['network'] for r in study.read_lines(tool.results)} == {'tsn'}
    tool.main(['words', '--seeds', '1'])
    lines = study.read_lines(tool.results)
    tests = [r for r in lines if r['part'] == 'test']
    assert [(r['network'], r['held']) for r in tests] == [
        (network, fold) for network in ('tsn', 'hgc_causal') for fold in '01']
    assert len(lines) == 8 and len(set(map(tool.key, lines))) == 8
    for r in lines:
        fold = 2 if r['part'] == 'tune' else int(r['held'])
        assert set(r['units']) == {f's{k}' for k in range(9) if k % 3 == fold}
        assert all(total == 2 for total, *_ in r['units'].values())
        assert r['videos'] == 12 and r['classes'] == 2 and len(r['log']) == 2
        assert r['ended'] in ('learned', 'plateau', 'limit') and r['torch'] == torch.__version__
    for r in tests:
        assert r['multiple'] == tool.best_multiple('words', r['network'])
        if r['network'] == 'tsn':  # which sees no order
            assert all(a == b == c for _, a, b, c in r['units'].values())
    tool.main(['words', '--seeds', '1'])
    assert len(study.read_lines(tool.results)) == 8

def test_only_a_network_that_says_so_is_causal(tool):
    spec = real_videos.spec
    assert not real_videos.make('hgc', 2, spec).variant.get('causal')
    causal = real_videos.make('hgc_causal', 2, spec).eval()
    clip = torch.randn(1, 3, 8, 48, 48)
    later = torch.cat([clip[:, :, :5], torch.randn(1, 3, 3, 48, 48)], 2)
    scores, other = (causal(x, per_frame=True)[:, :5] for x in (clip, later))
    assert torch.allclose(scores, other, atol=1e-5)

def test_clips_are_the_frames_around_each_word(tool, monkeypatch):
    data = tool.load('words')
    assert data.clips.shape == (18, 3, 8, 20, 20) and data.classes == ['down', 'up']
    steps = data.clips.float().mean((1, 3, 4)).diff(dim=1).sign().sum(1)
    assert torch.equal(steps > 0, data.labels == 1)
    assert tool.around(dict(start_frame='.5', end_frame='2'), 13) == (0, 13)
    mean, std = tool.contrast(data.clips)
    values = data.clips.double()/255
    changes = values - values.mean((0, 2), keepdim=True)
    assert abs(mean - values.mean()) < 1e-5 and abs(std - changes.square().mean().sqrt()) < 1e-5
    tool.load.cache_clear()
    monkeypatch.setattr(tool, 'sets', {'words': replace(tool.sets['words'], slot='noun')})
    assert tool.load('words').classes == ['down']

def test_shuffling_moves_frames_and_nothing_else(tool):
    clips = torch.arange(6*8).view(6, 1, 8, 1, 1).expand(6, 3, 8, 2, 2)
    mixed = tool.shuffled(clips)
    assert not torch.equal(mixed, clips) and torch.equal(mixed.sort(2).values, clips)
    assert torch.equal(mixed, tool.shuffled(clips))

def test_absent_videos_and_unknown_sets_end_in_a_sentence(tool, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('TINY', str(tmp_path/'nowhere'))
    with pytest.raises(SystemExit, match='words.csv: give the folder of the videos as .TINY'):
        tool.main(['words'])
    with pytest.raises(SystemExit) as stop:
        tool.main(['birds'])
    assert stop.value.code == 2 and "no set 'birds': choose among words" in capsys.readouterr().err

def plateau(**kw):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.)
    return optimizer.param_groups[0], study.Plateau(optimizer, **dict(patience=2, most=9, last=4)
                                                    | kw)

@pytest.mark.parametrize('losses, accuracy, ended, windows', [
    ([1., .9, .89, .89], .5, 'plateau', 4), ([1., .9, .8], .996, 'learned', 1),
    ([.9**k for k in range(20)], .5, 'limit', 9)])
def test_training_ends_at_a_plateau_and_then_falls(losses, accuracy, ended, windows):
    group, end = plateau()
    for loss in losses:
        end.step()
        end.window(loss, accuracy)
        if end.left is not None:
            break
    assert len(end.windows) == windows and end.ended == ended
    rates = []
    for _ in range(4):
        assert not end.over
        end.step()
        rates.append(group['lr'])
    assert rates == sorted(rates, reverse=True) and rates[-1] == 0 and end.over

def test_the_rate_climbs_first():
    group, end = plateau(climb=4)
    rates = [group['lr']]
    for _ in range(4):
        end.step()
        rates.append(group['lr'])
    assert rates == [.25, .5, .75, 1., 1.]

def test_a_loss_that_falls_slowly_is_no_plateau():
    _, end = plateau(patience=3)
    for k in range(9):
        end.step()
        end.window(.99**k, .5)
    assert end.ended == 'limit'
