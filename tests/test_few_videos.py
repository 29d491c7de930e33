"Features of whole sets, heads that are learned from them, and the commands of both."
import json
import os
import signal
import time
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from video_convs import VideoNet, create_model
from video_convs.checkpoint import read_config
from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.video import write_video
from video_convs.data.views import Views
from video_convs.explain.features import features as points_of
from video_convs.nets.temporal_head import TemporalHead, cosines
from video_convs.nets.video_net import load
from video_convs.train import few_videos
from video_convs.train.evaluation import evaluate
from video_convs.train import feature_journal
from video_convs.train.feature_files import (FeatureSet, about_trunk, check_trunk, load_features,
                                             save_features, trunk_sha256)
from video_convs.train.few_videos import (fit_head, fit_linear, folds, moments_of, save_fit,
                                          score_features, span, try_penalties)
from video_convs.train.run_folder import trained_on
from video_convs.train.scores import score
from video_convs.use.features import as_points, extract_features, open_trunk

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = dict(frames=4, size=16, mean=(.5,), std=(.25,))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Videos that grow brighter or darker, four of each to learn from and three to test on."
    top = tmp_path_factory.mktemp('few')
    for split, n in (('train', 4), ('test', 3)):
        for name, step in (('brighter', 1), ('darker', -1)):
            (top/'videos'/split/name).mkdir(parents=True)
            for k in range(n):
                grey = np.linspace(40, 200, 8)[::step] + 4 * k + 2 * (split == 'test')
                film = np.broadcast_to(grey[:, None, None, None], (8, 24, 24, 3)).astype(np.uint8)
                write_video(top/'videos'/split/name/f'{k}.mp4', film)
    torch.manual_seed(0)
    create_model('tsn_tiny', num_classes=2, input_spec=SPEC).save_pretrained(top/'net')
    return top


@pytest.fixture(scope='module')
def net(folder):
    return load(folder/'net')


@pytest.fixture(scope='module')
def sets(folder):
    return [open_data(folder/'videos', split) for split in ('train', 'test')]


@pytest.fixture(scope='module')
def found(folder, net, sets):
    return extract_features(net, sets, folder/'f.safetensors', batch_size=3, progress=False,
                            source={'where': str(folder/'net')})


def drawn(N=12, V=1, T=4, D=5, classes=3, seed=0):
    "Features that nobody's network made."
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(N) % classes
    values = torch.randn(N, V, T, D, generator=draws) + labels[:, None, None, None]
    return FeatureSet(values, labels, tuple(f'v{i}' for i in range(N)), ('train',) * N, (),
                      tuple('abcdef'[:classes]), {}, {'data': 'made up', 'views': {}})


# features

def test_rows_are_what_the_head_is_given(net, sets, found):
    assert found.values.shape == (14, 1, 4, 96) and found.splits == ('train',) * 8 + ('test',) * 6
    assert found.ids == tuple(sets[0].names() + sets[1].names())
    assert found.labels.tolist() == [*sets[0].labels, *sets[1].labels]
    clips = Clips(sets[1], net.input_spec, train=False)
    with torch.no_grad():
        mine = net.frame_features(torch.stack([clips[i][0] for i in range(6)]))
    torch.testing.assert_close(found.split('test').values[:, 0], mine)
    torch.testing.assert_close(as_points(found.split('test')).values,
                               points_of(net, clips, progress=False).values)


def test_views_stand_side_by_side(net, sets, tmp_path):
    views = Views(clips=2, crops=1)
    both = extract_features(net, sets[1], tmp_path/'v.npy', views, batch_size=2, progress=False)
    assert both.values.shape == (6, 2, 4, 96)
    clip = Clips(sets[1], net.input_spec, train=False, views=views)[5][0]
    with torch.no_grad():
        torch.testing.assert_close(both.values[5], net.frame_features(clip))


@pytest.mark.parametrize('name', ['a.safetensors', 'a.npy'])
def test_a_file_gives_everything_back(found, tmp_path, name):
    again = load_features(save_features(found, tmp_path/name))
    assert torch.equal(again.values, found.values) and torch.equal(again.labels, found.labels)
    for key in ('ids', 'splits', 'groups', 'classes', 'missing', 'about'):
        assert getattr(again, key) == getattr(found, key), key
    assert np.array_equal(np.load(tmp_path/name), found.values) if name == 'a.npy' else True


