"What operators show: for every network of the registry, held against what they compute."
from dataclasses import replace

import matplotlib
matplotlib.use('agg')
import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from figures import check_texts
from torch import nn

from video_convs.explain.internals import (KINDS, READERS, Internal, internals, plot_internals,
                                           shows)
from video_convs.nets.registry import list_models
from video_convs.nets.single_operator import SingleOperatorNet
from video_convs.ops.aggregation import HFModule
from video_convs.ops.clip_taps import over_time_each
from video_convs.ops.cmcb import CMCB
from video_convs.ops.collaborative import SpatialRefinement, TemporalRefinement
from video_convs.ops.common import over_time, shift_right
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.mixed_hourglass import MixedHgC
from video_convs.ops.tam import TAM
from video_convs.ops.tea import MotionExcitation
from video_convs.ops.temporal import TemporalConv
from video_convs.ops.tin import TIN
from video_convs.testing import randomised, stirred
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close('all')


def clip(channels=3, frames=4, size=24, dtype=torch.float32):
    return torch.randn(channels, frames, size, size, dtype=dtype,
                       generator=torch.Generator().manual_seed(0))


def tiny(name, **options):
    return create_model(name, num_classes=3, input_spec=dict(frames=4, size=24), **options)


def shown(op, C=8, T=5):
    "What an operator with random weights shows in double precision, its input and its output."
    op, x = stirred(randomised(op.double())), clip(C, T, 6, torch.float64)
    found = internals(op, x)
    assert all(len(one.axes) == one.values.ndim for one in found.values())
    with torch.no_grad():
        return {one.kind: one.values for one in found.values()}, x, op(x[None])[0]


def same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# ---- one of each kind, against the output of the operator

@pytest.mark.parametrize('op', [CMCB(8, 2), TemporalRefinement(8), TemporalRefinement(8, 4),
                                MotionExcitation(8, 2)])
def test_a_gate_is_what_each_channel_is_multiplied_by(op):
    found, x, y = shown(op)
    same(x * found['gate'][:, :, None, None], y)


@pytest.mark.parametrize('reduction', [None, 4])
def test_a_map_is_what_each_pixel_is_multiplied_by(reduction):
    found, x, y = shown(SpatialRefinement(8, reduction))
    same(x * found['map'][:, None], y)


@pytest.mark.parametrize('conservative', [True, False])
def test_the_flow_is_what_a_frame_gains(conservative):
    found, x, y = shown(HFModule(8, conservative))
    gain, flow = (y - x).sum(0), found['flow']
    assert found['map'].shape == (1 if conservative else 2, 5, 6, 6)
    lost = (shift_right(found['map'][-1:, :]) * x).sum(0)
    same(flow - lost, gain)
    assert flow[-1].abs().max() == 0  # nothing comes from behind the clip
    if conservative:
        same(flow - shift_right(flow[None])[0], gain)  # it leaves the frame behind


@pytest.mark.parametrize('attention', ['softmax', 'sigmoid'])
def test_attention_weighs_both_components(attention):
    op = STHConv(8, 8, attention=attention)
    found, x, y = shown(op)
    α = found['attention'][:, None, None, None]
    O_T, O_S = (o[0].detach() for o in op.components(x[None]))
    same(α * O_T + (1 - α) * O_S, y)


def test_offsets_and_weights_give_the_output_of_tin():
    found, x, y = shown(TIN(8, 5, shift_div=2))
    i = torch.arange(-2, 3)
    taps = F.relu(1 - (found['offset'][:, None] + i).abs())  # (4, 5)
    moved = over_time_each(x[None, :4], taps[None])[0]  # a channel for each group
    same(torch.cat([moved * found['gate'][..., None, None], x[4:]]), y)


def test_kernels_and_gates_give_the_output_of_tam():
    found, x, y = shown(TAM(8, 5))
    same(found['kernel'].sum(1), torch.ones(8).double())
    same(over_time_each(x[None], found['kernel'][None], found['gate'][None])[0], y)


