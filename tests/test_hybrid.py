"STHConv against its literal form on generated configurations, in every form, and wrong input."
import math

import pytest, torch
from hypothesis import given, settings, strategies as st
from torch import nn

from proofs import both_roads, equal, layouts
from video_convs.clips import fold, unfold
from video_convs.ops.hybrid import STHConv
from video_convs.ops.literal import literal_integration, literal_sth
from video_convs.ops.plain import plain_sth
from video_convs.stimuli import ball
from video_convs.testing import check_operator, randomised

# B, T, H, W
sizes = st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
steps = st.tuples(st.integers(1, 3), st.integers(1, 3))  # stride, dilation
some = settings(max_examples=30, deadline=None, derandomize=True)


class PerType(STHConv):
    def per_type(self, x):
        return True

class Dense(STHConv):
    def per_type(self, x):
        return self.types == 1


pytestmark = pytest.mark.usefixtures('one_thread')


def proof(size, step, layout, C_i, C_o, **options):
    "Every form, with bias, against the literal form; the plain form too if there is no attention."
    B, T, H, W = size
    x = torch.randn(B, C_i, T, H, W, dtype=torch.float64).contiguous(memory_format=layout)
    for cls in (PerType, Dense):
        op = randomised(cls(C_i, C_o, stride=step[0], dilation=step[1], bias=True,
                            **options).double())
        form = op.stride, op.dilation, op.arrangement, op.groups
        O_T, O_S = literal_sth(x, op.temporal, op.spatial, *form)
        if op.attention:
            O = literal_integration(O_T, O_S, op.squeeze.weight, op.excite.weight, op.attention)
        else:
            O = O_T + O_S
            equal(plain_sth(x, op.temporal, op.spatial, *form), O)
        for y in both_roads(op, x):
            equal(y, O + op.bias.view(-1, 1, 1, 1))


@some
@given(sizes, steps, layouts, st.integers(1, 4), st.integers(1, 2), st.integers(1, 2),
       st.sampled_from((None, 'softmax', 'sigmoid')))
def test_hybrid(size, step, layout, G, n, m, attention):
    proof(size, step, layout, G * n, G * m, p=1 / G, attention=attention if G > 1 else None)


@some
@given(sizes, steps, layouts, st.integers(0, 3), st.integers(1, 3), st.integers(1, 3),
       st.sampled_from((None, 'softmax')))
def test_merge(size, step, layout, n, rest, C_o, attention):
    proof(size, step, layout, n + rest, C_o, p=n / (n + rest), arrangement='merge',
          attention=attention if n else None)


@some
@given(sizes, steps, layouts, st.integers(2, 5), st.integers(0, 5))
def test_depthwise(size, step, layout, C, n):
    n = min(n, C)
    proof(size, step, layout, C, C, p=n / C, groups=C)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sampled_from((1, 2)), st.sampled_from((1, 2)),
       st.sampled_from(({}, dict(p=1/2), dict(attention='softmax'))))
def test_both_roads_have_the_same_gradients(stride, dilation, options):
    x, results = torch.randn(2, 4, 4, 6, 5, dtype=torch.float64, requires_grad=True), []
    for cls in (PerType, Dense):
        op = randomised(cls(4, 8, stride=stride, dilation=dilation, **options).double())
        y = op(x)
        results.append(torch.autograd.grad(y, (x, *op.parameters()), torch.ones_like(y).cumsum(3)))
    for a, b in zip(*results):
        equal(a, b)


@some
@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 2), st.sampled_from((1, 2)),
       st.integers(1, 2), st.booleans(), st.booleans(),
       st.sampled_from((torch.float32, torch.float64, torch.bfloat16)))
def test_from_conv2d(G, n, m, stride, dilation, bias, last, dtype):
    conv = nn.Conv2d(G * n, G * m, 3, stride, dilation, dilation, bias=bias, dtype=dtype).eval()
    if last:
        conv = conv.to(memory_format=torch.channels_last)
    for options in (dict(p=1 / G), dict(p=0), dict(p=n / (G * n), arrangement='merge')):
        op = STHConv.from_conv2d(conv, **options)
        in_time = op.kernel()[:, :, 0, 1, 1] != 0
        assert torch.equal(op.kernel()[:, :, 1][~in_time], conv.weight[~in_time])
        assert in_time.sum().item() == options['p'] * G * n * G * m
        assert (op.stride, op.dilation, op.training) == (stride, dilation, False)
        assert all(w.dtype == dtype and w.numel() for w in op.parameters())
        assert op.bias is None if conv.bias is None else torch.equal(op.bias, conv.bias)
        assert (op.spatial is None or not last
                or op.spatial.is_contiguous(memory_format=torch.channels_last))
    image = STHConv.from_conv2d(conv, 0)
    x = torch.randn(2, G * n, 3, 5, 4, dtype=dtype)
    torch.testing.assert_close(image(x), unfold(conv(fold(x)), 3))
    assert STHConv.from_conv2d(conv, 1 / G, dilation=3).dilation == 3


def test_from_depthwise_conv2d():
    conv = nn.Conv2d(8, 8, 3, 2, 1, groups=8)
    op = STHConv.from_conv2d(conv)
    assert op.groups == 8
    assert torch.equal(op.spatial, conv.weight[2:])
    assert op.temporal.shape == (2, 1, 3, 1, 1)
    assert torch.equal(op.bias, conv.bias)
    assert STHConv.from_conv2d(nn.Conv2d(8, 8, 3, padding='same', device='meta')).temporal.is_meta


