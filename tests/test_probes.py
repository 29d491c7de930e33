"Time probes: the words of the verdict, and the command from a checkpoint to a picture."
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from figures import check_texts

from video_convs import create_model
from video_convs.checkpoint import save
from video_convs.cli import parser
from video_convs.cli.entry import main
from video_convs.data.custom import open_data
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.video import write_video
from video_convs.explain.probes import (CHANGES, TimeProbe, changed, plot_probes, time_probes,
                                        verdict)
from video_convs.train.scores import Scores
from video_convs.utils import project_checkpoint

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
    run = project_checkpoint('hgc_tiny.motion-order_8f')
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


@pytest.fixture(scope='module')
def official(tmp_path_factory):
    "A checkpoint, and eight videos of it as UCF-101: one of them in the second fold only."
    root, size = tmp_path_factory.mktemp('ucf'), dict(frames=4, size=24)
    classes = ['Archery', 'YoYo']
    lists = root/'ucfTrainTestlist'
    lists.mkdir()
    names = [f'{classes[k % 2]}/v_X_g{k:02d}_c01.avi' for k in range(8)]
    for k, name in enumerate(names):
        (root/'UCF-101'/name).parent.mkdir(parents=True, exist_ok=True)
        film = np.full((6, 24, 32, 3), 20 * k, np.uint8)
        write_video(root/'film.mp4', film).rename(root/'UCF-101'/name)
    (lists/'classInd.txt').write_text('1 Archery\n2 YoYo\n')
    (lists/'testlist01.txt').write_text('\n'.join(names[:7]))
    (lists/'testlist02.txt').write_text('\n'.join(names[7:]))
    (root/'videos.csv').write_text('path,label,split\n' + ''.join(
        f'UCF-101/{name},{name.partition("/")[0]},test\n' for name in names))
    torch.manual_seed(0)
    model = create_model('tsn_tiny', num_classes=2, classes=classes, input_spec=size)
    return root, str(save(model, root/'run'))


def json_of(capsys, *typed):
    assert main(['probe', *map(str, typed), '--json']) == 0
    said = capsys.readouterr()
    assert 'does not record what it has learned from' in said.err
    return json.loads(said.out)['']


def test_an_official_data_set_and_its_folds(official, capsys):
    root, run = official
    typed = [run, '--data', root, '--dataset', 'ucf101', '--option', 'partial=true']
    found = json_of(capsys, *typed)
    assert [p['change'] for p in found['probes']] == list(CHANGES)
    assert {p['videos'] for p in found['probes']} == {7} and found['missing'] == 0
    shuffled = found['probes'][2]
    assert shuffled['kept'] == 1 and shuffled['loss'] == 0  # a network of single frames
    assert shuffled['accuracy'] == shuffled['right'] / 7 and len(found['verdict']) == 2
    assert json_of(capsys, *typed, '--fold', 2)['probes'][0]['videos'] == 1


def test_a_table_of_videos(official, capsys):
    root, run = official
    for typed in (['--data', root/'videos.csv'], ['--data', root/'videos.csv', '--dataset', 'csv'],
                  ['--data', root/'videos.csv', '--root', root]):
        assert json_of(capsys, run, *typed)['probes'][0]['videos'] == 8


@pytest.mark.parametrize('typed, says', [
    (['--fold', '1'], '--fold chooses a split of --dataset'),
    (['--dataset', 'ucf101', '--fold', '1', '--option', 'fold=1'], '--fold and --option fold='),
    (['--dataset', 'ucf102'], "no data set 'ucf102', did you mean 'ucf101'"),
    (['--dataset', 'ucf101', '--split', 'val'], "ucf101 has no split 'val'"),
    (['--dataset', 'ucf101', '--option', 'x=1'], "ucf101 has no option 'x'")])
def test_probe_refuses_what_evaluate_refuses(official, capsys, typed, says):
    root, run = official
    for command in ('probe', 'evaluate'):
        assert main([command, run, '--data', str(root), *typed]) == 2
        said = capsys.readouterr()
        assert says in said.err and len(said.err.strip().splitlines()) == 1, said.err


def test_secret_labels_are_refused_before_anything_is_scored(official, capsys, monkeypatch):
    root, run = official
    videos = open_data(root/'videos.csv', 'test')
    secret = replace(videos, labels=(-1,) * len(videos.labels))
    monkeypatch.setattr('video_convs.cli.scoring.open_data', lambda *args: secret)
    monkeypatch.setattr('video_convs.cli.scoring.probe_scores', None)
    assert main(['probe', run, '--data', str(root)]) == 2
    assert "the labels of 'test' are secret" in capsys.readouterr().err


def test_probe_takes_the_arguments_of_evaluate_that_choose_videos():
    flags = [{flag for action in parser(name).parse_args([name, 'a', '--data', 'b']).flags._actions
              for flag in action.option_strings} for name in ('probe', 'evaluate')]
    chosen = {'--data', '--root', '--dataset', '--option', '--split', '--fold'}
    assert chosen <= flags[0] & flags[1]


@pytest.mark.parametrize('videos, says', [
    (1, 'cannot be told from 1'), (5, 'cannot be told from 5'), (6, 'uses the order of frames')])
def test_a_few_videos_are_no_verdict(videos, says):
    lost = dict(right=0, videos=videos, interval=(0., .5), kept=0., loss=1., loss_interval=(1., 1.))
    whole = TimeProbe('in order', videos, videos, (.5, 1.), 1., 0., (0., 0.))
    probes = [whole, *(TimeProbe(change, **lost) for change in list(CHANGES)[1:])]
    assert says in verdict(probes, torch.arange(videos))
