"""Train the networks of nbs/results/64_displacement.ipynb:

    .venv/bin/python tools/displacement.py [tune|control|grid …] [--share K/N]

One operator in one place (video_convs.nets.single_operator) on a square that drifts over a torus
(video_convs.data.drift). Each run is one line of data/results/displacement.jsonl; runs that are in
the file already are not repeated, and `--share 1/2` and `--share 2/2` divide the work between two
processes.

Each cell of the grid has three seeds, and five where it decides: at the farthest displacement that
an operator can see, and at one pixel, which a window with holes may miss.

Predictions, written before the first run. d is the displacement, s the side of the square, L the
number of convolutions behind the operator.
1. From `reach` pixels on, accuracy is that of guessing (25 %), after any training: no term of the
   scores knows the direction.
2. Below the reach every operator gets above 95 %, except in the last one or two pixels, where what
   meets is faint.
3. So the hourglass is ahead of the plain temporal convolution (by more than 10 points) only where d
   comes close to s + 2 (1 + L): for s = 3 from d = 4 on at L = 0 and from d = 6 on at L = 1. At
   L ≥ 2 and for s = 8 nothing up to d = 8 tells them apart.
4. Slopes with holes (conv, p ≥ 6) need more steps than p = 2 at d ≤ 2. With time to train they lose
   less than 5 points there.
5. The mean (avg) is behind the convolution of the same slope near the reach, since it can weigh no
   side of its window.
6. The shift reaches as far as the temporal convolution and needs more steps, since only a quarter
   of its channels move.
7. The number of steps needed grows with d and falls with L, in every operator.
8. (Added before its first run.) Several slopes at once, `hgc_mixed`, is never more than 5 points
   below the best slope of a cell, and ahead of every single slope in the mean over the cells. Near
   the reach of slope 8 it is behind slope 8."""
import sys
import time

import torch
from study import Plateau, learn_to_plateau, read_lines, refuse_unknown, root, share_of
from study import write_line
from video_convs.data.drift import Drift, drift_clips
from video_convs.nets.single_operator import SINGLE_OPERATORS, SingleOperatorNet, reach
from video_convs.progress import progress_bar

results = root/'data/results/displacement.jsonl'
displacements, sides, afters = (.5, 1., 2., 3., 4., 6., 8.), (3, 8), (0, 1, 2, 4, 8)
multiples = 1., 3., 10.  # of the learning rate, for the operator
batch, lr = 16, 1e-2
window, last = 50, 50  # steps
patience, most = 12, 60  # windows
tuned_on = (4., 3, 1), (2., 3, 0)  # (d, s, L)
pictured = ('conv1d', 'hgc_conv2', 'hgc_conv4', 'hgc_conv8'), 3, 0  # in README: operators, s, L

def visible(operator, d, side, after):
    "Can training help?"
    return d < reach(operator, side, after)

def learn(net, config, generator, multiple):
    "Train until nothing more is gained: (what ended it, [(loss, accuracy) of each window])."
    taps = list(net.op.parameters())
    others = [p for name, p in net.named_parameters() if not name.startswith('op.')]
    groups = [dict(params=others, lr=lr)]
    if taps:
        groups.append(dict(params=taps, lr=lr * multiple))
    optimizer = torch.optim.Adam(groups)
    plateau = Plateau(optimizer, patience, most, last)
    return learn_to_plateau(net, batches(config, generator), plateau, window)

def batches(config, generator):
    "New clips and their directions, without end."
    while True:
        labels = torch.randint(config.directions, (batch,), generator=generator)
        yield drift_clips(config, labels, generator), labels

@torch.no_grad()
def accuracy(net, config, generator, clips=1024):
    "Share of fresh clips whose direction is named, by BatchNorm's running statistics."
    net.eval()
    labels = torch.arange(clips) % config.directions
    parts = [net(drift_clips(config, part, generator)).argmax(1) == part
             for part in labels.split(128)]
    return torch.cat(parts).float().mean().item()

