"Networks whose norms are folded into their convolutions; tests/test_zoo.py fuses all of them."
import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from video_convs import create_model
from video_convs.checkpoint import save
from video_convs.clips import Clipwise
from video_convs.nets.fused import ROWS, fold_norm, norm_pairs
from video_convs.nets.registry import find_model
from video_convs.ops.collaborative import STCConv
from video_convs.ops.dense_temporal import DenseTemporalConv
from video_convs.ops.gst import GSTConv
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.space_time import C3D, P3D, R2Plus1D
from video_convs.testing import randomised, stirred


@pytest.fixture(autouse=True)
def calm(one_thread):
    torch.manual_seed(0)


def network(name, **variant):
    spec = dict(frames=4, size=32)
    return stirred(create_model(name, num_classes=3, input_spec=spec, **variant).double())


def clip_for(net, frames=4):
    return torch.randn(2, 3, frames * net.input_spec.per_segment, 32, 32, dtype=torch.float64)


def same(a, b, x):
    with torch.no_grad():
        assert torch.allclose(a(x), b(x), rtol=1e-9, atol=1e-9)


C = 16
OPERATORS = [
    lambda: ShiftedConv(C, 8, stride=2), lambda: ShiftedConv(C, 8, bias=True),
    lambda: DenseTemporalConv(C, 8, bias=True), lambda: R2Plus1D(C, 8, bias=True),
    lambda: R2Plus1D(C, C, arrangement='parallel', temporal='depthwise'),
    lambda: R2Plus1D(C, 8, temporal='depthwise'), lambda: P3D(C, 8, 'B', bias=True),
    lambda: C3D(C, 8), lambda: GSTConv(C, 8), lambda: GSTConv(C, 8, bias=True),
    lambda: STHConv(C, 8), lambda: STHConv(C, 8, arrangement='merge', bias=True),
    lambda: STHConv(C, C, groups=C), lambda: STHConv(C, 8, p=0), lambda: STHConv(C, 8, p=1),
    lambda: STCConv(C, 8), lambda: STCConv(C, 8, bias=True, reduction=2),
    lambda: STCConv(C, 8, bias=True, temporal_refinement=False),
    lambda: STCConv(C, 8, spatial_refinement=False), lambda: STCConv(C, 8, alpha=0),
    lambda: STCConv(C, 8, alpha=1, bias=True)]


@pytest.mark.parametrize('make', OPERATORS)
def test_a_norm_goes_into_an_operator(make):
    op = randomised(make()).double()
    x = torch.randn(2, C, 4, 7, 6, dtype=torch.float64)
    norm = stirred(nn.BatchNorm3d(op(x).shape[1]).double())
    both = nn.Sequential(copy.deepcopy(op), norm)
    fold_norm(op, norm)
    same(op, both, x)


def test_every_kind_of_linear_layer_is_among_them():
    images = {nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear}
    assert {type(make()) for make in OPERATORS} | images == set(ROWS)


def test_a_norm_without_weights_goes_into_a_convolution():
    conv, norm = nn.Conv2d(3, 4, 3).double(), nn.BatchNorm2d(4, affine=False).double().eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(1, 2)
    both, x = nn.Sequential(copy.deepcopy(conv), norm), torch.randn(2, 3, 5, 5).double()
    fold_norm(conv, norm)
    same(conv, both, x)


class Twice(nn.Module):
    "Convolutions whose outputs have other readers than a norm, or several."
    def __init__(self, how):
        super().__init__()
        self.how, self.conv, self.norm = how, nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        if self.how == 'sum':
            return self.norm(y) + y
        if self.how == 'two norms':
            return self.norm(y) + self.other(y)
        if self.how == 'one convolution, twice':
            return self.norm(y) + self.other(self.conv(y.sin()))
        if self.how == 'one norm, twice':
            return self.norm(self.norm(y))
        if self.how == 'in place':
            return self.norm(F.relu_(y))
        if self.how == 'view':
            return self.norm(y.flip(3))
        return self.norm(y) if y.shape[1] == 3 and y.is_floating_point() else y


@pytest.mark.parametrize('how', ['sum', 'two norms', 'one convolution, twice', 'one norm, twice',
                                 'in place', 'view', 'alone'])