def test_a_stop_loses_nothing_and_repeats_nothing(net, sets, found, tmp_path, monkeypatch):
    passed, pass_on = [], VideoNet.frame_features
    def counted(self, clip):
        if len(passed) == 3:
            raise KeyboardInterrupt
        passed.append(len(clip))
        return pass_on(self, clip)
    monkeypatch.setattr(VideoNet, 'frame_features', counted)
    out = tmp_path/'f.safetensors'
    with pytest.raises(KeyboardInterrupt):
        extract_features(net, sets, out, batch_size=3, progress=False)
    assert passed == [3, 3, 2] and not out.exists()
    for file in tmp_path.glob('.f*'):  # what a kill leaves behind: the beginning of a batch
        if file.suffix in ('.numbers', '.jsonl'):
            file.write_bytes(file.read_bytes() + b'{"split": "te')
    monkeypatch.setattr(VideoNet, 'frame_features',
                        lambda self, clip: passed.append(len(clip)) or pass_on(self, clip))
    again = extract_features(net, sets, out, batch_size=3, progress=False)
    assert passed == [3, 3, 2, 3, 3] and torch.equal(again.values, found.values)
    assert [p.name for p in tmp_path.iterdir()] == ['f.safetensors']
    assert torch.equal(extract_features(net, sets, out).values, found.values) and len(passed) == 5


def test_a_kill_in_the_middle(net, sets, found, tmp_path, monkeypatch):
    "The process is killed without warning after its first batch."
    out, lines = tmp_path/'f.npy', tmp_path/'.f.npy.jsonl'
    add = feature_journal.Journal.add
    def slow(self, rows, values):
        add(self, rows, values)
        time.sleep(60)
    with monkeypatch.context() as patch:
        patch.setattr(feature_journal.Journal, 'add', slow)
        child = get_context('fork').Process(target=extract_features, args=(net, sets, out),
                                            kwargs=dict(batch_size=3, progress=False))
        child.start()
    until = time.monotonic() + 60
    while time.monotonic() < until and not (lines.exists() and lines.read_text().count('\n') > 3):
        time.sleep(.02)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert lines.read_text().count('\n') == 4  # what it is about, and three videos
    passed, pass_on = [], VideoNet.frame_features
    monkeypatch.setattr(VideoNet, 'frame_features',
                        lambda self, clip: passed.append(len(clip)) or pass_on(self, clip))
    again = extract_features(net, sets, out, batch_size=3, progress=False)
    assert sum(passed) == 11 and torch.equal(again.values, found.values)
    assert {p.name for p in tmp_path.iterdir()} == {'f.npy', 'f.json'}


def test_a_broken_video_is_named_and_the_rest_goes_on(folder, net, tmp_path, capsys):
    videos = tmp_path/'videos'
    for split in ('train', 'test'):
        for name in ('brighter', 'darker'):
            (videos/split/name).mkdir(parents=True)
            for k in range(2):
                source = folder/'videos'/split/name/f'{k}.mp4'
                (videos/split/name/f'{k}.mp4').write_bytes(source.read_bytes())
    (videos/'train/darker/0.mp4').write_bytes(b'no video')
    out = tmp_path/'f.safetensors'
    assert main(['features', str(folder/'net'), str(videos), '--out', str(out)]) == 1
    said = capsys.readouterr().out
    assert '7 videos, 4 points in time, 96 features' in said
    assert '1 videos could not be read' in said and 'train/darker/0:' in said
    found = load_features(out)
    assert list(found.missing) == ['train'] and list(found.lost()) == ['train/darker/0']
    assert len(found) == 7 and not found.split('test').missing
    assert found.split('train').ids == ('train/brighter/0', 'train/brighter/1', 'train/darker/1')
    with pytest.raises(ValueError, match="'darker' has one video, so none can be left out"):
        fit_head(net, found.split('train'))
    assert fit_head(net, found.split('train'), penalty=.1).tried == []


