"The dense temporal operators against their literal forms, and what they take from a convolution."
import copy

import pytest, torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from proofs import equal, layouts, make_clip, wrong_clips
from video_convs.clips import fold, unfold
from video_convs.ops.literal import literal_conv3d, literal_r2plus1d, literal_shift
from video_convs.ops.plain import plain_conv3d, plain_r2plus1d
from video_convs.testing import randomised
from video_convs.ops.common import conv_arguments, over_time
from video_convs.ops.dense_temporal import DenseTemporalConv
from video_convs.ops.shift import TemporalShift
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.space_time import C3D, P3D, R2Plus1D
from video_convs.ops.temporal import TemporalConv

shapes = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4),
                   st.integers(1, 4))  # B, C, T, H, W
few = st.integers(1, 3)
strides, flags = st.integers(1, 2), st.booleans()
some = settings(max_examples=25, deadline=None, derandomize=True)
last = torch.channels_last_3d
pytestmark = pytest.mark.usefixtures('one_thread')


def check(op, shape, layout, literal, plain):
    "Module with and without gradients, and plain form, against the literal form; layout stays."
    op, x = randomised(op.double()), make_clip(shape, layout)
    bias = 0 if op.bias is None else op.bias.view(-1, 1, 1, 1)
    want, single = literal(x) + bias, copy.deepcopy(op).float()
    with torch.no_grad():
        inference, single_inference = op(x), single(x.float())
    for y in (op(x), inference, plain(x) + bias):
        equal(y, want)
    for y in (single(x.float()), single_inference):
        assert x.is_contiguous() or y.is_contiguous(memory_format=last)
    _, T, H, W = shape[1:]
    assert op.macs(T, H, W) * op.out_channels == want[0].numel() * op.macs(1, 1, 1)
    assert want.shape == (shape[0], op.out_channels, T, -(-H // op.stride), -(-W // op.stride))


@some
@given(shapes, st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3),
       flags, layouts)
def test_over_time_is_the_3d_convolution(shape, groups, K, dilation, padding, with_bias, layout):
    B, C, T, H, W = shape
    T += dilation * (K - 1)
    x = torch.randn(B, C * groups, T, H, W).contiguous(memory_format=layout)
    taps, bias = torch.randn(2 * groups, C, K, 1, 1), torch.randn(2 * groups) if with_bias else None
    y = over_time(x, taps, padding, dilation, bias)
    equal(y, F.conv3d(x, taps, bias, padding=(padding, 0, 0), dilation=(dilation, 1, 1),
                      groups=groups), 1e-4)
    assert x.is_contiguous() or y.is_contiguous(memory_format=last)


@some
@given(shapes, few, st.sampled_from((1, 3, 5)), strides, st.integers(1, 3), flags, layouts)
def test_dense_temporal_conv(shape, out, K, stride, dilation, bias, layout):
    op = DenseTemporalConv(shape[1], out, K, stride, dilation, bias)
    form = op.taps, stride, (dilation, 1)
    check(op, shape, layout, lambda x: literal_conv3d(x, op.taps, *form[1:]),
          lambda x: plain_conv3d(x, op.taps, *form[1:]))


@some
@given(shapes, few, strides, strides, st.sampled_from(('sequential', 'parallel')),
       st.sampled_from(('dense', 'depthwise')), flags, layouts)
def test_r2plus1d(shape, out, stride, dilation, arrangement, temporal, bias, layout):
    if (arrangement, temporal) == ('parallel', 'depthwise'):
        out = shape[1]
    op = R2Plus1D(shape[1], out, stride, dilation, arrangement, temporal, bias)
    form = stride, dilation, arrangement
    check(op, shape, layout, lambda x: literal_r2plus1d(x, op.spatial, op.taps, *form),
          lambda x: plain_r2plus1d(x, op.spatial, op.taps, *form))


@some
@given(shapes, few, strides, strides, flags, layouts)
def test_c3d(shape, out, stride, dilation, bias, layout):
    op, form = C3D(shape[1], out, stride, dilation, bias), (stride, (1, dilation))
    check(op, shape, layout, lambda x: literal_conv3d(x, op.weight, *form),
          lambda x: plain_conv3d(x, op.weight, *form))


@some
@given(shapes, few, st.integers(2, 4), strides, flags, layouts)
def test_shifted_conv(shape, out, fold_div, stride, bias, layout):
    B, C, T, H, W = shape
    C += fold_div
    op = ShiftedConv(C, out, fold_div, stride, bias)
    check(op, (B, C, T, H, W), layout,
          lambda x: literal_conv3d(literal_shift(x, fold_div), op.weight.unsqueeze(2), stride),
          lambda x: plain_conv3d(TemporalShift(C, fold_div)(x), op.weight.unsqueeze(2), stride))


@some
@given(shapes, few, st.integers(2, 4), strides, layouts,
       st.sampled_from(((True, True), (True, False), (False, True))))
def test_gradients_of_shifted_conv(shape, out, fold_div, stride, layout, wanted):
    "They are those of its two steps."
    B, C, T, H, W = shape
    op = randomised(ShiftedConv(C + fold_div, out, fold_div, stride, bias=True).double())
    class TwoSteps(ShiftedConv):
        def by_products(self, x):
            return False
    steps = TwoSteps(C + fold_div, out, fold_div, stride, bias=True).double()
    steps.load_state_dict(op.state_dict())
    x = torch.randn(B, C + fold_div, T, H, W, dtype=torch.float64).contiguous(memory_format=layout)
    x.requires_grad_(wanted[0])
    g, results = torch.randn_like(op(x)), []
    for one in (op, steps):
        one.weight.requires_grad_(wanted[1])
        asked = [t for t in (x, one.weight, one.bias) if t.requires_grad]
        results.append(torch.autograd.grad(one(x), asked, g))
    for a, b in zip(*results):
        equal(a, b)


def test_shifted_conv_elsewhere():
    "Mixed precision, gradients that are no dense tensor, torch.func."
    op, x = randomised(ShiftedConv(16, 4)), torch.randn(2, 16, 4, 5, 5)
    with torch.autocast('cpu', torch.bfloat16):
        y = op(x)
    assert y.dtype == torch.bfloat16 and torch.allclose(y.float(), op(x), atol=.2, rtol=.05)
    weight = op.weight.detach()
    got = torch.func.grad(lambda w: torch.func.functional_call(op, {'weight': w}, x).sum())(weight)
    equal(got, torch.autograd.grad(op(x).sum(), op.weight)[0], 1e-5)
    assert got.shape == weight.shape


operators = [R2Plus1D.from_conv2d, P3D.from_conv2d, C3D.from_conv2d,
             lambda conv: P3D.from_conv2d(conv, variant='B'),
             lambda conv: R2Plus1D.from_conv2d(conv, temporal='depthwise'),
             lambda conv: R2Plus1D.from_conv2d(conv, arrangement='parallel')]

@some
@given(shapes, few, strides, st.integers(1, 3), flags, st.sampled_from(range(len(operators))),
       st.sampled_from((torch.float32, torch.float64)),
       st.sampled_from((torch.contiguous_format, torch.channels_last)), flags)
def test_from_conv2d_computes_the_image_network(shape, out, stride, dilation, bias, which, dtype,
                                                layout, training):
    conv = nn.Conv2d(shape[1], out, 3, stride, dilation, dilation, bias=bias,
                     dtype=dtype).to(memory_format=layout).train(training)
    before, x = copy.deepcopy(conv.state_dict()), torch.randn(shape, dtype=dtype)
    op = operators[which](conv)
    equal(op(x), unfold(conv(fold(x)), shape[2]), 1e-10 if dtype == torch.float64 else 1e-4)
    assert op.training == training and (op.bias is None) == (conv.bias is None)
    assert {p.dtype for p in op.parameters()} == {dtype}
    assert all(p.requires_grad for p in op.parameters())
    weight = op.weight if isinstance(op, C3D) else op.spatial
    assert weight.is_contiguous(memory_format={torch.channels_last: last}.get(layout, layout)
                                if weight.ndim == 5 else layout)
    with torch.no_grad():  # nothing is shared with the convolution that was replaced
        for p in op.parameters():
            p.add_(1)
    for name, value in before.items():
        assert torch.equal(conv.state_dict()[name], value)


@some
@given(shapes, few, strides, flags, st.sampled_from((1, 3, 5)))
def test_from_a_1x1_convolution(shape, out, stride, bias, K):
    B, C, T, H, W = shape
    conv = nn.Conv2d(C + 2, out, 1, stride, bias=bias, dtype=torch.float64)
    x = torch.randn(B, C + 2, T, H, W, dtype=torch.float64)
    equal(DenseTemporalConv.from_conv2d(conv, K)(x), unfold(conv(fold(x)), T))
    op = ShiftedConv.from_conv2d(conv, fold_div=2)
    equal(op(x), unfold(conv(fold(TemporalShift(C + 2, 2)(x))), T))
    assert op.state_dict().keys() == conv.state_dict().keys()
    conv.load_state_dict(op.state_dict())


def test_inflation_by_the_mean():
    conv = nn.Conv2d(3, 4, 3, padding='same', dtype=torch.float64)
    op, x = C3D.from_conv2d(conv, inflate='mean'), torch.randn(2, 3, 6, 5, 5, dtype=torch.float64)
    neighbours = unfold(F.conv2d(fold(x), conv.weight, padding=1), 6)
    equal(op(x)[:, :, 1:-1], (neighbours[:, :, :-2] + neighbours[:, :, 1:-1] + neighbours[:, :, 2:])
          / 3 + conv.bias.view(-1, 1, 1, 1))
    equal(op.weight.sum(2), conv.weight)


def test_fresh_operators():
    x = torch.randn(2, 6, 4, 5, 5)
    assert torch.equal(DenseTemporalConv(6, 6)(x), x)
    assert torch.equal(DenseTemporalConv(6, 9, 5)(x)[:, :6], x)
    for op in (R2Plus1D(6, 4), R2Plus1D(6, 4, arrangement='parallel'),
               R2Plus1D(6, 4, temporal='depthwise')):
        equal(op(x), op.over_space(x, op.spatial), 1e-5)
        op(x).square().sum().backward()
        # no dead end
        assert op.taps.grad[:, :, [0, 2]].abs().max() > 0 and op.spatial.grad.abs().max() > 0


@pytest.mark.parametrize('make, says', [
    (lambda: DenseTemporalConv(8, 8, 4),
     'kernel_size must be odd and positive, so that a frame stands in the middle, got 4'),
    (lambda: DenseTemporalConv(0, 8), 'in_channels must be at least 1, got 0'),
    (lambda: DenseTemporalConv(8, 8, stride=0), 'stride must be at least 1, got 0'),
    (lambda: DenseTemporalConv(8, 8, dilation=0), 'dilation must be at least 1'),
    (lambda: R2Plus1D(8, 0), 'out_channels must be at least 1'),
    (lambda: R2Plus1D(8, 8, arrangement='both'),
     "arrangement must be 'sequential' or 'parallel', got 'both'"),
    (lambda: R2Plus1D(8, 8, temporal='full'),
     "temporal must be 'dense' or 'depthwise', got 'full'"),
    (lambda: R2Plus1D(8, 4, arrangement='parallel', temporal='depthwise'),
     "must be equal; or choose temporal='dense'"),
    (lambda: P3D(8, 8, 'C'), "variant must be 'A' or 'B', got 'C'"),
    (lambda: C3D(8, 8, dilation=0), 'dilation must be at least 1'),
    (lambda: R2Plus1D(8, 8, stride=0), 'stride must be at least 1, got 0'),
    (lambda: P3D.from_conv2d(nn.Conv2d(8, 8, 3, padding=1, groups=8)), 'groups=1, got groups=8'),
    (lambda: P3D.from_conv2d(nn.Conv2d(8, 8, 3)), 'padding=(1, 1), got padding=(0, 0)'),
    (lambda: ShiftedConv.from_conv2d(nn.Linear(8, 8)), 'takes over an nn.Conv2d, got Linear'),
    (lambda: ShiftedConv(7, 8), 'channels = 7, fold_div = 8'),
    (lambda: ShiftedConv(8, 8, stride=-1), 'stride must be at least 1, got -1'),
    (lambda: C3D.from_conv2d(nn.Conv2d(8, 8, 3, padding=1), inflate='sum'),
     "inflate must be 'centre' or 'mean', got 'sum'"),
    (lambda: conv_arguments(nn.Conv1d(8, 8, 3), 3), 'takes over an nn.Conv2d, got Conv1d'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 1), 3), 'kernel_size=(3, 3), got kernel_size=(1, 1)'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 3, padding=1, groups=2), 3), 'groups=1, got groups=2'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 3, (1, 2), 1), 3), 'stride=(1, 1), got stride=(1, 2)'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 3, 1, (1, 2), (1, 2)), 3),
     'dilation=(1, 1), got dilation=(1, 2)'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 3, padding='valid'), 3),
     'padding=(1, 1), got padding=(0, 0)'),
    (lambda: conv_arguments(nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect'), 3),
     "padding_mode='zeros', got padding_mode='reflect'"),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize('conv', [nn.Conv2d(8, 8, 3, 1, 'same', dilation=2),
                                  nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 1, padding='valid')])
