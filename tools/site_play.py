"""What the page `play` of the site loads: networks as streams in ONNX files, and onnxruntime-web.

The networks are written by `video_convs.use.stream_export`; the program that runs them in a browser
comes from npm in the version below. Where one of the two is absent the page says so."""
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from video_convs.clips import Clipwise
from video_convs.data.motion_files import DIRECTIONS
from video_convs.nets.heads import FrameHead
from video_convs.nets.single_operator import SingleOperatorNet, around
from video_convs.nets.video_net import VideoNet
from video_convs.use.stream_export import StreamStep, export_stream, write_step
from video_convs.utils import project_checkpoint, project_file

RUNTIME = 'onnxruntime-web@1.30.0'
SHA256 = 'd2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71'  # of its package
SCRIPT, PROGRAM = 'ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'
WEIGHTS = 'data/explorable/one_operator.safetensors'
WIDTH, SIZE, SIDE, WINDOW = 8, 32, 4, 5  # of the networks with one operator
ONE = {'none': None, 'conv1d': 0, 'hgc_conv2': 2, 'hgc_conv4': 4, 'hgc_conv8': 8}  # name → slope
SIX = {'tsn': 'conv1', 'hgc': 'layer1.0.conv1.before'}  # operator → the map that is shown
LICENSE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


class _Extend(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.r = r

    def forward(self, x):
        return around(x, self.r)


class _Crop(_Extend):
    def forward(self, x):
        r = self.r
        return x[..., r:x.shape[-2] - r, r:x.shape[-1] - r]


def one_operator(name):
    "A trained network with one operator: (as it is, as the step of a stream)."
    net = SingleOperatorNet(name, 1, WIDTH)
    stored = load_file(project_file(WEIGHTS))
    net.load_state_dict({key.removeprefix(f'{name}/'): value for key, value in stored.items()
                         if key.startswith(f'{name}/')})
    head = FrameHead(WIDTH, len(DIRECTIONS[4]), dropout=0.)
    head.fc = net.head
    operator = [] if name == 'none' else [Clipwise(net.op)]
    trunk = nn.Sequential(net.stem, _Extend(net.radius), *operator, _Crop(net.radius), net.after,
                          nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    watch = ['3' if operator else '2']
    return net.eval(), StreamStep(trunk, head.eval(), WINDOW, torch.zeros(1, 1, SIZE, SIZE), watch)


def six_operators(name):
    "A trained network with an operator in each of six blocks, on the drift of ten pixels."
    folder = project_checkpoint(f'{name}_tiny.motion-drift_8f')
    return VideoNet.from_pretrained(folder).eval()


def sets():
    "The choices that the page offers."
    one = {slope: name for name, slope in ONE.items() if slope is not None}
    return [
        dict(title='one operator', size=SIZE, side=SIDE, window=WINDOW, speed=3, reach=SIDE + 4,
             tsn='none', hgc=one),
        dict(title='six operators, trained at 10 px', size=48, side=6, window=8, speed=10,
             reach=None, tsn='tsn_tiny', hgc={2: 'hgc_tiny'},
             note='These networks have seen steps of 10 px only, and HgC answers six frames late.')]


def networks(folder):
    "Write all networks into a folder."
    with torch.no_grad():
        for name in ONE:
            write_step(one_operator(name)[1], folder/f'{name}.onnx', {'': list(DIRECTIONS[4])})
        for name, watch in SIX.items():
            export_stream(six_operators(name), folder/f'{name}_tiny.onnx', watch=[watch])


def runtime(folder):
    "Put the script and the program of onnxruntime-web into a folder, and their license."
    npm = shutil.which('npm')
    if npm is None:
        raise OSError('npm is not installed')
    done = subprocess.run([npm, 'pack', RUNTIME, '--silent', '--prefer-offline'], cwd=folder,
                          capture_output=True, text=True, timeout=600)
    packed = folder/done.stdout.strip()
    if done.returncode or not packed.is_file():
        raise OSError(f'npm does not find {RUNTIME}')
    try:
        if hashlib.sha256(packed.read_bytes()).hexdigest() != SHA256:
            raise OSError(f'{RUNTIME} is not the package that was tested')
        with tarfile.open(packed) as archive:
            for name in SCRIPT, PROGRAM:
                member = archive.extractfile(f'package/dist/{name}')
                (folder/name).write_bytes(member.read())
    finally:
        packed.unlink()
    (folder/'onnxruntime-web.LICENSE.txt').write_text(LICENSE, encoding='utf-8')


def write(folder):
    "All files of the page, or a list that says what is missing: (what is missing or '')."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = ''
    try:
        runtime(folder)
        networks(folder)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        missing = f'the site was built without them, because {error}'
    megabytes = round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6)
    page = dict(runtime=SCRIPT, program=PROGRAM, missing=missing, megabytes=megabytes, sets=sets())
    (folder/'play.json').write_text(json.dumps(page), encoding='utf-8')
    return missing
