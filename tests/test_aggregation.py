"Hierarchical feature aggregation against its literal form on generated clips, and its promises."
import copy, io

import pytest, torch
from hypothesis import given, settings, strategies as st
from torch import nn

from proofs import equal, layouts, make_clip
from video_convs.clips import Clipwise, clip_length, fold, unfold
from video_convs.data.drift import Drift, drift_clips
from video_convs.nets.single_operator import SingleOperatorNet
from video_convs.ops.aggregation import HFModule
from video_convs.ops.common import shift_left, shift_right
from video_convs.ops.literal import literal_hf
from video_convs.ops.plain import plain_hf
from video_convs.testing import check_operator, randomised

clips = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5),
                  st.integers(1, 5))  # B, C, T, H, W
some = settings(max_examples=40, deadline=None, derandomize=True)
pytestmark = pytest.mark.usefixtures('one_thread')


@some
@given(clips, st.booleans(), layouts)
def test_all_forms_are_the_same(shape, conservative, layout):
    op, x = randomised(HFModule(shape[1], conservative).double()), make_clip(shape, layout)
    want = literal_hf(x, op.weight, op.bias)
    with torch.no_grad():
        inference = op(x)
    for y in (inference, op(x), plain_hf(x, op.weight, op.bias)):
        equal(y, want)
    single = copy.deepcopy(op).float()
    with torch.no_grad():
        inference = single(x.float())
    for y in (inference, single(x.float())):
        assert x.is_contiguous() or y.is_contiguous(memory_format=torch.channels_last_3d)


@some
@given(clips, st.booleans(), layouts)
def test_gradients_are_those_of_the_plain_form(shape, conservative, layout):
    op = randomised(HFModule(shape[1], conservative).double())
    x = make_clip(shape, layout).requires_grad_()
    op.weight.data *= .2  # gates away from ±1, where they would have no gradient
    dy, wanted = make_clip(shape), (x, *op.parameters())
    got = torch.autograd.grad(op(x), wanted, dy)
    for a, b in zip(got, torch.autograd.grad(plain_hf(x, op.weight, op.bias), wanted, dy)):
        equal(a, b)


@some
@given(clips, layouts)
def test_the_sum_over_time_is_conserved(shape, layout):
    op, x = randomised(HFModule(shape[1]).double()), make_clip(shape, layout)
    equal(op(x).sum(2), x.sum(2))
    two = randomised(HFModule(shape[1], conservative=False).double())
    if shape[2] > 1:
        assert not torch.allclose(two(x).sum(2), x.sum(2))


@some
@given(clips, st.booleans())
def test_zero_gates_single_frames_and_still_clips_change_nothing(shape, conservative):
    x = make_clip(shape)
    assert torch.equal(HFModule(shape[1], conservative).double()(x), x)
    equal(randomised(HFModule(shape[1], conservative).double())(x[:, :, :1]), x[:, :, :1])
    still = x[:, :, :1].expand(-1, -1, 5, -1, -1)
    equal(randomised(HFModule(shape[1]).double())(still)[:, :, 1:-1], still[:, :, 1:-1])


@some
@given(clips, layouts)
def test_shifts(shape, layout):
    x = make_clip(shape, layout)
    nothing = torch.zeros_like(x[:, :, :1])
    assert torch.equal(shift_left(x), torch.cat([x[:, :, 1:], nothing], 2))
    assert torch.equal(shift_right(x), torch.cat([nothing, x[:, :, :-1]], 2))


@pytest.mark.parametrize('conservative', [True, False])
def test_a_fresh_module_learns_from_the_first_step(conservative):
    op, x = HFModule(4, conservative), torch.randn(2, 4, 6, 5, 5)
    op(x).backward(torch.randn_like(x))
    assert all((p.grad != 0).all() for p in op.parameters())


def test_a_gate_that_compares_frames():
    "In frame 2 the bar is at 5 and 6; it will arrive at 7, and has left 4."
    x = torch.zeros(1, 1, 8, 3, 16)
    for t in range(8):
        x[0, 0, t, :, 3 + t:5 + t] = 1
    op = HFModule(1)
    op.weight.data[0, 0] = torch.tensor([-.5, .5]).view(2, 1, 1)
    with torch.no_grad():
        G, y = op.gates(x)[0, 0, 2, 1], op(x)
    assert G[7] > .5 and G[4] < -.5
    equal(y.sum(2), x.sum(2))
    assert y[0, 0, 2, 1, 7] > .5 and y[0, 0, 3, 1, 7] < x[0, 0, 3, 1, 7]


