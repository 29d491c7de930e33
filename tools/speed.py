"""Measure the times of nbs/results/68_speed.ipynb: our networks in four ways, and torchvision's.

`.venv/bin/python tools/speed.py`. All entries stand side by side in one process with two threads
and take turns: one clip each, eight turns, of which the first warms up. Every measurement is a line
of data/results/speed_cpu.jsonl at once, so an interrupted run continues where it stopped; `--again`
starts anew. Peak memory is that of a process of its own for each entry.
`tools/speed.py eager fused` measures these ways only, `tools/speed.py onnx tsn_resnet50` this
network only, `--turns 4` fewer turns, and `--out FILE` writes elsewhere.
`tools/speed.py ratio` prints what a frame costs in a stream, as a share of an eighth of the clip's
time, for hgc_resnet50 and tsm_mobilenet_v2 or the networks that are named: the median of `--turns`
turns in which both stand side by side, and their range."""
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torchvision
from study import option_of, read_lines, refuse_unknown, root, write_line
from torch.utils.flop_counter import FlopCounterMode
from video_convs import complexity, create_model, list_models
from video_convs.nets.bench import clip_for
from video_convs.ops.bench import machine

FRAMES, THREADS = 8, 2
OURS = [f'{name}_resnet50' for name in ('tsn', 'tsm', 'hgc', 'sth', 'stc', 'h2cn')]
OURS.append('hf_tsn_bninception')
WAYS = 'eager', 'fused', 'stream', 'onnx'
# torchvision's, with random weights: (frames, side) of their clips
PEERS = {'r2plus1d_18': (16, 112), 's3d': (16, 224), 'mvit_v2_s': (16, 224), 'swin3d_t': (16, 224)}
ENERGY = Path('/sys/class/powercap/intel-rapl:0/energy_uj')
ENTRIES = [(name, way) for name in OURS for way in WAYS] + [(name, 'eager') for name in PEERS]

def joules():
    "The processor's counter, if it may be read."
    try:
        return int(ENERGY.read_text()) / 1e6
    except (OSError, ValueError):
        return None

def network(name, device='cpu'):
    "A network, without numbers on the device 'meta'."
    torch.manual_seed(0)
    with torch.device(device):
        return (getattr(torchvision.models.video, name)(weights=None) if name in PEERS
                else create_model(name, num_classes=400)).eval()

def clip_of(name):
    "A random clip as the network takes it."
    if name in PEERS:
        frames, side = PEERS[name]
        return torch.randn(1, 3, frames, side, side)
    return clip_for(network(name, 'meta'), FRAMES)

def onnx_file(name):
    "The network as a file, written once."
    from video_convs.use.export import export
    path = root/f'runs/speed/{name}.onnx'
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        export(network(name), path)
    return path

def points_of(net, clip):
    "What a stream of the network takes, one after the other."
    F = net.input_spec.per_segment
    return [x if F > 1 else x[:, :, 0] for x in clip.unflatten(2, (-1, F)).unbind(2)]

def streamed(net, clip):
    "Scores of a clip, frame by frame."
    stream, points = net.stream(), points_of(net, clip)
    def run():
        for point in points:
            stream.step(point)
        return stream.finish()
    return run

def ratio(name, turns):
    "Seconds of eight frames in a running stream over those of the clip: least, median, most."
    net, clip = network(name), clip_of(name)
    stream, points = net.stream(), points_of(net, clip)
    def run():
        for point in points:
            stream.step(point)
    found = []
    for _ in range(1 + turns):
        found.append(timed(run)['seconds'] / timed(lambda: net(clip))['seconds'])
    found = sorted(found[1:])  # the first turn warms up
    return found[0], statistics.median(found), found[-1]

def prepared(name, way):
    "A function that runs one clip."
    clip = clip_of(name)
    if way == 'onnx':
        from video_convs.use.export_formats import open_file
        session = open_file(onnx_file(name), 'onnx', THREADS)
        return lambda: session(clip)
    net = network(name)
    if way == 'stream':
        return streamed(net, clip)
    net = net.fused() if way == 'fused' else net
    return lambda: net(clip)