@pytest.mark.parametrize('op', [HgC(8), HgC(8, 5, 4), HgC(8, aggregate='avg')])
def test_an_hourglass_is_one_convolution(op):
    found, x, y = shown(op)
    kernel = found['kernel']  # (C, K, R, R)
    padding = [n // 2 for n in kernel.shape[1:]]
    same(F.conv3d(x[None], kernel[:, None], padding=padding, groups=8)[0], y)


def test_taps_are_those_of_a_temporal_convolution():
    found, x, y = shown(TemporalConv(8))
    same(over_time(x[None], found['kernel'][:, None, :, None, None], 1)[0], y)


def test_what_was_read_stays_when_training_goes_on():
    op = TemporalConv(8)
    kernel, = (one.values for one in internals(op, clip(8)).values())
    op.taps.data.zero_()
    assert kernel[:, 1].tolist() == [1.] * 8


def test_slopes_share_the_weight_on_the_frames_beside():
    op = MixedHgC(8, slopes=(0, 2))
    for part in op.parts:
        part.taps.data[:] = torch.tensor([1., 5., 1.]).view(3, 1, 1)
    op.parts[1].spatial.data.fill_(1 / 3)
    found = internals(op, clip(8))
    slope = found['MixedHgC: slope']
    assert slope.labels == ('slope 0', 'slope 2')
    # 2 taps of 1 against 2 windows of 9 · ⅓²
    torch.testing.assert_close(slope.values, torch.tensor([.5, .5]))
    assert found['parts.1: kernel'].values.shape == (4, 3, 3, 3)
    fresh = internals(MixedHgC(8), clip(8))['MixedHgC: slope']
    assert fresh.values.tolist() == [0] * 4  # nothing is learned


def test_a_hybrid_convolution_shows_attention_only_if_it_has_one():
    assert 'attention' not in shown(STHConv(8, 8))[0]
    assert shown(STHConv(8, 8))[0]['kernel'].shape == (8, 2, 3)


# ---- networks

TINY = [name for name in list_models() if name.endswith('_tiny')]
OTHERS = ['tea_res2net50', 'tin_resnet50', 'hf_eco_lite']  # operators that no tiny network has


SILENT = 'tsn_tiny', 'tsm_tiny'
DRAWN = 'h2cn_tiny', 'stc_tiny', 'tam_tiny', 'hf_tsn_tiny'  # each way to draw once


@pytest.mark.parametrize('name', TINY + OTHERS)
def test_every_network_shows_what_it_has(name):
    size, frames = (64, 8) if 'eco' in name else (32, 4)
    model = create_model(name, num_classes=3, frames=frames)
    spec = model.input_spec
    x = clip(3, frames * spec.per_segment, size)
    if name in SILENT:
        with pytest.raises(ValueError, match=f'{name} has nothing to show'):
            internals(model, x)
        return
    found = internals(model, x)
    operators = [op for op in model.trunk.modules() if READERS.keys() & set(type(op).__mro__)]
    assert {name.rpartition(': ')[0] for name in found} <= {
        path for path, _ in model.trunk.named_modules()}
    assert len({name.rpartition(': ')[0] for name in found}) == len(operators)
    for one in found.values():
        assert one.values.isfinite().all() and not one.values.requires_grad
        assert len(one.axes) == one.values.ndim and one.kind in KINDS
        if 'time' in one.axes:
            assert one.values.shape[one.axes.index('time')] == frames
    if name in DRAWN:
        for fig in plot_internals(found).values():
            check_texts(fig, axes_side=.05)  # a bar of colours is narrow


@pytest.mark.parametrize('name, options, kinds', [
    ('hgc_tiny', dict(slope=[0, 2, 4, 8]), {'kernel', 'slope'}),
    ('hgc_tiny', dict(kernel_size=5), {'kernel'}),
    ('sth_tiny', dict(attention='softmax'), {'kernel', 'attention'})])
def test_variants_and_their_pictures(name, options, kinds):
    found = internals(tiny(name, **options), clip())
    assert {one.kind for one in found.values()} == kinds
    for fig in plot_internals(found).values():
        check_texts(fig, axes_side=.05)


def test_time_is_unfolded_for_the_operator_and_its_mode_comes_back():
    model = tiny('h2cn_tiny').train()
    model.trunk.layer2.eval()  # frozen
    modes = [m.training for m in model.modules()]
    x = clip(frames=20)
    seen = []
    block = model.trunk.get_submodule('layer3.1.conv1.host.before.op')
    hook = block.register_forward_hook(lambda op, inputs, y: seen.append((inputs[0], y)))
    found = internals(model, x)['layer3.1.conv1.host.before.op: gate']
    hook.remove()
    (before, after), = seen
    torch.testing.assert_close(before[0] * found.values[:, :, None, None], after[0])
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_pre_hooks for m in model.modules())
    assert found.values.shape == (96, 4) and found.source == 'H2CN Eq. 5–7, Fig. 8'


def test_the_same_in_a_network_of_clips_and_in_inference_mode():
    net = SingleOperatorNet('hf', after=0)
    with torch.inference_mode():
        found = internals(net, clip(1))
    assert list(found) == ['op: map', 'op: flow']


def test_a_module_that_runs_twice_shows_both_runs():
    op = TemporalRefinement(4)
    found = internals(nn.Sequential(op, op), clip(4))
    assert list(found) == ['0: gate', '0: gate, run 2']
    assert not torch.equal(*(one.values for one in found.values()))


# ---- a new operator is one line