@pytest.mark.parametrize('trained', [False, True])
def test_without_a_relu_behind_it_the_network_is_the_one_without_it(trained):
    "The scores do not change, and the gate has no gradient; with the ReLU both are otherwise."
    net = SingleOperatorNet('hf', after=0).double().eval()
    if trained:
        randomised(net.op)
    alone, bare = copy.deepcopy(net), copy.deepcopy(net)
    alone.op, alone.after, bare.after = nn.Identity(), nn.Identity(), nn.Identity()
    clips = drift_clips(Drift(2., size=8), torch.arange(4), torch.Generator().manual_seed(0))
    scores = bare(clips.double())
    scores.square().sum().backward()
    equal(scores, alone(clips.double()))
    assert not bare.op.weight.grad.any()
    change = (net(clips.double()) - alone(clips.double())).abs().max()
    assert (change > 1e-3) == trained


@pytest.mark.parametrize('conservative', [True, False])
def test_promises(conservative):
    check_operator(randomised(HFModule(3, conservative)), torch.randn(2, 3, 5, 7, 6))


# of vmap, for an operation in place
@pytest.mark.filterwarnings('ignore:There is a performance drop')
@pytest.mark.parametrize('conservative', [True, False])
def test_derivatives_of_derivatives_and_batched_calls(conservative):
    op = randomised(HFModule(2, conservative).double())
    x = make_clip((1, 2, 3, 3, 2)).requires_grad_()
    op.weight.data *= .2
    assert torch.autograd.gradgradcheck(op, x)
    many = make_clip((3, 1, 2, 3, 3, 2))
    equal(torch.func.vmap(op)(many), torch.stack([op(one) for one in many]))
    want, = torch.autograd.grad(op(x).square().sum(), x)
    equal(torch.func.grad(lambda z: op(z).square().sum())(x.detach()), want)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_autocast_keeps_the_type_of_the_clip(dtype):
    op, x = randomised(HFModule(4)), torch.randn(2, 4, 5, 7, 6).to(dtype).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        y = op(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype and op.weight.grad.dtype == torch.float32


@pytest.mark.parametrize('conservative', [True, False])
def test_behind_a_block_and_before_a_mean_over_time(conservative):
    "Scores that are linear in the frames and averaged cannot see a conservative module."
    op, frames = randomised(HFModule(4, conservative).double()), fold(make_clip((2, 4, 6, 5, 5)))
    with clip_length(6):
        after = Clipwise(op)(frames)
    change = (unfold(after.mean((2, 3), keepdim=True), 6).mean(2)
              - unfold(frames.mean((2, 3), keepdim=True), 6).mean(2))
    assert (change.abs().max() < 1e-12) == conservative


@pytest.mark.parametrize('conservative', [True, False])
def test_state(conservative):
    op, other, file = randomised(HFModule(4, conservative)), HFModule(4, conservative), io.BytesIO()
    torch.save(op.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert set(other.state_dict()) == {'weight', 'bias'}  # nothing but what the paper counts
    x = torch.randn(1, 4, 3, 5, 5)
    assert torch.equal(other(x), op(x))


@pytest.mark.parametrize('C, conservative, P, M',
                         [(1024, True, 18_433, 14_450_688), (1024, False, 36_866, 28_901_376),
                          (1, True, 19, 14_112)])
def test_cost(C, conservative, P, M):
    op = HFModule(C, conservative)
    assert (sum(p.numel() for p in op.parameters()), op.macs(16, 7, 7)) == (P, M)


@pytest.mark.parametrize('make, says', [
    (lambda: HFModule(0), 'channels must be at least 1, got 0'),
    (lambda: HFModule(8)(torch.randn(8, 4, 5, 5)), 'expected a clip (B, C, T, H, W), got 4 axes'),
    (lambda: HFModule(8)(torch.randn(1, 4, 8, 5, 5)), 'expected 8 channels'),
    (lambda: HFModule(8)(torch.ones(1, 8, 4, 5, 5, dtype=torch.uint8)), 'floating-point'),
    (lambda: HFModule(8)(torch.randn(1, 8, 0, 5, 5)), 'empty'),
])
def test_wrong_input(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)
