"""Times of networks in onnxruntime, as they are recorded and in the forms of nbs/use/45k.

`--int8` adds each file with eight-bit weights and maps, calibrated on eight random clips: that says
how long it takes, and nothing about its answers."""
import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from video_convs.nets.complexity import complexity
from video_convs.nets.video_net import VideoNet
from video_convs.use.export_forms import Form, runtime_forms
from video_convs.use.export_formats import WRITERS, Recorded, open_file, quiet
from video_convs.use.int8 import quantise

OPERATORS = 'tsn', 'tsm', 'hgc', 'sth', 'stc'


def forms(name, size, folder, int8=False):
    "(network, form) → a function that runs one clip, and the network's multiply-accumulates."
    torch.manual_seed(0)
    net = VideoNet(name, 174, input_spec=dict(size=size)).eval()
    for p in net.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    clip = torch.randn(1, 3, net.input_spec.frames * net.input_spec.per_segment, size, size)
    clip = clip.contiguous(memory_format=torch.channels_last_3d)
    runs = {(name, 'eager'): lambda: net(clip)}
    for form in ('recorded', 'rewritten'):
        network = Recorded(net)
        if form == 'rewritten':
            runtime_forms(network.model)
            if not any(isinstance(m, Form) for m in network.modules()):
                continue
        path = Path(folder)/f'{name}_{form}.onnx'
        with quiet():
            WRITERS['onnx'](network, path)
        run = open_file(path, threads=1)
        assert (run(clip)[0] - net(clip)).abs().max() < 1e-3, name
        runs[name, form] = lambda run=run: run(clip)
        best = path
    if int8:
        quantise(best, Path(folder)/f'{name}_int8.onnx', [torch.randn_like(clip) for _ in range(8)])
        small = open_file(Path(folder)/f'{name}_int8.onnx', threads=1)
        runs[name, 'int8'] = lambda: small(clip)
    return runs, complexity(net, clip.shape).macs


def main():
    "Time all of them in turns, in seconds of the processor: other programs do not count."
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--backbone', default='resnet50')
    p.add_argument('--size', type=int, default=112)
    p.add_argument('--rounds', type=int, default=7)
    p.add_argument('--int8', action='store_true')
    p.add_argument('--out', default='data/results/export.jsonl')
    args = p.parse_args()
    torch.set_num_threads(1)
    runs, macs = {}, {}
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        for operator in OPERATORS:
            name = f'{operator}_{args.backbone}'
            more, macs[name] = forms(name, args.size, folder, args.int8)
            runs |= more
        times = {key: [] for key in runs}
        for _ in range(1 + args.rounds):
            for key, run in runs.items():
                start = time.process_time()
                run()
                times[key].append(1e3 * (time.process_time() - start))
    rows = [dict(network=name, form=form, size=args.size, ms=round(statistics.median(t[1:]), 1),
                 low=round(min(t[1:]), 1), high=round(max(t[1:]), 1), macs=macs[name])
            for (name, form), t in times.items()]
    Path(args.out).write_text(''.join(json.dumps(row) + '\n' for row in rows))


if __name__ == '__main__':
    main()
