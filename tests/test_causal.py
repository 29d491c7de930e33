"Operators and networks that look only back."
import copy

import pytest
import torch
from torch import nn

from video_convs import create_model
from video_convs.clips import Clipwise, fold
from video_convs.explain.internals import internals, plot_internals
from video_convs.nets.complexity import complexity
from video_convs.nets.registry import variants
from video_convs.ops.aggregation import HFModule
from video_convs.ops.cmcb import CMCB
from video_convs.ops.collaborative import STCConv, TemporalRefinement
from video_convs.ops.common import zeros_ahead
from video_convs.ops.dense_temporal import DenseTemporalConv
from video_convs.ops.gst import GSTConv
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.literal import (literal_cmcb, literal_conv3d, literal_hf, literal_hgc,
                                     literal_r2plus1d, literal_shift, literal_stc, literal_sth,
                                     literal_temporal, literal_tr)
from video_convs.ops.literal_rivals import literal_gst, literal_me, literal_mta, literal_tam
from video_convs.ops.mixed_hourglass import MixedHgC
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.mta_parts import mta_weights
from video_convs.ops.plain import eval_norm
from video_convs.ops.shift import TemporalShift
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.space_time import C3D, P3D, R2Plus1D
from video_convs.ops.streams import FORMS, SIGHTS, OperatorStream
from video_convs.ops.tam import TAM
from video_convs.ops.tea import MotionExcitation
from video_convs.ops.tea_sums import me_weights
from video_convs.ops.temporal import TemporalConv
from video_convs.testing import check_operator, randomised, stirred

C = 8


def hf(op, x):
    return literal_hf(x, op.weight, op.bias, op.causal)


def stc(op, x):
    return literal_stc(x, op.spatial, zeros_ahead(op.temporal), (zeros_ahead(op.tr.taps), None),
                       None, stride=op.stride, shift=op.shift, causal=True)


def cmcb(op, x):
    norms = tuple((n.running_mean, n.running_var, n.weight, n.bias)
                  for n in (op.reduce_norm, op.expand_norm))
    hourglass = zeros_ahead(op.hgc.taps), op.hgc.spatial
    return literal_cmcb(x, op.reduce.weight, op.expand.weight, hourglass, norms, op.slope)


def sth(op, x):
    return sum(literal_sth(x, zeros_ahead(op.temporal), op.spatial, op.stride, op.dilation,
                           op.arrangement, op.groups))


def hgc(op, x):
    return literal_hgc(x, zeros_ahead(op.taps), getattr(op, 'spatial', None), op.slope,
                       op.aggregate)


def mixed(op, x):
    return torch.cat([hgc(part, share) for part, share in zip(op.parts, x.split(op.sizes, 1))], 1)


def shifted_conv(op, x):
    return torch.einsum('oi,bithw->bothw', op.weight.double().flatten(1),
                        literal_shift(x, op.shift.fold_div, causal=True)[..., ::2, ::2])


def dense(op, x):
    return literal_conv3d(x, zeros_ahead(op.taps), op.stride, (op.dilation, 1))


def r2plus1d(op, x):
    return literal_r2plus1d(x, op.spatial, zeros_ahead(op.taps), op.stride, op.dilation,
                            op.arrangement)


def c3d(op, x):
    return literal_conv3d(x, zeros_ahead(op.weight), op.stride, (1, op.dilation))


def gst(op, x):
    return literal_gst(x, op.spatial, zeros_ahead(op.temporal), op.bias, op.stride, op.dilation)


def mta(op, x):
    taps, *rest = mta_weights(op)
    return literal_mta(x, [zeros_ahead(a) for a in taps], *rest)


def tam(op, x):
    parts = [(branch[0].weight, eval_norm(branch[1]), branch[3].weight) for branch in (op.G, op.L)]
    return literal_tam(x, *parts, causal=True)