def test_nothing_that_can_be_read(net, tmp_path):
    for name in 'ab':
        (tmp_path/name).mkdir()
        (tmp_path/name/'0.mp4').write_bytes(b'')
    data = open_data(tmp_path)
    with pytest.raises(ValueError, match='none of the 2 videos could be read; the first'):
        extract_features(net, data, tmp_path/'f.npy', progress=False)
    with pytest.raises(ValueError, match='there are no videos in'):
        extract_features(net, data.subset([]), tmp_path/'f.npy')


def test_a_file_of_other_features_is_not_continued(net, sets, found, folder, tmp_path):
    other = create_model('tsn_tiny', num_classes=2, input_spec=SPEC).eval()
    with pytest.raises(ValueError, match='of another .*(the trunk has other weights)'):
        extract_features(other, sets, folder/'f.safetensors')
    out = tmp_path/'f.npy'
    journal = feature_journal.Journal(out, {'weights': 'x'})
    journal.add([], torch.empty(0))
    with pytest.raises(ValueError, match='was begun with another network .*choose another file'):
        extract_features(net, sets, out)


@pytest.mark.parametrize('name', ['a.safetensors', 'a.npy'])
def test_a_cut_file(found, tmp_path, name):
    file = save_features(found, tmp_path/name)
    whole = file.read_bytes()
    for size in (len(whole) - 100, 200, 0):
        file.write_bytes(whole[:size])
        with pytest.raises(ValueError, match='is not a file of features, or is cut short'):
            load_features(file)
    file.write_bytes(whole)
    if name == 'a.npy':
        (tmp_path/'a.json').unlink()
        with pytest.raises(ValueError, match='a.json, which names its videos, is not beside it'):
            load_features(file)


def test_files_that_hold_no_features(tmp_path, found):
    with pytest.raises(ValueError, match='there is no file'):
        load_features(tmp_path/'none.npy')
    with pytest.raises(ValueError, match='kept in .safetensors or .npy'):
        save_features(found, tmp_path/'a.pt')
    values = found.values.clone()
    values[3, 0, 1, 2] = torch.nan
    bad = FeatureSet(values, *(getattr(found, key) for key in (
        'labels', 'ids', 'splits', 'groups', 'classes', 'missing', 'about')))
    with pytest.raises(ValueError, match='1 of 14 videos have features that are not finite'):
        load_features(save_features(bad, tmp_path/'a.npy'))


def test_two_processes_and_one_file(net, sets, tmp_path):
    out = tmp_path/'f.npy'
    with feature_journal.alone(out), pytest.raises(ValueError, match='by another process'):
        extract_features(net, sets, out)


# the trunk

def test_features_belong_to_a_trunk(net, found, folder):
    check_trunk(net, found)
    head = create_model('tsn_tiny', pretrained=folder/'net', num_classes=7)
    assert trunk_sha256(head) == trunk_sha256(net)  # another head, the same trunk
    check_trunk(open_trunk(folder/'net'), found)
    with pytest.raises(ValueError, match=r"tsn_tiny \(its input: size is 16, not 32\)"):
        check_trunk(open_trunk(folder/'net', size=32), found)
    with pytest.raises(ValueError, match='the trunk has other weights'):
        check_trunk(create_model('tsn_tiny', num_classes=2, input_spec=SPEC), found)
    with pytest.raises(ValueError, match="network: 'tsn_tiny', not 'hgc_tiny'"):
        fit_head(create_model('hgc_tiny', num_classes=2, input_spec=SPEC), found)
    with pytest.raises(ValueError, match='other weights'):
        score_features(create_model('tsn_tiny', num_classes=2, classes=['brighter', 'darker'],
                                    input_spec=SPEC), found)


def test_random_weights_are_refused(tmp_path, net):
    with pytest.raises(ValueError, match='features of random weights say little'):
        open_trunk('tsn_tiny')
    file = tmp_path/'trunk.pth'
    torch.save(net.trunk.state_dict(), file)
    trunk = open_trunk('tsn_tiny', file, **SPEC)
    assert trunk_sha256(trunk) == trunk_sha256(net)


# heads

