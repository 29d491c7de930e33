"Answers that can be withheld."
import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from test_live import Lockstep, watched
from video_convs import create_model
from video_convs.checkpoint import read_config
from video_convs.cli import main
from video_convs.data.video import write_video
from video_convs.train.scores import Scores
from video_convs.use.conformal import (FILE, NONE, Calibration, calibrate, rank, read_calibration,
                                       write_calibration)
from video_convs.use.live import LiveSession
from video_convs.use.timeline import Timeline

pytestmark = pytest.mark.usefixtures('one_thread')


def scores(of_true, labels=None, **about):
    "Scores of two classes, whose true one is as probable as given."
    p = torch.tensor(of_true, dtype=torch.float64)
    labels = torch.zeros(len(p), dtype=torch.long) if labels is None else torch.tensor(labels)
    both = torch.where(labels[:, None].abs() == torch.arange(2), p[:, None], 1 - p[:, None])
    return Scores(both.log(), both.float(), labels, tuple(map(str, range(len(p)))), ('a', 'b'),
                  about=about)


@pytest.mark.parametrize('n, coverage, k', [(9, .9, 9), (10, .9, 10), (19, .9, 18), (99, .99, 99),
                                            (4, .8, 4), (1, .5, 1), (1000, .95, 951)])
def test_the_rank_by_hand(n, coverage, k):
    assert rank(n, coverage) == k


@pytest.mark.parametrize('n, coverage, needed', [(8, .9, 9), (0, .9, 9), (98, .99, 99), (3, .8, 4)])
def test_too_few_videos_are_counted(n, coverage, needed):
    with pytest.raises(ValueError, match=f'^{n} videos cannot promise .* give {needed} or more'):
        rank(n, coverage)
    assert rank(needed, coverage) == needed


@pytest.mark.parametrize('coverage', [0, 1, -1, 1.5, float('nan'), '0.9', True])
def test_coverage_is_a_share(coverage):
    with pytest.raises(ValueError, match='coverage must be a number above 0 to below 1'):
        rank(100, coverage)


def test_a_threshold_by_hand():
    p = [.99, .4, .95, .8, .7, .9, .6, .97, .85]  # nine: the ninth largest for 90 %, the least
    assert calibrate(scores(p), .9).least == pytest.approx(.4)
    assert calibrate(scores(p), .8).least == pytest.approx(.6)  # ⌈10 · 0.8⌉ = 8
    assert calibrate(scores(p), .5).least == pytest.approx(.85)
    known = dict(data='d', split='s', views={'clips': 2, 'crops': 3})
    about = calibrate(scores(p, **known), .8, sha256='x')
    assert about == Calibration(about.least, .8, 9, 'logits', '2x3', 'd', 's', 'x')
    assert calibrate(scores(p), .8, 'probabilities').least == pytest.approx(.6)


def test_coverage_over_many_calibrations():
    "The mean coverage over calibrations is k / (n + 1), whatever the scores are."
    rng, n, covered = np.random.default_rng(0), 19, []
    for _ in range(400):
        p = rng.beta(4, 1, n + 1)
        covered.append(p[-1] >= calibrate(scores(p[:-1]), .9).least)
    assert abs(np.mean(covered) - 18 / 20) < 3 * (.9 * .1 / 400) ** .5


def test_names_are_a_set():
    at = Calibration(.3, .9, 10)
    assert at.names([.1, .5, .4], 'abc') == ('b', 'c')
    assert at.names([.2, .9, .1], 'abc') == ('b',) and at.names([.29, .29], 'ab') == ()


def test_secret_labels_and_several_tasks():
    with pytest.raises(ValueError, match='1 of 10 labels are secret'):
        calibrate(scores([.9] * 10, labels=[0] * 9 + [-1]), .9)
    with pytest.raises(ValueError, match=r'several tasks \(noun, verb\)'):
        calibrate(dict(noun=1, verb=2))


CLASSES = ['a', 'b', 'c']


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    net = create_model('tsn_tiny', num_classes=3, classes=CLASSES,
                       input_spec=dict(frames=2, size=24))
    torch.nn.init.normal_(net.head.fc.weight, std=4.)
    return net.eval()


@pytest.fixture
def run(net, tmp_path):
    return net.save_pretrained(tmp_path/'run')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp('data'), np.random.default_rng(0)
    for k in range(12):
        folder = root/'test'/CLASSES[k % 3]
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder/f'{k}.mp4', rng.integers(256, size=(4, 24, 24, 3), dtype=np.uint8),
                    fps=4, preset='ultrafast')
    return root


