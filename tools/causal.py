"""Train the networks of nbs/results/68b_live.ipynb, which look both ways in time or only back:

    .venv/bin/python tools/causal.py [drift|order …] [--seeds N] [--share K/N]
    .venv/bin/python tools/causal.py borders

The network `tiny` with a shift, with temporal convolutions or with hourglasses, each two-sided and
causal, learns from clips of eight frames. `drift`: where to does a square of 5 pixels on a torus of
32 move, by 7 pixels from frame to frame? `order`: which of six orders do three events have? Every
network is trained with the same recipe until nothing more is gained (study.py). The learning rates
are those that tools/ablations.py found for the two-sided networks. A two-sided network may also
learn `drift` from the eight frames in the middle of clips of twenty (`long`), where no border is
near; for `order`, both kinds of network may learn from such clips, in which other videos come
before and behind the one that is asked for. `repeat` is the cheaper way to keep zeros out: the
first and the last frame of the clip are repeated six times, and the scores of the repeated frames
are not asked for.

Each is scored on 256 new videos: as a clip of eight frames with zeros around it (`clip`); as the
same eight frames of a stream, where another video comes before and behind (`cut`) or, for drift,
the motion goes on (`on`); networks that learned with repeated frames also with them (`still`); and
live. There a stream changes from one video to the next, and k frames
later the scores of the newest 1 or 8 frames that are known answer. A two-sided network knows the
scores of a frame only 6 frames later; causal ones know them at once. `again` is the third way: the
two-sided network runs on the last eight frames as on a clip, again for each new frame (on the
first 64 videos).

`borders` scores the networks of data/checkpoints/ in the first three ways.

Each network is one line of data/results/causal.jsonl; what is in the file is not repeated.

The first run of `order`, the two-sided hourglass, was dropped: it ended after 200 steps without
a gain, at chance, before it had begun to learn. Now 400 steps without a gain end a training, as in
ablations.py. The runs of `drift` before that had learned everything and would not differ.

Predictions, written before the first run, with nothing known but the results of ablations.jsonl.
1. `clip`: on `drift` every network is above 98 %, for two neighbouring frames show the direction.
   On `order` the causal networks are within 5 points of the two-sided ones: the last frames of the
   clip see all of it.
2. `cut` and `on`, drift: the two-sided networks lose 3 points or more between `clip` and `cut`,
   less than 3 between `clip` and `on`. Causal ones lose less in `cut`, because only one of their
   borders was learned. `long` loses less than 1 in `on`.
3. `cut`, order: all networks lose 20 points or more, since a frame now sees the events of the video
   before, and with it two-sided ones those of the next video. Causal ones lose less.
4. Live, drift, newest frame: half of the right answers of a causal network come at k = 0 to 2, of
   a two-sided one 6 frames later. With 8 frames both are 3 to 5 frames later still.
5. `again` is as fast as the causal network with 8 frames, within one frame, and costs 8 times as
   much.
6. (Added for `order`, `long`, before its first run; known was that a checkpoint of a two-sided
   hourglass loses ten points in `cut`.) Networks that learned among other videos lose less than 3
   points between `clip` and `cut`, and are 5 points or more ahead in `cut` of those that learned
   between zeros.
7. (Added for `order`, `repeat`, before its first run; known was all of the above.) Repeated frames
   remove the zeros, but no other event ever happens in them. So these networks still lose between
   `still` and `cut`: 3 points or more in the mean of the eight, causal ones more than two-sided
   ones. In `cut` they stay behind those that learned among other videos, and are within 5 points
   of those that learned between zeros. Between zeros (`clip`) they are 3 points or more worse than
   in `still`, for they have never seen a zero frame."""
import sys
import time

import torch
from ablations import Rendered
from study import Plateau, learn_to_plateau, operator_recipe, option_of, read_lines, refuse_unknown
from study import root, share_of, write_line
from video_convs import create_model
from video_convs.data.drift import coverage
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import DIRECTIONS
from video_convs.data.transforms import normalise
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import load
from video_convs.train.groups import make_optimizer

results, shelf = root/'data/results/causal.jsonl', root/'data/checkpoints'
multiples = dict(hgc=1., tsm=1., r2plus1d=10.)  # of the learning rate, for the operator
frames, before, behind, margin = 8, 20, 14, 6  # of a clip; of a stream around it; of `long`
batch, lr, norm = 16, 3e-3, 5.
window, climb, patience, most, last = 25, 50, 16, 60, 50  # steps; patience and most: windows

