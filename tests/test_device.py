"""The same numbers on a GPU as on a CPU: operators, networks, half precision, training, one process
group, CUDA graphs.

Without a GPU the same lines compare float32 with float64 on the CPU, and what only a GPU can do is
skipped."""
import copy
import shutil
import socket
from dataclasses import dataclass, replace

import children
import pytest
import torch
import torch.distributed as dist

from proofs import sized
from video_convs.cli import main
from video_convs.clips import Clipwise, fold
from video_convs.data.clip_dataset import Clips
from video_convs.data.dataset import VideoDataset
from video_convs.data.motion import TASKS, MotionConfig, render, render_batch, sample_params
from video_convs.data.transforms import Augment, normalise
from video_convs.data.video_info import VideoInfo
from video_convs.nets.bench import bench_networks
from video_convs.nets.places import bench_operators
from video_convs.nets.video_net import load
from video_convs.nets.complexity import complexity
from video_convs.nets.registry import list_models
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.ops.bench import LAYOUTS, OPERATORS, as_graph
from video_convs.ops.fmcb import FMCB
from video_convs.testing import stirred
from video_convs.train import loop
from video_convs.train.loop import train
from video_convs.train.run_folder import read_log
from video_convs.train.recipes import Recipe
from video_convs.train.distributed import processes
from video_convs.train.scale_out import shared_test

cuda = torch.cuda.is_available()
device = torch.device('cuda' if cuda else 'cpu')
needs_gpu = pytest.mark.skipif(not cuda, reason='needs a CUDA device')
HALVES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}


@pytest.fixture(scope='module', autouse=True)
def full_precision():
    "No TF32: it would hide a mistake of a thousandth."
    before = (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(),
              torch.get_num_threads())
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision('highest')
    if not cuda:
        torch.set_num_threads(1)
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])
    torch.set_num_threads(before[2])


# operators and networks: an answer is the output and the gradients of the clip and of all weights

def operator(name):
    "An operator with random weights, and a clip; the second in channels-last."
    torch.manual_seed(0)
    if name == 'FMCB':
        op, x = FMCB(8), torch.randn(2, 3, 10, 32, 32)
    else:
        op, x = OPERATORS[name].make(16, 4), torch.randn(2, 16 * OPERATORS[name].widen, 4, 9, 10)
    return sized(op), x.contiguous(memory_format=torch.channels_last_3d)


def network(name, size=32):
    "A network as after training, without dropout, and a clip. Fresh operators may be the identity."
    torch.manual_seed(0)
    model = stirred(create_model(name, num_classes=5, frames=4, dropout=0.))
    for place in (m for m in model.modules() if isinstance(m, Clipwise)):
        for p in place.op.parameters():
            p.data += .1 * torch.randn(p.shape) / p[0].numel()**.5
    return model, torch.randn(2, 3, 4 * model.input_spec.per_segment, size, size)


def answer(module, x, where, dtype, half=None):
    "What a module answers on a device, as float64 on the CPU."
    module, x = copy.deepcopy(module).to(where, dtype), x.to(where, dtype).requires_grad_()
    with torch.autocast(where.type, half, enabled=half is not None):
        y = module(x)
    cotangent = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)
    gradients = torch.autograd.grad(y, (x, *module.parameters()), cotangent.to(y))
    return [t.detach().double().cpu() for t in (y, *gradients)]


def errors(got, want):
    "Of the output, and the largest of the gradients, as shares; tiny gradients count with others."
    assert [g.shape for g in got] == [w.shape for w in want]
    assert all(g.isfinite().all() for g in got)
    largest = max(w.norm().item() for w in want[1:])
    share = [((g - w).norm() / max(w.norm().item(), .01 * largest)).item()
             for g, w in zip(got, want)]
    return ((got[0] - want[0]).norm() / want[0].norm()).item(), max(share[1:])


def check(module, x, output, gradient, half=None):
    "Compare float32, or half precision, on the device with float64 on the CPU."
    want = answer(module, x, torch.device('cpu'), torch.float64)
    far = errors(answer(module, x, device, torch.float32, half), want)
    assert far[0] < output and far[1] < gradient, f'output {far[0]:.1e}, gradients {far[1]:.1e}'


@pytest.mark.parametrize('mode', ['eval', 'train'])
@pytest.mark.parametrize('name', [*OPERATORS, 'FMCB'])
def test_operator(name, mode):
    op, x = operator(name)
    check(op.train(mode == 'train'), x, 1e-4, 5e-3)