def test_moments_are_the_cosine_transform():
    scipy = pytest.importorskip('scipy.fft')
    x = torch.randn(8, 3, dtype=torch.double)
    mine = cosines(8, 8) @ x / 8
    torch.testing.assert_close(mine, torch.from_numpy(
        scipy.dct(x.numpy(), axis=0, norm='ortho')) / 8**.5)


def test_a_temporal_head_is_a_network_like_others(tmp_path):
    net = create_model('hgc_tiny-temporal', num_classes=3, moments=2, frames=4).eval()
    assert isinstance(net.head, TemporalHead) and net.head.fc.in_features == 2 * 96
    clip = torch.randn(1, 3, 4, 32, 32)
    again = load(net.save_pretrained(tmp_path))
    torch.testing.assert_close(again(clip), net(clip))
    assert not torch.allclose(net(clip.flip(2)), net(clip))
    stream = net.stream()
    with torch.inference_mode():
        scores = [s for frame in clip.unbind(2) for s in stream.step(frame)] + stream.finish()
    torch.testing.assert_close(scores[-1], net(clip), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="moments must be a whole number from 1 to 64"):
        TemporalHead(4, 2, moments=65)
    with pytest.raises(ValueError, match="no network is called 'nothing'"):
        create_model('nothing-temporal', num_classes=3)


def test_coordinates_and_weights_belong_together():
    inputs = moments_of(drawn(V=2), 3).flatten(0, 1)
    space = span(inputs, 3)
    W = torch.randn(2, space.z.shape[1], dtype=torch.double)
    torch.testing.assert_close((inputs - space.centre) @ (W @ space.back).T, space.z @ W.T)
    assert abs(space.z.square().sum(1).mean() - 1) < 1e-9 and space.z.mean(0).abs().max() < 1e-9
    sizes = (inputs - space.centre).unflatten(1, (3, -1)).square().sum(2).mean(0).sqrt()
    scaled = space.back.unflatten(1, (3, -1)).square().sum((0, 2)).sqrt() * sizes
    assert len(space.z) == 24 and space.z.shape[1] == 15 and scaled.shape == (3,)


def test_the_fit_is_that_of_scikit_learn():
    linear = pytest.importorskip('sklearn.linear_model')
    features = drawn(30)
    z = span(moments_of(features, 1).flatten(0, 1), 1).z
    for penalty in (1e-2, 1e-1):
        W, b = fit_linear(z, features.labels, 3, penalty)
        other = linear.LogisticRegression(C=1 / penalty / len(z), tol=1e-8, max_iter=5000)
        other.fit(z.numpy(), features.labels.numpy())
        p = torch.from_numpy(other.predict_proba(z.numpy()))
        torch.testing.assert_close((z @ W.T + b).softmax(1), p, rtol=0, atol=1e-4)


def test_parts_hold_equally_many_of_each_class():
    part = folds(torch.tensor([0] * 7 + [1] * 3))
    assert part.max() == 2 and torch.bincount(part[7:]).tolist() == [1, 1, 1]
    assert torch.bincount(part[:7]).tolist() == [3, 2, 2]
    assert folds(torch.arange(40) % 2).max() == 4


def test_no_video_helps_to_judge_itself(monkeypatch):
    "With random labels, videos that are left out are guessed."
    features = drawn(40, D=60)
    labels = torch.randint(0, 3, (40,), generator=torch.Generator().manual_seed(5))
    z = span(moments_of(features, 1).flatten(0, 1), 1).z
    tried = try_penalties(z, labels, 3)
    W, b = fit_linear(z, labels, 3, 1e-4)
    assert ((z @ W.T + b).argmax(1) == labels).all()  # learned by heart
    assert tried[0]['right'] < 24 and [one['penalty'] for one in tried] == [*few_videos.PENALTIES]