class Drifting:
    "Squares on a torus, which turn between two videos."
    classes = DIRECTIONS[4]

    def __init__(self, size=32, side=5, step=7.):
        self.size, self.side, self.step = size, side, step

    def draw(self, split, seed):
        "What is drawn for a part of the data."
        return torch.Generator().manual_seed(2 * seed + (split == 'test'))

    def videos(self, draw, lengths, n=batch, known=0):
        "Squares (n, 3, sum of lengths, S, S), and their direction in part `known`."
        first = torch.randint(4, (n, 1), generator=draw)
        turns = torch.randint(1, 4, (n, len(lengths) - 1), generator=draw)
        labels = torch.cat([first, turns], 1).cumsum(1) % 4  # never the same twice
        angle = labels.repeat_interleave(torch.tensor(lengths), 1) * torch.pi / 2
        steps = self.step * torch.stack([angle.cos(), angle.sin()], 2).round()
        place = torch.randint(self.size, (n, 1, 2), generator=draw) + steps.cumsum(1)
        x, y = (coverage(p, self.side, self.size).sum(2) for p in place.unbind(2))
        clip = y[..., :, None] * x[..., None, :]
        clip = clip + .05 * torch.randn(clip.shape, generator=draw)
        return clip.unsqueeze(1).expand(-1, 3, -1, -1, -1), labels[:, known]

    def batches(self, split, seed, length=frames):
        draw = self.draw(split, seed)
        while True:
            yield self.videos(draw, [length])

    def streams(self, seed, n, before, behind):
        "Name → clips and labels; what counts are `frames` frames after the first `before`."
        draw = self.draw('test', seed)
        return dict(cut=self.videos(draw, [before, frames, behind], n, 1),
                    on=self.videos(draw, [before + frames + behind], n),
                    live=self.videos(draw, [before, frames + behind], n, 1))

def among_others(clips, rest, draw):
    "Clips with `rest` frames of other clips before them and behind them."
    before, behind = (clips[torch.randperm(len(clips), generator=draw)] for _ in range(2))
    return torch.cat([before[:, :, -rest:], clips, behind[:, :, :rest]], 2)

def repeated(clips):
    "Clips whose first and last frame are repeated `margin` times."
    first, last = (clips[:, :, [t] * margin] for t in (0, -1))
    return torch.cat([first, clips, last], 2)

