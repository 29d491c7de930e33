"""The parts of `tools/gpu.sh`, each a process: `tools/gpu.py PART --out OUT`.

tests: compare results on the device with those on the CPU (tests/test_device.py). train: train
networks on motion rendered on the device, each for the same time. nets, ops: measure milliseconds
and peak memory of networks and operators in several settings. claims, only with `--part claims`:
find the networks that tell the direction of a square that moves 4, 24 or 72 pixels per frame.

Every measurement is written to OUT/PART.jsonl at once, as one line; if it fails, the line has its
error. Measurements for which there was no time are named at the end. The parts read only the
repository, which need not be installed. --tiny runs everything on the CPU with small sizes."""
import argparse, functools, gc, json, math, os, signal, statistics, sys, time
from fnmatch import fnmatchcase
from pathlib import Path

root = Path(__file__).resolve().parent.parent
began = time.monotonic()
LEARN = ('tsn', 'r2plus1d', 'tsm', 'hgc', 'sth', 'stc', 'h2cn')
TIMED = (*LEARN, 'hf_tsn', 'tin', 'tam')
CLAIMS = (('r2plus1d', {}), ('tsm', {}), ('hgc', {}), ('hgc', dict(slope=[0, 2, 4, 8])))
DISPLACEMENTS = 4., 24., 72.  # pixels of 224 from frame to frame
PARTS = ('tests', 'train', 'nets', 'ops', 'claims')
APART = 8  # seconds that a network takes beside its training: to be made, to warm up, to be tested

def budget(args, part):
    "Seconds after which a part starts no new measurement."
    if args.budget or args.tiny:  # a test may run on a busy machine
        return args.budget or 300
    networks = sum(fnmatchcase(name, args.only) for name in LEARN)
    runs = len(DISPLACEMENTS) * sum(fnmatchcase(name, args.only) for name, _ in CLAIMS)
    return dict(tests=120, train=networks * (args.seconds + APART), nets=80, ops=50,
                claims=runs * (args.seconds + APART))[part]

class Run:
    "A part: its file, its clock, and the values that all its lines share."
    def __init__(self, part, args):
        import torch
        from video_convs.ops.bench import machine
        from video_convs.train.run_folder import about_code
        self.device = 'cuda' if torch.cuda.is_available() and not args.tiny else 'cpu'
        self.cuda, self.end = self.device == 'cuda', began + budget(args, part)
        self.left_out, self.measured = [], 0
        torch.manual_seed(args.seed)
        torch.backends.cudnn.benchmark = args.autotune
        self.about = dict(part=part, device=machine(self.device), torch=torch.__version__,
                          cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version() if self.cuda
                          else None, cores=os.cpu_count(), seed=args.seed,
                          tf32=torch.backends.cudnn.allow_tf32, autotune=args.autotune,
                          tiny=args.tiny, **about_code())
        self.file = open(args.out/f'{part}.jsonl', 'w', buffering=1)

    def left(self):
        return self.end - time.monotonic()

    def write(self, line):
        self.file.write(json.dumps({**self.about, **line}) + '\n')
        self.measured += 'error' not in line
        print(f'{time.monotonic() - began:6.1f} s ',
              {k: v for k, v in line.items() if k != 'curve'}, flush=True)

    def row(self, what, measure, least=1.):
        "Make one measurement if there is time for it; `measure` returns the numbers."
        if self.left() < least:
            return self.left_out.append(what)
        def late(*_):
            raise TimeoutError("the time of this part is over")
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, max(self.left(), least))
        try:
            line = what | measure()
        except Exception as error:
            line = what | dict(error=f'{type(error).__name__}: {error}'[:2000])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.write(line)
        if 'error' in line and self.cuda:
            self.recover(what)

    def recover(self, what):
        "Free the memory of a failed row; end an interrupted recording with a complete one."
        import torch
        torch.cuda.empty_cache()
        if what.get('form') != 'graph':
            return
        try:
            with torch.cuda.graph(torch.cuda.CUDAGraph()):
                torch.zeros(1, device=self.device)
        except RuntimeError as error:
            print('no recovery:', error, flush=True)

    def close(self):
        for what in self.left_out:
            print('left out, no time:', what)
        return 0 if self.measured else 1

# --- tests