def weights_mb(name, way):
    "Megabytes of the weights, or of the file."
    if way == 'onnx':
        return onnx_file(name).stat().st_size / 1e6
    net = network(name).fused() if way == 'fused' else network(name, 'meta')
    return sum(x.numel() * x.element_size() for x in net.state_dict().values()) / 1e6

def macs(name):
    "Multiply-accumulates of a clip."
    net, clip = network(name, 'meta'), clip_of(name).to('meta')
    if name not in PEERS:
        return complexity(net, clip.shape[1:]).macs
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(clip)
    return counter.get_total_flops() // 2

def peak_mb():
    "The largest memory that this process has had; `resource` would count that of its parent, too."
    status = Path('/proc/self/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1e3

def cost(name, way):
    "In a process of its own: peak memory, weights, multiply-accumulates, frames of a clip."
    torch.set_num_threads(THREADS)
    with torch.inference_mode():
        prepared(name, way)()
    frames = PEERS[name][0] if name in PEERS else FRAMES
    return dict(peak_mb=peak_mb(), weights_mb=weights_mb(name, way), macs=macs(name), frames=frames)

@torch.inference_mode()
def timed(run):
    "Seconds of a clip, and joules if there is a counter."
    before, start = joules(), time.perf_counter()
    run()
    seconds, after = time.perf_counter() - start, joules()
    return dict(seconds=seconds, joules=None if before is None else after - before)

def apart(name, way):
    "What `cost` finds, in a process of its own."
    done = subprocess.run([sys.executable, __file__, '--cost', name, way], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])

def measure(file, asked, turns):
    "Add the measurements that are missing."
    ways = [name for name in asked if name in WAYS] or WAYS
    networks = [name for name in asked if name not in WAYS] or [*OURS, *PEERS]
    done = {(line['network'], line['way'], line['turn']) for line in read_lines(file)}
    entries = [(name, way) for name, way in ENTRIES if way in ways and name in networks]
    about = dict(machine=machine('cpu'), torchvision=torchvision.__version__, threads=THREADS,
                 command=f"tools/speed.py {' '.join(sys.argv[1:])}".strip())
    def note(name, way, turn, **found):
        write_line(file, dict(network=name, way=way, turn=turn, **found, **about))
        print(name, way, turn, found, flush=True)
    missing = {entry for entry in entries for turn in range(turns) if (*entry, turn) not in done}
    torch.set_num_threads(THREADS)
    runs = {entry: prepared(*entry) for entry in entries if entry in missing}
    for turn in range(turns):
        for entry, run in runs.items():
            if (*entry, turn) not in done:
                note(*entry, turn, **timed(run))
    runs.clear()
    for entry in entries:
        if (*entry, 'cost') not in done:
            note(*entry, 'cost', **apart(*entry))

if __name__ == '__main__':
    if sys.argv[1:2] == ['--cost']:
        sys.exit(print(json.dumps(cost(*sys.argv[2:]))))
    names, turns = option_of(sys.argv[1:], '--turns', 8)
    out = names.pop(names.index('--out') + 1) if '--out' in names[:-1] else None
    file = Path(out) if out else root/'data/results/speed_cpu.jsonl'
    names = [name for name in names if name not in ('--out', '--again')]
    if names[:1] == ['ratio']:
        refuse_unknown(names[1:], list_models(), 'network')
        torch.set_num_threads(THREADS)
        for name in names[1:] or ('hgc_resnet50', 'tsm_mobilenet_v2'):
            low, middle, high = ratio(name, turns)
            print(f'{name:18} {middle:.2f} ({low:.2f} to {high:.2f}; goal 1.15)', flush=True)
        sys.exit()
    refuse_unknown(names, (*WAYS, *OURS, *PEERS), 'way or network')
    if '--again' in sys.argv:
        file.unlink(missing_ok=True)
    measure(file, names, turns)
