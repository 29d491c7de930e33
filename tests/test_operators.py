"The operators against their literal forms on generated configurations, and wrong input."
import pytest, torch
from hypothesis import given, settings, strategies as st

from proofs import both_roads, equal, layouts, make_clip, wrong_clips
from video_convs.ops.hourglass import HgC
from video_convs.ops.literal import literal_hgc, literal_shift, literal_temporal
from video_convs.ops.plain import plain_hgc, plain_shift, plain_temporal
from video_convs.testing import randomised
from video_convs.ops.shift import TemporalShift
from video_convs.ops.temporal import TemporalConv

clips = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6),
                  st.integers(1, 6))  # B, C, T, H, W
odd = st.sampled_from((1, 3, 5))
some = settings(max_examples=40, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures('one_thread')


@some
@given(clips, odd, st.integers(1, 3), layouts)
def test_temporal_conv(shape, K, dilation, layout):
    op, x = randomised(TemporalConv(shape[1], K, dilation).double()), make_clip(shape, layout)
    want = literal_temporal(x, op.taps, dilation)
    for y in (*both_roads(op, x), plain_temporal(x, op.taps, dilation)):
        equal(y, want)


@some
@given(clips, st.integers(2, 4), layouts)
def test_temporal_shift(shape, fold_div, layout):
    B, C, T, H, W = shape
    x = make_clip((B, C + fold_div, T, H, W), layout)
    want = literal_shift(x, fold_div)
    for y in (*both_roads(TemporalShift(C + fold_div, fold_div), x), plain_shift(x, fold_div)):
        assert torch.equal(y, want)


@some
@given(clips, odd, st.sampled_from((0, 2, 4, 6)), st.sampled_from(('conv', 'avg')),
       st.sampled_from(('same', 'valid')), st.integers(1, 3), layouts)
def test_hgc(shape, K, slope, aggregate, padding, expand, layout):
    B, C, T, H, W = shape
    x = make_clip((B, C, T + K - 1 if padding == 'valid' else T, H, W), layout)
    op = randomised(HgC(C, K, slope, aggregate, padding, expand).double())
    form = op.taps, getattr(op, 'spatial', None), slope, aggregate, padding
    want = literal_hgc(x, *form)
    for y in (*both_roads(op, x), plain_hgc(x, *form)):
        equal(y, want)


@some
@given(odd, st.sampled_from((0, 2, 4)), st.sampled_from(('conv', 'avg')),
       st.sampled_from(('same', 'valid')), st.integers(1, 2))
def test_both_roads_of_hgc_have_the_same_gradients(K, slope, aggregate, padding, expand):
    class OneKernel(HgC):
        def one_kernel(self, x):
            return True
    arguments = (3, K, slope, aggregate, padding, expand)
    x = torch.randn(2, 3, 5, 6, 5, dtype=torch.float64, requires_grad=True)
    results = []
    for cls in (HgC, OneKernel):
        op = randomised(cls(*arguments).double())
        y = op(x)
        results.append(torch.autograd.grad(y, (x, *op.parameters()), torch.ones_like(y).cumsum(3)))
    for a, b in zip(*results):
        equal(a, b)


@pytest.mark.parametrize('make, says', [
    (lambda: HgC(8, slope=3),
     'slope must be even and not negative, so that windows have a centre, got 3'),
    (lambda: HgC(8, slope=-2), 'got -2'),
    (lambda: HgC(8, 2), 'kernel_size must be odd'),
    (lambda: HgC(8, 0), 'kernel_size must be odd and positive'),
    (lambda: HgC(8, aggregate='max'), "aggregate must be 'conv' or 'avg', got 'max'"),
    (lambda: HgC(8, padding='zeros'), "padding must be 'same' or 'valid', got 'zeros'"),
    (lambda: HgC(8, expand=0), 'expand must be at least 1'),
    (lambda: TemporalConv(8, 4), 'kernel_size must be odd'),
    (lambda: TemporalConv(8, dilation=0), 'dilation must be at least 1'),
    (lambda: TemporalConv(0), 'channels must be at least 1'),
    (lambda: TemporalShift(7), 'channels = 7, fold_div = 8'),
    (lambda: TemporalShift(8, 1), 'fold_div must be from 2 to channels'),
    (lambda: HgC(8, 5, padding='valid')(torch.randn(1, 8, 4, 5, 5)),
     'at least kernel_size = 5 frames, got T = 4'),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize('op', [HgC(8), TemporalConv(8), TemporalShift(8)],
                         ids=lambda op: type(op).__name__)
@pytest.mark.parametrize('x, says', wrong_clips(8))
def test_wrong_clips(op, x, says):
    with pytest.raises(ValueError) as error:
        op(x)
    assert says in str(error.value)
