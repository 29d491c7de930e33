"What the notebook on cost does not show already."
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from video_convs.clips import Clipwise, clip_length
from video_convs.nets.complexity import CONVENTIONS, Convention, complexity
from video_convs.ops.aggregation import HFModule
from video_convs.ops.collaborative import STCConv
from video_convs.ops.cmcb import CMCB
from video_convs.ops.fmcb import FMCB
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.gst import GSTConv
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.tam import TAM
from video_convs.ops.tin import TIN
from video_convs.ops.tea import MotionExcitation
from video_convs.ops.shift import TemporalShift
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.space_time import C3D, P3D, R2Plus1D
from video_convs.ops.temporal import TemporalConv

pytestmark = pytest.mark.usefixtures('one_thread')

OPS = {
    'HgC': lambda: HgC(16), 'HgC, average': lambda: HgC(16, 5, aggregate='avg'),
    'CMCB': lambda: CMCB(16), 'FMCB': lambda: FMCB(16),
    'HF': lambda: HFModule(16, conservative=False),
    'STH': lambda: STHConv(16, 16, attention='softmax'), 'GST': lambda: GSTConv(16, 16),
    'STC': lambda: STCConv(16, 16, stride=2),
    'STC-Light': lambda: STCConv(16, 16, reduction=4, bias=True),
    'TIN': lambda: TIN(16, 5), 'TAM': lambda: TAM(16, 5), 'ME': lambda: MotionExcitation(16),
    'MTA': lambda: MultipleTemporalAggregation(16), 'shift': lambda: TemporalShift(16),
    'temporal': lambda: TemporalConv(16), 'shifted': lambda: ShiftedConv(16, 24, bias=True),
    '(2+1)D': lambda: R2Plus1D(16, 24), 'P3D': lambda: P3D(16, 16), 'C3D': lambda: C3D(16, 16),
}

@pytest.mark.parametrize('name', OPS)
def test_one_layer_that_asks_the_operator(name):
    op = OPS[name]()
    C = 3 if name == 'FMCB' else 16
    cost = complexity(op, (2, C, 5, 9, 8))
    (layer,) = cost.layers
    assert layer.macs == 2 * op.macs(5, 9, 8)
    assert layer.params == cost.params == sum(p.numel() for p in op.parameters())
    assert layer.bytes == 4 * torch.Size(layer.out).numel()
    with torch.device('meta'):
        twin = OPS[name]()
    assert complexity(twin, (2, C, 5, 9, 8)) == cost  # the device does not matter
    once = complexity(op, (C, 5, 9, 8)).counts
    assert cost.counts == {key: 2 * n for key, n in once.items()}

@pytest.mark.parametrize('frozen', [True, False])
def test_norms_are_counted_as_printed_with_and_without_gradients(frozen):
    op = CMCB(16).requires_grad_(not frozen)
    with torch.set_grad_enabled(not frozen):
        cost = complexity(op, (16, 4, 6, 6))
    assert cost.counts['norm'] == 4 * (4 * 36 + 16) and cost.statistics == 2 * (4 + 16)

class Odd(nn.Module):
    "Layers that are shared, called by keyword, recurrent, in place, idle."
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv3d(3, 3, 1), nn.ReLU(inplace=True)
        self.gru, self.idle = nn.GRU(3, 5, 2), nn.Linear(9, 9)
        self.pool, self.flat = nn.AvgPool3d((1, 2, 2)), nn.Flatten(0, 1)
    def forward(self, x):
        x = self.relu(self.conv(input=self.relu(self.conv(x))))
        return self.flat(self.gru(self.pool(x).mean((3, 4)).movedim(1, 2))[0])

def test_odd_networks():
    cost = complexity(Odd(), (1, 3, 2, 4, 6))
    assert [x.path for x in cost.layers] == ['conv', 'relu', 'conv', 'relu', 'pool', 'gru', 'flat']
    # steps · gates · outputs · inputs of both layers
    n, gru = 3 * 2 * 4 * 6, 2 * 3 * 5 * ((3 + 5) + (5 + 5))
    assert cost.counts == dict(macs=2 * 3 * n + gru, bias=2 * n, relu=2 * n, pooled=n,
                               averages=n // 4)
    states = 2 * 5 + 2 * 2 * 5  # what the GRU puts out: outputs and last states
    assert [x.bytes for x in cost.layers] == [4 * n, 0, 4 * n, 0, n, 4 * states, 0]
    assert cost.params == sum(p.numel() for p in Odd().parameters()) and 'idle' not in str(cost)

def test_a_charge_for_each_quantity():
    cost, has = complexity(Odd(), (1, 3, 2, 4, 6)), complexity(Odd(), (1, 3, 2, 4, 6)).counts
    assert cost.printed('conv_fc') == (cost.params, cost.macs)
    assert cost.printed('thop_old')[1] == has['macs'] + has['bias'] + has['averages']
    assert cost.printed('ptflops')[1] == has['macs'] + has['bias'] + has['relu'] + has['pooled']
    assert Convention(bias=7).flops(has) == has['macs'] + 7 * has['bias']

@given(st.sampled_from(list(CONVENTIONS)), st.integers(1, 3), st.integers(1, 6))
@settings(max_examples=10, deadline=None)
def test_every_convention_is_linear_in_the_clips(convention, B, T):
    layers = (Clipwise(HgC(3, aggregate='avg')), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4),
              nn.ReLU(), nn.MaxPool2d(2))
    net = nn.Sequential(*layers)
    class Frames(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            with clip_length(x.shape[2]):
                return self.net(x.movedim(1, 2).flatten(0, 1))
    one, many = (complexity(Frames(), shape).printed(convention)
                 for shape in ((3, 1, 8, 8), (B, 3, T, 8, 8)))
    assert many == (one[0], B * T * one[1]) and one[1] > 0

def test_a_failing_forward_leaves_no_hooks():
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.Conv3d(5, 4, 1)).train()
    with pytest.raises(RuntimeError):
        complexity(net, (3, 2, 4, 4))
    assert net.training and not any(m._forward_hooks for m in net.modules())

def test_wrong_input():
    with pytest.raises(ValueError, match=r'clip_shape must be \(C, T, H, W\)'):
        complexity(nn.Conv2d(3, 4, 1), (8, 48, 48))
    cost = complexity(nn.Conv3d(3, 4, 1), (3, 8, 4, 4))
    with pytest.raises(ValueError, match="called 'thop'; near matches: thop_old, thop_new"):
        cost.printed('thop')
    with pytest.raises(ValueError, match='expected 3 channels'):
        complexity(nn.Sequential(HgC(3)), (4, 2, 8, 8))