def test_only_the_temporal_head_sees_a_reversal():
    net = create_model('tsn_tiny', num_classes=3, input_spec=SPEC).eval()
    features = drawn(24, D=96)
    back = replace(features, values=features.values.flip(2), labels=2 - features.labels)
    both = replace(features, values=torch.cat([features.values, back.values]),
                   labels=torch.cat([features.labels, back.labels]), ids=features.ids * 2,
                   splits=features.splits * 2, about=features.about | about_trunk(net))
    linear, temporal = (fit_head(net, both, head, penalty=1e-3) for head in few_videos.HEADS)
    same = score_features(linear.model, both).logits
    torch.testing.assert_close(same[:24], same[24:])
    found = score_features(temporal.model, both)
    assert torch.equal(found.by().argmax(1), both.labels)
    assert not torch.allclose(found.logits[:24], found.logits[24:])


@pytest.mark.parametrize('head', few_videos.HEADS)
def test_scores_are_those_of_the_videos(net, found, sets, head, folder, tmp_path):
    fit = fit_head(net, found.split('train'), head)
    scores = score_features(fit.model, found.split('test'))
    hits = int((scores.by().argmax(1) == scores.labels).sum())
    assert (hits == 6 or head == 'linear') and fit.videos == 8 and len(fit.tried) == 5
    clips = Clips(sets[1], fit.model.input_spec, train=False)
    whole = score(fit.model, clips, progress=False)  # from the videos themselves
    torch.testing.assert_close(whole.logits, scores.logits, rtol=1e-3, atol=1e-4)
    assert whole.labels.tolist() == scores.labels.tolist()
    out = save_fit(fit, found.split('train'), tmp_path/'run')
    again = load(out)
    assert again.classes == ['brighter', 'darker'] and again.name == 'tsn_tiny' + (
        '-temporal' if head == 'temporal' else '')
    assert evaluate(again, clips, progress=False)['top1']['right'] == hits
    assert len(trained_on(out)) == 8 and read_config(out)['head']['penalty'] == fit.penalty
    assert trunk_sha256(again) == trunk_sha256(net)
    with pytest.raises(ValueError, match='already holds a checkpoint'):
        save_fit(fit, found, folder/'net')


def test_views_are_learned_from_and_averaged(net, sets, tmp_path):
    both = extract_features(net, sets, tmp_path/'v.npy', Views(clips=2), progress=False)
    fit = fit_head(net, both.split('train'), 'temporal', moments=2)
    scores = score_features(fit.model, both.split('test'))
    clips = Clips(sets[1], net.input_spec, train=False, views=Views(clips=2))
    torch.testing.assert_close(score(fit.model, clips, progress=False).probabilities,
                               scores.probabilities, rtol=1e-3, atol=1e-4)


def test_what_no_head_can_be_learned_from(net, found):
    train = found.split('train')
    with pytest.raises(ValueError, match="the class 'darker' has no video to learn from"):
        fit_head(net, train.subset(range(4)))
    secret = FeatureSet(train.values, torch.full((8,), -1), train.ids, train.splits, (),
                        train.classes, {}, train.about)
    with pytest.raises(ValueError, match='the labels of 8 of 8 videos are secret'):
        fit_head(net, secret)
    with pytest.raises(ValueError, match="head is linear or temporal, not 'big'"):
        fit_head(net, train, 'big')
    with pytest.raises(ValueError, match='penalty must be a number above 0'):
        fit_head(net, train, penalty=0)
    with pytest.raises(ValueError, match="no features of a split 'tset'; near matches: test"):
        found.split('tset')


def test_a_head_of_its_own_is_not_replaced_by_a_linear_one(tmp_path, monkeypatch, found):
    from video_convs.nets import registry
    from video_convs.nets.heads import GRUHead
    monkeypatch.setitem(registry.ENTRIES, 'gru_tiny', registry.replace(
        registry.ENTRIES['tsn_tiny'], head=GRUHead))
    net = create_model('gru_tiny', num_classes=2, input_spec=SPEC).eval()
    theirs = FeatureSet(found.values, found.labels, found.ids, found.splits, (), found.classes, {},
                        found.about | about_trunk(net))
    with pytest.raises(ValueError, match='gru_tiny has a head of its own, which is not linear'):
        fit_head(net, theirs)
    assert fit_head(net, theirs, 'temporal').model.variant == {'moments': 4}


# the commands