def test_a_wrong_operator_is_noticed():
    "One tap of one channel is off by a hundredth."
    op, x = operator('HgC')
    wrong = copy.deepcopy(op)
    with torch.no_grad():
        wrong.taps[0, 0, 0] += .01
    want = answer(op, x, torch.device('cpu'), torch.float64)
    assert errors(answer(wrong, x, device, torch.float32), want)[0] > 1e-4


SMALL = list_models('*_tiny')
GATED = ['hgc_tiny', 'h2cn_tiny', 'sth_tiny', 'hf_tsn_tiny', 'stc_tiny', 'tam_tiny']
LARGE = ['tin_resnet50', 'tea_res2net50', 'c2d_resnet50', 'trn_bninception', 'gru_bninception',
         'hf_tsn_bninception', 'eco_lite', 'hf_eco_lite',
         'hgc_mobilenet_v2']  # what `tiny` does not have
REST = [name for name in list_models() if name not in SMALL + LARGE]
minutes = [] if cuda else pytest.mark.slow


@pytest.mark.parametrize('name', [*SMALL, *(pytest.param(name, marks=minutes) for name in LARGE)])
def test_network(name):
    if name in SMALL:
        check(*network(name), 1e-4, 5e-2)
    else:
        check(*network(name, 64), 2e-4, .2)


def test_cost_is_counted_without_the_device():
    "No memory is taken, and a network costs the same wherever it is."
    model, clip = network('h2cn_tiny')
    want = complexity(model, clip.shape)
    model.to(device)
    before = torch.cuda.memory_allocated() if cuda else 0
    got = complexity(model, clip.shape)
    assert (got.macs, got.params, got.bytes) == (want.macs, want.params, want.bytes)
    assert not cuda or torch.cuda.memory_allocated() == before


@pytest.mark.parametrize('half', [None, torch.bfloat16])
def test_recomputed(half):
    "On a GPU the backward pass runs in a thread of its own, which must hear how long a clip is."
    model, x = network('hgc_tiny')
    want = answer(model, x, device, torch.float32, half)
    got = answer(model.set_grad_checkpointing(), x, device, torch.float32, half)
    assert max(errors(got, want)) < (1e-3 if half is None else .2)


# training, in one process and in a group of one

@dataclass(frozen=True)
class Renderer:
    "Reads videos that are drawn when they are asked for."
    config: MotionConfig
    channels = 3

    def probe(self, path, span=None):
        return VideoInfo(path, self.config.frames, None, 12., self.config.size, self.config.size, 0,
                         'drawn', 'rgb24')

    def read(self, path, pick, size=None, span=None):
        clip, _ = render_batch('reversal', [int(path)], config=self.config)
        return clip[0][:, pick(clip.shape[2]) if callable(pick) else pick]


SPEC = InputSpec(frames=4, size=32)
RECIPE = Recipe(epochs=2, batch_size=8, lr=1e-3, dropout=0., augment=Augment.none(),
                ema=.5, accumulate=2)


def videos(n=20):
    classes = TASKS['reversal'].classes
    numbers = range(n)
    return VideoDataset('drawn', classes, tuple(map(str, numbers)),
                        tuple(i % len(classes) for i in numbers),
                        reader=Renderer(MotionConfig(size=32, frames=12)))


def learn(out, recipe=RECIPE, where=None, test=None, name='hgc_tiny', **kw):
    data = videos()
    torch.manual_seed(0)
    model = create_model(name, num_classes=len(data.classes), classes=list(data.classes),
                         input_spec=SPEC, dropout=0.)
    clips = Clips(data, SPEC, train=True, augment=recipe.augment)
    return train(model, clips, recipe, out, test or shared_test(data, SPEC), 2 * cuda,
                 device=where or device.type, progress=False, log_every=1, **kw)


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    "Float32 on the CPU."
    out = tmp_path_factory.mktemp('run')
    return learn(out/'run', where='cpu', recipe=replace(RECIPE, precision='float32'))


class Stop(KeyboardInterrupt):
    pass


