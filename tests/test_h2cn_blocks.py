"FMCB and CMCB against their literal forms, in training, exported, and given wrong input."
import copy, io, warnings
from itertools import product

import pytest, torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from proofs import both_roads, equal, layouts
from video_convs.clips import fold, unfold
from video_convs.ops.cmcb import CMCB
from video_convs.ops.cmcb_strips import cmcb_weights
from video_convs.ops.fmcb import FMCB
from video_convs.ops.fmcb_stem import fmcb_weights
from video_convs.ops.literal import literal_cmcb, literal_fmcb
from video_convs.ops.plain import plain_cmcb, plain_fmcb
from video_convs.testing import randomised

temporals, slopes = st.sampled_from(('hgc', 'conv1d')), st.sampled_from((2, 4, 6))
some = settings(max_examples=20, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures('one_thread')


def settled(op):
    "Random weights, and batch norms that have seen something."
    op, generator = randomised(op), torch.Generator().manual_seed(0)
    for m in op.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.copy_(torch.randn(m.num_features, generator=generator))
            m.running_var.copy_(torch.rand(m.num_features, generator=generator) + .5)
    return op


@some
@given(st.tuples(*[st.integers(1, n) for n in (2, 9, 4, 7, 7)]), st.integers(1, 4), slopes,
       temporals, layouts)
def test_cmcb(shape, reduction, slope, temporal, layout):
    op = settled(CMCB(shape[1], reduction, slope, temporal).double())
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)
    want = literal_cmcb(x, *cmcb_weights(op))
    for y in (*both_roads(op, x), plain_cmcb(x, *cmcb_weights(op))):
        equal(y, want)


@some
@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2), st.integers(2, 9),
       st.integers(2, 9), st.sampled_from((5, 9)), st.sampled_from((0, 2, 4)), temporals, layouts)
def test_fmcb(B, C, T, H, W, frames, slope, temporal, layout):
    op = settled(FMCB(C, slope, frames, temporal).double())
    x = torch.randn(B, 3, frames * T, H, W, dtype=torch.float64).contiguous(memory_format=layout)
    want = literal_fmcb(x, *fmcb_weights(op))
    assert want.shape == (B, C, T, -(-H // 4), -(-W // 4))
    for y in (*both_roads(op, x), plain_fmcb(x, *fmcb_weights(op))):
        equal(y, want)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(2, 6), st.sampled_from((0, 2, 4)), temporals)
def test_equations_3_and_4_as_printed(H, W, slope, temporal):
    op = randomised(FMCB(2, slope, 5, temporal).double())
    x = torch.randn(1, 3, 5, H, W, dtype=torch.float64)
    form = *fmcb_weights(op)[:3], None, op.hgc1.slope
    equal(plain_fmcb(x, *form), literal_fmcb(x, *form))


@some
@given(st.tuples(*[st.integers(a, b) for a, b in ((1, 2), (1, 9), (2, 4), (1, 7), (1, 7))]), slopes,
       temporals, layouts)
def test_training_cmcb_is_the_plain_composition(shape, slope, temporal, layout):
    fast = settled(CMCB(shape[1], 3, slope, temporal).double()).train()
    plain = copy.deepcopy(fast)
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    y, z = fast(x), plain_cmcb(x, *cmcb_weights(plain), training=True)
    equal(y, z)
    weight = torch.randn_like(y)
    for a, b in zip(torch.autograd.grad(y, (x, *fast.parameters()), weight),
                    torch.autograd.grad(z, (x, *plain.parameters()), weight)):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8 * max(1, b.abs().max().item()))
    with torch.no_grad():  # statistics without gradients
        equal(fast(x), plain_cmcb(x, *cmcb_weights(plain), training=True))
    for name, a in fast.named_buffers():
        if 'running' in name:
            equal(a, plain.get_buffer(name))


