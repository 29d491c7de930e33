"""Train the networks of nbs/results/67_blind_spots.ipynb:

    .venv/bin/python tools/blind_spots.py [PLACE …] [--share K/N]

One operator, two kinds of clips: each clip, and the same clip after a change (CHANGES). A network
learns to tell the two kinds apart. Each run is one line of data/results/blind_spots.jsonl; runs
that are in the file already are not repeated. `right` of `total` new clips are named; for every
change, `equal` counts clips without noise that get the same answer before and after it.

There are three places for the operator (PLACES), always with a mean over pixels and frames at the
end: behind a 3×3 convolution and before a ReLU (network), behind a 1×1 convolution and before a
ReLU (pixel), and behind a 3×3 convolution with no ReLU after it (last).

Predictions, written before the runs of the log. Nine trial runs, which set the number of steps,
came before them. "Same" and "differs" are the words of data/blind_spots.csv.
1. Same: after any training both clips get the same answer, in all clips, and half of the clips are
   named (within four standard deviations).
2. The order of frames (shuffled, reversed, repeated): who differs names 95 % or more, gates too.
3. One or two pixels to the left, flashes, twice the speed: who differs names 90 % or more.
4. Four pixels to the left: C3D, GST and STC, which are blind from five pixels on, stay below 90 %,
   because so close to the limit only the corners of two echoes meet. Slope 8 names 90 % or more.
5. Two events in consecutive frames: who differs names 90 % or more. Five frames apart: TRN, TIN and
   TAM name 90 % or more. MTA sees it in one of four parts and stays below 90 %.
6. Pixels shuffled: behind a 3×3 convolution everyone names 95 % or more, also without an
   operator."""
import sys
import time
from functools import partial

import torch
from study import Plateau, learn_to_plateau, read_lines, refuse_unknown, root, share_of
from study import write_line
from torch import nn
from video_convs import (C3D, CMCB, TAM, TIN, GSTConv, MotionExcitation,
                         MultipleTemporalAggregation, SpatialRefinement, TemporalRefinement)
from video_convs.clips import fold, unfold
from video_convs.nets.heads import TRNHead
from video_convs.nets.single_operator import SINGLE_OPERATORS, SingleOperatorNet, around
from video_convs.progress import progress_bar
from video_convs.utils import packaged_table

results = root/'data/results/blind_spots.jsonl'
width, batch, lr = 16, 16, .02
window, last, patience, most = 20, 20, 3, 15  # steps, steps, windows, windows

# ---- the clips: n of a kind, and the same clips changed

def squares(
    x, # (n, T): left edge of a square in each frame
    size, # S, of the frame
    generator,
    side=1, # of the square, pixels
): # (n, 1, T, S, S)
    "Squares at a random height, each clip with a brightness of its own."
    n, _ = x.shape
    y = torch.randint(3, size - 2 - side, (n, 1), generator=generator)
    bright = .5 + torch.rand(n, 1, 1, 1, generator=generator)
    pixel = torch.arange(size)
    rows, columns = ((pixel >= at[..., None]) & (pixel < at[..., None] + side) for at in (y, x))
    return (bright * (rows[..., None] & columns[..., None, :]))[:, None]

def motion(n, generator, d=1, T=5, size=16, side=1):
    "A square that moves d pixels to the right in every frame, 3 pixels from the edge or more."
    way = d * (T - 1) + side
    x = torch.randint(3, size - 2 - way, (n, 1), generator=generator)
    return squares(x + d * torch.arange(T), size, generator, side)

def growth(n, generator, T=5, size=16):
    "A square whose side grows by 2 pixels in every frame."
    middle = torch.randint(7, size - 7, (2, n, 1, 1), generator=generator)
    bright = .5 + torch.rand(n, 1, 1, 1, generator=generator)
    rows, columns = ((torch.arange(size) - m).abs() <= torch.arange(T)[:, None] for m in middle)
    return (bright * (rows[..., None] & columns[..., None, :]))[:, None]