def test_only_a_layer_with_one_reader_is_changed(how):
    net = network('tsn_tiny')
    net.trunk.conv1 = nn.Sequential(Twice(how), net.trunk.conv1).double()
    stirred(net)
    found = {layer for layer in norm_pairs(net) if '.conv1.0.' in layer}
    assert found == ({'trunk.conv1.0.conv'} if how == 'alone' else set())
    same(net.fused(), net, clip_for(net))


class Rows(nn.Module):
    "A linear layer of three outputs on three rows: which of the two does the norm take?"
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(32, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        return x + self.norm(self.fc(x[:, :, 0])).mean()


def test_a_norm_over_rows_is_not_one_over_outputs():
    net = network('tsn_tiny')
    net.trunk.conv1 = nn.Sequential(Rows(), net.trunk.conv1).double()
    same(stirred(net).fused(), net, clip_for(net))


def test_a_layer_whose_output_is_a_stage_is_left_alone(monkeypatch):
    net, entry = network('tsn_tiny'), find_model('tsn_tiny')
    card = replace(entry.card, stages=('layer3.1.conv1', 'layer3'))
    assert 'trunk.layer3.1.conv1' in norm_pairs(net)
    monkeypatch.setattr('video_convs.nets.fused.find_model', lambda _: replace(entry, card=card))
    assert 'trunk.layer3.1.conv1' not in norm_pairs(net)


@pytest.mark.parametrize('name, variant', [
    ('sth_tiny', dict(attention='softmax')), ('sth_tiny', dict(arrangement='merge')),
    ('stc_tiny', dict(tr=False)), ('stc_tiny', dict(alpha=1.)), ('hgc_tiny', dict(slope=[0, 2, 8])),
    ('hgc_tiny', dict(aggregate='avg', kernel_size=5)),
    ('r2plus1d_tiny', dict(arrangement='parallel')),
    ('h2cn_tiny', dict(fmcb='conv1d', cmcb='conv1d'))])
def test_variants_can_be_fused(name, variant):
    net = network(name, **variant)
    for module in net.modules():
        if isinstance(module, Clipwise):
            randomised(module.op)
    fused = stirred(net).fused()
    left = sum(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    assert left == (6 if 'attention' in variant else 2 if 'fmcb' in variant else 0)
    same(fused, net, clip_for(net))


def test_a_kernel_is_built_once(monkeypatch):
    net = network('hgc_tiny').float()
    fused, x = net.fused(), clip_for(net).float()
    with torch.no_grad():
        wanted = fused(x)
        monkeypatch.setattr(HgC, 'kernel', lambda op: pytest.fail('built again'))
        assert torch.equal(fused(x), wanted)
        assert (fused.double()(x.double()) - wanted).abs().max() < 1e-5  # it moves with the weights


@pytest.mark.parametrize('name', ['tsm_tiny', 'hgc_tiny', 'sth_tiny', 'stc_tiny', 'h2cn_tiny',
                                  'hf_tsn_tiny'])
def test_a_stream_of_a_fused_network_is_the_network(name):
    net = network(name)
    x, per = clip_for(net), net.input_spec.per_segment
    stream, scores = net.fused().stream(), []
    for point in x.unflatten(2, (4, per)).unbind(2):
        scores += stream.step(point if per > 1 else point[:, :, 0])
    with torch.no_grad():
        assert (scores + stream.finish())[-1].allclose(net(x), rtol=1e-9, atol=1e-9)


def test_what_a_fused_network_is_and_is_not(tmp_path):
    net = network('hgc_tiny').train()
    fused = net.fused()
    assert fused.fused() is fused and net.training and not fused.training and not net.is_fused
    assert not any(p.requires_grad for p in fused.parameters())
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(net.parameters(), fused.parameters()))
    with pytest.raises(ValueError, match='train the network it was made from'):
        fused.train()
    assert fused.eval() is fused and not fused.training
    for write in (fused.save_pretrained, lambda folder: save(fused, folder)):
        with pytest.raises(ValueError, match='call fused\\(\\) after loading'):
            write(tmp_path/'x')
    assert not (tmp_path/'x').exists()
    assert not any(hook for m in fused.modules() for hook in m._forward_pre_hooks)


@pytest.mark.slow
def test_a_fused_network_exports():
    net = network('stc_tiny').float()
    fused, x = net.fused(), clip_for(net).float()
    program = torch.export.export(fused, (x,)).module()
    with torch.no_grad():
        assert (program(x) - net(x)).abs().max() < 1e-5