# (operator, its literal form)
EXACT = {
    'conv': (lambda: TemporalConv(C, 5, causal=True),
             lambda op, x: literal_temporal(x, zeros_ahead(op.taps))),
    'conv dilated': (lambda: TemporalConv(C, 3, 2, causal=True),
                     lambda op, x: literal_temporal(x, zeros_ahead(op.taps), 2)),
    'shift': (lambda: TemporalShift(C, 3, causal=True),
              lambda op, x: literal_shift(x, 3, causal=True)),
    'shifted conv': (lambda: ShiftedConv(C, 4, 3, stride=2, causal=True), shifted_conv),
    'hgc': (lambda: HgC(C, slope=2, causal=True), hgc),
    'hgc 5': (lambda: HgC(C, 5, slope=4, causal=True), hgc),
    'hgc avg': (lambda: HgC(C, 5, aggregate='avg', causal=True), hgc),
    'hgc slope 0': (lambda: HgC(C, slope=0, causal=True), hgc),
    'mixed': (lambda: MixedHgC(C, slopes=(0, 2, 4), causal=True), mixed),
    'cmcb': (lambda: CMCB(C, causal=True), cmcb),
    'sth': (lambda: STHConv(C, 8, causal=True), sth),
    'sth dilated': (lambda: STHConv(C, 8, dilation=2, stride=2, causal=True), sth),
    'sth merge': (lambda: STHConv(C, 8, arrangement='merge', causal=True), sth),
    'sth depthwise': (lambda: STHConv(C, C, groups=C, causal=True), sth),
    'stc': (lambda: STCConv(C, 8, spatial_refinement=False, causal=True), stc),
    'tr': (lambda: TemporalRefinement(C, causal=True),
           lambda op, x: literal_tr(x, zeros_ahead(op.taps))),
    'hf': (lambda: HFModule(C, conservative=False, causal=True), hf),
    'dense': (lambda: DenseTemporalConv(C, 8, 5, 2, causal=True), dense),
    'dense dilated': (lambda: DenseTemporalConv(C, 8, dilation=2, causal=True), dense),
    'sequential': (lambda: R2Plus1D(C, 8, stride=2, causal=True), r2plus1d),
    'parallel': (lambda: R2Plus1D(C, 8, 2, arrangement='parallel', causal=True), r2plus1d),
    'depthwise': (lambda: R2Plus1D(C, 8, temporal='depthwise', causal=True), r2plus1d),
    'depthwise beside': (lambda: R2Plus1D(C, 8, 1, 2, 'parallel', 'depthwise', causal=True),
                         lambda op, x: literal_conv3d(x, op.spatial.unsqueeze(2), 1, (1, 2))
                         + literal_temporal(x, zeros_ahead(op.taps))),
    'p3d': (lambda: P3D(C, 8, 'B', causal=True), r2plus1d),
    'c3d': (lambda: C3D(C, 8, stride=2, causal=True), c3d),
    'c3d dilated': (lambda: C3D(C, 8, dilation=2, causal=True), c3d),
    'gst': (lambda: GSTConv(C, 8, bias=True, causal=True), gst),
    'gst large': (lambda: GSTConv(C, 8, beta=1, stride=2, causal=True), gst),
    'me': (lambda: MotionExcitation(C, 2, causal=True),
           lambda op, x: literal_me(x, *me_weights(op), causal=True)),
    'mta': (lambda: MultipleTemporalAggregation(C, causal=True), mta),
    'mta first': (lambda: MultipleTemporalAggregation(C, stride=2, causal=True), mta)}
WINDOWED = {
    'stc sr': lambda: STCConv(C, 8, causal=True),
    'sth attention': lambda: STHConv(C, 8, attention='softmax', causal=True),
    'tam': lambda: TAM(C, 4, causal=True), 'tam 5': lambda: TAM(C, 4, 5, causal=True)}
MAKE = {name: make for name, (make, _) in EXACT.items()}
NETWORKS = {'tsm_tiny': {}, 'r2plus1d_tiny': {}, 'hgc_tiny': {}, 'sth_tiny': {}, 'h2cn_tiny': {},
            'stc_tiny': dict(sr=False), 'hf_tsn_tiny': dict(conservative=False),
            'r2plus1d_tiny sequential': dict(arrangement='sequential'),
            'r2plus1d_tiny parallel': dict(arrangement='parallel'), 'p3d_tiny': {}, 'c3d_tiny': {},
            'gst_tiny': {}, 'gst_large_tiny': {}, 'tea_res2net50': {}}
NAMES = [pytest.param(name, marks=pytest.mark.slow if 'res2net' in name else ())
         for name in NETWORKS]


def made(make):
    torch.manual_seed(0)
    op = stirred(randomised(make())).double().eval()
    for p in op.parameters():
        p.data.mul_(.5)
    return op


def noise(frames, size=4, batch=2):
    return torch.randn(batch, C, frames, size, size - 1, dtype=torch.float64)