def events(n, generator, gap):
    "A small bright square, and `gap` frames later a large dim one; each is there for one frame."
    clip, first = torch.zeros(n, 1, 14, 16, 16), 6 - gap // 2
    brightness = torch.tensor([1., .5]).view(2, 1, 1)
    clip[:, :, [first, first + gap]] = growth(n, generator, 3)[:, :, 1:] * brightness
    return clip

def in_order(clip, order):
    "The frames of a clip in another order."
    return clip[:, :, order]

def exchanged(gap):
    "The order of the 14 frames of `events` in which the second event is first."
    order, first = list(range(14)), 6 - gap // 2
    order[first], order[first + gap] = first + gap, first
    return order

def pixels_shuffled(clip, generator):
    "Each clip with its pixels in another order, the same one in all its frames."
    flat = clip.flatten(3)
    order = torch.rand(len(clip), 1, 1, flat.shape[3], generator=generator).argsort(3)
    return flat.gather(3, order.expand_as(flat)).view_as(clip)

def reordered(make, order):
    "A pair of a kind: clips, and the same with their frames in another order."
    def pair(n, generator):
        clip = make(n, generator)
        return clip, in_order(clip, order)
    return pair

def pixels(n, generator):
    clip = motion(n, generator, side=3)
    return clip, pixels_shuffled(clip, generator)

def twice(clip):
    "The clip played twice, and each of its frames shown twice."
    return torch.cat([clip, clip], 2), clip.repeat_interleave(2, 2)

def repeated(n, generator):
    return twice(growth(n, generator))

def speed(n, generator):
    fast = motion(n, generator, d=4, T=4, size=20)
    return torch.stack([frame.roll(-2 * t, 3) for t, frame in enumerate(fast.unbind(2))], 2), fast

CHANGES = { # name: (n, generator) → clips and changed clips
    'shuffled': reordered(partial(growth, T=6), [0, 3, 1, 4, 2, 5]),
    'reversed': reordered(growth, [4, 3, 2, 1, 0]),
    'repeated': repeated,
    'pixels': pixels,
    'flashes': reordered(partial(motion, d=2), [0, 2, 4, 1, 3]),
    'left 1': reordered(motion, [4, 3, 2, 1, 0]),
    'left 2': reordered(partial(motion, d=2), [4, 3, 2, 1, 0]),
    'left 4': reordered(partial(motion, d=4, T=4, size=20), [3, 2, 1, 0]),
    'speed': speed,
    'events 1': reordered(partial(events, gap=1), exchanged(1)),
    'events 5': reordered(partial(events, gap=5), exchanged(5)),
}
FRAMES = {name: pair(2, torch.Generator())[0].shape[2] for name, pair in CHANGES.items()}

# ---- the networks

OPERATORS = { # name: (T → operator, pixels that it looks to each side)
    name: (lambda T, make=entry.make: make(width), max(entry.here, entry.near))
    for name, entry in SINGLE_OPERATORS.items()}
OPERATORS |= {
    'gst': (lambda T: GSTConv(width, width), 1),
    'tin': (lambda T: TIN(width, T), 0),
    'me': (lambda T: MotionExcitation(width, 4), 0),
    'mta': (lambda T: MultipleTemporalAggregation(width), 3),
    'tam': (lambda T: TAM(width, T), 0),
    'cmcb': (lambda T: CMCB(width), 0),
    'tr': (lambda T: TemporalRefinement(width), 0),
    'sr': (lambda T: SpatialRefinement(width), 1),
    'trn': (lambda T: nn.Identity(), 0),
    'eco': (lambda T: nn.Sequential(C3D(width, width), nn.ReLU(), C3D(width, width)), 2),
}
PLACES = 'network', 'pixel', 'last'

