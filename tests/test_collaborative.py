"STC and its refinements against their literal forms on generated configurations, and wrong input."
import pytest, torch
from hypothesis import assume, given, settings, strategies as st
from torch import nn

from proofs import both_roads, equal, layouts, make_clip, sized, wrong_clips
from video_convs.clips import fold, unfold
from video_convs.nets.single_operator import SingleOperatorNet
from video_convs.ops.collaborative import STCConv, SpatialRefinement, TemporalRefinement
from video_convs.ops.common import over_time
from video_convs.ops.literal import literal_sr, literal_stc, literal_tr
from video_convs.ops.plain import plain_sr, plain_stc, plain_tr
from video_convs.ops.shift import TemporalShift

# B, T, H, W
sizes = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
reductions = st.sampled_from((None, 1, 2, 16))
shares, flags = st.sampled_from((0, 1/4, 1/2, 3/4, 1)), st.booleans()
some = settings(max_examples=40, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures('one_thread')


def form(op):
    return dict(spatial=op.spatial, temporal=op.temporal, tr=op.tr and (op.tr.taps, op.tr.reduce),
                bias=op.bias, stride=op.stride, sr=op.sr and (op.sr.window, op.sr.reduce),
                dilation=op.dilation, shift=op.shift)


@some
@given(sizes, st.integers(1, 9), reductions, layouts)
def test_temporal_refinement(size, C, reduction, layout):
    B, T, H, W = size
    op, y = sized(TemporalRefinement(C, reduction).double()), make_clip((B, C, T, H, W), layout)
    want = literal_tr(y, op.taps, op.reduce)
    for z in (*both_roads(op, y), plain_tr(y, op.taps, op.reduce), y * op.gate(y)):
        equal(z, want)
    assert op.gate(y).shape == (B, C, T, 1, 1)


@some
@given(sizes, st.integers(1, 9), reductions, layouts)
def test_spatial_refinement(size, C, reduction, layout):
    B, T, H, W = size
    op, y = sized(SpatialRefinement(C, reduction).double()), make_clip((B, C, T, H, W), layout)
    want = literal_sr(y, op.window, op.reduce)
    for z in (*both_roads(op, y), plain_sr(y, op.window, op.reduce), y * op.gate(y)):
        equal(z, want)
    assert op.gate(y).shape == (B, C, 1, H, W)


@some
@given(sizes, st.sampled_from((4, 8, 20)), st.sampled_from((4, 12)), shares, st.integers(1, 3),
       st.integers(1, 2), reductions, st.tuples(flags, flags, flags, flags, flags), layouts)
def test_stc(size, C, out, alpha, stride, dilation, reduction, switches, layout):
    (shift, tr, sr, even, bias), (B, T, H, W) = switches, size
    assume(not (shift and alpha * C == 1 and not even))
    even = even and alpha not in (0, 1)
    op = sized(STCConv(C, out, alpha, stride, reduction, shift, tr, sr, even, bias,
                       dilation).double())
    x = make_clip((B, C, T, H, W), layout)
    want = literal_stc(x, **form(op))
    for y in (*both_roads(op, x), plain_stc(x, **form(op))):
        equal(y, want)
    assert want.shape == (B, out, T, -(-H // stride), -(-W // stride))


@some
@given(sizes, shares, reductions, st.integers(1, 2))
def test_gradients_are_those_of_the_plain_form(size, alpha, reduction, stride):
    B, T, H, W = size
    op = sized(STCConv(8, 8, alpha, stride, reduction, bias=True).double())
    x, results = make_clip((B, 8, T, H, W), torch.channels_last_3d).requires_grad_(), []
    for y in (op(x), plain_stc(x, **form(op))):
        results.append(torch.autograd.grad(y, (x, *op.parameters()), torch.ones_like(y).cumsum(3)))
    for a, b in zip(*results):
        equal(a, b)


@pytest.mark.parametrize('shift', [False, True])
@pytest.mark.parametrize('options', [{}, dict(stride=2), dict(dilation=2, padding=2),
                                     dict(padding='same'), dict(bias=False)])
def test_only_spatial_without_refinement_is_the_convolution(options, shift):
    conv = nn.Conv2d(16, 12, 3, **{'padding': 1, **options}).double()
    op = STCConv.from_conv2d(conv, alpha=1, shift=shift, temporal_refinement=False)
    x = make_clip((2, 16, 4, 7, 6), torch.channels_last_3d)
    equal(op(x), unfold(conv(fold(TemporalShift(16)(x) if shift else x)), 4))


@some
@given(st.sampled_from((8, 16)), st.sampled_from((8, 24)), shares, st.integers(1, 2), flags, flags,
       flags, st.sampled_from((torch.float32, torch.float64, torch.bfloat16)))
def test_from_conv2d(C, out, alpha, stride, bias, last, training, dtype):
    conv = nn.Conv2d(C, out, 3, stride, 2, 2, bias=bias).to(dtype).train(training)
    if last:
        conv = conv.to(memory_format=torch.channels_last)
    op = STCConv.from_conv2d(conv, alpha=alpha, reduction=4)
    assert (op.stride, op.dilation, op.training) == (stride, 2, training)
    assert {p.dtype for p in op.parameters()} == {dtype}
    assert all(module.training == training for module in op.modules())
    assert op.bias is None and conv.bias is None or torch.equal(op.bias, conv.bias)
    x = torch.randn(1, C, 3, 7, 6, dtype=dtype)
    assert fold(op(x)).shape == conv(fold(x)).shape
    if op.spatial is not None:
        N, n = op.spatial.shape[:2]
        assert torch.equal(op.spatial, conv.weight[:N, :n])
        layout = torch.channels_last if last else torch.contiguous_format
        assert op.spatial.stride() == torch.empty_like(op.spatial, memory_format=layout).stride()
        assert op.spatial.untyped_storage().data_ptr() != conv.weight.untyped_storage().data_ptr()


def test_from_conv2d_stays_on_its_device():
    op = STCConv.from_conv2d(nn.Conv2d(16, 16, 3, padding=1, device='meta'))
    assert {p.device.type for p in op.parameters()} == {'meta'}


@pytest.mark.parametrize('C, alpha, reduction, equal_parts',
                         [(64, 3/4, None, False), (64, 1/4, 2, False), (128, 3/4, 4, True)])
def test_every_weight_counts(C, alpha, reduction, equal_parts):
    op = sized(STCConv(C, C, alpha, reduction=reduction, equal=equal_parts))
    x = torch.randn(1, C, 4, 6, 6)
    op(x).square().sum().backward()
    for name, p in op.named_parameters():  # ReLU
        assert p.grad.ne(0).float().mean() > (.9 if reduction is None else .4), name


@pytest.fixture(scope='module')
def network():
    "One STC with random weights between a convolution and a ReLU."
    net = SingleOperatorNet('stc', after=0, classes=2)
    net.op = STCConv(16, 16)
    return sized(net.double()).eval()


@pytest.mark.parametrize('gap', (1, 2, 3, 5, 6))
def test_the_order_of_events_five_frames_apart_is_not_seen(network, gap):
    "Away from the ends; one frame is reached by the shift, one by TR, and SR reads a sum."
    scores = []
    for square, bar in ((0, gap), (gap, 0)):
        clip, first = torch.zeros(1, 1, 16, 16, 16, dtype=torch.float64), (16 - gap) // 2
        clip[0, 0, first + square, 3:6, 3:6] = 1
        clip[0, 0, first + bar, 9:14, 10:12] = 1
        with torch.no_grad():
            scores.append(network(clip))
    difference = (scores[0] - scores[1]).abs().max() / scores[0].abs().max()
    assert (difference > 1e-12) == (gap < 5)


@pytest.mark.parametrize('sr', [False, True])
def test_only_spatial_refinement_sees_that_something_came_back(sr):
    "Two flashes five frames apart at one pixel, against the sum of each of them alone."
    op = sized(STCConv(8, 8, spatial_refinement=sr).double())
    both = torch.zeros(1, 8, 16, 5, 5, dtype=torch.float64)
    both[:, :, [5, 10], 2, 2] = 1
    first, second = both.clone(), both.clone()
    first[:, :, 10] = 0
    second[:, :, 5] = 0
    with torch.no_grad():
        alone = op(first).sum(2) + op(second).sum(2)
        assert ((op(both).sum(2) - alone).abs().max() > 1e-4) == sr


def test_the_gates_know_three_pictures_and_what_is_in_a_frame():
    op = sized(STCConv(32, 32).double())
    x = make_clip((2, 8, 7, 6, 5))
    shuffled = x[:, :, [0, 4, 2, 5, 1, 3, 6]]
    gate = lambda clip: op.sr.gate(over_time(clip, op.temporal, 1))
    equal(gate(shuffled), gate(x))
    assert (gate(x[:, :, [1, 0, 2, 3, 4, 5, 6]]) - gate(x)).abs().max() > 1e-4  # the first frame
    y = make_clip((2, 24, 3, 6, 5))
    equal(op.tr.gate(y.flatten(3).flip(3).view_as(y)), op.tr.gate(y))


conv3 = lambda **options: nn.Conv2d(8, 8, **{'kernel_size': 3, 'padding': 1, **options})

@pytest.mark.parametrize('make, says', [
    (lambda: STCConv(64, 64, alpha=1/3),
     'alpha · in_channels must be a whole number of channels, got 0.333333 · 64 = 21.3333'),
    (lambda: STCConv(64, 6),
     'alpha · out_channels must be a whole number of channels, got 0.75 · 6 = 4.5'),
    (lambda: STCConv(8, 8, alpha=-.25), 'from 0 to 1, got -0.25'),
    (lambda: STCConv(8, 8, alpha=1.25), 'from 0 to 1, got 1.25'),
    (lambda: STCConv(8, 8, stride=0), 'stride must be at least 1, got 0'),
    (lambda: STCConv(0, 8), 'in_channels must be at least 1, got 0'),
    (lambda: STCConv(8, 8, dilation=0), 'dilation must be at least 1'),
    (lambda: STCConv(8, 8, reduction=0),
     'reduction must be at least 1, or None for no reduction, got 0'),
    (lambda: STCConv(8, 8, alpha=0, equal=True), '0 < alpha < 1, got in_channels = 8, alpha = 0'),
    (lambda: STCConv(9, 8, equal=True), 'in_channels must be even'),
    (lambda: STCConv(4, 4, alpha=1/4), 'S_T needs 2 of the 4 channels'),
    (lambda: TemporalRefinement(0), 'channels must be at least 1'),
    (lambda: SpatialRefinement(8, -1), 'reduction must be at least 1'),
    (lambda: STCConv.from_conv2d(conv3(kernel_size=1, padding=0)), 'kernel_size=(3, 3)'),
    (lambda: STCConv.from_conv2d(conv3(groups=8)), 'groups=1'),
    (lambda: STCConv.from_conv2d(conv3(stride=(1, 2))), 'stride=(1, 1)'),
    (lambda: STCConv.from_conv2d(conv3(dilation=(1, 2), padding=(1, 2))), 'dilation=(1, 1)'),
    (lambda: STCConv.from_conv2d(conv3(padding=0)), 'padding=(1, 1)'),
    (lambda: STCConv.from_conv2d(conv3(padding_mode='reflect')), "padding_mode='zeros'"),
    (lambda: STCConv.from_conv2d(nn.Conv3d(8, 8, 3, padding=1)), 'got Conv3d'),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize('op', [STCConv(8, 8), STCConv(8, 8, 1), TemporalRefinement(8),
                                SpatialRefinement(8)], ids=str)
@pytest.mark.parametrize('x, says', wrong_clips(8))
def test_wrong_clips(op, x, says):
    with pytest.raises(ValueError) as error:
        op(x)
    assert says in str(error.value)