@pytest.mark.parametrize('arrangement', ('hybrid', 'merge'))
def test_another_frame_is_read_at_one_place_only(arrangement):
    kernel = randomised(STHConv(8, 8, arrangement=arrangement)).kernel()
    kernel[:, :, :, 1, 1] = 0
    kernel[:, :, 1] = 0
    assert not kernel.any()


@pytest.mark.parametrize('attention', ('softmax', 'sigmoid'))
def test_gates_know_what_is_there_and_not_how_it_moves(attention):
    op = randomised(STHConv(4, 4, attention=attention).double())
    strength = torch.tensor([1., -2., 3., -4.], dtype=torch.float64).view(1, 4, 1, 1, 1)
    def gate(brightness=1., **motion):
        x = brightness * strength * ball(frames=5, size=25, radius=1., **motion)
        return op.coefficients(*op.components(x))[0]
    still = gate(speed=0.)
    for speed, angle in ((1., 0.), (3., 90.), (2., 180.)):
        equal(gate(speed=speed, angle=angle), still)
    assert (gate(brightness=9., speed=0.) - still).abs().max() > 1e-4


@pytest.mark.parametrize('p', (0, 1/8, 1/4, 1/2, 1))
def test_start_keeps_the_strength_whatever_p(p):
    torch.manual_seed(0)
    op = STHConv(64, 256, p)
    with torch.no_grad():
        y = op(torch.randn(1, 64, 6, 12, 12))[..., 1:-1, 1:-1, 1:-1]
    assert math.isclose(y.var().item(), 2 * 64 / 256, rel_tol=.1)


@pytest.mark.parametrize('options',
                         (dict(), dict(p=1/2, stride=2), dict(attention='sigmoid', dilation=2)))
def test_promises_of_the_road_by_type_at_its_own_size(options):
    op = STHConv(256, 256, **options)
    assert op.per_type(torch.zeros(1))
    with torch.no_grad():
        for w in op.parameters():
            w.mul_(.3)
    op = op.eval()
    x = torch.randn(2, 256, 3, 4, 5)
    for y in both_roads(op, x.contiguous(memory_format=torch.channels_last_3d)):
        torch.testing.assert_close(y, Dense.forward(op, x), rtol=1e-4, atol=1e-4)


def test_promises_of_every_operator():
    for cls in (PerType, Dense):
        check_operator(randomised(cls(8, 8, bias=True)), torch.randn(2, 8, 5, 7, 6))


@pytest.mark.parametrize('make, says', [
    (lambda: STHConv(6, 8),
     'p·in_channels must be a whole number, got p = 0.25 with 6 channels; 2 channels are p = 2/6'),
    (lambda: STHConv(8, 8, 3/8), "p must be 1/2, 1/3, 1/4, …, got 0.375; 'merge' takes any share"),
    (lambda: STHConv(8, 6), 'the 1/p = 4 types share the outputs evenly, got 6 output channels'),
    (lambda: STHConv(8, 8, -1/4), 'p is a share, from 0 to 1, got -0.25'),
    (lambda: STHConv(8, 8, 2), 'p is a share, from 0 to 1, got 2'),
    (lambda: STHConv(8, 8, stride=0), 'must be at least 1, got 8, 8, 0, 1, 1'),
    (lambda: STHConv(0, 8), 'must be at least 1'),
    (lambda: STHConv(8, 8, arrangement='both'),
     "arrangement must be 'hybrid' or 'merge', got 'both'"),
    (lambda: STHConv(8, 8, attention=True),
     "attention must be None, 'softmax' or 'sigmoid', got True"),
    (lambda: STHConv(8, 8, 0, attention='softmax'),
     'needs 0 < p < 1 and groups = 1, got p = 0, groups = 1'),
    (lambda: STHConv(8, 8, 1, attention='sigmoid'), 'got p = 1, groups = 1'),
    (lambda: STHConv(8, 8, groups=8, attention='softmax'), 'got p = 0.25, groups = 8'),
    (lambda: STHConv(8, 8, groups=2),
     'STH is not defined between them, got groups = 2 with 8 → 8 channels'),
    (lambda: STHConv(8, 16, groups=8), 'got groups = 8 with 8 → 16 channels'),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 5, padding=2)), 'kernel_size=(3, 3)'),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3)), 'padding=('),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3, (2, 1), 1)), 'stride=(2, 2)'),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3, 1, (1, 2), (1, 2))), 'dilation=(1, 2)'),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3, padding=1, padding_mode='circular')),
     "padding_mode='zeros'"),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3, padding=1, groups=4)), 'got groups = 4'),
    (lambda: STHConv.from_conv2d(nn.Conv2d(8, 8, 3, padding=1), dilation=0), 'must be at least 1'),
    (lambda: STHConv.from_conv2d(nn.Linear(8, 8)), 'takes over an nn.Conv2d, got Linear'),
    (lambda: STHConv(8, 8)(torch.randn(8, 4, 5, 5)), 'expected a clip (B, C, T, H, W), got 4 axes'),
    (lambda: STHConv(8, 8)(torch.randn(1, 4, 8, 5, 5)), 'expected 8 channels'),
])
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)
