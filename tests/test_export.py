"Every operator and network recorded once and run at other batches, times, heights and widths."
import functools
import logging
import warnings
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch.export import Dim

from proofs import sized
from test_zoo import awake
from video_convs.nets.bninception import CaffePool, Halve
from video_convs.nets.baselines import FramePool
from video_convs.nets.registry import find_model, list_models
from video_convs.ops.aggregation import HFModule
from video_convs.ops.bench import OPERATORS
from video_convs.ops.collaborative import STCConv
from video_convs.ops.cmcb import CMCB
from video_convs.ops.fmcb import FMCB
from video_convs.ops.hourglass import HgC
from video_convs.ops.hybrid import STHConv
from video_convs.ops.dense_temporal import DenseTemporalConv
from video_convs.ops.space_time import P3D

FIXED = 4  # T of what holds layers over time
# Steps and smallest H and W, elsewhere (1, 33): torch records a map of one pixel as a case of its
# own,
# and cannot prove that a size which is halved and rounded down, as in Caffe's pools, is never zero.
SIDES = {'bninception': (8, 40), 'eco_lite': (8, 40), 'vgg16': (1, 64)}


@functools.cache
def step():
    "H and W are free in steps of 1; of 32 where torch's pooling exports even or odd only (2.11)."
    class Pool(torch.nn.Module):
        def forward(self, x):
            return F.max_pool2d(x, 3, 2, 1)
    free = {2: Dim('H', min=8, max=64)}
    with calm():
        try:
            torch.export.export(Pool(), (torch.randn(1, 2, 20, 20),), dynamic_shapes=(free,))
        except Exception:
            return 32
    return 1


@contextmanager
def calm():
    "One thread, no notes of the exporters about themselves."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger('torch.__trace').propagate = False
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def quiet():
    with calm():
        yield


def same(got, want):
    bound = 1e-4 * max(1., want.abs().max().item())
    torch.testing.assert_close(got, want.contiguous(), rtol=1e-4, atol=bound, check_stride=False)


def through_onnx(folder):
    "A function that runs the ONNX file of a folder."
    runtime = pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    session = runtime.InferenceSession(str(folder/'it.onnx'), providers=['CPUExecutionProvider'])
    name = session.get_inputs()[0].name
    return lambda clip: torch.from_numpy(session.run(None, {name: clip.contiguous().numpy()})[0])


