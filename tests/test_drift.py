"The instrument of the displacement study: clips, network and the formula for what can be seen."
import json
import zlib

import pytest
import torch

from video_convs.data.drift import (Drift, coverage, direction_spread, drift_accuracy, drift_clips,
                                    share_right, train_on_clips, train_on_drift)
from video_convs.data.motion_files import render_drift
from video_convs.data.video import read_frames
from video_convs.nets.single_operator import SINGLE_OPERATORS, SingleOperatorNet, reach
from video_convs.ops.space_time import R2Plus1D
from video_convs.testing import randomised


def clip(config, labels, seed=0):
    return drift_clips(config, torch.tensor(labels), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('directions', [2, 4, 8])
def test_the_square_moves_its_displacement_towards_its_label(directions):
    config = Drift(4., side=5, directions=directions, noise=0.)
    for label in range(directions):
        frames = clip(config, [label])[0, 0]
        angle = torch.tensor(2 * torch.pi * label / directions)
        ring = torch.exp(2j * torch.pi * torch.arange(32) / 32)
        for axis, expected in (1, angle.cos()), (0, angle.sin()):
            centre = (frames.sum(1 if axis else 2) * ring).sum(1).angle()  # of mass, on the ring
            moved = (centre.diff() + torch.pi) % (2 * torch.pi) - torch.pi
            assert torch.allclose(moved * 32 / (2 * torch.pi), 4 * expected.expand(3), atol=.05)


def test_columns_cover_their_width_everywhere_on_the_ring():
    start = torch.linspace(-20, 50, 141)
    assert torch.allclose(coverage(start, 3, 16).sum(2), torch.ones(141, 3), atol=1e-4)


def test_same_seed_same_clips_and_noise_is_new_in_each_frame():
    config = Drift(2., texture=.4, ground=.2)
    assert torch.equal(clip(config, [0, 1], 5), clip(config, [0, 1], 5))
    ground = Drift(0., ground=.2, noise=0.)
    still, noisy = clip(ground, [0])[0, 0], clip(Drift(0.), [0])[0, 0]
    assert torch.equal(still[0], still[3])
    assert not torch.equal(noisy[0], noisy[3])


@pytest.mark.parametrize('wrong, named', [
    (dict(side=32), 'side=32'), (dict(frames=0), 'frames=0'), (dict(directions=3), 'directions=3'),
    (dict(displacement=float('nan')), 'displacement=nan'), (dict(noise=-1.), 'noise=-1')])
def test_knobs_that_make_no_sense_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        Drift(**wrong)


def test_an_unknown_operator_names_what_is_near():
    with pytest.raises(ValueError, match='hgc_conv2'):
        SingleOperatorNet('hgc_conv3')


@pytest.mark.parametrize('operator', SINGLE_OPERATORS)
def test_the_network_knows_no_place(operator):
    net = randomised(SingleOperatorNet(operator).double())
    x = torch.randn(1, 1, 4, 16, 16, dtype=torch.float64,
                    generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(net(x), net(x.roll((3, 7), (3, 4))), rtol=1e-10)


@pytest.mark.parametrize('operator', SINGLE_OPERATORS)
def test_the_directions_are_told_apart_below_the_reach_only(operator):
    net = randomised(SingleOperatorNet(operator, after=2).double())
    limit = reach(operator, 3, 2)
    for d in limit - 2, limit:
        config = Drift(float(max(d, 1)), size=64, frames=3, noise=0.)
        with torch.no_grad():
            scores = torch.cat([net(clip(config, [label]).double()) for label in range(4)])
        difference = (scores - scores[0]).abs().max() / scores.abs().max()
        assert (difference > 1e-13) == (0 < d < limit)


def test_training_tells_its_loss_and_the_directions_are_learned():
    torch.manual_seed(0)
    config, draw = Drift(1., size=12), torch.Generator().manual_seed(0)
    model = SingleOperatorNet('c3d', after=0)
    before = drift_accuracy(model, config, draw)
    lines = []
    train_on_drift(model, config, 60, draw, show=lines.append, every=30)
    assert [line.split(':')[0] for line in lines] == ['step   0', 'step  30', 'step  60']
    assert before < .5 and drift_accuracy(model, config, draw) > .9
    assert not model.training


def test_any_clips_can_be_learned():
    "Two classes, a bright clip and a dark one; the labels come from PyTorch's own generator."
    torch.manual_seed(0)
    seen = []
    def clips_of(labels):
        seen.append(labels)
        return labels.view(-1, 1, 1, 1, 1).expand(-1, 1, 2, 3, 3) - .5
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(18, 2))
    train_on_clips(model, clips_of, 20, classes=2, batch=5)
    assert len(seen) == 21 and {len(labels) for labels in seen} == {5}
    assert set(torch.cat(seen).tolist()) == {0, 1} and not torch.equal(seen[0], seen[1])
    assert share_right(model, clips_of, classes=2, clips=7) == 1 and not model.training
    assert seen[-1].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert share_right(model, lambda labels: -clips_of(labels), classes=2, clips=7) == 0


def test_drift_is_learned_like_any_clips():
    config, weights = Drift(1., size=8), []
    for train in (lambda net, draw: train_on_drift(net, config, 2, draw, batch=3, rate=.1),
                  lambda net, draw: train_on_clips(
                      net, lambda labels: drift_clips(config, labels, draw), 2, batch=3, rate=.1,
                      generator=draw)):
        model = randomised(SingleOperatorNet('conv1d', after=0))
        train(model, torch.Generator().manual_seed(0))
        weights.append(model.head.weight)
    assert torch.equal(*weights)


def test_behind_a_shift_outputs_must_read_two_moments():
    "One moment for each output channel, and the directions are equal: the lesson's theorem."
    model = randomised(SingleOperatorNet('shift', after=1))
    config = Drift(2., noise=0.)
    assert direction_spread(model, config) > 1e-6
    moment = torch.tensor([0] * 2 + [1] * 2 + [2] * 12)
    for k in range(16):
        model.after[1][0].weight.data[k, moment != k % 3] = 0
    assert direction_spread(model, config) < 1e-14


def test_a_symmetric_stem_makes_right_and_left_equal():
    "The theorem of the lesson on temporal convolution."
    model, mirrored = (randomised(SingleOperatorNet('conv1d', after=0)) for _ in range(2))
    kernel = mirrored.stem[0].weight.data
    kernel.copy_((kernel + kernel.flip(3)) / 2)
    config = Drift(2., directions=2, noise=0.)
    assert direction_spread(model, config) > 1e-6
    assert direction_spread(mirrored, config) < 1e-14


@pytest.mark.parametrize('arrangement, limit', [('sequential', 7), ('parallel', 6)])
def test_side_by_side_sees_one_pixel_less(arrangement, limit):
    model = SingleOperatorNet('c3d', after=0)
    model.op = R2Plus1D(16, 16, arrangement=arrangement)
    model = randomised(model)
    assert direction_spread(model, Drift(limit - 1., noise=0.)) > 1e-9
    assert direction_spread(model, Drift(float(limit), noise=0.)) < 1e-13


def test_symmetric_taps_make_right_and_left_equal():
    "The lesson on temporal convolution: a clip played backwards has the same mean."
    model, even = (randomised(SingleOperatorNet('conv1d', after=0)) for _ in range(2))
    even.op.taps.data = (even.op.taps.data + even.op.taps.data.flip(2)) / 2
    config = Drift(2., directions=2, noise=0.)
    assert direction_spread(model, config) > 1e-6
    assert direction_spread(even, config) < 1e-14
    assert direction_spread(even, Drift(2., noise=0.)) > 1e-6  # a row and a column differ


@pytest.mark.parametrize('slope', [2, 4, 6, 8])
def test_an_hourglass_sees_half_its_slope_farther(slope):
    "The lesson on space and time: twelve weights per channel, and slope 4 reaches as far as 3D."
    name = f'hgc_conv{slope}'
    gain = reach(name, 3, 0) - reach('conv1d', 3, 0)
    assert gain == slope // 2
    assert reach('c3d', 3, 0) - reach('conv1d', 3, 0) == 2
    weights = SingleOperatorNet(name, after=0).op.parameters()
    assert sum(p.numel() for p in weights) == 12 * 16


@pytest.mark.parametrize('directions', [2, 4, 8])
def test_a_file_moves_in_the_direction_of_its_folder(directions, tmp_path):
    config = Drift(displacement=4., side=6, size=32, frames=3, directions=directions, noise=0)
    render_drift(tmp_path, config, train=0, test=directions, progress=False)
    step = dict(right=(0, 4), down=(4, 0), left=(0, -4), up=(-4, 0))
    for path in sorted((tmp_path/'test').rglob('*.mp4')):
        names = path.parent.name.split('-')
        share = 1 if len(names) == 1 else .5**.5
        ahead = [round(share * sum(step[name][axis] for name in names)) for axis in (0, 1)]
        frames = read_frames(path, range(3))[0].float()
        moved = frames[0].roll(ahead, (0, 1))
        assert (frames[1] - moved).abs().mean() < .4 * (frames[1] - frames[0]).abs().mean(), path


def test_drift_as_files_equals_the_tensors(tmp_path):
    config = Drift(displacement=1.5, side=6, size=32, frames=4)
    root = render_drift(tmp_path, config, train=4, test=4, seed=3, progress=False)
    about = json.loads((root/'dataset.json').read_text())
    assert about['name'] == 'motion-drift' and about['config']['displacement'] == 1.5
    assert about['ceiling_without_time'] == 1/4 and about['counts'] == dict(train=4, test=4)
    labels, draw = torch.tensor([2]), torch.Generator().manual_seed(zlib.crc32(b'3 test 2'))
    clip = drift_clips(config, labels, draw)[0, 0]
    file = read_frames(root/'test'/'left'/'00002.mp4', range(4))[0]
    assert (file - (127.5 + 63.75 * clip)).abs().mean() < 3
    with pytest.raises(ValueError, match='holds another data set'):
        render_drift(root, config, train=4, test=4, seed=4, progress=False)


@pytest.mark.parametrize('displacement, directions', [(1.6, 4), (.7, 2), (1., 8)])
def test_no_frame_shows_its_direction_by_a_faint_edge(displacement, directions):
    config = Drift(displacement, side=8, directions=directions, noise=0.)
    for label in range(directions):
        frames = clip(config, 2000 * [label])[:, 0]  # (B, T, S, S)
        for rows in frames.amax(2), frames.amax(3):
            faint = [(rows * (rows < rows.roll(side, -1) - .001)).sum(-1).mean(0)
                     for side in (-1, 1)]  # (T,) each
            assert all((edge - .5).abs().max() < .03 for edge in faint), label


def test_whole_and_half_pixels_start_on_a_pixel():
    for displacement in 0., .5, 3.:
        frames = clip(Drift(displacement, side=8, noise=0.), [0, 1, 2, 3])[:, 0, 0]
        assert set(frames.unique().tolist()) == {0., 1.}
