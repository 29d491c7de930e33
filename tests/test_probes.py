"Time probes: the words of the verdict, and the command from a checkpoint to a picture."
from dataclasses import replace

import pytest
import torch
from figures import check_texts

from video_convs.cli.entry import main
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.explain.probes import CHANGES, changed, plot_probes, time_probes, verdict
from video_convs.train.scores import Scores
from video_convs.utils import project_file

labels = torch.arange(40) % 4


def scores(right):
    "Of answers that are right on the first so many videos of each class, else the next class."
    answers = torch.where(torch.arange(40) < right, labels, (labels + 1) % 4)
    logits = torch.nn.functional.one_hot(answers, 4).double()
    return Scores(logits, logits, labels, tuple(map(str, range(40))), tuple('abcd'))


def told(**right):
    counts = dict.fromkeys(CHANGES, 40) | {k.replace('_', ' '): n for k, n in right.items()}
    probes = time_probes({name: scores(n) for name, n in counts.items()})
    return verdict(probes, labels).split('\n')


def test_a_network_that_keeps_every_answer_does_not_use_the_order():
    network, data = told()
    assert network.startswith('The network does not use the order of frames')
    assert data.startswith('A single frame is enough for 100 % of these videos (91 to 100)')


def test_a_network_that_loses_much_uses_the_order():
    network, data = told(shuffled=10, one_frame=10)
    assert network.startswith('The network uses the order of frames: shuffled, it loses 75 points')
    assert data.startswith('With a single frame it is no better than naming the most frequent')
    assert '25 % against 25 %' in data


def test_a_small_loss_is_not_called_one():
    assert told(shuffled=39)[0].startswith('Whether the network uses the order of frames cannot')


def test_a_change_loses_no_frame_and_the_hook_goes_after_an_error():
    clips, draw = torch.arange(5.).view(1, 1, 5, 1, 1), torch.Generator().manual_seed(0)
    after = {name: change(clips, draw).flatten().tolist() for name, change in CHANGES.items()}
    assert after['in order'] == [0, 1, 2, 3, 4] and after['reversed'] == [4, 3, 2, 1, 0]
    assert after['every second frame'] == [0, 0, 2, 2, 4] and after['one frame'] == [2] * 5
    assert after['shuffled'] != after['in order'] and sorted(after['shuffled']) == [0, 1, 2, 3, 4]
    net = torch.nn.Identity()
    with pytest.raises(RuntimeError, match='no'), changed(net, lambda clips: clips):
        assert net(clips) is clips
        raise RuntimeError('no')
    assert not net._forward_pre_hooks


@pytest.mark.parametrize('right', [0, 25, 40])
def test_the_picture_holds_its_text(right):
    probes = time_probes(dict.fromkeys(CHANGES, scores(right)))
    fig = plot_probes(probes, labels)
    assert [bar.get_width() for bar in fig.axes[0].patches] == [2.5 * right] * len(CHANGES)
    check_texts(fig)


def test_secret_labels_are_refused():
    secret = replace(scores(40), labels=torch.full((40,), -1))
    with pytest.raises(ValueError, match='secret'):
        time_probes(dict.fromkeys(CHANGES, secret))


def test_the_command(tmp_path, capsys):
    names = 'config.json', 'model.safetensors', 'evaluate_test.json'
    run = [project_file(f'data/checkpoints/hgc_tiny.motion-order_8f/{n}') for n in names][0].parent
    render_task('order', tmp_path/'data', train=0, test=6, config=MotionConfig(size=48),
                progress=False)
    command = ['probe', str(run), '--data', str(tmp_path/'data')]
    assert main([*command, '--out', str(tmp_path/'probes.doc')]) == 2
    assert '--out names a picture' in capsys.readouterr().err
    (tmp_path/'dir.png').mkdir()
    (tmp_path/'file').touch()
    for out, words in (('dir.png', 'is a folder: name a file'),
                       ('file/x.png', 'cannot be written')):
        assert main([*command, '--out', str(tmp_path/out)]) == 2
        said = capsys.readouterr()
        assert words in said.err and not said.out  # before the work
    assert main([*command, '--out', str(tmp_path/'new/probes.png')]) == 0
    text = capsys.readouterr().out
    about, *lines = text.splitlines()
    assert 'does not record what it has learned from' in about
    assert [line[:20].strip() for line in lines[:5]] == list(CHANGES)
    assert 'of frames' in text and (tmp_path/'new/probes.png').stat().st_size > 5000


@pytest.mark.parametrize('n, words', [(4, 'cannot be told from 4 videos: shuffled, it gives every'),
                                      (40, 'The network does not use the order')])
def test_few_videos_do_not_show_that_the_order_is_not_used(n, words):
    part = replace(scores(40), **{name: getattr(scores(40), name)[:n] for name in
                                  ('logits', 'probabilities', 'labels', 'ids')})
    assert words in verdict(time_probes(dict.fromkeys(CHANGES, part)), labels[:n])


def test_a_frame_that_may_tell_more_is_not_called_useless():
    data = told(one_frame=13)[1]
    assert data.startswith('Whether a single frame tells more') and '32 % against 25 %' in data