def test_from_videos_to_a_checkpoint(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    videos, checkpoint = str(folder/'videos'), str(folder/'net')
    assert main(['features', checkpoint, videos]) == 0
    assert '14 videos, 4 points in time, 96 features: videos.tsn_tiny.safetensors' in (
        capsys.readouterr().out)
    typed = ['head', 'videos.tsn_tiny.safetensors', '--kind', 'temporal', '--out', 'run']
    assert main(typed) == 0
    said = capsys.readouterr().out
    assert said.count('of 8 left-out videos right') == 5 and said.count('<- chosen') == 1
    assert '6 of 6' in said and 'train --pretrained run --data' in said
    assert read_config('run')['command'].startswith('video_convs head videos.tsn')
    assert main(['predict', 'run', f'{videos}/test/darker/0.mp4']) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith('darker')
    assert main(['evaluate', 'run', '--data', videos]) == 0
    assert '6 of 6' in capsys.readouterr().out
    assert main(['evaluate', 'run', '--data', videos, '--split', 'train']) == 2
    assert 'learned from' in capsys.readouterr().err
    assert main(typed) == 0  # a head again, in the same place
    assert main(['head', 'videos.tsn_tiny.safetensors', '--out', 'all', '--split', 'train', 'test',
                 '--penalty', '.01']) == 0
    assert read_config('all')['head']['videos'] == 14


def test_several_sets_and_a_folder(folder, tmp_path, capsys):
    videos, out = str(folder/'videos'), tmp_path/'new'
    table = tmp_path/'other.csv'
    paths = sorted((folder/'videos').rglob('*.mp4'))
    table.write_text('path,label,split\n' + ''.join(
        f'{path},{path.parent.name},{path.parent.parent.name}\n' for path in paths))
    assert main(['features', str(folder/'net'), videos, str(table), '--out', str(out), '--npy',
                 '--split', 'test', '--size', '24', '--views', '2x1']) == 0
    files = sorted(out.glob('*.npy'))
    assert len(files) == 2 and all(len(load_features(file)) == 6 for file in files)
    assert load_features(files[0]).about['input']['size'] == 24
    assert main(['features', str(folder/'net'), videos, videos, '--out', str(out)]) == 2
    assert 'sets would be written to' in capsys.readouterr().err


@pytest.mark.parametrize('typed, says', [
    (['features', 'tsn_tiny', '{videos}'], 'features of random weights say little'),
    (['features', '{net}', '{videos}', '--out', '{file}/a'], 'cannot be written'),
    (['features', '{net}', '{top}/nowhere'], 'does not exist'),
    (['features', '{net}', '{videos}', '--split', 'x'], "no split 'x'"),
    (['features', '{net}', '{videos}', '--option', 'fold=1'], '--option sets options of --dataset'),
    (['features', 'tsn_tiny', '{videos}', '--pretrained', '{top}/no.pth'], 'no.pth'),
    (['head', '{top}/none.npy', '--out', '{top}/r'], 'there is no file'),
    (['head', '{file}', '--out', '{top}/r', '--split', 'x'], "no features of a split 'x'"),
    (['head', '{file}', '--out', '{top}/r', '--test-split', 'train'], 'is learned from'),
    (['head', '{file}', '--out', '{top}/r', '--kind', 'big'], '--kind is one of linear, temporal'),
    (['head', '{file}', '--out', '{net}'], 'already holds a checkpoint'),
    (['head', '{file}', '--out', '{top}/r', '--network', '{other}'], 'of another network'),
])
def test_one_line_and_exit_code_2(folder, found, typed, says, capsys):
    if not (folder/'other').exists():
        torch.manual_seed(1)
        create_model('tsn_tiny', num_classes=2, input_spec=SPEC).save_pretrained(folder/'other')
    names = dict(top=folder, net=folder/'net', videos=folder/'videos', file=folder/'f.safetensors',
                 other=folder/'other')
    assert main([word.format(**names) for word in typed]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1, said


def test_a_page_of_a_checkpoint_names_no_machine(found, net, tmp_path):
    out = save_fit(fit_head(net, found.split('train')), found.split('train'), tmp_path/'run')
    assert str(tmp_path) not in json.dumps(read_config(out))