@pytest.mark.parametrize('name', EXACT)
def test_a_causal_operator_is_its_literal_form(name):
    make, literal = EXACT[name]
    op = made(make)
    for frames in 1, 4:
        x = noise(frames, size=6, batch=1)
        with torch.no_grad():
            assert (op(x) - literal(op, x)).abs().max() < 1e-10


@pytest.mark.parametrize('name', MAKE)
def test_what_comes_later_changes_nothing(name):
    op, x = made(MAKE[name]), noise(7)
    with torch.no_grad():
        y = op(x)
        for T in range(1, 7):
            assert (op(x[:, :, :T]) - y[:, :, :T]).abs().max() < 1e-12
        before, ahead = SIGHTS[type(op)](op).before, SIGHTS[type(op)](op).ahead
        far, near = x.clone(), x.clone()
        far[:, :, 5 - before] += 1
        near[:, :, 6 - before] += 1
        assert ahead == 0 and torch.allclose(op(far)[:, :, 6], y[:, :, 6], atol=1e-12)
        assert not torch.allclose(op(near)[:, :, 6], y[:, :, 6], atol=1e-6)


@torch.no_grad()
def streamed(op, clip, window=3):
    stream, state, results = OperatorStream(op, window), OperatorStream.start, []
    for frame in clip.unbind(2):
        y, state = stream.step(frame, state)
        if not stream.sight.whole:
            assert len(y) == 1  # delay 0
        results += y
    return torch.stack(results + stream.finish(state), 2)


@pytest.mark.parametrize('name', MAKE)
def test_a_causal_stream_is_the_clip_and_never_late(name):
    op, x = made(MAKE[name]), noise(40)
    with torch.no_grad():
        y = op(x)
    for T in *range(1, 13), 40:
        assert (streamed(op, x[:, :, :T]) - y[:, :, :T]).abs().max() < 1e-10


@pytest.mark.parametrize('name', ['hgc 5', 'hgc avg', 'hgc slope 0', 'shift', 'shifted conv'])
def test_a_fast_causal_form_is_the_literal_one(name, monkeypatch):
    op, x = made(MAKE[name]), noise(6, size=7)
    fast = streamed(op, x)
    monkeypatch.delitem(FORMS, type(op))
    assert (streamed(op, x) - fast).abs().max() < 1e-12


@torch.no_grad()
def test_the_literal_form_of_a_causal_tam():
    for K in 3, 5:
        op, x = made(lambda: TAM(C, 4, K, causal=True)), noise(4, batch=1)
        assert (op(x) - tam(op, x)).abs().max() < 1e-10
    weights = [sum(p.numel() for p in TAM(C, 4, causal=causal).parameters())
               for causal in (False, True)]
    assert weights[0] - weights[1] == 2 * 4 + 2 * C  # of G, and of the local branch


@pytest.mark.parametrize('name', WINDOWED)
def test_a_window_of_a_causal_operator_ends_at_the_newest_frame(name):
    op, x, W = made(WINDOWED[name]), noise(7), 4
    with torch.no_grad():
        windows = [op(x[:, :, t:t + W]) for t in range(4)]
    wanted = torch.cat([windows[0], *(w[:, :, -1:] for w in windows[1:])], 2)
    assert (streamed(op, x, W) - wanted).abs().max() < 1e-10


@pytest.mark.parametrize('name', MAKE)
def test_two_videos_side_by_side_and_one_that_starts_again(name):
    op, clips = made(MAKE[name]), (noise(5), noise(5))
    stream, states, found = OperatorStream(op), [OperatorStream.start] * 2, ([], [])
    with torch.no_grad():
        _, states[0] = stream.step(noise(1)[:, :, 0], states[0])
        states[0] = OperatorStream.start  # a reset in the middle
        for frames in zip(*(clip.unbind(2) for clip in clips)):
            for k, frame in enumerate(frames):
                y, states[k] = stream.step(frame, states[k])
                found[k].extend(y)
        for clip, results in zip(clips, found):
            assert (torch.stack(results, 2) - op(clip)).abs().max() < 1e-10


QUICK = 'conv', 'shifted conv', 'hgc 5', 'sth dilated', 'stc', 'hf'


@pytest.mark.parametrize('name', [pytest.param(name, marks=() if name in QUICK else
                                               pytest.mark.slow) for name in MAKE])
def test_a_causal_operator_keeps_the_promises_of_all(name):
    torch.manual_seed(0)
    op = randomised(MAKE[name]()).eval()
    with torch.no_grad():
        for p in op.parameters():
            p.mul_(.3)
    check_operator(op, torch.randn(2, C, 5, 6, 7))