class Louder(nn.Module):
    def forward(self, x):
        return x * x.mean((3, 4), keepdim=True)


class Loudest(Louder):
    pass


def test_a_new_operator_is_one_line(monkeypatch):
    monkeypatch.setitem(READERS, Louder, {})
    net = nn.Sequential(Loudest())
    with pytest.raises(ValueError, match='Sequential has nothing to show: gates'):
        internals(net, clip())
    shows(Louder, 'gate', 'channel time', 'none', lambda op, x: x.mean((3, 4))[0])
    x = clip()
    found, = internals(net, x).values()  # also of a class derived from it
    torch.testing.assert_close(found.values, x.mean((2, 3)))
    shows(Louder, 'gate', 'channel time', 'again', lambda op, x: x.mean((3, 4))[0])
    assert [one.source for one in internals(net, x).values()] == ['again']  # a cell runs twice
    with pytest.raises(ValueError, match="no kind is called 'gat'; near matches: gate"):
        shows(Louder, 'gat', 'channel time', 'none', lambda op, x: None)


# ---- wrong input

def test_another_length_is_refused_in_a_sentence_and_nothing_is_left_behind():
    for model, T, words in ((tiny('tam_tiny'), 5, 'tam_tiny needs clips of 4 frames'),
                            (tiny('h2cn_tiny'), 4, 'multiple of 5 frames, got 4')):
        with pytest.raises(ValueError, match=words):
            internals(model.train(), clip(frames=T))
        assert model.training and not any(m._forward_pre_hooks for m in model.modules())


def test_layers_are_chosen_by_pattern_and_near_matches_are_named():
    model = tiny('stc_tiny')
    found = internals(model, clip(), layers='layer2.**')
    assert found and all(name.startswith('layer2.') for name in found)
    assert list(internals(model, clip(), layers=['**.tr', '**.sr'])) == [
        f'layer{n}.{b}.conv1.op.{part}' for n in (1, 2, 3) for b in (0, 1)
        for part in ('tr: gate', 'sr: map')]
    with pytest.raises(ValueError, match=r"no operator of stc_tiny matches 'layer4\.\*\*'; near"):
        internals(model, clip(), layers='layer4.**')


@pytest.mark.parametrize('wrong, words', [
    (clip()[None], r'expected one clip \(C, T, H, W\), got \(1, 3, 4, 24, 24\)'),
    (clip().numpy(), 'expected one clip'), (clip()[:1], 'expected 3 channels'),
    (clip()[:, :0], 'the clip is empty'), (None, 'expected one clip')])
def test_what_is_not_one_clip_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        internals(tiny('hgc_tiny'), wrong)


def test_what_is_not_a_network_is_refused():
    with pytest.raises(ValueError, match='looks into a network, got str: open a checkpoint'):
        internals('hgc_tiny', clip())


# ---- pictures

def test_kinds_that_are_not_there_are_named():
    found = internals(tiny('stc_tiny'), clip())
    assert list(plot_internals(found)) == ['kernel', 'gate', 'map']
    assert list(plot_internals(found, 'map')) == ['map']
    with pytest.raises(ValueError, match="the kind 'gates' is found; near matches: gate"):
        plot_internals(found, 'gates')
    with pytest.raises(ValueError, match='nothing to draw'):
        plot_internals({})


def test_a_sheet_shows_the_numbers():
    flow = internals(HFModule(8), clip(8))['HFModule: flow']
    flow = replace(flow, values=torch.arange(16.).view(4, 2, 2))
    ax = plot_internals({'a: flow': flow})['flow'].axes[0]
    drawn = ax.images[0].get_array().filled(-1)
    assert drawn.tolist() == [[0, 1, -1, 4, 5, -1, 8, 9], [2, 3, -1, 6, 7, -1, 10, 11]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ['1→0', '2→1', '3→2']


def test_numbers_with_names_become_a_table():
    one = Internal(torch.tensor([.25, .75]), ('slope',), 'slope', 'H2CN Eq. 2', ('p 0', 'p 2'))
    ax = plot_internals({'a: slope': one, 'b: slope': one})['slope'].axes[0]
    assert [t.get_text() for t in ax.texts] == ['0.25', '0.75'] * 2
    assert [t.get_text() for t in ax.get_xticklabels()] == ['p 0', 'p 2']


def test_dots_show_the_numbers():
    one = Internal(torch.tensor([.25, .75]), ('channel',), 'attention', 'STH Eq. 3')
    ax = plot_internals({'layer1.0.conv1.op: attention': one})['attention'].axes[0]
    assert ax.lines[0].get_xdata().tolist() == [.25, .75]
    assert list(ax.lines[1].get_xdata()) == [.5, .5]
    assert [t.get_text() for t in ax.get_yticklabels()] == ['layer1.0.conv1']
