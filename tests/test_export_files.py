"A network as a file for another program: the same answers, and nothing if they differ."
import contextlib
import hashlib
import io
import json
import shutil

import numpy as np
import pytest
import torch

from test_zoo import awake
from video_convs.clips import clip_length, fold
from video_convs.cli import main
from video_convs.data.transforms import normalise
from video_convs.data.video import write_video
from video_convs.nets.registry import list_models
from video_convs.ops.hourglass import HgC
from video_convs.ops.shift import TemporalShift
from video_convs.ops.shifted_conv import ShiftedConv
from video_convs.ops.temporal import TemporalConv
from video_convs.testing import randomised
from video_convs.use import export as home
from video_convs.use.export import difference, export
from video_convs.use.export_formats import ENDINGS, Recorded, free_axes, halve, open_file
from video_convs.use.export_forms import FORMS, Form
from video_convs.use.int8 import int8_instructions, measure, quantise, read_clips

FORMED = {
    'HgC': lambda: HgC(8), 'HgC of five frames': lambda: HgC(8, 5, slope=4),
    'HgC avg': lambda: HgC(8, 5, aggregate='avg'), 'HgC of seven frames': lambda: HgC(8, 7),
    'HgC without windows': lambda: HgC(8, slope=0), 'HgC of one frame': lambda: HgC(8, 1),
    'TemporalConv': lambda: TemporalConv(8), 'TemporalConv dilated': lambda: TemporalConv(8, 5, 2),
    'TemporalShift': lambda: TemporalShift(9, 4),
    'ShiftedConv': lambda: ShiftedConv(16, 12, stride=2, bias=True),
}
WITHOUT = {'HgC expand': lambda: HgC(8, expand=2),
           'HgC of inner frames': lambda: HgC(8, padding='valid')}


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    pass


@pytest.mark.parametrize('name', [*FORMED, *WITHOUT])
def test_a_form_is_the_operator(name):
    torch.manual_seed(0)
    op = randomised((FORMED | WITHOUT)[name]()).double()
    C = getattr(op, 'channels', None) or op.in_channels
    shortest = 3 if 'inner' in name else 1
    for B, T in ((2, 4), (1, max(2, shortest)), (1, shortest)):
        x = torch.randn(B, C, T, 9, 8, dtype=torch.float64)
        with torch.no_grad(), clip_length(T):
            torch.testing.assert_close(Form(op)(fold(x)), fold(op(x)), rtol=1e-10, atol=1e-10)
            assert (FORMS[type(op)](op, fold(x), T) is None) == (name in WITHOUT)


def test_every_form_of_the_table_is_proven():
    assert {type(make()) for make in FORMED.values()} == {*FORMS}


def network(name='hgc_tiny', num_classes=5, **options):
    net, names = awake(name, input_spec=dict(size=48), **options), None
    if num_classes == 5:
        names = [f'class {k}' for k in range(5)]
    net.swap_head(num_classes, names)
    for layer in net.head.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=2.)
    return net.eval()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('files')


@pytest.fixture(scope='module')
def net():
    return network()


@pytest.fixture(scope='module')
def written(net, folder):
    "The same network in every format."
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    return {format: export(net, folder/f'net_{format}{end}', format)
            for format, end in ENDINGS.items()}


