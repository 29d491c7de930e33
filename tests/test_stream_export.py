"Streams as ONNX files: the numbers of the stream, without Python."
import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from video_convs import create_model
from video_convs.clips import Clipwise
from video_convs.nets.heads import GRUHead, TRNHead, VerbNounHead
from video_convs.nets.video_net import VideoNet
from video_convs.ops.aggregation import HFModule
from video_convs.ops.cmcb import CMCB
from video_convs.ops.hourglass import HgC
from video_convs.ops.mta import MultipleTemporalAggregation
from video_convs.ops.space_time import R2Plus1D
from video_convs.ops.streams import OperatorStream
from video_convs.ops.temporal import TemporalConv
from video_convs.testing import randomised, stirred
from video_convs.use.stream_export import (StreamStep, export_stream, stream_step, zeros_are_absent)
from video_convs.utils import project_checkpoint

FRAMES = 30
NETWORKS = {'tsn_tiny': {}, 'tsm_tiny': {}, 'r2plus1d_tiny': {}, 'hgc_tiny': {}, 'sth_tiny': {},
            'hf_tsn_tiny': {}, 'stc_tiny': dict(sr=False), 'h2cn_tiny': {}, 'p3d_tiny': {},
            'c3d_tiny': {}, 'gst_tiny': {}}
WHOLE = 'stc_tiny', 'tam_tiny'
HERE = 'hgc_tiny', 'hf_tsn_tiny'  # in every run; the others take minutes
files = pytest.mark.skipif(
    not all(find_spec(name) for name in ('onnx', 'onnxscript', 'onnxruntime')),
    reason='onnx, onnxscript and onnxruntime are not installed: the extra is video_convs[export]')


def network(name, num_classes=3, **kw):
    "A network in which no weight is zero or one."
    torch.manual_seed(0)
    net = stirred(create_model(name, num_classes=num_classes,
                               input_spec=dict(frames=5, size=16), **kw))
    with torch.no_grad():
        for weight in net.parameters():
            weight += torch.randn_like(weight) / 10
    return net


def frames_of(net, frames=FRAMES):
    F, spec = net.input_spec.per_segment, net.input_spec
    draw = torch.Generator().manual_seed(1)
    return torch.randn(frames, F, spec.channels, spec.size, spec.size, generator=draw)


def wanted_of(stream, frames):
    "The scores of a stream after each frame, a list that is empty or has one."
    return [stream.step(x if len(x) == 1 else x.transpose(0, 1)[None]) for x in frames]


@pytest.mark.parametrize('name', NETWORKS)
def test_a_step_is_a_step_of_the_stream(name):
    net = network(name, **NETWORKS[name]).double()
    step, frames = stream_step(net), frames_of(net).double()
    state = step.start()
    shapes = [x.shape for x in state]
    for t, (frame, wanted) in enumerate(zip(frames, wanted_of(net.stream(), frames))):
        with torch.no_grad():
            scores, *state = step(frame, *state)
        assert bool(wanted) == (t >= step.first) and [x.shape for x in state] == shapes
        assert (scores - (wanted[0] if wanted else 0.)).abs().max() < 1e-10
    assert step.first == step.delay == net.stream().delay


def test_nothing_that_is_kept_is_kept_twice():
    "A state for each operator's input, which the shortcut shares, and for each kind of window."
    step = stream_step(network('hgc_tiny'))
    assert len(step.kept) == 16  # 6 operators: windows and frames; 3 shortcuts; the scores
    assert {shape[0] for key, shape in step.kept.items() if key[0] != 'scores'} <= {1, 2}
    assert len(stream_step(network('tsm_tiny')).kept) == 10


@pytest.mark.parametrize('op, absent', [
    (TemporalConv(4), True), (HgC(4, 5, slope=4), True), (R2Plus1D(4, 4), True),
    (MultipleTemporalAggregation(4), False), (HFModule(4), False), (CMCB(16), False)])
def test_when_zeros_are_absent(op, absent):
    channels = 16 if isinstance(op, CMCB) else 4
    assert zeros_are_absent(OperatorStream(randomised(op)), (channels, 5, 3)) == absent


