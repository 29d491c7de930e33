"Operators and networks that are given their video frame by frame."
import copy

import pytest
import torch
from torch import nn

from video_convs import create_model, list_models
from video_convs.clips import Clipwise
from video_convs.nets.baselines import FramePool
from video_convs.nets.streams import Stream
from video_convs.ops.aggregation import HFModule
from video_convs.ops.cmcb import CMCB
from video_convs.ops.collaborative import SpatialRefinement, STCConv, TemporalRefinement
from video_convs.ops.gst import GSTConv
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.mixed_hourglass import MixedHgC
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.shift import TemporalShift
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.space_time import C3D, P3D, R2Plus1D
from video_convs.ops.streams import FORMS, SIGHTS, OperatorStream
from video_convs.ops.tam import TAM
from video_convs.ops.tea import MotionExcitation
from video_convs.ops.temporal import TemporalConv
from video_convs.ops.tin import TIN
from video_convs.testing import randomised

C = 16
EXACT = [
    lambda: TemporalConv(C), lambda: TemporalConv(C, 5, 2), lambda: TemporalShift(C),
    lambda: ShiftedConv(C, 8, stride=2), lambda: HgC(C, slope=4),
    lambda: HgC(C, 5, aggregate='avg'), lambda: MixedHgC(C), lambda: R2Plus1D(C, 8),
    lambda: R2Plus1D(C, 8, arrangement='parallel'),
    lambda: P3D(C, 8, 'B'), lambda: C3D(C, 8, stride=2), lambda: STHConv(C, 8),
    lambda: STHConv(C, 8, dilation=2), lambda: STHConv(C, 8, arrangement='merge'),
    lambda: GSTConv(C, 8), lambda: HFModule(C), lambda: HFModule(C, conservative=False),
    lambda: CMCB(C), lambda: TemporalRefinement(C), lambda: MotionExcitation(C),
    lambda: STCConv(C, 8, spatial_refinement=False),
    lambda: STCConv(C, 8, spatial_refinement=False, shift=False),
    lambda: STCConv(C, 8, spatial_refinement=False, temporal_refinement=False),
    lambda: MultipleTemporalAggregation(C), lambda: MultipleTemporalAggregation(C, stride=2)]
WINDOWED = [
    lambda: STCConv(C, 8), lambda: SpatialRefinement(C), lambda: STHConv(C, 8, attention='softmax'),
    lambda: STHConv(C, 8, attention='sigmoid'), lambda: TAM(C, 4), lambda: TIN(C, 4)]


def made(make):
    torch.manual_seed(0)
    return randomised(make()).double().eval()


def noise(frames, size=4):
    return torch.randn(2, C, frames, size, size - 1, dtype=torch.float64)


@torch.no_grad()
def streamed(op, clip, window):
    stream, state, results = OperatorStream(op, window), OperatorStream.start, []
    for t, frame in enumerate(clip.unbind(2)):
        y, state = stream.step(frame, state)
        results += y
        if not stream.sight.whole:
            assert len(results) == max(0, t + 1 - stream.sight.ahead)
    return torch.stack(results + stream.finish(state), 2)


