"""Measure the training speeds of nbs/results/63_throughput.ipynb.

`.venv/bin/python tools/throughput.py`. Worker processes read rendered videos from files while
a ResNet-50 trains, at 224 pixels in bfloat16 on a GPU, or at 64 pixels on a CPU. Every measurement
calls the command line for two epochs, and the second one counts. The networks take turns, seven
times. The numbers in the logs become data/results/throughput_cuda.jsonl or throughput_cpu.jsonl,
one line for each run."""
import json, os, shutil, subprocess, sys
from itertools import product
from pathlib import Path
import torch
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task

root = Path(__file__).resolve().parent.parent
runs = root/'runs/throughput'
networks = [f'{name}_resnet50'
            for name in ('tsn', 'tsm', 'hgc', 'sth', 'stc', 'hf_tsn', 'h2cn', 'r2plus1d')]
gpu, cores = torch.cuda.is_available(), os.cpu_count() or 1
results = root/f"data/results/throughput_{'cuda' if gpu else 'cpu'}.jsonl"
videos, side, size = (768, 256, 224) if gpu else (16, 72, 64)
flags = (f'--batch-size 32 --precision bfloat16 --workers {cores - 1}' if gpu
         else '--batch-size 4 --workers 1')

def measure(network, turn):
    "One run, and the numbers of its second epoch."
    out = runs/f'{network}_{turn}'
    shutil.rmtree(out, ignore_errors=True)  # a run that is there would go on
    command = (f'video_convs train --data runs/throughput/data --model {network} --size {size} '
               f'--epochs 2 --lr 1e-3 {flags} --test-split none --out runs/throughput/{out.name}')
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, cwd=root, env={**os.environ, 'PATH': path},
                   stdout=subprocess.DEVNULL)
    epoch = json.loads((out/'log.jsonl').read_text().splitlines()[-1])
    page = json.loads((out/'config.json').read_text())
    line = dict(network=network, turn=turn, size=size, command=command,
                **{key: page[key] for key in ('hardware', 'versions', 'commit')},
                **{key: epoch[key] for key in ('clips_per_s', 'wait_share', 'memory_gb')})
    print(f"{network} {turn}: {line['clips_per_s']:.2f} clips/s, waits {line['wait_share']:.1%}",
          flush=True)
    return json.dumps(line) + '\n'

render_task('reversal', runs/'data', videos, 8,
            MotionConfig(size=side, frames=64, displacement=side / 144))
with open(results, 'w', buffering=1) as file:
    for turn, network in product(range(7), networks):
        file.write(measure(network, turn))