def sides(s, low):
    "H and W, free from `low` pixels in steps of s."
    return {3: s * Dim('H', min=-(-low // s), max=512 // s),
            4: s * Dim('W', min=-(-low // s), max=512 // s)}


def recorded(how, module, clip, free, folder=None):
    "A module as a compiler or a runtime takes it."
    if how == 'export':
        return torch.export.export(module, (clip,), dynamic_shapes=(free,)).module()
    if how == 'trace':
        return torch.jit.trace(module, clip, check_trace=False)
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    more = dict(dynamo=True, dynamic_shapes=(free,), verbose=False)
    if how == 'old onnx':
        more = dict(dynamo=False, input_names=['clip'], dynamic_axes={'clip': list(free)},
                    opset_version=18)
    torch.onnx.export(module, (clip,), str(folder/'it.onnx'), **more)
    return through_onnx(folder)


class FirstFrame(torch.nn.Module):
    "A layer of frames on a clip: of its first frame."
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x[:, :, 0])


MORE = {
    'STHConv softmax': lambda: STHConv(16, 16, attention='softmax'),
    'STHConv sigmoid': lambda: STHConv(16, 16, attention='sigmoid'),
    'STC-Equal': lambda: STCConv(16, 16, equal=True),
    'HgC expand': lambda: HgC(16, 5, slope=4, expand=2),
    'HFModule free': lambda: HFModule(16, conservative=False),
    'CMCB slope 4': lambda: CMCB(16, slope=4),
    'CMCB conv1d': lambda: CMCB(16, temporal='conv1d'),
    'P3D': lambda: P3D(16, 16, 'B'),
    'DenseTemporalConv': lambda: DenseTemporalConv(16, 16, dilation=2),
    'Halve': lambda: FirstFrame(Halve()),
    'CaffePool': lambda: FirstFrame(CaffePool()),
    'FramePool': FramePool,
    'FMCB': lambda: FMCB(8),
}


def operator(name):
    "An operator with random weights, its channels, and its frames for one point in time."
    torch.manual_seed(0)
    if name in OPERATORS:
        entry = OPERATORS[name]
        return sized(entry.make(16, FIXED)), 16 * entry.widen, 1
    if name == 'FMCB':
        return sized(MORE[name]()), 3, 5
    return sized(MORE[name]()), 16, 1


@pytest.mark.parametrize('name', [*OPERATORS, *MORE])
def test_operators_at_any_size(name):
    op, C, per = operator(name)
    s = step() if name in ('Halve', 'CaffePool', 'FMCB') else 1  # what pools pixels by two
    fixed = name.startswith(('TIN', 'TAM'))
    shortest = 4 if name == 'FramePool' else 2
    if name == 'FramePool' and step() > 1:  # such a torch exports even lengths only
        per = 2
    free = {0: Dim('B', min=1, max=64), **sides(s, 33 if name == 'FMCB' else 4)}
    if not fixed:
        free[2] = per * Dim('T', min=shortest, max=64)
    def clip(B, T, H, W):
        return torch.randn(B, C, (FIXED if fixed else T) * per, H, W)
    exported = recorded('export', op, clip(2, 6, 64, 96), free)
    for size in ((2, 6, 64, 96), (1, 7, 64, 64), (3, 5, 64 + 11 * s, 96 + s), (1, 4, 96, 64 + s)):
        x = clip(*size)
        same(exported(x), op(x))


NETS = list_models()
slow = pytest.mark.slow


def sides_of(net):
    "The steps and the smallest size of H and W."
    s, low = SIDES.get(find_model(net.name).card.name, (1, 33))
    return max(s, step()), low


def pace(net):
    "Frames for one more point in time; an old torch exports pairs where pairs are pooled."
    return net.input_spec.per_segment * (2 if net.name.startswith('c2d') and step() > 1 else 1)


def free_of(net):
    "What is free of a network's clips: all, except the length where layers over time contain it."
    spec, name = net.input_spec, net.name
    # one map of time, as one pixel
    shortest = 4 if name.startswith('c2d') else 5 if name.endswith('eco_lite') else 2
    free = {0: Dim('B', min=1, max=64), **sides(*sides_of(net))}
    if not spec.fixed:
        free[2] = pace(net) * Dim('T', min=shortest, max=64)
    return free


def clips_of(net):
    "The clip of the example, and clips of other batch, time, height and width."
    spec, (s, _) = net.input_spec, sides_of(net)
    sizes = (2, 8, 64, 96), (1, 8, 64, 96), (3, 5, 64 + 11 * s, 96 + s), (1, 6, 128, 64)
    def frames(T):
        return (FIXED if spec.fixed else T) * pace(net)
    return [torch.randn(B, spec.channels, frames(T), H, W) for B, T, H, W in sizes]


def check(how, name, folder):
    net = awake(name)
    example, *others = clips_of(net)
    if how == 'trace' and name.startswith('gru_'):  # a trace repeats the steps of its example
        others = [clip for clip in others if clip.shape[2] == example.shape[2]]
    run = recorded(how, net, example, free_of(net), folder)
    for clip in (example, *others):
        same(run(clip), net(clip))


def cases(quick):
    "All networks; those that are not representative of an operator are slow."
    return [pytest.param(name, marks=() if name in quick else slow) for name in NETS]


# one for each place of an operator; at that of STH is STC, too, which test_zoo compiles
PLACES = 'tsn_tiny', 'tsm_tiny', 'hgc_tiny', 'sth_tiny', 'hf_tsn_tiny'


@pytest.mark.parametrize('name', cases(PLACES))
def test_networks_export_at_any_size(name):
    check('export', name, None)


@pytest.mark.parametrize('name', cases(['tsm_tiny']))
def test_networks_in_onnx_at_any_size(name, tmp_path):
    check('onnx', name, tmp_path)


@pytest.mark.parametrize('name', cases(['tsm_tiny', 'hf_tsn_tiny', 'hgc_tiny', 'h2cn_tiny']))
def test_networks_traced_at_any_size(name):
    check('trace', name, None)


@pytest.mark.parametrize('name', cases([*PLACES, 'stc_tiny']))
def test_networks_in_onnx_by_the_older_exporter(name, tmp_path):
    "It folds sizes behind an operator into constants: the batch stays free, except in a GRU."
    net = awake(name)
    spec, frees = net.input_spec, not name.startswith('gru_')
    side = 224 if 'vgg' in name else 64  # it pools to 7×7 from multiples of 7 alone
    clip = torch.randn(2, spec.channels, FIXED * spec.per_segment, side, side)
    run = recorded('old onnx', net, clip, {0: 'B'} if frees else {}, tmp_path)
    same(run(clip), net(clip))
    if frees:
        same(run(clip[:1]), net(clip[:1]))