def test_zeros_that_are_not_absent():
    "Three frames ahead twice, and a head that needs three features."
    ops = [randomised(MultipleTemporalAggregation(4), seed) for seed in range(2)]
    trunk = nn.Sequential(*map(Clipwise, ops), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    frames = torch.randn(12, 1, 4, 5, 3, dtype=torch.float64)
    step = StreamStep(trunk, TRNHead(4, 2, frames=3).double().eval(), 3, frames[0])
    assert (step.delay, step.first) == (6, 8)
    state, found = step.start(), []
    with torch.no_grad():
        for x in frames:
            scores, *state = step(x, *state)
            found.append(scores)
        maps = ops[1](ops[0](frames.movedim(0, 2)))  # (1, 4, 12, 5, 3)
        features = maps.mean((3, 4)).movedim(1, 2)
        for t in range(8, 12):
            wanted = step.head(features[:, t - 8:t - 5]).mean(1)
            assert (found[t] - wanted).abs().max() < 1e-10 * wanted.abs().max()
    assert not any(scores.any() for scores in found[:8])


def test_several_tasks():
    net = network('hgc_tiny', num_classes=2)
    net.reset_classifier(dict(verb=3, action=4))
    assert isinstance(net.head, VerbNounHead)
    step, frames = stream_step(net.double()), frames_of(net, 9).double()
    state = step.start()
    for frame, wanted in zip(frames, wanted_of(net.stream(), frames)):
        with torch.no_grad():
            verb, action, *state = step(frame, *state)
    assert (verb - wanted[0]['verb']).abs().max() < 1e-10
    assert (action - wanted[0]['action']).abs().max() < 1e-10


def test_the_count_does_not_grow():
    net = network('hgc_tiny')
    step = stream_step(net)
    state = [torch.full((1,), 1e4), *step.start()[1:]]
    assert step(step.example, *state)[1].item() == step.first + step.window


@pytest.mark.parametrize('name, words', [(name, 'all at once; export the network for clips')
                                         for name in WHOLE])
def test_means_over_the_clip_are_refused(name, words):
    with pytest.raises(ValueError, match=words):
        stream_step(network(name))


def test_other_refusals(tmp_path, monkeypatch):
    net = network('hgc_tiny')
    with pytest.raises(ValueError, match='choose among conv1, bn1'):
        stream_step(net, watch=['layer9'])
    with pytest.raises(ValueError, match=r"'net.pt': a stream is written as \*.onnx"):
        export_stream(net, tmp_path/'net.pt')
    with pytest.raises(ValueError, match='choose a number of frames'):
        export_stream(net, tmp_path/'net.onnx', window=0)
    with pytest.raises(ValueError, match='GRUHead reads more features'):
        gru = network('tsn_tiny')
        gru.head = GRUHead(gru.features, 3).eval()
        stream_step(gru)
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(ValueError, match='pip install onnx onnxscript'):
        export_stream(net, tmp_path/'net.onnx')
    assert not list(tmp_path.iterdir())


@files
@pytest.mark.parametrize('name', [n if n in HERE else pytest.param(n, marks=pytest.mark.slow)
                                  for n in NETWORKS])
def test_a_file_gives_the_numbers_of_the_stream(name, tmp_path):
    import onnxruntime
    net = network(name, **NETWORKS[name])
    file = export_stream(net, tmp_path/'net.onnx', watch=['conv1'])
    page = json.loads((tmp_path/'net.json').read_text('utf-8'))
    assert page['sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
    run = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    given = [x.name for x in run.get_inputs()]
    assert given == ['frame', *(s['name'] for s in page['states'])]
    assert [x.name for x in run.get_outputs()] == ['scores', 'map_0',
                                                   *(s['next'] for s in page['states'])]
    assert [list(x.shape) for x in run.get_inputs()[1:]] == [s['shape'] for s in page['states']]
    state = {s['name']: np.zeros(s['shape'], np.float32) for s in page['states']}
    frames = frames_of(net)
    for t, (frame, wanted) in enumerate(zip(frames, wanted_of(net.stream(), frames))):
        scores, seen, *after = run.run(None, {'frame': frame.numpy(), **state})
        state = dict(zip(state, after))
        assert list(seen.shape) == page['maps'][0]['shape']
        assert bool(wanted) == (t >= page['first'])
        assert np.abs(scores - (wanted[0].numpy() if wanted else 0)).max() < 1e-4


@files
def test_the_ten_lines_need_numpy_and_onnxruntime_only(tmp_path):
    "In a process that has nothing else."
    net = VideoNet.from_pretrained(project_checkpoint('tsn_tiny.motion-drift_8f'))
    data = export_stream(net, tmp_path/'mine.onnx').read_bytes()
    assert len(data) < 1_700_000 and b'.py' not in data, 'nothing of this machine is in the file'
    net.eval()
    page = json.loads((tmp_path/'mine.json').read_text('utf-8'))
    assert page['scores'][0]['classes'] == ['right', 'down', 'left', 'up']
    assert page['input_spec']['size'] == 48 and page['network'] == 'tsn_tiny'
    assert len(page['run']) == 10
    frames = frames_of(net, 3)
    np.save(tmp_path/'frames.npy', frames.numpy())
    more = ('import sys', "sys.modules['torch'] = None", *page['run'],
            "for frame in np.load('frames.npy'): scores = step(frame)", 'print(scores.tolist())')
    done = subprocess.run([sys.executable, '-c', '\n'.join(more)], cwd=tmp_path, text=True,
                          capture_output=True, check=True)
    wanted = wanted_of(net.stream(), frames)[-1][0][0]
    assert json.loads(done.stdout) == pytest.approx(wanted.tolist(), abs=1e-4)