@pytest.mark.parametrize('precision', ['float32', *HALVES])
def test_training(undisturbed, precision, tmp_path):
    "The same losses as on the CPU, over a break in the middle; the scaler of float16 is restored."
    recipe, seen = replace(RECIPE, precision=precision), []
    def stop(model):
        seen.append(next(model.parameters()).device.type)
        if len(seen) == 2:
            raise Stop
        return {'top1': 0.}
    with pytest.raises(Stop):
        learn(tmp_path, recipe, test=stop)
    packed = torch.load(tmp_path/'resume.pt', weights_only=True)
    assert packed['epoch'] == 1 and (packed['random'][0]['cuda'] is not None) == cuda
    assert (packed['scaler'].get('scale', 0) > 1) == (precision == 'float16')
    log = learn(tmp_path, recipe)
    assert seen == [device.type] * 2 and len(log) == 2
    tolerance = 5e-3 if precision == 'float32' else 3e-2
    for line, want in zip(log, undisturbed):
        assert line['loss'] == pytest.approx(want['loss'], rel=tolerance)
    assert log[-1]['memory_gb'] > 0 and log[-1]['clips_per_s'] > 0
    assert all(p.isfinite().all() for p in load(tmp_path).parameters())


def in_a_group(out, backend):
    "Train as torchrun starts it; leave behind how many forward passes were distributed."
    made, real = [], loop.DistributedDataParallel
    def counted(*args):
        return made.append(args) or real(*args)
    loop.DistributedDataParallel = counted
    with processes():
        assert backend in str(dist.get_backend_config()), dist.get_backend_config()
        learn(out, replace(RECIPE, precision='float32'))
    assert len(made) == 1 and not dist.is_initialized()


def test_a_group_of_one(undisturbed, tmp_path):
    "Gradients through DistributedDataParallel, numbers through the group: NCCL on GPUs, else gloo."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    here = dict(WORLD_SIZE='1', RANK='0', LOCAL_RANK='0', MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port), TORCHELASTIC_RUN_ID='test')
    if cuda:
        here |= dict(NCCL_SOCKET_IFNAME='lo', GLOO_SOCKET_IFNAME='lo', NVIDIA_TF32_OVERRIDE='0')
    child = children.start(in_a_group, tmp_path/'run', 'nccl' if cuda else 'gloo',
                           said=tmp_path/'said', environment=here)
    child.join(60 if cuda else 240)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0, (tmp_path/'said').read_text()[-3000:]
    for line, want in zip(read_log(tmp_path/'run'), undisturbed):
        assert line['loss'] == pytest.approx(want['loss'], rel=5e-3)


# half precision

def not_in_the_library(name, half):
    "On CPUs the bfloat16 gradient of small grouped taps, two and dilated, is unwritten memory."
    if not cuda and half == 'bfloat16' and name in ('STHConv 1/4', 'sth_tiny'):
        pytest.skip("oneDNN's gradient is wrong")


@pytest.mark.parametrize('half', HALVES)
@pytest.mark.parametrize('name', [*OPERATORS, 'FMCB'])
def test_operator_in_half_precision(name, half):
    not_in_the_library(name, half)
    op, x = operator(name)
    check(op, x, .03 if half == 'bfloat16' else .005,
          .3 if half == 'bfloat16' else .1, HALVES[half])


@pytest.mark.parametrize('half', HALVES)
@pytest.mark.parametrize('name', SMALL)
def test_network_in_half_precision(name, half):
    not_in_the_library(name, half)
    check(*network(name), .06 if half == 'bfloat16' else .01, .8, HALVES[half])


# the rest of the way from numbers to clips

@pytest.mark.parametrize('task', TASKS)
def test_rendered(task):
    "Videos drawn together on the device are those drawn alone on the CPU, up to one level."
    config = MotionConfig(size=32, frames=8)
    scenes = [sample_params(task, 'train', i, config) for i in range(9)]
    (clips, flow) = render(scenes, device, flow=True)
    apart = [render([scene], flow=True) for scene in scenes]
    assert clips.device.type == flow.device.type == device.type
    want = torch.cat([clip for clip, _ in apart]).int()
    off = (clips.cpu().int() - want).abs()
    assert off.max() <= 1 and (off > 0).float().mean() < .01
    moved = torch.cat([f for _, f in apart])
    assert ((flow.cpu() - moved).abs() > 1e-3).float().mean() < .01  # of a box's edge
    for spec in (SPEC, replace(SPEC, channel_order='bgr', value_range=255.,
                               mean=(104., 117., 128.), std=(1.,))):
        torch.testing.assert_close(normalise(clips, spec).cpu(), normalise(clips.cpu(), spec))