@pytest.mark.parametrize('name', MAKE)
def test_gradients_of_causal_operators(name):
    op = made(MAKE[name])
    x = noise(3, size=3, batch=1).requires_grad_()
    names, weights = zip(*op.named_parameters()) if list(op.parameters()) else ((), ())

    def run(x, *weights):
        return torch.func.functional_call(op, dict(zip(names, weights)), (x,))
    assert torch.autograd.gradcheck(run, (x, *(w.detach().requires_grad_() for w in weights)),
                                    fast_mode=True)


@pytest.mark.parametrize('make', [lambda causal: TemporalConv(C, 5, causal=causal),
                                  lambda causal: HgC(C, 5, slope=4, causal=causal),
                                  lambda causal: MixedHgC(C, causal=causal),
                                  lambda causal: HFModule(C, conservative=False, causal=causal),
                                  lambda causal: DenseTemporalConv(C, C, 5, causal=causal)])
def test_a_causal_operator_starts_as_the_identity_where_the_other_does(make):
    x = noise(5).float()
    for causal in False, True:
        assert torch.equal(make(causal).eval()(x), x)


@pytest.mark.parametrize('cls, size, options', [
    (DenseTemporalConv, 1, dict(kernel_size=5)), (R2Plus1D, 3, {}),
    (R2Plus1D, 3, dict(temporal='depthwise')), (P3D, 3, dict(variant='B')), (C3D, 3, {})])
