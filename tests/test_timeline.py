"A long video, classified moment by moment."
import csv
import json
import re

import numpy as np
import pytest
import torch

from figures import check_texts
from watched import network, write_six_seconds
from video_convs import create_model
from video_convs.cli import main
from video_convs.data.decoder import Decoder
from video_convs.data.transforms import eval_transform
from video_convs.use.timeline import Segment, Timeline, moments, timeline


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_six_seconds(tmp_path_factory.mktemp('timeline')/'v.mp4')


def test_moments_are_the_frames_shown_then():
    times = np.arange(30) / 10
    assert moments(times, 1.).tolist() == [[5], [15], [25]]
    assert moments(times, 1., 3).tolist() == [[4, 5, 6], [14, 15, 16], [24, 25, 26]]
    uneven = np.array([0., .1, 2., 2.9])  # the second frame stays for a long time
    assert moments(uneven, 1.).tolist() == [[1], [1], [2]]
    assert moments(np.array([0.]), 1., 3).tolist() == [[0, 0, 0]]  # a picture


@pytest.mark.parametrize('name', ['hgc_tiny', 'h2cn_tiny', 'stc_tiny'])
def test_a_video_of_one_span_is_one_clip(name, video):
    net = network(name)
    found = timeline(video, net, span=6., smooth=0, progress=False)
    numbers = moments(np.arange(60) / 10, 1.5, net.input_spec.per_segment)
    clip = eval_transform(net.input_spec)(Decoder().read(video, numbers.ravel()))
    with torch.inference_mode():
        wanted = net(clip[None]).softmax(1)[0].numpy()
    assert len(found.times) == 4 and np.abs(found.probabilities[-1] - wanted).max() < 1e-5


@pytest.mark.parametrize('method', ['stream', 'clips'])
def test_rows_lie_in_the_middle_of_what_they_are_about(method, video):
    found = timeline(video, network(), span=2., smooth=0, method=method, progress=False)
    assert len(found.times) == 12 and found.probabilities.shape == (12, 3)
    assert np.allclose(found.probabilities.sum(1), 1)
    points = .2 + .5 * np.arange(12)  # seconds of the frames
    wanted = [points[max(0, k - 3):k + 1][[0, -1]].mean() for k in range(12)]
    assert np.allclose(found.times, wanted, atol=.051)


def test_parts_of_a_long_video_are_those_of_one_read(video, monkeypatch):
    from video_convs.use import timeline as module
    whole = timeline(video, network(), span=2., progress=False)
    monkeypatch.setattr(module, '_PART', 5)
    assert np.array_equal(timeline(video, network(), span=2., progress=False).probabilities,
                          whole.probabilities)


def test_a_network_that_cannot_be_a_stream_runs_on_clips(video):
    net = network('tam_tiny')  # a stream, with clips of one length
    assert len(timeline(video, net, span=2., progress=False).times) == 12
    found = timeline(video, net, span=2., method='clips', progress=False)
    assert len(found.times) == 9 and found.times[0] > .9  # the first whole clip


def made(rows):
    return Timeline(np.arange(len(rows)) + .5, np.array(rows, float), ('a', 'b'), float(len(rows)))


def test_segments_are_neighbours_with_one_answer():
    found = made([[.9, .1], [.8, .2], [.4, .6], [.5, .5], [.1, .9]])
    assert found.segments(.7) == [Segment(0., 2., 'a', pytest.approx(.85)),
                                  Segment(4., 5., 'b', .9)]
    assert [(s.start, s.end, s.label) for s in found.segments(0)] == [
        (0., 2., 'a'), (2., 3., 'b'), (3., 4., 'a'), (4., 5., 'b')]
    assert made([[.5, .5]]).segments(.9) == []


def test_smoothing_is_a_mean_over_seconds():
    rows = [[1., 0.], [0., 1.], [1., 0.], [1., 0.]]
    assert np.allclose(made(rows).smoothed(2.).probabilities[:, 0], [.5, 2/3, 2/3, 1.])
    assert np.array_equal(made(rows).smoothed(.5).probabilities, np.array(rows))


def test_the_texts_of_the_picture_stand_apart():
    rows = [[.9, .1], [.8, .2], [.1, .9], [.2, .8], [.9, .1]]
    check_texts(made(rows).plot(), axes_side=.4)  # the bar of parts is low