@pytest.mark.parametrize('name', [*OPERATORS, 'FMCB'])
def test_layout_and_type_come_out(name):
    "Channels-last, or the next convolution copies; mixed precision keeps half, or memory doubles."
    op, x = operator(name)
    op = op.to(device)
    for half in (None, torch.bfloat16):
        with torch.no_grad(), torch.autocast(device.type, half, enabled=half is not None):
            y = op(x.to(device, half))
        assert y.dtype == (half or torch.float32)
        assert (y.is_contiguous(memory_format=torch.channels_last_3d)
                and fold(y).data_ptr() == y.data_ptr()), half


def passes(module, x):
    "A pass forwards and one forwards and backwards, as functions without arguments."
    module, x = module.to(device), x.to(device)
    weights = tuple(module.parameters())
    def inference():
        with torch.no_grad():
            return [module(x)]
    def training():
        y = module(x)
        return [y.detach(), *torch.autograd.grad(y.square().mean(), weights)] if weights else [y]
    return x, inference, training


cases = [pytest.param(make, name, id=name)
         for make, names in ((operator, [*OPERATORS, 'FMCB']), (network, SMALL)) for name in names]


@needs_gpu
@pytest.mark.parametrize('make, name', cases)
def test_nothing_waits_for_the_gpu(make, name):
    _, *calls = passes(*make(name))
    for call in calls:
        call()
    torch.cuda.set_sync_debug_mode('error')
    try:
        for call in calls:
            call()
    finally:
        torch.cuda.set_sync_debug_mode('default')


@needs_gpu
@pytest.mark.parametrize('make, name',
                         [case for case in cases if case.id not in SMALL or case.id in GATED])
def test_cuda_graph(make, name):
    "Replayed on other numbers."
    x, *calls = passes(*make(name))
    for call in calls:
        graph = as_graph(call)
        with torch.no_grad():
            x.copy_(x.flip(0) + .5)
        got = [t.clone() for t in graph()]
        for a, b in zip(got, call()):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * b.abs().max().item())


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('form', ['eager', pytest.param('graph', marks=needs_gpu)])
def test_benchmarks(form, layout):
    "Times are positive, half precision is passed on, and a GPU says what memory it took."
    kind = dict(device=device.type, dtype=torch.bfloat16, memory_format=layout, form=form, rounds=1,
                progress=False)
    found = bench_operators('CMCB', shrink=14, **kind)
    for row in found['rows']:
        assert min(min(row['ms'][which]) for which in ('layer', 'operator')) > 0
        assert not cuda or row['memory'] > 0
    # at one place, the most frequent one
    authors = [row['path'] for row in found['rows'] if 'authors' in row['ms']]
    assert len(set(authors)) == (form == 'eager')
    nets = bench_networks('hgc', 'tiny', frames=2, size=32, memory=cuda, **kind)
    for row in nets['rows']:
        assert row['inference'] > 0 and row['training'] > 0
        assert not cuda or row['memory']['training'] > row['memory']['inference'] > 0
    for result in (found, nets):
        assert ((result['dtype'], result['memory_format'], result['form'])
                == ('bfloat16', layout, form))


@pytest.mark.parametrize('wrong, says', [
    (['--form', 'graph'], "a CUDA graph needs device='cuda'"),
    (['--form', 'fast'], 'invalid choice'),
    *([] if cuda else [(['--device', 'cuda'], 'there is no CUDA device here')])])
@pytest.mark.parametrize('what', ['ops', 'nets'])
def test_a_benchmark_that_cannot_be(what, wrong, says, capsys):
    try:
        code = main(['bench', what, *wrong])
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err
    assert code == 2 and says in said and len(said.splitlines()) == 1


@needs_gpu
@pytest.mark.skipif(not (shutil.which('cc') or shutil.which('gcc')),
                    reason='inductor needs a C compiler')
@pytest.mark.parametrize('make, name',
                         [(operator, 'HgC'), (operator, 'CMCB'), (network, 'hgc_tiny')])
def test_compiled(make, name):
    module, x = make(name)
    torch.compiler.reset()
    _, *eager = passes(module, x)
    _, *compiled = passes(torch.compile(module.to(device)), x)
    for a, b in zip(compiled, eager):
        for got, want in zip(a(), b()):
            torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3 * want.abs().max().item())


@pytest.mark.parametrize('name', [pytest.param(name, marks=minutes) for name in REST])
def test_every_other_network(name):
    check(*network(name, 64), 2e-4, .2)