def test_a_causal_operator_starts_as_the_image_convolution(cls, size, options):
    torch.manual_seed(0)
    x, conv = noise(4).float(), nn.Conv2d(C, 8, size, padding=size // 2)
    for causal in False, True:
        op = cls.from_conv2d(conv, causal=causal, **options)
        assert op.causal is causal
        assert torch.allclose(fold(op(x)), conv(fold(x)), atol=1e-5)


def test_slices_of_equal_shares_and_a_causal_shift():
    conv = nn.Conv2d(C, 8, 3, padding=1)
    weight = C3D.from_conv2d(conv, 'mean', causal=True).weight
    assert torch.equal(weight, torch.stack([conv.weight / 2] * 2, 2))
    last = MultipleTemporalAggregation(C, causal=True).shifts[-1].taps.flatten(1)
    assert last.tolist() == [[0, 1], [1, 0]]  # one stays, one comes from the frame before


def test_how_many_weights_and_products_a_causal_operator_has():
    def cost(op):
        return sum(p.numel() for p in op.parameters()), op.macs(4, 6, 5)
    assert cost(TemporalConv(C, 5, causal=True)) == (3 * C, 3 * C * 120)
    assert cost(HgC(C, 5, causal=True)) == (3 * C + 18 * C, (3 + 18) * C * 120)
    assert cost(HgC(C, 3, padding='valid', causal=True)) == (
        2 * C + 9 * C, C * 30 * (9 * 4 + 2 * 3))
    assert cost(TemporalShift(C, causal=True)) == (0, 0)
    assert cost(STHConv(C, 4, causal=True)) == (4 * (2 * 2 + 6 * 9), 4 * (2 * 2 + 6 * 9) * 120)
    both = cost(STCConv(C, 8)), cost(STCConv(C, 8, causal=True))
    assert cost(DenseTemporalConv(C, 4, 5, causal=True)) == (3 * 4 * C, 3 * 4 * C * 120)
    assert cost(R2Plus1D(C, 4, causal=True)) == (4 * (9 * C + 2 * 4), 4 * (9 * C + 2 * 4) * 120)
    assert cost(C3D(C, 4, causal=True)) == (18 * 4 * C, 18 * 4 * C * 120)
    assert cost(GSTConv(C, 4, causal=True)) == (4 * (27 + 18), 4 * (27 + 18) * 120)
    assert cost(MultipleTemporalAggregation(C, causal=True))[1] == (2 * C + 3 * 9 * 4) * 120
    taps = 2 * 2  # of T_S, one less each
    assert both[0][0] - both[1][0] == taps + 36 and both[0][1] - both[1][1] == taps * 120 + 36 * 4


def test_padding_valid_of_half_an_hourglass_drops_the_first_frames():
    op, x = made(lambda: HgC(C, 5, padding='valid', causal=True)), noise(5)
    whole = copy.deepcopy(op)
    whole.padding = 'same'
    with torch.no_grad():
        assert (op(x) - whole(x)[:, :, 2:]).abs().max() < 1e-12
        with pytest.raises(ValueError, match='needs at least'):
            op(x[:, :, :2])


def test_what_cannot_be_causal_says_why():
    with pytest.raises(ValueError, match='a causal one cannot know yet: give conservative=False'):
        HFModule(C, causal=True)
    with pytest.raises(ValueError, match='a causal one cannot know yet: give conservative=False'):
        create_model('hf_tsn_tiny', num_classes=3, causal=True)
    for name in 'tsn_tiny', 'tin_resnet50', 'trn_resnet50', 'eco_lite':
        with pytest.raises(ValueError, match=f"{name} has no variant 'causal'"):
            create_model(name, num_classes=3, causal=True)


def network(name, **variant):
    torch.manual_seed(0)
    spec = dict(frames=4, size=32)
    return create_model(name.split()[0], num_classes=3, input_spec=spec, **variant).double().eval()


@pytest.mark.parametrize('name', NAMES)
def test_a_causal_network_answers_at_once(name, tmp_path):
    net = network(name, causal=True, **NETWORKS[name])
    with torch.no_grad():
        for p in net.parameters():
            p.add_(.05 * torch.randn_like(p))
    F, stream = net.input_spec.per_segment, net.stream(window=1)
    clip = torch.randn(1, 3, 6 * F, 32, 32, dtype=torch.float64)
    found = []
    for point in clip.unflatten(2, (6, F)).unbind(2):
        y = stream.step(point if F > 1 else point[:, :, 0])
        assert len(y) == 1
        found += y
    with torch.no_grad():
        wanted = net(clip, per_frame=True)
    assert stream.delay == 0
    assert (torch.stack(found, 1) - wanted).abs().max() < 1e-10
    net.save_pretrained(tmp_path)
    again = type(net).from_pretrained(tmp_path).double().eval()
    assert again.variant['causal'] is True
    with torch.no_grad():
        assert (again(clip) - net(clip)).abs().max() < 1e-4


@pytest.mark.parametrize('name', NAMES)
def test_a_causal_network_costs_no_more(name):
    variant = NETWORKS[name]
    both = [network(name, causal=causal, **variant).float() for causal in (False, True)]
    assert variants(name.split()[0])['causal'] is False
    shape = 3, 4 * both[0].input_spec.per_segment, 32, 32
    a, b = (complexity(net, shape) for net in both)
    ops = [[m.op for m in net.modules() if isinstance(m, Clipwise)] for net in both]
    weights = [sum(p.numel() for op in of_net for p in op.parameters()) for of_net in ops]
    assert a.params - b.params == weights[0] - weights[1]
    less = a.params - b.params, a.macs - b.macs
    same = name in ('tsm_tiny', 'hf_tsn_tiny')
    assert less == (0, 0) if same else min(less) > 0


@torch.no_grad()
def test_a_causal_tam_answers_at_once_from_the_newest_frames():
    net = network('tam_tiny', causal=True)
    for p in net.parameters():
        p.add_(.05 * torch.randn_like(p))
    stream, clip = net.stream(), torch.randn(1, 3, 4, 32, 32, dtype=torch.float64)
    known = [stream.step(frame) for frame in clip.unbind(2)]
    assert stream.delay == 0 and (known[-1][-1] - net(clip)).abs().max() < 1e-10


def test_old_weights_go_into_a_network_that_looks_both_ways():
    net = network('hgc_tiny')
    assert 'causal' in net.variant and not net.variant['causal']
    keys = set(net.state_dict())
    assert keys == set(network('hgc_tiny', causal=True).state_dict())


def test_what_a_causal_network_shows_has_the_frame_itself_in_the_middle():
    net = network('hgc_tiny', causal=True, kernel_size=5).float()
    found = internals(net, torch.randn(3, 4, 32, 32), layers='layer1.**')
    kernel = next(one.values for one in found.values() if one.kind == 'kernel')
    assert kernel.shape[1] == 5 and kernel[:, 2].any() and not kernel[:, 3:].any()
    assert plot_internals(found, 'kernel')
    net = network('hgc_tiny', causal=True, slope=[0, 2]).float()
    slopes = [one.values for one in internals(net, torch.randn(3, 4, 32, 32)).values()
              if one.kind == 'slope']
    assert slopes and not any(s.any() for s in slopes)  # nothing is learned yet