@pytest.mark.parametrize('frames', [1, 2, 3, 4, 7, 12, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize('make', EXACT)
def test_an_exact_stream_is_the_clip(make, frames):
    op, clip = made(make), noise(frames)
    with torch.no_grad():
        assert (streamed(op, clip, window=3) - op(clip)).abs().max() < 1e-10


@pytest.mark.parametrize('make', EXACT)
def test_an_operator_looks_no_farther_and_no_less_far_than_it_says(make):
    op = made(make)
    sight = SIGHTS[type(op)](op)
    r = sight.ahead
    # excitation compares a frame with the next one only
    assert sight.before == (0 if isinstance(op, MotionExcitation) else r)
    clip = noise(2 * r + 3)
    far, near = clip.clone(), clip.clone()
    far[:, :, [0, -1]] += 1  # r + 1 frames from the one in the middle
    near[:, :, -2] += 1  # r frames behind it
    with torch.no_grad():
        middle, far, near = (op(x)[:, :, r + 1] for x in (clip, far, near))
    assert torch.allclose(far, middle, atol=1e-12) and not torch.allclose(near, middle, atol=1e-6)


@pytest.mark.parametrize('make', WINDOWED)
def test_a_stream_of_means_is_the_clip_of_its_window_and_then_follows_it(make):
    op, clip, W = made(make), noise(7), 4
    r = SIGHTS[type(op)](op).ahead
    found = streamed(op, clip, W)
    with torch.no_grad():
        assert (streamed(op, clip[:, :, :W], W) - op(clip[:, :, :W])).abs().max() < 1e-10
        windows = [op(clip[:, :, t:t + W]) for t in range(4)]
    wanted = [*windows[0].unbind(2)[:W - r], *(w[:, :, W - 1 - r] for w in windows[1:]),
              *windows[-1].unbind(2)[W - r:]]
    assert (found - torch.stack(wanted, 2)).abs().max() < 1e-10


@pytest.mark.parametrize('make', [lambda: HgC(C, 5, slope=4), lambda: HgC(C, slope=0),
                                  lambda: HgC(C, 5, aggregate='avg'), lambda: TemporalShift(C),
                                  lambda: ShiftedConv(C, 8, stride=2, bias=True)])
def test_a_fast_form_is_the_literal_one(make, monkeypatch):
    op, clip = made(make), noise(6, size=7)
    fast = streamed(op, clip, window=3)
    monkeypatch.delitem(FORMS, type(op))
    assert (streamed(op, clip, window=3) - fast).abs().max() < 1e-12


def test_one_operator_serves_two_videos():
    op, clips = made(EXACT[4]), (noise(5), noise(5))
    stream, states, found = OperatorStream(op), [OperatorStream.start] * 2, ([], [])
    with torch.no_grad():
        for frames in zip(*(clip.unbind(2) for clip in clips)):
            for k, frame in enumerate(frames):
                y, states[k] = stream.step(frame, states[k])
                found[k].extend(y)
        for clip, results, state in zip(clips, found, states):
            results = torch.stack(results + stream.finish(state), 2)
            assert (results - op(clip)).abs().max() < 1e-10


@pytest.mark.parametrize('make, words', [
    (lambda: nn.MaxPool3d(2).eval(), 'MaxPool3d has no results frame by frame'),
    (lambda: CMCB(C), 'CMCB is in training mode')])
def test_what_cannot_be_a_stream_says_why(make, words):
    with pytest.raises(ValueError, match=words):
        OperatorStream(make())


SMALL = [name for name in list_models() if name.endswith('_tiny')]
LARGE = ['tea_res2net50', 'hf_trn_bninception', 'gru_bninception', 'hgc_mobilenet_v2']


def network(name, frames, **kw):
    torch.manual_seed(0)
    spec = dict(frames=frames, size=32)
    return create_model(name, num_classes=3, input_spec=spec, **kw).double().eval()


def points(net, frames):
    "A clip, and its points in time as a stream wants them."
    F = net.input_spec.per_segment
    clip = torch.randn(2, 3, frames * F, 32, 32, dtype=torch.float64)
    return clip, [x if F > 1 else x[:, :, 0] for x in clip.unflatten(2, (frames, F)).unbind(2)]


def scores_of(stream, frames):
    return [s for frame in frames for s in stream.step(frame)] + stream.finish()


@torch.no_grad()
def test_a_state_of_another_operator_or_of_other_frames_is_refused():
    frame = torch.randn(1, C, 4, 4)
    streams = [OperatorStream(op.eval()) for op in (HgC(C), HgC(C, 5), TemporalConv(C))]
    _, state = streams[0].step(frame, OperatorStream.start)
    for other in streams[1:]:
        with pytest.raises(ValueError, match=r'this state is of HgC\(16, kernel_size=3'):
            other.step(frame, state)
        with pytest.raises(ValueError, match='give the state of the step before'):
            other.finish(state)
    for changed in torch.randn(1, C, 5, 4), torch.randn(2, C, 4, 4), frame.double():
        with pytest.raises(ValueError, match=r'\(1, 16, 4, 4\), torch.float32, and now'):
            streams[0].step(changed, state)
    with pytest.raises(ValueError, match='expected 16 channels'):
        streams[0].step(frame[:, 1:], OperatorStream.start)
    y, _ = streams[0].step(frame, copy.deepcopy(state))
    assert len(y) == 1


@pytest.mark.parametrize('name', SMALL + [pytest.param(n, marks=pytest.mark.slow) for n in LARGE])
def test_a_network_of_a_clip_s_length_is_the_clip(name):
    net = network(name, 4)
    clip, frames = points(net, 4)
    found = scores_of(Stream(net), frames)
    with torch.no_grad():
        assert (found[-1] - net(clip)).abs().max() < 1e-10


@pytest.mark.parametrize('name', ['hgc_tiny', 'h2cn_tiny', 'hf_tsn_tiny'])
@pytest.mark.parametrize('length', [1, 5, 11])
def test_features_of_an_exact_network_are_those_of_any_clip(name, length):
    net = network(name, 4)
    clip, frames = points(net, length)
    stream = net.stream(window=1)
    found = torch.stack(scores_of(stream, frames), 1)  # one frame at a time
    with torch.no_grad():
        assert (found - net(clip, per_frame=True)).abs().max() < 1e-10
    again = torch.stack(scores_of(stream, frames), 1)  # the end has reset it
    assert torch.equal(again, found)


def test_how_late_a_network_is():
    net = network('hgc_tiny', 4)
    looks = sum(isinstance(m, Clipwise) for m in net.modules())
    stream, (_, frames) = net.stream(), points(net, looks + 3)
    counts = [len(stream.step(frame)) for frame in frames]
    assert stream.delay == looks and counts == [0] * looks + [1, 1, 1]


def test_several_tasks_have_scores_of_their_own():
    net = create_model('hf_tsn_bninception', num_classes=dict(verb=3, noun=2, action=4),
                       input_spec=dict(frames=2, size=32)).double().eval()
    clip, frames = points(net, 2)
    found = scores_of(net.stream(), frames)[-1]
    with torch.no_grad():
        wanted = net(clip)
    assert list(found) == list(wanted)
    assert all((found[task] - wanted[task]).abs().max() < 1e-10 for task in wanted)


def test_wrong_use_of_a_network_says_what_to_do():
    net = network('hgc_tiny', 4)
    stream, (_, frames) = net.stream(), points(net, 2)
    stream.step(frames[0])
    for wrong, words in ((frames[1][:, :, :20], 'one shape'), (frames[1][0], r'a frame \(B, 3'),
                         (frames[1][:1], 'one shape'), (frames[1][:, :1], 'expected 3 channels'),
                         (frames[1].byte(), 'x.float'), (frames[1][:0], 'empty'),
                         (frames[1].numpy(), 'a tensor; got ndarray'), (None, 'got NoneType')):
        with pytest.raises(ValueError, match=words):
            stream.step(wrong)
    stream.step(frames[1].float())  # it becomes what the weights are
    with pytest.raises(ValueError, match='call .eval'):
        net.train()
        stream.step(frames[1])
    net.eval()
    with pytest.raises(ValueError, match='choose a number of frames'):
        net.stream(window=0)
    with pytest.raises(ValueError, match='call .eval'):
        net.train().stream()
    with pytest.raises(ValueError, match='window must be 4, got 3'):
        network('tam_tiny', 4).stream(window=3)
    with pytest.raises(ValueError, match='cannot be run frame by frame: FramePool has no results'):
        net.trunk.layer1 = nn.Sequential(net.trunk.layer1, Clipwise(FramePool()))
        net.eval().stream()
    with pytest.raises(ValueError, match=r'takes 5 frames \(B, 3, 5'):
        network('h2cn_tiny', 4).stream().step(frames[0])
