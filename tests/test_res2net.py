"Res2Net against timm's, its files, and TEA on it."
import pytest, torch
from torch import nn

from proofs import equal
from video_convs.clips import clip_length, fold
from video_convs.nets.res2net import Bottle2neck, Res2Net, Scales, from_timm, res2net50, to_timm
from video_convs.nets.surgery import insert_before, replace
from video_convs.testing import stirred
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.tea import MotionExcitation

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.mark.parametrize('name, width, scale',
                         [('26w_4s', 26, 4), ('14w_8s', 14, 8), ('48w_2s', 48, 2)])
def test_timm_computes_the_same(name, width, scale):
    timm = pytest.importorskip('timm', reason='timm is a development dependency')
    theirs = stirred(timm.create_model(f'res2net50_{name}', num_classes=10)).double()
    ours = Res2Net(base_width=width, scale=scale, num_classes=10).double().eval()
    ours.load_state_dict(from_timm(theirs.state_dict()))
    assert list(to_timm(ours.state_dict())) == list(theirs.state_dict())
    with torch.no_grad():
        for size in ((64, 64), (57, 40)):
            x = torch.randn(2, 3, *size, dtype=torch.float64)
            want = theirs(x)
            equal(ours(x) / want.abs().max(), want / want.abs().max())


def test_other_weights_are_refused():
    with pytest.raises(ValueError,
                       match='expected names such as layer1.0.convs.0.weight, got none'):
        from_timm({})
    with pytest.raises(ValueError, match='got fc.weight'):
        from_timm({'fc.weight': torch.zeros(1)})


@pytest.mark.parametrize('scale, stride, cascade',
                         [(4, 1, True), (2, 1, True), (4, 1, False), (4, 2, False), (3, 2, False)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_identity_in_time_is_the_chain(scale, stride, cascade, dtype):
    split = stirred(Scales(6, scale, stride, cascade)).to(dtype)
    op = MultipleTemporalAggregation.from_split(split)
    x = torch.randn(2, 6 * scale, 3, 7, 8, dtype=dtype)
    assert not op.training and op.convs is split.convs and op.bns is split.bns
    assert {p.dtype for p in op.parameters()} == {dtype}
    assert (op.stride, op.cascade) == (stride, cascade)
    assert (sorted(set(op.state_dict()) - set(split.state_dict()))
            == [f'shifts.{i}.taps' for i in range(scale)])
    for shift in op.shifts:
        shift.taps.data.copy_(torch.tensor([0., 1, 0]).view(3, 1, 1))
    with torch.no_grad():
        equal(fold(op(x)), split(fold(x)), 1e-10 if dtype == torch.float64 else 1e-5)


def test_from_split_of_something_else():
    with pytest.raises(ValueError,
                       match='got BatchNorm2d: for a single convolution use from_conv2d'):
        MultipleTemporalAggregation.from_split(nn.BatchNorm2d(4))


def test_tea_learns_everywhere():
    net = replace(Res2Net((1, 1), 4, num_classes=5), 'layer?.*.scales',
                  MultipleTemporalAggregation.from_split)
    insert_before(net, 'layer?.*.scales', MotionExcitation)
    with clip_length(3):
        net(torch.randn(6, 3, 32, 32)).square().sum().backward()
    idle = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_channels_last_stays():
    block = Bottle2neck(8, 8, 2).eval().to(memory_format=torch.channels_last)
    for N in (1, 2):
        x = torch.randn(N, 8, 5, 4).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            assert block(x).is_contiguous(memory_format=torch.channels_last)


def test_structure():
    with torch.device('meta'):
        net = res2net50(7)
    blocks = [m for m in net.modules() if isinstance(m, Bottle2neck)]
    assert len(blocks) == 16 and net.fc.out_features == 7
    assert ([b.scales.convs[0].in_channels for b in blocks] == [26] * 3 + [52] * 4
            + [104] * 6 + [208] * 3)
    assert [i for i, b in enumerate(blocks) if not b.scales.cascade] == [0, 3, 7, 13]


@pytest.mark.parametrize('options, message', [(dict(scale=1), 'scale ≥ 2'),
                                              (dict(stride=2), 'use cascade=False')])
def test_chains_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Scales(8, **options)
