"""Train the networks of nbs/results/66_ablations.ipynb:

    .venv/bin/python tools/ablations.py [hourglass|shelf|alpha …] [--seeds N] [--share K/N]

Each paper's own ablations, with the small network `tiny` on motion that is rendered while it is
learned from: no clip comes twice, so nothing can be learned by heart. Tasks: `micro` (eight
motions, anew every 3 to 5 frames of 96), `macro` (one thing after another), `drift15` and, for the
Hourglass paper, `drift5` and `drift10` (a square of 6 pixels on a torus of 48, which moves 5, 10 or
15 pixels between two of the eight points in time, a fifth of that from frame to frame). `shelf` is
no paper: these networks become checkpoints (tools/checkpoints.py), and they also learn `slow`, the
motions of `micro` once per video, 3 pixels from one point in time to the next, as in
nbs/50_demo.ipynb. `alpha` is for STH's Figures 5 to 8: shares p of temporal kernels, on `slow`, on
`shape` (the same videos, only which of the four motions it is, which one frame tells) and on `flow`
(`slow` from the flow between two points in time). Networks with FMCB read five neighbouring frames
at each point in time, all others the one in the middle.

Every network is trained with the same recipe until nothing more is gained, and scored on 1,024 new
clips. The learning rate of the operator is 1, 3 or 10 times that of the rest (that of the whole
network where the operator has no weights); it is chosen for each operator on a seed of its own, and
its variants share it. Each run is one line of data/results/ablations.jsonl, and its network stays
under runs/ablations/; runs that are in the file are not repeated, and `--share 1/2` and
`--share 2/2` divide the work between two processes.

Predictions, written before the first run. They know nbs/results/62_motion.ipynb, which has parts of
H2CN on `micro` and `macro` with fixed epochs. They named drifts of 2, 8 and 16 pixels. The first
run, `tsn` at 8, was right in 75 %: a square that moves by 1.6 pixels from frame to frame has a
blurred edge on one side, which tells its direction in a single frame. So that run was dropped, and
all drifts are by whole pixels now.
1. `tsn` scores what single frames allow: about 50 % on `micro` and `macro`, 25 % on drift.
2. Windows (Hourglass, Fig. 3). In `tiny` the operators stand before layers with strides, so the
   reach is far: at d = 5 and 10 temporal convolution and all hourglasses are within 3 points of
   each other. At d = 15 the hourglasses are ahead by 3 points or more, and the larger slope by
   more. Learned windows are not behind means anywhere. Several slopes at once, each on a share of
   the channels, are within 3 points of the best slope everywhere.
3. FMCB (Tables 1, 3). It reads motion between neighbouring frames, a fifth of d. It gains 5 points
   or more over `tsm` at d = 15, where nothing else sees the motion between two points in time, and
   on `micro`. With a temporal convolution in the place of its hourglass it gains the same within 3
   points: what counts are the forty frames. `tsm` that reads all forty frames gains as much.
4. CMCB (Tables 2, 3). Its hourglass is followed by a mean over the map, which undoes it except at
   the border: `hgc`, `conv1d` and the slopes are within 2 points of each other everywhere.
5. STH. p = 1/8, 1/4 and 1/2 are within 3 points of each other, and so are hybrid and merge, both
   forms of attention, and the two (2+1)D of STH's Table 7, which have more weights. Dilation gains
   3 points or more on `macro` only.
6. HF. A conservative gate behind the last block changes nothing for an average of frames: one gate
   scores as `tsn`, at chance between a motion and its reversal. Two are far above, three above two.
   The gate that is not conservative is within 3 points of the other at three gates.
7. Ensembles of networks of 4 and of 8 points in time (`frames=[4, 8]`) are within 3 points of that
   of 8 alone; `windows` is the log of the last.
8. STC. Without TR, SR or the shift alone the loss is below 3 points; without all three the score
   on `micro` falls by 5 or more. α = 3/4 is best by less than 3 points. Equal and light are within
   3 points.
9. (Added for `drift15`, which STH, HF and STC did not have, after 31 of the 48 runs of tuning:
   there every network but `tsn` learned `drift10` to the last clip, and none was above 55 % on
   `micro`.) HF with one gate scores as `tsn`. All others are above 90 %, and variants of one
   operator are within 3 points of each other.
10. (Added for `slow`, before its first run.) `tsn` names the pair and guesses the direction: 50 %
   within 3 points. All others read neighbouring points in time, which is enough: each is above 97 %
   and FMCB, which reads motion of a quarter of a pixel, adds less than 3 points.
11. (Added for `alpha`, before its first run.) As in the paper, the mean α_T of a network is larger
   on `slow` than on `shape`, and larger for p = 1/8 than for 1/2. It is not larger on `flow` than
   on `slow`, where one frame of flow tells the motion, and it does not grow with depth."""