@pytest.mark.parametrize('temporal', ('hgc', 'conv1d'))
def test_training_fmcb_is_the_plain_composition(temporal):
    op = settled(FMCB(4, temporal=temporal).double()).train()
    x = torch.randn(2, 3, 10, 12, 14, dtype=torch.float64, requires_grad=True)
    norms = copy.deepcopy(nn.ModuleList((op.norm1, op.norm2, op.norm)))
    y = unfold(F.avg_pool2d(fold(x), 2), 5)
    y = unfold(norms[0](fold(op.hgc1(y))).relu(), 3)
    y = norms[1](fold(op.hgc2(y))).relu()
    y = F.interpolate(F.max_pool2d(norms[2](op.conv(y)).relu(), 3, 2, 1), (3, 4))
    equal(op(x), unfold(y, 2))
    for a, b in zip((op.norm1, op.norm2, op.norm), norms):
        equal(a.running_mean, b.running_mean)
        equal(a.running_var, b.running_var)


def test_cmcb_that_is_frozen_uses_running_numbers():
    op = settled(CMCB(8).double())
    x = torch.randn(2, 8, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    want = op(x)
    op.train()
    op.reduce_norm.eval()
    op.expand_norm.eval()
    before = copy.deepcopy(op.state_dict())
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            equal(op(x), want)
    for name, value in op.state_dict().items():
        assert torch.equal(value, before[name])


def shuffled(x, d):
    "The pixels at least d away from every border change places, in each frame differently."
    x, inner = x.clone(), slice(d, -d or None)
    for b, t in product(range(x.shape[0]), range(x.shape[2])):
        pixels = x[b, :, t, inner, inner].flatten(1)
        pixels = pixels[:, torch.randperm(pixels.shape[1])]
        x[b, :, t, inner, inner] = pixels.view_as(x[b, :, t, inner, inner])
    return x


@pytest.mark.parametrize('slope', (2, 4))
def test_a_gate_sees_no_motion_inside_the_frame(slope):
    op, x = settled(CMCB(6, 2, slope).double()), torch.rand(2, 6, 4, 9, 8, dtype=torch.float64)
    gate = unfold(op.gate(x), 4)
    equal(op(x), x * gate)
    equal(unfold(op.gate(shuffled(x, slope // 2)), 4), gate)
    assert (unfold(op.gate(shuffled(x, slope // 2 - 1)), 4) - gate).abs().max() > 1e-3


def test_fmcb_sees_no_order_of_segments_and_with_symmetric_taps_no_reversal():
    op, x = settled(FMCB(3).double()), torch.rand(1, 3, 15, 12, 12, dtype=torch.float64)
    segments, want = x.unflatten(2, (3, 5)), op(x)
    equal(op(segments[:, :, [2, 0, 1]].flatten(2, 3)), want[:, :, [2, 0, 1]])
    backwards = segments.flip(3).flatten(2, 3)
    assert (op(backwards) - want).abs().max() > 1e-3
    for hgc in op.hgc1, op.hgc2:
        hgc.taps.data = hgc.taps.data + hgc.taps.data.flip(2)
    equal(op(backwards), op(x))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.sampled_from((1, 3, 5, 7)), st.integers(1, 4), st.booleans(),
       st.sampled_from((torch.float32, torch.float64, torch.bfloat16)),
       st.sampled_from((torch.contiguous_format, torch.channels_last)), temporals)
def test_from_conv2d(k, channels, bias, dtype, layout, temporal):
    conv = nn.Conv2d(channels, 6, k, stride=2, padding=k // 2, bias=bias,
                     dtype=dtype).to(memory_format=layout)
    op = FMCB.from_conv2d(conv, temporal=temporal, frames=9).eval()
    assert ((op.out_channels, op.frames, op.temporal, op.conv.weight.dtype)
            == (6, 9, temporal, dtype))
    assert (op.conv.weight.is_contiguous(memory_format=torch.channels_last)
            or conv.weight.is_contiguous())
    assert op.conv.weight.requires_grad
    assert op(torch.randn(1, 3, 9, 8, 8, dtype=dtype)).dtype == dtype
    if dtype == torch.bfloat16:
        return
    grey = torch.randn(2, 1, 13, 12, dtype=dtype)
    stem = conv(grey.expand(-1, channels, -1, -1)) - (conv.bias.view(6, 1, 1) if bias else 0)
    torch.testing.assert_close(op.conv(grey.expand(-1, 9, -1, -1)), 9 / channels * stem,
                               rtol=1e-4, atol=1e-5)
    if bias:
        torch.testing.assert_close(op.norm.running_mean, -conv.bias.detach())


@pytest.mark.parametrize('conv, says', [
    (nn.Linear(3, 4), 'needs an nn.Conv2d, the first layer of the stem, got Linear'),
    (nn.Sequential(nn.Conv2d(3, 4, 3)), 'got Sequential'),
    (nn.Conv2d(3, 4, 7, 1, 3), 'stride=(1, 1)'),
    (nn.Conv2d(3, 4, 7, 2, 2), 'padding=(2, 2)'),
    (nn.Conv2d(3, 4, 6, 2, 3), 'odd square kernel'),
    (nn.Conv2d(3, 4, (7, 5), 2, (3, 2)), 'kernel_size=(7, 5)'),
    (nn.Conv2d(3, 4, 9, 2, 4), 'at most 7×7'),
    (nn.Conv2d(3, 3, 7, 2, 3, groups=3), 'groups=1'),
    (nn.Conv2d(3, 4, 3, 2, 1, dilation=2), 'dilation=1'),
    (nn.Conv2d(3, 4, 7, 2, 3, padding_mode='reflect'), "'reflect'"),
])
def test_from_conv2d_refuses(conv, says):
    with pytest.raises(ValueError) as error:
        FMCB.from_conv2d(conv)
    assert says in str(error.value)


@pytest.mark.parametrize('make, says', [
    (lambda: FMCB(frames=3), 'frames must be 5, 9, 13, …'),
    (lambda: FMCB(frames=6), 'got 6'),
    (lambda: FMCB(frames=7), 'got 7'),
    (lambda: FMCB(0), 'out_channels must be at least 1'),
    (lambda: FMCB(slope=3), 'slope must be even'),
    (lambda: FMCB(temporal='none'), "temporal must be 'hgc' or 'conv1d', got 'none'"),
    (lambda: FMCB()(torch.randn(1, 3, 12, 8, 8)), '12 frames are no multiple of 5'),
    (lambda: FMCB()(torch.randn(1, 3, 5, 8, 1)), 'at least 2×2 pixels, got 8×1'),
    (lambda: FMCB()(torch.randn(1, 1, 5, 8, 8)), 'expected 3 channels'),
    (lambda: FMCB()(torch.randn(3, 5, 8, 8)), 'got 4 axes'),
    (lambda: FMCB()(torch.ones(1, 3, 5, 8, 8, dtype=torch.uint8)), 'floating-point'),
    (lambda: CMCB(0), 'channels and reduction must be at least 1, got 0 and 16'),
    (lambda: CMCB(8, 0), 'got 8 and 0'),
    (lambda: CMCB(8, slope=-2), 'not negative'),
    (lambda: CMCB(8, temporal='HgC'), "got 'HgC'"),
    (lambda: CMCB(8)(torch.randn(1, 4, 5, 8, 8)), 'expected 8 channels'),
    (lambda: CMCB(8)(torch.randn(8, 5, 8, 8)), 'got 4 axes'),
    (lambda: CMCB(8)(torch.randn(1, 8, 0, 8, 8)), 'empty'),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)


def test_fmcb_exports_with_free_batch_and_segments():
    op, x = settled(FMCB(4)), torch.randn(2, 3, 20, 9, 12)
    B, T = torch.export.Dim('B', min=1, max=64), torch.export.Dim('T', min=2, max=64)
    exported = torch.export.export(op, (x,), dynamic_shapes=({0: B, 2: 5 * T},)).module()
    for z in (x, x[:1, :, :10], x[:, :, :15]):
        torch.testing.assert_close(exported(z), op(z), rtol=1e-4, atol=1e-4)


def test_onnx_without_gradients():
    "CMCB takes another way then; with gradients, both blocks are in test_compilers."
    runtime, x = pytest.importorskip('onnxruntime'), torch.randn(1, 16, 4, 7, 7)
    pytest.importorskip('onnxscript')
    op, file = settled(CMCB(16)), io.BytesIO()
    for p in op.parameters():
        p.requires_grad_(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')
        torch.onnx.export(op, (x,), dynamo=True, verbose=False).save(file)
        session = runtime.InferenceSession(file.getvalue(), providers=['CPUExecutionProvider'])
        got, want = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], op(x)
    torch.testing.assert_close(torch.from_numpy(got), want, rtol=1e-4,
                               atol=1e-4 * max(1., want.abs().max().item()))