def test_files(tmp_path):
    found = made([[.9, .1], [.1, .9]])
    rows = list(csv.DictReader(found.write(tmp_path/'t.csv').open()))
    assert [(r['start'], r['end'], r['label'], r['score']) for r in rows] == [
        ('0.0', '1.0', 'a', '0.9'), ('1.0', '2.0', 'b', '0.9')]
    page = json.loads(found.write(tmp_path/'t.json').read_text())
    assert page['classes'] == ['a', 'b'] and page['segments'][1]['label'] == 'b'
    assert page['probabilities'] == [[.9, .1], [.1, .9]] and page['times'] == [.5, 1.5]
    assert found.write(tmp_path/'t.png').stat().st_size > 1000


def test_the_network_keeps_its_mode_and_the_file_its_duration(video):
    net = network().train()
    found = timeline(video, net, span=2., progress=False)
    assert net.training and found.duration == pytest.approx(6.)
    assert found.segments(0)[-1].end == pytest.approx(6.)


def test_files_have_a_place(tmp_path):
    found = made([[.9, .1]])
    assert found.write(tmp_path/'new/folder/T.CSV').exists()
    (tmp_path/'x.json').mkdir()
    with pytest.raises(ValueError, match='is a folder'):
        found.write(tmp_path/'x.json')
    for call in (lambda: found.smoothed(-1), lambda: found.segments(2),
                 lambda: found.segments('x')):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize('options, words', [
    (dict(span=.01), 'choose a longer span'), (dict(smooth=-1), 'smooth'),
    (dict(smooth=float('nan')), 'smooth'),
    (dict(span=0), 'span'), (dict(method='x'), "not 'x'"), (dict(task='verb'), 'single task'),
    (dict(timeout=-1), 'timeout')])
def test_wrong_options_are_named(options, words, video):
    with pytest.raises(ValueError, match=words):
        timeline(video, network(), **options)


def test_too_short_for_a_network_of_one_length(video):
    with pytest.raises(ValueError, match='choose a smaller span'):
        timeline(video, network('tam_tiny'), span=60., progress=False)


def test_several_tasks_are_chosen_among(video):
    net = create_model('hf_tsn_tiny', num_classes=2, input_spec=dict(frames=4, size=24)).eval()
    assert timeline(video, net, span=2., progress=False).classes == ('0', '1')
    several = create_model('hf_tsn_bninception', num_classes=dict(verb=2, action=3),
                           input_spec=dict(frames=2, size=32)).eval()
    with pytest.raises(ValueError, match='choose task= among verb, action'):
        timeline(video, several, span=2., progress=False)
    with pytest.raises(ValueError, match='noun'):
        timeline(video, several, span=2., task='noun', progress=False)
    assert len(timeline(video, several, span=6., task='action', progress=False).classes) == 3


def test_where_nothing_is_likely_the_nearest_class_has_its_name():
    times, rows = np.arange(3.), np.array([[.3, .2, .5], [.4, .5, .1], [.2, .6, .2]])
    found = Timeline(times, rows, ('a', 'b', 'c'), 3.)
    assert found.peak() == (2., .6, 'b')
    ax = found.plot(threshold=.9).axes[0]
    assert [text.get_text() for text in ax.texts] == ['b']


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return network().save_pretrained(tmp_path_factory.mktemp('run'))


def test_the_command(checkpoint, video, tmp_path, capsys):
    out = tmp_path/'parts.csv'
    command = ['timeline', str(checkpoint), str(video), '--span', '2', '--threshold', '0']
    assert main([*command, '--out', str(out)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    parts = list(csv.DictReader(out.open()))
    assert len(lines) == len(parts) > 0 and last == f'Written to {out}'
    assert all(part['label'] in line for part, line in zip(parts, lines))
    assert main([*command[:-1], '1']) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r'no class is more probable than 1 at any time; the nearest is \S+, '
                        r'\d+% at \d\.\d s\n', out)


@pytest.mark.parametrize('extra, words', [
    (['--out', 'x.txt'], 'a timeline'), (['--span', '0'], 'span'),
    (['--threshold', '2'], 'from 0 to 1'), (['--smooth', '-1'], 'smooth'),
    (['--task', 'verb'], 'single task'),
    (['--out', 'nowhere/x/y.csv'], '')])
def test_the_command_refuses_in_one_line(extra, words, checkpoint, video, capsys, tmp_path,
                                         monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = main(['timeline', str(checkpoint), str(video), *extra])
    said = capsys.readouterr().err.strip().splitlines()
    if extra[-1].startswith('nowhere'):  # a missing folder is made
        assert code == 0 and (tmp_path/extra[-1]).exists()
    else:
        assert code == 2 and words in said[-1]


def test_a_file_that_is_no_video(checkpoint, tmp_path, capsys):
    (tmp_path/'x.mp4').write_text('no video')
    assert main(['timeline', str(checkpoint), str(tmp_path/'x.mp4')]) == 2
    assert 'x.mp4' in capsys.readouterr().err.splitlines()[-1]