class Net(SingleOperatorNet):
    "Stem, one operator, ReLU, mean over pixels and frames, two scores."
    def __init__(self, operator, place, T):
        super().__init__('none', after=0, width=width, classes=2)
        make, self.radius = OPERATORS[operator]
        self.op = make(T)
        if place == 'pixel':  # no layer except the operator looks beside a pixel
            self.stem[0] = nn.Conv2d(1, width, 1, bias=False)
        if place == 'last':  # no ReLU behind the operator
            self.after = nn.Identity()
        self.fixed = operator in ('tin', 'tam', 'trn')  # made for T frames
        if operator == 'trn':
            self.head = TRNHead(width, 2, 0., T, bottleneck=16, hidden=32)

    def forward(self, x): # (B, 1, T, H, W) → (B, 2)
        (T, H, W), r = x.shape[2:], self.radius
        x = self.op(unfold(around(self.stem(fold(x)), r), T))[..., r:r + H, r:r + W]
        x = self.after(x).mean((3, 4)).transpose(1, 2)  # (B, T, C)
        return self.head(x).squeeze(1) if isinstance(self.head, TRNHead) else self.head(x.mean(1))

# ---- the runs

TASKS = {'network': tuple(CHANGES), 'pixel': ('left 2', 'reversed'),
         'last': ('left 2', 'reversed')}
late = 'dense', 'hgc_avg8', 'hgc_mixed', 'eco'

def pairs(change, n, generator, noise=.05):
    "n clips, the same n clips changed, and labels, 0 and 1."
    clips = torch.cat(CHANGES[change](n, generator))
    noises = noise * torch.randn(clips.shape, generator=generator)
    return clips + noises, torch.arange(2).repeat_interleave(n)

def batches(change, generator):
    "New pairs, without end."
    while True:
        yield pairs(change, batch // 2, generator)

@torch.no_grad()
def answers(net, clips):
    "0 or 1 for each clip."
    return torch.cat([net(part).argmax(1) for part in clips.split(50)])

def equal_answers(net, frames, generator, n=5):
    "For each change: of n clips without noise, how many get the same answer when changed?"
    counts, net = {}, net.double()
    for change in CHANGES:
        if net.fixed and FRAMES[change] != frames:
            continue
        clips, _ = pairs(change, n, generator, noise=0.)
        before, behind = answers(net, clips.double()).chunk(2)
        counts[change] = [(before == behind).sum().item(), n]
    return counts

def run(job):
    "One training, one line."
    start = time.process_time()
    torch.manual_seed(job['seed'])
    generator = torch.Generator().manual_seed(1000 + job['seed'])
    frames = FRAMES[job['change']]
    net = Net(job['operator'], job['place'], frames)
    plateau = Plateau(torch.optim.Adam(net.parameters(), lr=lr), patience, most, last)
    ended, windows = learn_to_plateau(net, batches(job['change'], generator), plateau, window)
    clips, labels = pairs(job['change'], 100, generator)
    right = (answers(net.eval(), clips) == labels).sum().item()
    line = job | dict(right=right, total=len(labels), ended=ended, windows=windows,
                      equal=equal_answers(net, frames, generator))
    write_line(results, line | dict(seconds=round(time.process_time() - start, 1)))

def jobs(places, seeds=1):
    """Every operator in each place, of the hourglasses slopes 2 and 8. First where training can
    help, last the operators that others stand for."""
    trained = [name for name in OPERATORS if name[-1] not in '46']
    blind = {(row['operator'], row['place'], row['change'])
             for row in packaged_table('blind_spots.csv') if row['verdict'] == 'same'}
    found = [dict(operator=operator, place=place, change=change, seed=seed)
             for seed in range(seeds) for place in places for change in TASKS[place]
             for operator in trained]
    return sorted(found, key=lambda job: (
        job['seed'], job['operator'] in late, job['place'] != 'network',
        (job['operator'], job['place'], job['change']) in blind))

if __name__ == '__main__':
    torch.set_num_threads(1)
    names, share = share_of(sys.argv[1:])
    refuse_unknown(names, PLACES, 'place')
    keys = 'operator', 'place', 'change', 'seed'
    done = {tuple(line[k] for k in keys) for line in read_lines(results)}
    left = [job for job in jobs(names or PLACES) if tuple(job[k] for k in keys) not in done]
    for job in progress_bar(share(left), desc='blind spots'):
        run(job)