def tests(run, args):
    "One line for every test of tests/test_device.py."
    os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'  # whatever the machine has installed
    import pytest
    class Recorder:
        failed = 0
        def pytest_runtest_setup(self, item):
            if run.left() < 0:
                pytest.skip('no time is left')
        def pytest_runtest_logreport(self, report):
            if report.when != 'call' and report.outcome == 'passed':
                return
            if report.when == 'teardown' and report.outcome == 'skipped':
                return
            name, line = report.nodeid.partition('::')[2], dict(memory_format='channels_last')
            line |= dict(test=name, outcome=report.outcome, seconds=round(report.duration, 3))
            line['dtype'] = next((half for half in ('bfloat16', 'float16') if half in name),
                                 'float32')
            forms = dict(graph='cuda_graph', compiled='compiled')
            line['form'] = next((form for form, word in forms.items() if word in name), 'eager')
            if report.outcome == 'failed':
                line['error'] = report.longreprtext[-1500:]
            self.failed += report.outcome == 'failed'
            run.write(line)
    recorder = Recorder()
    few = (['-k', 'test_operator and HgC and eval or test_rendered and order or wrong_operator']
           if args.tiny else [])
    code = pytest.main(['-q', '--tb=short', '-p', 'no:cacheprovider', *few,
                        str(root/'tests/test_device.py')], [recorder])
    if recorder.failed:
        print(f'{recorder.failed} tests failed')
    return code

# --- train

