"What TIN and TAM cannot see: they compute from frame means, and they do not subtract."
import pytest
import torch

from proofs import equal
from video_convs.ops.clip_taps import frame_means
from video_convs.ops.tam import TAM
from video_convs.ops.tin import TIN, fix_offsets
from video_convs.testing import randomised, stirred

pytestmark = pytest.mark.usefixtures('one_thread')
SHAPE = 2, 16, 5, 6, 4  # B, C, T, H, W


def shuffled(x):
    "The pixels of each frame in another order, a new one in each frame."
    frames = [z.flatten(2)[..., torch.randperm(24)].unflatten(2, (6, 4)) for z in x.unbind(2)]
    return torch.stack(frames, 2)


@pytest.fixture
def clip():
    torch.manual_seed(0)
    return torch.rand(SHAPE, dtype=torch.float64)


def settled(op):
    "Random weights, small enough that no sigmoid is flat."
    op = stirred(randomised(op.double()))
    for p in op.parameters():
        p.data.mul_(.3)
    return op


def test_offsets_and_kernels_do_not_see_where(clip):
    other, brighter = frame_means(shuffled(clip)), frame_means(clip * 1.5)
    tin, tam, m = settled(TIN(16, 5, 1)), settled(TAM(16, 5)), frame_means(clip)
    for computed in (lambda m: tin.offsets_and_weights(m)[0],
                     lambda m: tin.offsets_and_weights(m)[1], tam.kernels, tam.L):
        equal(computed(other), computed(m))
        assert (computed(brighter) - computed(m)).abs().max() > 1e-3


@pytest.mark.parametrize('op', [TIN(16, 5, 1), TAM(16, 5)], ids=lambda op: type(op).__name__)
def test_no_output_is_negative_and_its_mean_knows_frame_means_only(op, clip):
    op = settled(op)
    y, z = op(clip), op(shuffled(clip))
    assert (y >= 0).all() and (y - z).abs().max() > .01
    equal(frame_means(y), frame_means(z))


def test_no_offset_is_longer_than_two_frames(clip):
    op = randomised(TIN(16, 5, 1).double())
    for scale in 1, 1e4:
        offsets, weights = op.offsets_and_weights(scale * frame_means(clip))
        assert (offsets.abs() <= 2).all() and (weights >= 0).all() and (weights <= 2).all()
        equal(offsets[:, 2:], -offsets[:, :2])


def test_fixed_offsets(clip):
    op = fix_offsets(TIN(16, 5, 1).double(), 1.25, -.5)
    offsets, weights = op.offsets_and_weights(frame_means(clip))
    equal(offsets, torch.tensor([1.25, -.5, -1.25, .5], dtype=torch.float64).expand(2, 4))
    assert torch.equal(weights, torch.ones(2, 4, 5, dtype=torch.float64))
    late = op(clip)[:, :4]
    equal(late[:, :, 2:], .75 * clip[:, :4, 1:-1] + .25 * clip[:, :4, :-2])


@pytest.mark.parametrize('offsets', [(2., 0.), (0., -2.), (3., 0.)])
def test_offsets_that_are_out_of_reach(offsets):
    with pytest.raises(ValueError, match='between -2 and 2 frames'):
        fix_offsets(TIN(16, 5), *offsets)