import sys
import time
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from study import Plateau, learn_to_plateau, operator_recipe, option_of, read_lines, refuse_unknown
from study import root, share_of, write_line
from video_convs import create_model
from video_convs.data.drift import Drift, drift_clips
from video_convs.data.motion import TASKS, MotionConfig, render, sample_params
from video_convs.data.motion_files import DIRECTIONS
from video_convs.data.transforms import normalise
from video_convs.nets.spec import InputSpec
from video_convs.progress import progress_bar
from video_convs.train.groups import make_optimizer

results, kept = root/'data/results/ablations.jsonl', root/'runs/ablations'
multiples = 1., 3., 10.  # of the learning rate, for the operator
points, near, size = 8, 5, 48  # points in time, neighbouring frames at each, pixels
batch, lr, norm = 16, 3e-3, 5.
window, climb, patience, most, last = 50, 100, 8, 50, 100  # steps; patience and most: windows
tuned_on = 'micro', 'drift10'

@dataclass(frozen=True)
class Rendered:
    "A question about rendered motion (nbs/data/30a_motion.ipynb)."
    question: str
    config: MotionConfig
    pairs: bool = False # do not ask which class of a pair it is
    flow: bool = False # show how far pixels move to the next point in time, not the pixels

    @property
    def classes(self):
        task = TASKS[self.question]
        return tuple(map(' or '.join, task.pairs)) if self.pairs else task.classes

    @property
    def spec(self):
        "What is particular about the input of its networks."
        return dict(modality='flow', in_chans=2, mean=(0.,), std=(3.,)) if self.flow else {}

    def batches(self, split, seed, each):
        "Clips (B, 3, points · each, S, S), around zero, and their classes; without end."
        apart = self.config.frames // points
        offsets = np.arange(each) - each // 2
        moments = (apart * np.arange(points)[:, None] + apart // 2 + offsets).ravel()
        for start in count(0, batch):
            scenes = [sample_params(self.question, split, i, self.config, seed).at(moments)
                      for i in range(start, start + batch)]
            labels = torch.tensor([scene.label for scene in scenes])
            if self.flow:
                clips = render(scenes, flow=True)[1] / 3
            else:
                clips = normalise(render(scenes), InputSpec(mean=(.5,), std=(.25,)))
            yield clips, labels // 2 if self.pairs else labels

@dataclass(frozen=True)
class Drifting:
    "Where to does a square move? (nbs/data/30c_drift.ipynb)"
    displacement: float # pixels between two points in time
    classes = DIRECTIONS[4]
    spec = {}

    @property
    def drift(self):
        return Drift(self.displacement / near, side=6, size=size, frames=points * near)

    def batches(self, split, seed, each):
        "Clips (B, 3, points · each, S, S), around zero, and their classes; without end."
        draw = torch.Generator().manual_seed(2 * seed + (split == 'test'))
        while True:
            labels = torch.randint(len(self.classes), (batch,), generator=draw)
            clips = drift_clips(self.drift, labels, draw).expand(-1, 3, -1, -1, -1)
            yield neighbours(clips, each), labels

slow = MotionConfig(size=size, frames=96, displacement=.25)
tasks = {
    'micro': Rendered('reversal', MotionConfig(size=size, frames=96, displacement=2.,
                                               time_scale='micro')),
    'slow': Rendered('reversal', slow), 'shape': Rendered('reversal', slow, pairs=True),
    'flow': Rendered('reversal', slow, flow=True),
    'macro': Rendered('order', MotionConfig(size=size, frames=96, displacement=0.)),
    **{f'drift{d}': Drifting(float(d)) for d in (5, 10, 15)}}

without_time, conv1d, shift = ('tsn', {}), ('r2plus1d', {}), ('tsm', {})
papers = {  # (operator, what differs from its network's defaults)
    'hourglass': (
        without_time, conv1d, shift,
        *[('hgc', dict(aggregate=f, slope=p)) for f in ('conv', 'avg') for p in (2, 4, 6)],
        ('hgc', dict(slope=[0, 2, 4, 8])),
        ('h2cn', {}), ('h2cn', dict(fmcb_slope=2)), ('h2cn', dict(fmcb_slope=6)),
        ('h2cn', dict(cmcb_slope=4)), ('h2cn', dict(cmcb_slope=6)),
        *[('h2cn', dict(fmcb=f, cmcb=c)) for f in ('hgc', 'conv1d', None)
          for c in ('hgc', 'conv1d', None) if (f, c) not in (('hgc', 'hgc'), (None, None))],
        ('tsm', dict(frames=points * near)), ('h2cn', dict(frames=[4, 8]))),
    'sth': (
        without_time, *[('sth', dict(p=p)) for p in (1/8, 1/4, 1/2)],
        ('sth', dict(arrangement='merge')), ('sth', dict(attention='softmax')),
        ('sth', dict(attention='sigmoid')), ('sth', dict(dilated=True)),
        *[('r2plus1d', dict(arrangement=a)) for a in ('sequential', 'parallel')],
        ('sth', dict(frames=[4, 8]))),
    'hf': (
        without_time, *[('hf_tsn', dict(modules=n)) for n in (1, 2, 3)],
        ('hf_tsn', dict(modules=3, conservative=False))),
    'stc': (
        without_time, *[('stc', dict(alpha=a)) for a in (1/4, 1/2, 3/4, 1.)],
        ('stc', dict(tr=False)), ('stc', dict(sr=False)), ('stc', dict(shift=False)),
        ('stc', dict(tr=False, sr=False, shift=False)), ('stc', dict(equal=True)),
        ('stc', dict(reduction=4)), ('stc', dict(reduction=16)), ('stc', dict(frames=[4, 8]))),
    'shelf': (
        without_time, conv1d, ('hgc', {}), ('hgc', dict(slope=[0, 2, 4, 8])), ('h2cn', {}),
        ('sth', dict(attention='softmax')), ('stc', {}), ('hf_tsn', {})),
    'alpha': (
        ('sth', dict(attention='softmax')),
        *[('sth', dict(attention='softmax', p=p)) for p in (1/8, 1/2)])}

def tasks_of(paper):
    if paper in ('shelf', 'alpha'):
        return ['slow', 'macro', 'drift10'] if paper == 'shelf' else ['slow', 'shape', 'flow']
    every = [task for task in tasks if task not in ('slow', 'shape', 'flow')]
    return every if paper == 'hourglass' else ['macro', 'drift15', 'micro']

def make(operator, variant, classes, **special):
    "The network."
    variant = dict(variant)
    spec = dict(frames=variant.pop('frames', points), size=size, mean=(.5,) * 3, std=(.25,) * 3)
    spec |= special
    return create_model(f'{operator}_tiny', num_classes=len(classes), classes=list(classes),
                        input_spec=spec, dropout=0., **variant)

def folder_of(job):
    "Where the network of a run stays."
    variant = [f'{name}={value}' for name, value in job['variant'].items()]
    rest = f"x{job['multiple']:g}", f"seed{job['seed']}"
    return kept/job['task']/'-'.join([job['operator'], *variant, *rest])

def members(variant):
    "The variants of the networks that answer together: one, or one for each number of frames."
    frames = variant.get('frames')
    return [variant | dict(frames=n) for n in frames] if isinstance(frames, list) else [variant]

def neighbours(clips, each, apart=1):
    "The middle `each` frames of every point in time, or of every second (`apart=2`)."
    moments = clips.unflatten(2, (points, -1))[:, :, apart // 2::apart]
    first = (moments.shape[3] - each) // 2
    return moments[:, :, :, first:first + each].flatten(2, 3)

def frames_at(nets):
    "How many neighbouring frames are read at a point in time, by the network that reads most."
    return max(max(net.input_spec.frames // points, net.input_spec.per_segment) for net in nets)

def read_by(net, clips):
    "The frames that a network reads of those that there are."
    spec = net.input_spec
    if spec.frames == clips.shape[2]:
        return clips
    return neighbours(clips, spec.per_segment, points // spec.frames)

def learn(net, batches, multiple):
    "Train until nothing more is gained: (what ended it, [(loss, accuracy) of each window])."
    optimizer = make_optimizer(net, operator_recipe(net, lr, multiple))
    read = ((read_by(net, clips), labels) for clips, labels in batches)
    plateau = Plateau(optimizer, patience, most, last, climb)
    return learn_to_plateau(net, read, plateau, window, norm)

@torch.inference_mode()
def right_of(nets, batches, clips=1024):
    "How many of so many new clips the mean of the scores names, by BatchNorm's running statistics."
    for net in nets:
        net.eval()
    drawn = (next(batches) for _ in range(clips // batch))
    return sum((sum(net(read_by(net, x)) for net in nets).argmax(1) == y).sum().item()
               for x, y in drawn)

def run(job, clips=1024):
    "One training, one line."
    task, start = tasks[job['task']], time.process_time()
    torch.manual_seed(job['seed'])
    nets = [make(job['operator'], variant, task.classes, **task.spec)
            for variant in members(job['variant'])]
    for net in nets:
        batches = task.batches('train', job['seed'], frames_at([net]))
        ended, windows = learn(net, batches, job['multiple'])
        net.save_pretrained(folder_of(job)/f'{net.input_spec.frames}f', rendered=job)
    batches = task.batches('test', job['seed'], frames_at(nets))
    write_line(results, job | dict(
        right=right_of(nets, batches, clips), clips=clips, ended=ended,
        windows=windows, seconds=round(time.process_time() - start, 1)))

def tuning(papers_):
    "Three rates for each operator, with the defaults of its network."
    operators = dict.fromkeys(operator for paper in papers_ for operator, _ in papers[paper])
    return [dict(part='tune', task=task, operator=operator, variant={}, seed=100, multiple=m)
            for operator in operators for task in tuned_on for m in multiples]

def best_multiple(operator):
    "The multiple with most right answers in tuning, then that with the fewest steps."
    done = read_lines(results)
    def merit(multiple):
        found = [r for r in done if (r['part'], r['operator'], r['multiple'])
                 == ('tune', operator, multiple)]
        if len(found) < len(tuned_on):
            sys.exit(f'{operator} is not tuned yet: run tools/ablations.py tune to its end first')
        return sum(r['right'] for r in found), -sum(len(r['windows']) for r in found)
    return max(multiples, key=merit)

def tests(papers_, seeds):
    "All variants of a paper on a task, then the next one; `micro`, which few can learn, last."
    chosen = {operator: best_multiple(operator)
              for operator in {o for paper in papers_ for o, _ in papers[paper]}}
    jobs = [dict(part='test', task=task, operator=operator, variant=variant, seed=seed,
                 multiple=chosen[operator])
            for seed in range(seeds) for paper in papers_ for task in tasks_of(paper)
            for operator, variant in papers[paper]]
    jobs.sort(key=lambda job: (job['seed'], job['task'] == 'micro'))
    return [job for i, job in enumerate(jobs) if job not in jobs[:i]]  # TSN is in all papers

def main(argv):
    "Run what is asked for and not yet there."
    names, share = share_of(argv)
    names, seeds = option_of(names, '--seeds', 3)
    asked = [name for name in names if name != 'tune'] or list(papers)
    refuse_unknown(names, ('tune', *papers), 'paper')
    keys = 'part', 'task', 'operator', 'variant', 'seed', 'multiple'
    jobs = tuning(asked) if 'tune' in names else tests(asked, seeds)
    done = [{k: line[k] for k in keys} for line in read_lines(results)]
    for job in progress_bar([job for job in share(jobs) if job not in done], desc='runs'):
        run(job)

if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