def test_what_is_taken_over(conv):
    assert conv_arguments(conv, conv.kernel_size[0])['stride'] == conv.stride[0]


@pytest.mark.parametrize('op', [ShiftedConv(8, 4), DenseTemporalConv(8, 4), R2Plus1D(8, 4),
                                P3D(8, 4, 'B'), C3D(8, 4)], ids=lambda op: type(op).__name__)
@pytest.mark.parametrize('x, says', wrong_clips(8))
def test_wrong_clips(op, x, says):
    with pytest.raises(ValueError) as error:
        op(x)
    assert says in str(error.value)


def test_collapse():
    "Diagonal taps are depthwise, (2+1)D is then a convolution and a TemporalConv, P3D is (2+1)D."
    x = torch.randn(2, 4, 5, 6, 7, dtype=torch.float64)
    conv = nn.Conv2d(4, 6, 3, 2, 1, dtype=torch.float64)
    op = R2Plus1D.from_conv2d(conv, temporal='depthwise')
    time = randomised(TemporalConv(6).double())
    op.taps.data = time.taps.data
    equal(op(x),
          time(unfold(F.conv2d(fold(x), conv.weight, None, 2, 1), 5)) + conv.bias.view(-1, 1, 1, 1))
    for variant, arrangement in (('A', 'sequential'), ('B', 'parallel')):
        p3d = randomised(P3D(4, 6, variant, 2).double())
        same = R2Plus1D(4, 6, 2, arrangement=arrangement).double()
        same.load_state_dict(p3d.state_dict())
        assert torch.equal(same(x), p3d(x))


@pytest.mark.parametrize('time, space, right, left', [
    ((-1, 0, 1), (-1, 0, 1), (-1, 0, 2, 0, -1), (1, 0, -2, 0, 1)),
    ((1, 2, 3), (1, -3, 0), (0, -3, -5, -7, 3), (0, -9, -3, -1, 1))])
def test_what_a_product_makes_of_a_dot(time, space, right, left):
    "The third exercise of the lesson on space and time; its sums after the ReLU are 2, 2, 3, 1."
    op = C3D(1, 1)
    op.weight.data.zero_()
    op.weight.data[0, 0, :, 1] = torch.outer(torch.tensor(time), torch.tensor(space))
    for places, expected in ((2, 3, 4), right), ((4, 3, 2), left):
        clip = F.one_hot(torch.tensor(places), 7).float().view(1, 1, 3, 1, 7)
        assert op(clip)[0, 0, 1, 0, 1:-1].tolist() == list(map(float, expected))