def run(job):
    "One training, one line."
    torch.manual_seed(job['seed'])
    start = time.time()
    config = Drift(job['d'], side=job['side'])
    net = SingleOperatorNet(job['operator'], job['after'])
    generator = torch.Generator().manual_seed(1000 + job['seed'])
    ended, windows = learn(net, config, generator, job['multiple'])
    line = job | dict(accuracy=round(accuracy(net, config, generator), 4), ended=ended,
                      windows=windows, seconds=round(time.time() - start, 1))
    write_line(results, line)

def best_multiple(operator, done):
    "The multiple with the highest mean accuracy in tuning, then that with the fewest steps."
    def merit(multiple):
        found = [r for r in done if (r['part'], r['operator'], r['multiple'])
                 == ('tune', operator, multiple)]
        if len(found) < len(tuned_on):
            sys.exit(f'{operator} is not tuned yet: run the part tune to its end first')
        return (round(sum(r['accuracy'] for r in found) / len(found), 2),
                -sum(len(r['windows']) for r in found))
    return max(multiples, key=merit) if has_weights(operator) else 1.

def has_weights(operator):
    "Is there anything that a learning rate of its own could be chosen for?"
    return any(True for _ in SINGLE_OPERATORS[operator].make(16).parameters())

def tune():
    "The jobs of tuning, on a seed of their own."
    return [dict(part='tune', operator=o, d=d, side=s, after=L, seed=100, multiple=m)
            for d, s, L in tuned_on for o in SINGLE_OPERATORS
            if has_weights(o) for m in multiples]

def decides(operator, d, side, after):
    "Is it the farthest displacement that can be seen, or one pixel, which holes may miss?"
    seen = [x for x in displacements if visible(operator, x, side, after)]
    return d in (max(seen), 1.)

def turn(seed, cell):
    "Runs with a small number come first: the curves of README, then what decides."
    operator, d, side, after = cell
    if (side, after) == pictured[1:] and operator in pictured[0] and seed < 3:
        return -1
    return seed + 2 * (not decides(*cell)) + (after > 2)

def grid():
    "The jobs of the grid; where training cannot help there is none."
    done = read_lines(results)
    chosen = {o: best_multiple(o, done) for o in SINGLE_OPERATORS}
    cells = [(o, d, s, L) for s in sides for L in sorted(afters, key=lambda L: abs(L - 1))
             for d in sorted(displacements, reverse=True) for o in SINGLE_OPERATORS
             if visible(o, d, s, L)]
    rounds = [(seed, cell) for seed in range(5) for cell in cells if seed < 3 or decides(*cell)]
    return [dict(part='grid', operator=o, d=d, side=s, after=L, seed=seed, multiple=chosen[o])
            for seed, (o, d, s, L) in sorted(rounds, key=lambda job: turn(*job))]

def control():
    "Training where the theorem says that it cannot help: at the reach, and beyond it at 8 pixels."
    at_reach = [(o, max(float(reach(o, 3, 0)), 2.), 0, seed) for seed in range(2)
                for o in ('none', 'conv1d', 'shift', 'hgc_conv2', 'hgc_conv4', 'hgc_conv8')]
    beyond = [(o, 8., 1, seed) for seed in range(3) for o in ('conv1d', 'shift', 'hgc_conv2')]
    return [dict(part='control', operator=o, d=d, side=3, after=L, seed=seed, multiple=3.)
            for o, d, L, seed in at_reach + beyond]

if __name__ == '__main__':
    torch.set_num_threads(1)
    names, share = share_of(sys.argv[1:])
    parts = dict(tune=tune, control=control, grid=grid)
    refuse_unknown(names, parts, 'part')
    keys = 'part', 'operator', 'd', 'side', 'after', 'seed', 'multiple'
    for part in names or parts:
        jobs = share(parts[part]())
        done = {tuple(r[k] for k in keys) for r in read_lines(results)}
        for job in progress_bar([j for j in jobs if tuple(j[k] for k in keys) not in done],
                                desc=part):
            run(job)
