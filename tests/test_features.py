"Features: rows in the order of the data, nearest neighbours, t-SNE and its wrong inputs."
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

from figures import check_texts
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.views import Views
from video_convs.explain.features import Features, embed, features, neighbours, plot_embedding
from video_convs.explain.probes import changed
from video_convs.weights.create import create_model

matplotlib.use('agg')
pytestmark = pytest.mark.usefixtures('one_thread')


def made(values, labels, classes='abc'):
    names = tuple(map(str, range(len(values))))
    return Features(torch.as_tensor(values).float(), torch.as_tensor(labels), names, tuple(classes))


NOISE = made(np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3)


@pytest.fixture(scope='module')
def unseen(tmp_path_factory):
    folder = tmp_path_factory.mktemp('features')
    config = MotionConfig(size=32, frames=16)
    render_task('reversal', folder, train=0, test=8, config=config, progress=False)
    return open_data(folder, 'test')


@pytest.fixture(scope='module')
def tsn():
    torch.manual_seed(0)
    return create_model('tsn_tiny', num_classes=3, input_spec=dict(size=32, frames=4))


def test_rows_are_what_enters_the_head(unseen, tsn):
    clips = Clips(unseen, tsn.input_spec, train=False)
    tsn.train()
    found = features(tsn, clips, batch_size=3, progress=False)
    assert tsn.training and found.classes == unseen.classes and not found.missing
    assert found.labels.tolist() == list(unseen.labels) and len(set(found.ids)) == 8
    with torch.inference_mode():
        maps = tsn.eval().forward_features(torch.stack([clips[i][0] for i in range(8)]))
        torch.testing.assert_close(found.values, tsn.forward_head(maps, pre_logits=True))


def test_views_are_averaged(unseen, tsn):
    views = Clips(unseen, tsn.input_spec, train=False, views=Views(clips=2))
    found = features(tsn, views, batch_size=4, progress=False).values
    with torch.inference_mode():
        by_hand = tsn.eval().frame_features(views[5][0]).mean((0, 1))
    torch.testing.assert_close(found[5], by_hand)


def test_a_video_that_cannot_be_read_is_named(unseen, tsn, tmp_path):
    broken = tmp_path/'broken.mp4'
    broken.write_bytes(b'no video')
    data = replace(unseen, paths=(*unseen.paths[:3], str(broken)), labels=unseen.labels[:4])
    found = features(tsn, Clips(data, tsn.input_spec, train=False), progress=False)
    assert len(found.values) == len(found.ids) == 3 and 'broken.mp4' in str(found.missing)
    nothing = data.subset([3])
    with pytest.raises(ValueError, match='none of the 1 videos could be read'):
        features(tsn, Clips(nothing, tsn.input_spec, train=False), progress=False)


def test_training_clips_are_refused(unseen, tsn):
    with pytest.raises(ValueError, match='train=False'):
        features(tsn, Clips(unseen, tsn.input_spec, train=True), progress=False)


def test_neighbours_by_hand_and_by_scikit_learn():
    line = made([[0.], [1.], [3.], [7.]], [0, 0, 1, 1], 'ab')
    assert neighbours(line, 1).tolist() == [[1, 0], [.5, .5]]
    near = pytest.importorskip('sklearn.neighbors', reason='scikit-learn is a dev requirement')
    x, labels = NOISE.values.numpy(), NOISE.labels.numpy()
    found = near.NearestNeighbors(n_neighbors=4).fit(x).kneighbors(return_distance=False)
    shares = [[(labels[found[labels == i]] == j).mean() for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(neighbours(NOISE, 4), shares)


def test_twins_are_neighbours_of_each_other_not_of_themselves():
    twins = made([[0., 0.], [0., 0.], [9., 9.], [9., 9.]], [0, 1, 0, 1], 'ab')
    assert neighbours(twins, 1).tolist() == [[0, 1], [1, 0]]


def test_the_same_seed_draws_the_same_picture():
    pytest.importorskip('sklearn', reason='scikit-learn is a dev requirement')
    one, again, other = (embed(NOISE, 5, seed, 'random') for seed in (0, 0, 1))
    assert one.shape == (60, 2) and np.array_equal(one, again) and not np.allclose(one, other)


def test_a_picture():
    xy = NOISE.values[:, :2].numpy()
    check_texts(plot_embedding({'TSN': xy, 'H2CN': -xy}, NOISE, [('a', 'b')]))
    check_texts(plot_embedding({'TSN': xy}, NOISE))
    matplotlib.pyplot.close('all')


@pytest.mark.parametrize('call, says', [
    (lambda: embed(NOISE, 60), 'there are 60 videos: choose more than 0 and less than 60'),
    (lambda: embed(NOISE, 0), 'perplexity=0'),
    (lambda: embed(replace(NOISE, values=NOISE.values * torch.nan)), '60 of 60 videos'),
    (lambda: embed(NOISE, 5, init='middle'), "init='middle'"),
    (lambda: neighbours(NOISE, 60), 'each of 60 videos has 59 neighbours'),
    (lambda: neighbours(NOISE, 0), 'from 1 to 59'),
    (lambda: neighbours(replace(NOISE, labels=NOISE.labels - 1)), 'labels of these videos are'),
    (lambda: plot_embedding({'TSN': np.zeros((3, 2))}, NOISE), 'TSN has 3 points for 60 videos'),
    (lambda: plot_embedding({'TSN': np.zeros((60, 2))}, NOISE, [('a', 'z')]), "no class 'z'")])
def test_wrong_input(call, says):
    with pytest.raises(ValueError) as error:
        call()
    assert says in str(error.value) and '\n' not in str(error.value)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'sklearn.manifold', None)
    with pytest.raises(ValueError, match='pip install scikit-learn'):
        embed(NOISE, 5)


@pytest.mark.parametrize('name, kw', [('tsm_tiny', {}), ('h2cn_tiny', {}), ('tam_tiny', {}),
                                      ('trn_bninception', dict(frames=3))])
def test_kinds_of_networks(unseen, name, kw):
    "Several heads; a change in front of the network is seen, and no hook remains."
    net = create_model(name, num_classes=3, input_spec=dict(size=32, frames=4) | kw)
    clips = Clips(unseen.subset([0, 1]), net.input_spec, train=False)
    there = features(net, clips, progress=False).values
    with changed(net, lambda clips: clips.roll(1, 2) * 2):
        after = features(net, clips, progress=False).values
    assert there.shape == (2, net.num_features) and there.isfinite().all()
    assert not torch.allclose(there, after) and not net.head._forward_pre_hooks
