"GST, TIN, TEA and TAM against their literal forms on generated configurations, and wrong input."
import pytest, torch
from hypothesis import given, settings, strategies as st
from torch import nn

from proofs import both_roads, equal, layouts, make_clip, wrong_clips
from video_convs.ops.literal import literal_conv3d
from video_convs.ops.literal_rivals import (
    literal_gst, literal_me, literal_mta, literal_tam, literal_tin)
from video_convs.ops.plain import eval_norm, plain_gst, plain_me, plain_mta, plain_tam, plain_tin
from video_convs.testing import randomised
from video_convs.ops.gst import GSTConv
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.clip_taps import frame_means, over_time_each
from video_convs.ops.tam import TAM
from video_convs.ops.tin import TIN
from video_convs.ops.tea import MotionExcitation
from video_convs.ops.tea_sums import border_sums
from video_convs.ops.shift import TemporalShift

# B, T, H, W
clips = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
seeds = st.integers(0, 99)
some = settings(max_examples=25, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures('one_thread')


def stirred(op, seed):
    "Random weights and running statistics, in float64 and eval mode."
    for m in randomised(op.double(), seed).modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            m.running_mean.normal_()
            m.running_var.uniform_(.5, 2)
    return op


def agree(op, x, literal, plain, *form):
    want = literal(x, *form)
    for y in (*both_roads(op, x), plain(x, *form)):
        equal(y, want)


@some
@given(clips, st.sampled_from(((2, 1), (2, 2), (4, 1), (4, 2))), st.integers(1, 2),
       st.integers(1, 2), st.booleans(), layouts, seeds)
def test_gst(shape, shares, stride, dilation, bias, layout, seed):
    op = stirred(GSTConv(4, 4, *shares, stride, dilation, bias), seed)
    x = make_clip((shape[0], 4, *shape[1:]), layout)
    agree(op, x, literal_gst, plain_gst, op.spatial, op.temporal, op.bias, stride, dilation)


@some
@given(clips, st.integers(1, 2), layouts, seeds)
def test_tin(shape, shift_div, layout, seed):
    op = stirred(TIN(4 * shift_div, shape[1], shift_div), seed)
    x = make_clip((shape[0], 4 * shift_div, *shape[1:]), layout)
    agree(op, x, literal_tin, plain_tin, tuple(op.offset.parameters()),
          tuple(op.weight.parameters()))


@some
@given(clips, st.integers(1, 7), layouts, seeds)
def test_motion_excitation(shape, reduction, layout, seed):
    op = stirred(MotionExcitation(5, reduction), seed)
    x = make_clip((shape[0], 5, *shape[1:]), layout)
    agree(op, x, literal_me, plain_me,
          op.conv1.weight, eval_norm(op.bn1), op.conv2.weight, op.conv3.weight, eval_norm(op.bn3))


@some
@given(clips, st.integers(2, 4), st.sampled_from(((1, True), (1, False), (2, False))),
       layouts, seeds)
def test_aggregation(shape, scale, way, layout, seed):
    op = stirred(MultipleTemporalAggregation(2 * scale, scale, *way), seed)
    x = make_clip((shape[0], 2 * scale, *shape[1:]), layout)
    weights = ([s.taps for s in op.shifts], [c.weight for c in op.convs],
               [eval_norm(b) for b in op.bns])
    agree(op, x, literal_mta, plain_mta, *weights, *way)


@some
@given(clips, st.integers(1, 5), st.sampled_from((1, 3, 5)), st.integers(1, 5), layouts, seeds)
def test_tam(shape, channels, K, reduction, layout, seed):
    op = stirred(TAM(channels, shape[1], K, reduction), seed)
    x = make_clip((shape[0], channels, *shape[1:]), layout)
    G, L = ((b[0].weight, eval_norm(b[1]), b[3].weight) for b in (op.G, op.L))
    agree(op, x, literal_tam, plain_tam, G, L)


@some
@given(clips, st.integers(1, 3), st.sampled_from((1, 3, 5)), st.booleans(), layouts)
def test_both_roads_of_over_time_each_have_the_same_gradients(shape, channels, K, weighted, layout):
    x = make_clip((shape[0], channels, *shape[1:]), layout)
    taps, importance = (torch.randn(*x.shape[:2], n, dtype=torch.float64) for n in (K, x.shape[2]))
    inputs = [z.requires_grad_() for z in (x, taps, importance)[:2 + weighted]]
    with pytest.MonkeyPatch.context() as patch:
        results = []
        for compiling in (False, True):
            patch.setattr(torch.compiler, 'is_compiling', lambda: compiling)
            y = over_time_each(*inputs)
            results.append((y, *torch.autograd.grad(y, inputs, torch.ones_like(y).cumsum(3))))
    for a, b in zip(*results):
        equal(a, b)


@some
@given(clips, layouts)
def test_helpers(shape, layout):
    B, T, H, W = shape
    x = make_clip((B, 3, T, H, W), layout)
    equal(frame_means(x), x.mean((3, 4)))
    kernel = torch.randn(3, 1, 1, 3, 3, dtype=torch.float64)
    sums = border_sums(border_sums(x).transpose(3, 4)).transpose(3, 4)  # (B, 3, T, 3, 3)
    equal((sums * kernel.view(3, 1, 3, 3)).sum((3, 4)), literal_conv3d(x, kernel).sum((3, 4)))


@some
@given(st.integers(4, 9), st.sampled_from((-1., 1.)), st.integers(1, 6))
def test_tin_with_a_constant_whole_offset_is_tsm(quarter, sign, T):
    C = 16 * quarter
    op, x = TIN(C, T).double(), torch.randn(2, C, T, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        for p in (op.offset[3].weight, op.weight.weight):
            p.zero_()
        op.offset[3].bias.fill_(sign * torch.tensor(3.).double().log())  # σ = ¼ or ¾: −1 or 1 frame
    want = TemporalShift(C)(x if sign < 0 else x.flip(2))
    equal(op(x), want if sign < 0 else want.flip(2))


@pytest.mark.parametrize('layout', (torch.contiguous_format, torch.channels_last))
@pytest.mark.parametrize('dtype', (torch.float32, torch.bfloat16))
def test_from_conv2d(layout, dtype):
    conv = nn.Conv2d(8, 12, 3, 2, 2, dilation=2).to(dtype=dtype, memory_format=layout).eval()
    gst = GSTConv.from_conv2d(conv, alpha=2, beta=1)
    assert torch.equal(gst.spatial.squeeze(2), conv.weight[:6]) and torch.equal(gst.bias, conv.bias)
    assert (gst.stride, gst.dilation, gst.temporal.dtype, gst.training) == (2, 2, dtype, False)
    assert (gst.temporal.is_contiguous(memory_format=torch.channels_last_3d)
            == (layout == torch.channels_last))
    assert (gst(torch.randn(1, 8, 3, 9, 8, dtype=dtype)).shape
            == (1, 12, 3, *conv(torch.randn(1, 8, 9, 8, dtype=dtype)).shape[2:]))
    conv = nn.Conv2d(8, 8, 3, 2, 1, bias=False).to(dtype=dtype, memory_format=layout).train()
    mta = MultipleTemporalAggregation.from_conv2d(conv, scale=2)
    part, = mta.convs
    assert torch.equal(part.weight, conv.weight[:4, :4])
    assert part.weight.dtype == dtype
    assert mta.training
    assert not mta.cascade
    assert part.weight.is_contiguous(memory_format=layout) and part.stride == conv.stride
    conv = nn.Conv2d(8, 8, 3, 1, 1, bias=False)
    assert MultipleTemporalAggregation.from_conv2d(conv, cascade=False).cascade is False


@pytest.mark.parametrize('op', [MotionExcitation(8, 2), MultipleTemporalAggregation(8),
                                MultipleTemporalAggregation(8, stride=2), TIN(16, 8), TAM(8, 8)],
                         ids=lambda op: type(op).__name__)
def test_training_step(op):
    "Every weight gets a gradient, and running statistics move."
    before = {name: b.clone() for name, b in op.named_buffers()}
    for p in randomised(op).parameters():  # away from where a sigmoid is flat
        p.data.mul_(.3)
    op.train()(torch.rand(2, op.channels, 8, 5, 4)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in op.parameters())
    assert [name for name, p in op.named_parameters() if not p.grad.any()] == []
    assert all(not torch.equal(b, before[name]) for name, b in op.named_buffers())


@pytest.mark.parametrize('make, says', [
    (lambda: GSTConv(8, 6),
     'out_channels must be a multiple of alpha ≥ 2, got out_channels = 6, alpha = 4'),
    (lambda: GSTConv(8, 8, 1), 'alpha = 1'),
    (lambda: GSTConv(7, 8),
     'beta must be 1 or 2 and divide in_channels, got in_channels = 7, beta = 2'),
    (lambda: GSTConv(8, 8, beta=4), 'beta must be 1 or 2'),
    (lambda: GSTConv(8, 8, stride=0), 'stride and dilation must be at least 1'),
    (lambda: GSTConv.from_conv2d(nn.Conv3d(8, 8, 3)), 'takes over an nn.Conv2d, got Conv3d'),
    (lambda: GSTConv.from_conv2d(nn.Conv2d(8, 8, 1)), 'kernel_size=(3, 3)'),
    (lambda: GSTConv.from_conv2d(nn.Conv2d(8, 8, 3, padding=1, groups=8)), 'groups=1'),
    (lambda: GSTConv.from_conv2d(nn.Conv2d(8, 8, 3, (1, 2), 1)), 'stride=(1, 1)'),
    (lambda: GSTConv.from_conv2d(nn.Conv2d(8, 8, 3)), 'padding=(1, 1)'),
    (lambda: GSTConv.from_conv2d(nn.Conv2d(8, 8, 3, padding=1, padding_mode='reflect')), 'reflect'),
    (lambda: TIN(24, 8),
     'multiple of 4·shift_div, four groups that move, got channels = 24, shift_div = 4'),
    (lambda: TIN(16, 0), 'frames must be at least 1'),
    (lambda: TIN(16, 8)(torch.randn(1, 16, 7, 3, 3)),
     'TIN was made for clips of frames = 8, got T = 7'),
    (lambda: TAM(16, 8)(torch.randn(1, 16, 9, 3, 3)), 'sample 8 frames or make it with frames=9'),
    (lambda: TAM(8, 8, 4), 'kernel_size must be odd'),
    (lambda: TAM(8, 8, reduction=0), 'reduction must be at least 1, got 0'),
    (lambda: TAM(0, 8), 'channels must be at least 1, got 0'),
    (lambda: TAM(8, -1), 'frames must be at least 1, got -1'),
    (lambda: TIN(16, 8, 0), 'got channels = 16, shift_div = 0'),
    (lambda: MotionExcitation(8, 0), 'at least 1, got 8 and 0'),
    (lambda: MultipleTemporalAggregation(10),
     'channels must be a multiple of scale ≥ 2, got channels = 10, scale = 4'),
    (lambda: MultipleTemporalAggregation(8, 1), 'scale = 1'),
    (lambda: MultipleTemporalAggregation(8, stride=2, cascade=True), 'use cascade=False'),
    (lambda: MultipleTemporalAggregation.from_conv2d(nn.Conv2d(8, 8, 3, padding=1)), 'bias=True'),
    (lambda: MultipleTemporalAggregation.from_conv2d(nn.Conv2d(8, 4, 3, padding=1, bias=False)),
     '8 → 4 channels'),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize('op', [GSTConv(16, 8), MotionExcitation(16),
                                MultipleTemporalAggregation(16), TIN(16, 4), TAM(16, 4)],
                         ids=lambda op: type(op).__name__)
@pytest.mark.parametrize('x, says', wrong_clips(16))
def test_wrong_clips(op, x, says):
    with pytest.raises(ValueError) as error:
        op(x)
    assert says in str(error.value)