class Scenes:
    "Rendered videos as parameters, drawn by workers and rendered on the device."
    def __init__(self, split, spec, seed, count=10**7):
        import numpy as np
        from video_convs.data.motion import MotionConfig
        around = 5  # frames of the video for each point in time; H2CN reads all of them
        self.split, self.spec, self.seed, self.count = split, spec, seed, count
        self.config = MotionConfig(size=spec.size, frames=around * spec.frames,
                                   displacement=.4 * spec.size / (around * spec.frames))
        near = np.arange(spec.per_segment) - spec.per_segment // 2
        self.moments = (around * np.arange(spec.frames)[:, None] + around // 2 + near).ravel()

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        from video_convs.data.motion import sample_params
        if i >= self.count:
            raise IndexError(i)
        return sample_params('reversal', self.split, i, self.config, self.seed).at(self.moments)

class Reversal:
    "Eight motions in pairs of reversals, drawn by workers and rendered on the device."
    def __init__(self):
        from video_convs.data.motion import TASKS
        task = TASKS['reversal']
        self.classes, self.about = len(task.classes), dict(ceiling_without_time=task.ceiling)

    def batches(self, split, spec, seed, batch, device, workers=0, count=10**7):
        import torch
        from video_convs.data.motion import render
        from video_convs.data.transforms import normalise
        scenes = Scenes(split, spec, seed, count)
        for drawn in torch.utils.data.DataLoader(scenes, batch, num_workers=workers,
                                                 collate_fn=list):
            yield normalise(render(drawn, device), spec), torch.tensor(
                [scene.label for scene in drawn], device=device)

class Drifting:
    "A square on a torus that moves d pixels (of 224) from frame to frame, in four directions."
    def __init__(self, displacement):
        self.displacement, self.classes = displacement, 4
        self.about = dict(ceiling_without_time=1 / 4, displacement=displacement)

    def batches(self, split, spec, seed, batch, device, workers=0, count=10**7):
        import torch
        from video_convs.data.drift import Drift, drift_clips
        config = Drift(self.displacement * spec.size / 224, side=spec.size // 8, size=spec.size,
                       frames=spec.frames)
        draw = torch.Generator(device).manual_seed(2 * seed + (split == 'test'))
        for _ in range(0, count, batch):
            labels = torch.randint(4, (batch,), generator=draw, device=device)
            yield drift_clips(config, labels, draw).expand(-1, 3, -1, -1, -1), labels

def learn(name, task, run, args, **variant):
    "Train a network for a time and test it."
    import torch
    from video_convs.data.transforms import Augment
    from video_convs.weights.create import create_model
    from video_convs.train.device import autocast_type, memory_gb
    from video_convs.train.groups import make_optimizer
    from video_convs.train.step import step
    from video_convs.train.recipes import Recipe, learning_rate
    wait = torch.cuda.synchronize if run.cuda else lambda: None
    gc.collect()  # of the network before this one
    if run.cuda:
        torch.cuda.empty_cache()
    T, S, B, workers, unseen = 4, 32, 8, 0, 16
    if not args.tiny:
        T, S, B, unseen = args.frames, args.size, args.batch, 256
        workers = min(max(os.cpu_count() - 2, 1), 8)
    device = torch.device(run.device)
    torch.manual_seed(args.seed)
    model = create_model(f'{name}_{backbone(args)}', num_classes=task.classes,
                         input_spec=dict(frames=T, size=S), dropout=0., **variant)
    model.to(device).train()
    grows = {'**.op.**': 10.} if name in ('r2plus1d', 'hgc') else {}  # these start as the identity
    recipe = Recipe(batch_size=B, lr=1e-3, lr_scale=grows, dropout=0., augment=Augment.none(),
                    seed=args.seed, precision='bfloat16' if run.cuda else 'float32')
    kind, optimizer = autocast_type(recipe, device), make_optimizer(model, recipe)
    spec, seed = model.input_spec, args.seed
    batches = task.batches('train', spec, seed, B, device, workers)
    marks, waited = [], 0.
    def one(share):
        for group in optimizer.param_groups:
            group['lr'] = group['scale'] * learning_rate(recipe, min(int(1000 * share), 999), 1000)
        clip, label = next(batches)
        wait()
        ready = time.perf_counter()
        loss, right = step(model, optimizer, clip, label, recipe)
        wait()
        return ready, loss, right
    for _ in range(1 if args.tiny else 3):
        one(0.)
    if run.cuda:
        torch.cuda.reset_peak_memory_stats()
    start = now = time.perf_counter()
    while now - start < args.seconds:
        ready, loss, right = one((now - start) / args.seconds)
        waited += ready - now
        now = time.perf_counter()
        marks.append((now - start, loss, right / B))
    batches.close()
    memory, steps, took = memory_gb(device), len(marks), now - start
    model.eval()
    hits = seen = 0
    for clip, label in task.batches('test', spec, seed, B, device, count=unseen):
        with (torch.inference_mode(),
              torch.autocast(device.type, kind, enabled=kind != torch.float32)):
            scores = model(clip)
        hits, seen = hits + (scores.argmax(1) == label).sum().item(), seen + len(label)
    parts = [marks[i * steps // 10:(i + 1) * steps // 10] for i in range(10)]
    # mean time, loss, share right
    curve = [[sum(v) / len(part) for v in zip(*part)] for part in parts if part]
    return dict(size=S, frames=T, per_segment=spec.per_segment, batch=B,
                workers=workers, seconds=took, steps=steps, clips_per_s=steps * B / took,
                wait_share=waited / took, ms_per_step=1e3 * (took - waited) / steps,
                loss=curve[-1][1], top1_training=curve[-1][2], top1=hits / seen, videos=seen,
                memory_gb=memory, lr=recipe.lr, curve=curve, **task.about)

def backbone(args):
    return 'tiny' if args.tiny else 'resnet50'

def train(run, args):
    "All networks to compare, TSN first."
    dtype = 'bfloat16' if run.cuda else 'float32'
    asked = [name for name in LEARN if fnmatchcase(name, args.only)]
    for name in (LEARN[0], 'hgc') if args.tiny else asked:
        what = dict(network=f'{name}_{backbone(args)}', dtype=dtype,
                    memory_format='channels_last', form='eager')
        run.row(what, functools.partial(learn, name, Reversal(), run, args),
                least=args.seconds + APART / 2)

def claims(run, args):
    "The largest displacement first: there the networks should differ most, if they do."
    dtype = 'bfloat16' if run.cuda else 'float32'
    asked = [claim for claim in CLAIMS if fnmatchcase(claim[0], args.only)]
    for displacement in DISPLACEMENTS[-1:] if args.tiny else DISPLACEMENTS[::-1]:
        for name, variant in CLAIMS[-1:] if args.tiny else asked:
            what = dict(network=f'{name}_{backbone(args)}', variant=variant, dtype=dtype,
                        displacement=displacement, memory_format='channels_last', form='eager')
            measure = functools.partial(learn, name, Drifting(displacement), run, args, **variant)
            run.row(what, measure, least=args.seconds + APART / 2)

# --- nets and ops

def settings(run, *wanted):
    "Settings by their short names, such as 'bfloat16 channels_last graph'; a graph needs a GPU."
    import torch
    from video_convs.ops.bench import Setting
    for words in wanted:
        dtype, memory_format, form = words.split()
        if run.cuda or form != 'graph':
            yield Setting(run.device, getattr(torch, dtype), memory_format, form)

def nets(run, args):
    "One line for each network and setting: both modes, with memory."
    import torch
    from video_convs.nets.bench import clip_for, network_pass
    from video_convs.weights.create import create_model
    from video_convs.ops.bench import race
    frames, size, batch, rounds = (4, 32, 1, 1) if args.tiny else (args.frames, args.size, 8, 5)
    made = {}
    def measure(name, setting):
        # 'contiguous' turns a network's weights for good
        key = name, setting.memory_format, setting.form == 'compiled'
        if key not in made:
            torch.manual_seed(args.seed)
            model = create_model(f'{name}_{backbone(args)}', num_classes=174, frames=frames)
            made[key] = model.to(run.device), clip_for(model, frames, batch, size).to(run.device)
        line = dict(frames=frames, size=size, batch=batch)
        for mode in ('inference', 'training'):
            times, memory = race(setting, rounds,
                                 it=network_pass(*made[key], mode == 'training', setting))
            line[f'{mode}_ms'] = statistics.median(times['it'])
            if memory:
                line[f'{mode}_memory'] = memory['it']
        return line
    names = ('tsn', 'hgc') if args.tiny else [name
                                              for name in TIMED if fnmatchcase(name, args.only)]
    all_of = settings(run, 'bfloat16 channels_last eager', 'float32 channels_last eager',
                      'bfloat16 channels_last graph', 'bfloat16 contiguous eager',
                      'float32 contiguous eager', 'float32 channels_last graph')
    jobs = [(setting, name) for setting in all_of for name in names]
    compiled = [] if args.tiny else settings(run, 'bfloat16 channels_last compiled')
    jobs += [(setting, name) for setting in compiled
             for name in ('hgc', 'tsn', 'h2cn') if name in names]
    for setting, name in jobs:
        what = setting.to_dict() | dict(device=run.about['device'],
                                        network=f'{name}_{backbone(args)}')
        run.row(what, functools.partial(measure, name, setting),
                least=20. if setting.form == 'compiled' else 1.)

def ops(run, args):
    "One line for each operator, place and setting: both modes, and the layer there."
    from video_convs.nets.places import HOMES, places, time_place
    frames, batch, rounds = (4, 1, 1) if args.tiny else (args.frames, 8, 5)
    names = [name for name in HOMES if fnmatchcase(name, args.only)]
    if args.tiny:
        names = ['HgC', 'STHConv 1/4']
    few = [name for name in ('HgC', 'CMCB', 'STHConv 1/4', 'STCConv 3/4', 'HFModule', 'TAM', 'C3D')
           if name in names]
    size, which = (32, slice(1)) if args.tiny else (args.size, slice(0, 3, 2))
    found = {name: places(name, frames, size)[which] for name in names}
    jobs = [(setting, name, place) for words, some, n in (
        ('bfloat16 channels_last eager', names, 2), ('bfloat16 channels_last graph', names, 1),
        ('float32 channels_last eager', few, 1), ('bfloat16 contiguous eager', few, 1),
        ('float32 contiguous eager', few, 1),
        ('bfloat16 channels_last compiled', few[:1 if args.tiny else 4], 1),
        ('float32 channels_last eager', names, 2),
        ('bfloat16 contiguous eager', names, 2), ('float32 channels_last graph', names, 2),
        ('bfloat16 channels_last graph', names, 2),
        ('bfloat16 channels_last compiled', few, 1))
            for setting in settings(run, words) for name in some for place in found[name][:n]]
    def measure(name, place, setting):
        line = dict(frames=frames, batch=batch)
        how = name, place, setting, frames, batch, rounds
        try:
            return line | time_place(*how)
        except RuntimeError as error:  # of the authors' form, it may be
            return line | dict(authors_error=str(error)[:500]) | time_place(*how, authors=False)
    for setting, name, place in dict.fromkeys(jobs):
        what = setting.to_dict() | dict(device=run.about['device'], operator=name,
                                        path=place.path, size=place.operator_in)
        run.row(what, functools.partial(measure, name, place, setting),
                least=8. if setting.form == 'compiled' else .5)

# --- summary

def lines(out, part):
    "The lines that a part has written, without an incomplete last one."
    found = []
    for text in ((out/f'{part}.jsonl').read_text().splitlines()
                 if (out/f'{part}.jsonl').exists() else ()):
        try:
            found.append(json.loads(text))
        except ValueError:
            pass
    return found

def mean_ratio(pairs):
    "Geometric mean."
    logs = [math.log(a / b) for a, b in pairs]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan

def summary(out):
    "A summary of all parts."
    found = {part: lines(out, part) for part in PARTS}
    for part in PARTS if found['claims'] else PARTS[:-1]:
        bad = [line for line in found[part] if 'error' in line]
        where = found[part][0] if found[part] else {}
        print(f"\n{part}: {len(found[part])} lines, {len(bad)} with an error; "
              f"{where.get('device', 'nothing')}, torch {where.get('torch')}")
        for line in bad[:8]:
            name = line.get('test') or line.get('network') or line.get('operator')
            print(f"  {name} {line['dtype']} {line['form']}: "
                  f"{line['error'].strip().splitlines()[-1][:200]}")
    outcomes = [line['outcome'] for line in found['tests']]
    print('\ntests:',
          ', '.join(f'{outcomes.count(word)} {word}' for word in dict.fromkeys(outcomes)))
    runs = [line for line in found['train'] + found['claims'] if 'error' not in line]
    base = next((line for line in runs if line['network'].startswith('tsn')), None)
    for line in runs:
        ratio = f"{line['clips_per_s'] / base['clips_per_s']:5.2f} of TSN's" if base else ''
        if 'displacement' in line:
            variant = ', '.join(f'{k} {v}' for k, v in line['variant'].items())
            ratio = f"d = {line['displacement']:g} of 224 px, {variant or 'one slope or none'}"
        print(f"{line['network']:20}{line['clips_per_s']:8.1f} clips/s {ratio}, waits "
              f"{line['wait_share']:4.0%}, {line['memory_gb']:5.1f} GB, top-1 {line['top1']:.1%} "
              f"after {line['seconds']:.0f} s (without time at most "
              f"{line['ceiling_without_time']:.0%})")
    by = {}
    for line in (line for line in found['nets'] if 'error' not in line):
        key = line['dtype'], line['memory_format'], line['form']
        name = line['network'].partition('_resnet')[0]
        by.setdefault(key, {})[name] = line['inference_ms'], line['training_ms']
    for key, row in by.items():
        print(*key, '- ms, inference/training:',
              ', '.join(f'{name} {a:.1f}/{b:.1f}' for name, (a, b) in row.items()))
    by = {}
    for line in (line for line in found['ops'] if 'error' not in line):
        key = line['dtype'], line['memory_format'], line['form']
        times = [statistics.median(line['training'][which]) for which in ('operator', 'layer')]
        by.setdefault(key, {}).setdefault(line['operator'], []).append(times)
    for key, row in by.items():
        print(*key, "- of the layer's time, training:",
              ', '.join(f'{name} {mean_ratio(v):.2f}' for name, v in row.items()))

def arguments():
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('part', choices=(*PARTS, 'limit', 'summary'))
    p.add_argument('of', nargs='?', choices=PARTS, help='part whose limit is asked for')
    p.add_argument('--out', type=Path, help='folder for lines; it must be there')
    p.add_argument('--tiny', action='store_true', help='on the CPU, with tiny numbers')
    p.add_argument('--seconds', type=float, default=28., help='that each network is trained for')
    p.add_argument('--budget', type=float, help='seconds after which a part begins nothing new')
    p.add_argument('--only', default='*', metavar='PATTERN',
                   help="networks (without backbone) or operators, such as 'h*'")
    p.add_argument('--frames', type=int, default=8, help='points in time')
    p.add_argument('--size', type=int, default=224, help='pixels')
    p.add_argument('--batch', type=int, default=32, help='clips of a training step')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--autotune', action='store_true',
                   help='let cuDNN try all algorithms (torch.backends.cudnn.benchmark)')
    args = p.parse_args()
    if args.tiny:
        args.seconds = min(args.seconds, .3)
    return args

def main():
    args = arguments()
    if args.part == 'limit':
        return print(math.ceil(budget(args, args.of) + 8))
    if args.part == 'summary':
        return summary(args.out)
    if args.tiny:
        import torch
        torch.set_num_threads(1)
        torch.compile = functools.partial(torch.compile, backend='eager')
    run = Run(args.part, args)
    if not (run.cuda or args.tiny):
        sys.exit('there is no CUDA device here: --tiny runs on the CPU')
    code = globals()[args.part](run, args)
    return run.close() or code

if __name__ == '__main__':
    sys.exit(main())