def test_a_calibration_stays_with_its_weights(run, net, tmp_path, recwarn):
    assert read_calibration(run) is None
    made = Calibration(.25, .9, 30, sha256=read_config(run)['sha256'])
    assert write_calibration(made, run) == run/FILE and read_calibration(run) == made
    write_calibration(replace(made, sha256='other'), run)
    assert read_calibration(run) is None and 'is about other weights' in str(recwarn[0].message)
    for page in ('[]', '{"least": 0.5}', 'x', '{"least": 7, "coverage": 0.9, "videos": 3}',
                 '{"least": 0.5, "coverage": 2, "videos": 3}'):
        (run/FILE).write_text(page)
        with pytest.raises(ValueError, match='is no calibration .*make it again, or remove it'):
            read_calibration(run)


def test_the_commands(run, data, capsys):
    command = ['calibrate', str(run), '--data', str(data), '--coverage', '.75']
    assert main(command) == 0
    said = capsys.readouterr().out
    found = read_calibration(run)
    assert f'{found.least:.1%}: at least 75% of new videos' in said and '(12 videos)' in said
    assert (found.coverage, found.videos, found.split, found.views) == (.75, 12, 'test', '1x1')
    video = str(data/'test/a/0.mp4')
    for least in (0., .9999999):  # every class, then none
        write_calibration(replace(found, least=least), run)
        assert main(['predict', str(run), video, '--topk', '2']) == 0
        first, *rest = capsys.readouterr().out.splitlines()
        names = first.removeprefix('answer: ').split(' or ')
        assert len(rest) == 2 and (sorted(names) == CLASSES if not least else names == [NONE])
        assert main(['predict', str(run), video, '--csv']) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert len(rows) == 3 and {row['in_set'] for row in rows} == {'0' if least else '1'}
    assert main(['predict', str(run), video, '--views', '2x1']) == 0
    said = capsys.readouterr().err
    assert 'about --views 1x1 --average logits: its coverage may not hold' in said


def test_timelines_and_live_videos_have_sets(run, net, data, tmp_path, capsys):
    at = Calibration(.3, .9, 10, sha256=read_config(run)['sha256'])
    rows = np.array([[.9, .1, 0.], [.5, .4, .1], [.4, .5, .1], [.28, .28, .28], [0., .1, .9]])
    found = Timeline(np.arange(5) + .5, rows, ('a', 'b', 'c'), 5., at)
    assert found.sets() == [('a',), ('a', 'b'), ('b', 'a'), (), ('c',)]
    assert [(p.start, p.end, p.label) for p in found.segments()] == [
        (0., 1., 'a'), (1., 3., 'a or b'), (4., 5., 'c')]
    page = json.loads(found.write(tmp_path/'t.json').read_text())
    assert page['sets'][1] == ['a', 'b'] and page['calibration']['least'] == .3
    assert found.write(tmp_path/'t.png').exists()
    assert found.sets(.6)[1] == () and replace(found, calibration=None).sets(.3)[1] == ('a',)
    write_calibration(replace(at, least=0.), run)
    out, video = tmp_path/'all.json', str(data/'test/a/0.mp4')
    assert main(['timeline', str(run), video, '--span', '.5', '--out', str(out)]) == 0
    assert set(json.loads(out.read_text())['segments'][0]['label'].split(' or ')) == {*CLASSES}
    assert main(['timeline', str(run), video, '--span', '.5', '--threshold', '.1',
                 '--out', str(out)]) == 0
    assert 'sets' not in json.loads(out.read_text())
    frames = [(k / 4, np.zeros((24, 24, 3), np.uint8)) for k in range(4)]
    for least in (0., 1.1):
        clock = Lockstep()
        session = LiveSession(frames, net, span=.5, pace=clock,
                              calibration=replace(at, least=least))
        *_, last = watched(session, clock)
        assert last.text == NONE if least else sorted(last.names) == CLASSES


@pytest.mark.parametrize('extra, words', [
    (['--coverage', '.99'], '12 videos cannot promise a coverage of 0.99: give 99 or more'),
    (['--coverage', '1'], '--coverage must be a number above 0 to below 1'),
    (['--split', 'nowhere'], "no split 'nowhere'")])
def test_the_command_refuses_in_one_line(extra, words, run, data, capsys):
    assert main(['calibrate', str(run), '--data', str(data), *extra]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]


def test_other_classes_and_places(run, data, tmp_path, capsys):
    for name in 'xy':
        (tmp_path/'other/test'/name).mkdir(parents=True)
        for k in range(9):
            (tmp_path/'other/test'/name/f'{k}.mp4').write_bytes(
                (data/'test/a/0.mp4').read_bytes())
    assert main(['calibrate', str(run), '--data', str(tmp_path/'other')]) == 2
    assert "x" in capsys.readouterr().err
    assert main(['calibrate', 'user/name', '--data', str(data)]) == 2
    assert 'pull --to first' in capsys.readouterr().err
    several = create_model('hf_tsn_tiny', num_classes=dict(verb=2, action=3),
                           input_spec=dict(frames=2, size=24))
    folder = several.save_pretrained(tmp_path/'several')
    assert main(['calibrate', str(folder), '--data', str(data)]) == 2
    assert 'several tasks (verb, action)' in capsys.readouterr().err