@pytest.mark.parametrize('format', ENDINGS)
def test_a_file_gives_the_scores_of_the_network(format, net, written):
    found = written[format]
    assert found.difference < 1e-5 and found.free == ('batch', 'frames', 'height', 'width')
    assert 1 < found.megabytes < 4 and 'largest difference' in str(found)
    clip = torch.randn(3, 3, 7, 51, 64)
    with torch.no_grad():
        torch.testing.assert_close(open_file(found.path, format)(clip)[0], net(clip),
                                   rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('format', ENDINGS)
def test_the_lines_of_the_page_run(format, net, written, monkeypatch):
    monkeypatch.chdir(written[format].path.parent)
    page = json.loads(written[format].page.read_text())
    assert len(page['python']) == 10 and page['file'] == written[format].path.name
    for seed in range(3 if format == 'onnx' else 1):  # others load slowly
        frames = np.random.default_rng(seed).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
        np.save('frames.npy', frames)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec('\n'.join(page['python']), {})
        clip = normalise(torch.from_numpy(frames).permute(3, 0, 1, 2), net.input_spec)
        with torch.no_grad():
            best = net(clip[None]).argmax().item()
        assert said.getvalue() == f'class {best}\n'


def test_the_page_says_what_is_free(written):
    page = json.loads(written['onnx'].page.read_text())
    assert page['input']['shape'] == [None, 3, None, None, None]
    assert page['input']['usual_shape'] == [1, 3, 4, 48, 48]
    assert page['input']['free']['frames'] == {'low': 2, 'step': 1}
    assert page['outputs'] == [{'name': 'scores', 'shape': [None, 5]}]
    assert {'torch', 'onnx', 'onnxruntime', 'video_convs', 'python'} <= {*page['versions']}
    assert page['sha256'] == hashlib.sha256(written['onnx'].path.read_bytes()).hexdigest()


def test_several_tasks_are_several_outputs(tmp_path):
    net = network('tsm_tiny', dict(verb=3, noun=4, action=6))
    found = export(net, tmp_path/'n.pt', 'torchscript')
    page = json.loads(found.page.read_text())
    assert [o['name'] for o in page['outputs']] == ['verb', 'noun', 'action']
    assert [len(page['classes'][task]) for task in ('verb', 'noun')] == [3, 4]
    assert found.difference < 1e-5


@pytest.mark.parametrize('name, fixed', [('tam_tiny', 'frames'), ('h2cn_tiny', '')])
def test_what_is_fixed_is_said(name, fixed, tmp_path):
    found = export(network(name), tmp_path/'n.pt', 'torchscript')
    assert ('frames' in found.free) == (not fixed)
    assert ('; fixed: frames' in str(found)) == bool(fixed)


def test_features_without_classes(tmp_path):
    found = export(network('tsn_tiny', 0), tmp_path/'n.pt', 'torchscript')
    page = json.loads(found.page.read_text())
    assert page['classes'] is None and page['outputs'][0]['name'] == 'features'


def test_a_file_with_other_scores_is_not_kept(net, tmp_path, monkeypatch):
    def other(network, path):
        torch.nn.init.normal_(network.model.head.fc.weight)
        return write(network, path)
    write = home.WRITERS['torchscript']
    monkeypatch.setitem(home.WRITERS, 'torchscript', other)
    with pytest.raises(ValueError, match='gives other scores than the network, by .* not kept'):
        export(net, tmp_path/'n.pt', 'torchscript')
    assert not [*tmp_path.iterdir()]


def test_half_of_the_weights(net, written, tmp_path):
    small = tmp_path/'half.onnx'
    shutil.copy(written['onnx'].path, small)
    halve(small)
    assert small.stat().st_size < .62 * written['onnx'].path.stat().st_size
    with torch.no_grad():
        far = difference(open_file(small), Recorded(net), free_axes(net))
    assert 1e-6 < far < home.TOLERANCE['float16']


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    "Six videos in folders of two classes, and one elsewhere."
    root, rng = tmp_path_factory.mktemp('videos'), np.random.default_rng(0)
    for k in range(7):
        place = root/('other' if k == 6 else f'class {k % 2}')
        place.mkdir(exist_ok=True)
        write_video(place/f'{k}.mp4', rng.integers(0, 256, (8, 48, 48, 3), dtype=np.uint8), fps=4)
    return root


def test_eight_bits(net, written, videos, tmp_path):
    measured, held_out = read_clips(net, videos)
    assert (len(measured.clips), len(held_out.clips)) == (4, 3)
    assert held_out.labels == [0, 1, 1] and measured.labels == [0, 0, 1, None]
    small = tmp_path/'small.onnx'
    quantise(written['onnx'].path, small, measured.clips)
    assert small.stat().st_size < .45 * written['onnx'].path.stat().st_size
    whole = open_file(written['onnx'].path, threads=1)
    found = measure(whole, open_file(small, threads=1), 4, held_out, rounds=1)
    assert found.labelled == found.held_out == 3 and 0 <= found.agreement <= 1
    same = measure(whole, whole, 4, held_out, rounds=1)
    assert same.agreement == 1 and same.accuracy[0] == same.accuracy[1]
    assert 'in 100.0% of 3 clips held out (4 for calibration)' in str(same)
    assert isinstance(int8_instructions(), list)


def test_calibration_needs_videos(net, tmp_path):
    with pytest.raises(ValueError, match='holds 0 videos: calibration needs at least two'):
        read_clips(net, tmp_path)
    with pytest.raises(ValueError, match='there is no folder'):
        read_clips(net, tmp_path/'none')


@pytest.fixture(scope='module')
def checkpoint(net, tmp_path_factory):
    return net.save_pretrained(tmp_path_factory.mktemp('checkpoint')/'c')


WRONG = [
    (['--stream', '--half'], '--stream writes an onnx file of float32: leave'),
    (['--stream', '--format', 'pt2'], '--stream writes an onnx file of float32: leave'),
    (['--format', 'coreml'], "there is no format 'coreml': choose onnx, pt2, torchscript"),
    (['--int8'], '--int8 needs videos to measure the ranges'),
    (['--half', '--int8'], 'two ways to make a file small: choose one'),
    (['--half', '--format', 'pt2'], 'half is for onnx files, not for pt2'),
    (['--out', 'dir.onnx'], 'dir.onnx is a folder: name a file in it'),
    (['--out', 'file/n.onnx'], 'cannot be written'),
    (['--out', 'n.pt'], "names a file of the format onnx (.onnx), got 'n.pt'"),
    (['--int8', '--calibrate', 'nowhere'], 'there is no folder nowhere'),
    (['--calibrate', ' '], 'calibrate is empty'),
]


@pytest.mark.parametrize('typed, says', WRONG)
def test_wrong_words(typed, says, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'dir.onnx').mkdir()
    (tmp_path/'file').touch()
    assert main(['export', str(checkpoint), *typed]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1
    assert {path.name for path in tmp_path.iterdir()} == {'dir.onnx', 'file'}


def test_no_checkpoint(tmp_path, capsys):
    assert main(['export', str(tmp_path), '--format', 'pt2']) == 2
    assert 'is not a checkpoint: it has no config.json' in capsys.readouterr().err


def test_without_the_extra(checkpoint, monkeypatch, capsys):
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    assert main(['export', str(checkpoint)]) == 2
    assert ("the format onnx needs onnxruntime: pip install onnx onnxscript onnxruntime"
            in capsys.readouterr().err)


def test_the_command(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['export', str(checkpoint), '--format', 'torchscript']) == 0
    assert capsys.readouterr().out.startswith('hgc_tiny.pt: ')
    assert {path.name for path in tmp_path.iterdir()} == {'hgc_tiny.pt', 'hgc_tiny.json'}


def test_the_command_for_a_stream(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['export', str(checkpoint), '--stream']) == 0
    assert capsys.readouterr().out == ('Written to hgc_tiny_stream.onnx and hgc_tiny_stream.json\n')
    assert {path.name for path in tmp_path.iterdir()} == {'hgc_tiny_stream.onnx',
                                                          'hgc_tiny_stream.json'}


def test_what_cannot_be_recorded_is_one_sentence(net, tmp_path, monkeypatch):
    def refuse(*args, **more):
        raise RuntimeError('no\nstack')
    monkeypatch.setattr(torch.export, 'export', refuse)
    with pytest.raises(ValueError, match=r'cannot be recorded by torch.export \(no\): try'):
        export(net, tmp_path/'n.pt2', 'pt2')
    monkeypatch.setattr(torch.jit, 'trace', refuse)
    with pytest.raises(ValueError, match=r'cannot be traced \(no\).* use --format pt2 or onnx'):
        export(net, tmp_path/'n.pt', 'torchscript')
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize('format', ENDINGS)
@pytest.mark.parametrize('name', list_models())
def test_every_network_in_every_format(name, format, tmp_path):
    size = 64 if name.endswith('vgg16') else 48
    net = awake(name, input_spec=dict(size=size))
    found = export(net, tmp_path/f'n{ENDINGS[format]}', format)
    assert found.difference < home.TOLERANCE['float32']


def test_a_file_that_does_not_run_is_not_kept(net, tmp_path, monkeypatch):
    monkeypatch.setattr(home, 'open_file', lambda path, format: lambda clip: 1 / 0)
    with pytest.raises(ValueError, match=r'does not run \(division by zero\): it is not kept'):
        export(net, tmp_path/'n.pt', 'torchscript')
    assert not [*tmp_path.iterdir()]


def test_the_length_of_a_recurrent_head_is_fixed_in_a_trace(tmp_path):
    net = network('gru_bninception')
    assert 2 in free_axes(net)
    assert 'frames' not in export(net, tmp_path/'n.pt', 'torchscript').free