class Orders:
    "Videos of three events, one video after another."
    def __init__(self, size=32, spec=InputSpec(mean=(.5,), std=(.25,))):
        config = MotionConfig(size=size, frames=96, displacement=0.)
        self.rendered, self.spec = Rendered('order', config), spec
        self.classes = self.rendered.classes

    def batches(self, split, seed, length=frames):
        draw = torch.Generator().manual_seed(seed)
        for clips, labels in self.rendered.batches(split, seed, 1):
            pixels = (255 * (clips * .25 + .5)).round().byte()
            clips = normalise(pixels, self.spec)
            yield (among_others(clips, (length - frames) // 2, draw) if length > frames
                   else clips), labels

    def streams(self, seed, n, before, behind):
        parts = self.batches('test', seed)
        clips, labels = (torch.cat(x) for x in zip(*(next(parts) for _ in range(-(-n // batch)))))
        clips, labels = clips[:n], labels[:n]
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        clips, labels = clips[order], labels[order]
        around = [clips.roll(i, 0) for i in range(1, 6)]
        stream = torch.cat([*around[:3], clips, *around[3:]], 2)
        stream = stream[:, :, 3 * frames - before:4 * frames + behind]
        return dict(cut=(stream, labels), live=(stream, labels))

tasks = dict(drift=Drifting(), order=Orders())

def make(job):
    "The network of a run."
    task = tasks[job['task']]
    spec = dict(frames=frames, size=32, mean=(.5,) * 3, std=(.25,) * 3)
    return create_model(f"{job['operator']}_tiny", num_classes=len(task.classes), input_spec=spec,
                        classes=list(task.classes), dropout=0., causal=job['causal'])

class Middle(torch.nn.Module):
    "The scores of the frames in the middle of a clip."
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, clips):
        return self.net(clips, per_frame=True)[:, margin:margin + frames].mean(1)

def learn(net, job):
    "Train until nothing more is gained: what ended it, and the loss and accuracy of each window."
    borders = job['borders']
    length = frames + 2 * margin * (borders == 'long')
    batches = tasks[job['task']].batches('train', job['seed'], length)
    if borders == 'repeat':
        batches = ((repeated(clips), labels) for clips, labels in batches)
    optimizer = make_optimizer(net, operator_recipe(net, lr, multiples[job['operator']]))
    plateau = Plateau(optimizer, patience, most, last, climb)
    learner = net if borders == 'zeros' else Middle(net)
    return learn_to_plateau(learner, batches, plateau, window, norm)

@torch.inference_mode()
def scores(net, clips, each=32):
    "Scores (N, T, classes) of all frames."
    return torch.cat([net(x, per_frame=True) for x in clips.split(each)])

def rightly(scores, labels):
    return (scores.argmax(-1) == labels).sum().item()

def as_streams(net, streams, before, still=False):
    "Right answers of the mean over the frames of a clip: alone, and as a part of streams."
    part = slice(before, before + frames)
    clips, labels = streams['cut']
    alone = clips[:, :, part]
    found = dict(clip=rightly(scores(net, alone).mean(1), labels))
    if still:
        y = scores(net, repeated(alone))[:, margin:margin + frames]
        found['still'] = rightly(y.mean(1), labels)
    for name in streams.keys() - {'live'}:
        clips, labels = streams[name]
        found[name] = rightly(scores(net, clips)[:, part].mean(1), labels)
    return found

def live(net, clips, labels, again):
    "Right answers k = 0, 1, … frames after a change, from what is known then."
    y, delay = scores(net, clips), net.stream().delay
    found = {}
    for W in 1, frames:
        ends = range(before - delay + 1, before + frames + behind - delay + 1)
        found[f'newest{W}'] = [rightly(y[:, end - W:end].mean(1), labels) for end in ends]
    if again:
        clips, labels = clips[:again], labels[:again]
        found['again'] = [rightly(scores(net, clips[:, :, end - frames:end]).mean(1), labels)
                          for end in range(before + 1, before + frames + behind + 1)]
    return found

def run(job, videos=256):
    "One training, one line."
    start = time.process_time()
    torch.manual_seed(job['seed'])
    net = make(job)
    ended, windows = learn(net, job)
    net.eval()
    trained = time.process_time() - start
    streams = tasks[job['task']].streams(job['seed'], videos, before, behind)
    right = as_streams(net, streams, before, job['borders'] == 'repeat')
    again = 64 if job['borders'] == 'zeros' and not job['causal'] else 0
    write_line(results, job | dict(
        right=right, live=live(net, *streams['live'], again), delay=net.stream().delay,
        videos=videos, again=again, ended=ended, windows=windows,
        trained=round(trained, 1), seconds=round(time.process_time() - start, 1)))

def score_checkpoint(job, videos=256):
    "A network of data/checkpoints/, one line."
    net, start = load(shelf/job['checkpoint']).eval(), time.process_time()
    spec = net.input_spec
    task = Drifting(spec.size, 6, 10.) if job['task'] == 'drift' else Orders(spec.size, spec)
    around = max(1, net.stream().delay)
    right = as_streams(net, task.streams(0, videos, around, around), around)
    write_line(results, job | dict(right=right, delay=net.stream().delay, videos=videos,
                                   seconds=round(time.process_time() - start, 1)))

def trainings(asked, seeds):
    "All runs: the first seed first, and the borders last."
    jobs = [dict(part='train', task=task, operator=operator, causal=causal, borders=borders,
                 seed=seed)
            for seed in range(seeds) for borders in ('zeros', 'long', 'repeat') for task in asked
            for operator in multiples for causal in (False, True)]
    return [job for job in jobs if asks_something(job)]

def asks_something(job):
    "No `long` for causal networks on `drift`; `repeat` where zeros did harm to what had learned."
    if job['borders'] == 'repeat':
        return job['task'] == 'order' and job['operator'] != 'hgc'
    return job['borders'] == 'zeros' or job['task'] == 'order' or not job['causal']

def checkpoints():
    "The networks that answer frame by frame as in a clip, with a frame at each point in time."
    names = [f'{operator}_tiny.motion-{task}_8f' for task, operators in dict(
        drift=('tsn', 'tsm', 'r2plus1d', 'hgc', 'sth', 'hf_tsn'), order=('hgc',)).items()
        for operator in operators]
    return [dict(part='borders', task=name.split('-')[1].split('_')[0], checkpoint=name)
            for name in names]

def main(argv):
    "Run what is asked for and not yet there."
    names, share = share_of(argv)
    names, seeds = option_of(names, '--seeds', 1)
    refuse_unknown(names, ('borders', *tasks), 'task')
    jobs = checkpoints() if 'borders' in names else trainings(names or list(tasks), seeds)
    done = read_lines(results)
    for job in share(jobs):
        if not any(line.items() >= job.items() for line in done):
            print(*job.values(), flush=True)
            (run if job['part'] == 'train' else score_checkpoint)(job)

if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
