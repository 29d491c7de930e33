"""Train and test the networks of nbs/results/65_real_videos.ipynb:

    .venv/bin/python tools/real_videos.py [SET …] [--seeds N] [--share K/N]

Seven small networks that differ in one operator, on four sets of real videos: `gestures`, words of
`grid` (its ten digits first, all 51 words last), `miracl_words` and `hand_skeletons`; on gestures
and digits also three that look only back in time (`hgc_causal` …). A set is looked for in
$GESTURES, $GRID, $MIRACL_WORDS, $HAND_SKELETONS, else beside the project in shared/data. Clips are
decoded once into memory, 8 frames of 56×56.

Each run leaves one group of videos out (a session, a fold of sentences or of speakers) and is
tested on it: on its frames in order, shuffled, and reversed. What it learns from is cropped,
stretched and brightened, never flipped or reversed. The learning rate of the operator is 1, 3 or
10 times that of the rest, and that of the whole network where the operator has no weights, so that
each network has three tries. The try is chosen on videos that are in no test group. Training ends
at a plateau of the loss. Each run is one line of data/results/real_videos.jsonl, with the right
answers by unit of the intervals (session, sentence, speaker, fifth of the hands) and the seconds of
the processor; runs that are in the file are not repeated. `--share 1/2` and `--share 2/2` divide
sets and networks between two processes.

Predictions, written before the first run. They know nbs/results/60_gestures.ipynb, which had the
same networks on the same gestures with other sizes, folds and fixed epochs, and the linear models
that came with the sets. They are older than the runs by which the tool was sized (session `office`:
`hgc` 43 of 44, `tsn` 21; digits of fold 0: `hgc` 194 of 200), and were left as they are.
1. `tsn` averages scores of frames. Its answers to shuffled and to reversed frames are those to
   ordered ones, to rounding. What the others lose there is what they knew of time.
2. Gestures: 25 to 35 % for `tsn`, 80 to 95 % for the six others, whose intervals over eight
   sessions overlap. Shuffling leaves 15 to 40 % of them. Reversal turns up into down and left into
   right, so reversed frames score less than shuffled ones, below 20 %.
3. Digits: `tsn` near 50 %, the others 75 to 90 %, within 8 points of each other. Shuffling costs
   the six 25 points or more; a shuffled clip scores less than it does with `tsn`, which was
   trained to do without order. Reversed: 15 to 35 %.
4. All 51 words: the same order at 40 % and 60 to 75 %; the letters are what is missing.
5. Words of unseen speakers (MIRACL): `tsn` 30 to 40 %, the others 45 to 60 %. The lips move by
   less than two pixels, and speakers differ more than operators do: with 12 speakers no two of the
   six can be told apart.
6. Hands: the shape tells much. `tsn` 40 to 55 %, the others 10 to 25 points more, shuffling costs
   less than on gestures. With four units no interval is narrow.
7. The hourglass is ahead of the temporal convolution (`r2plus1d`) by 3 points or more nowhere
   except on gestures, if at all: a lip does not outrun a 3×3 kernel, and a finger that moves far
   between two frames is slow again after the strides of the first stages.
8. `hgc`, `r2plus1d` and `hf_tsn` start as the identity and choose 10; `sth` and `stc`, whose
   operator is the convolution itself, choose 1.
9. (Added later, before any run of the tool, for nbs/results/68b_live.ipynb.) On gestures and digits
   `r2plus1d`, `tsm` and `hgc` also learn as causal networks, which look only back. The mean over
   the clip still holds frames that have seen all of it, so a causal network is within 4 points of
   its two-sided one, and the intervals overlap."""
import math
import os
import sys
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from study import Plateau, descend, operator_recipe, option_of, read_lines, refuse_unknown, root
from study import share_of
from study import write_line
from video_convs import InputSpec, create_model
from video_convs.data.custom import csv_dataset
from video_convs.data.lists import table_rows
from video_convs.data.transforms import Augment, eval_transform, train_transform
from video_convs.data.views import Views
from video_convs.progress import progress_bar
from video_convs.train.groups import make_optimizer

results = root/'data/results/real_videos.jsonl'
networks = 'tsn', 'r2plus1d', 'tsm', 'hgc', 'sth', 'stc', 'hf_tsn'
causal = 'r2plus1d_causal', 'tsm_causal', 'hgc_causal'
multiples = 1., 3., 10.  # of the learning rate, for the operator
stored, spec = 56, InputSpec(frames=8, size=48, fit='squash')
augment = Augment(scale=(.85, 1.), ratio=1.1, jitter=.1)
batch, lr, norm = 8, 2e-3, 5.
climb, patience = 100, 500  # steps; `patience` are those without gain that end a training
fall = 4  # epochs
learned = .97  # of the answers in training: more is left to the fall of the rate

@dataclass(frozen=True)
class VideoSet:
    "What is learned from a folder of videos, and what is left out to be tested on."
    folder: str
    validation: tuple[str, ...] # values of `held` that choose the learning rate; never tested
    table: str = 'clips.csv'
    held: str = 'fold' # column: each of its other values is left out once
    slot: str | None = None # only words of this place in the sentence
    window: int | None = None # frames around the middle of a row; None: all of the row
    most: int = 50 # epochs before the learning rate falls
    networks: tuple[str, ...] = networks

sets = {
    'gestures': VideoSet('gestures', ('conv17', 'archie_home'), held='group',
                         networks=networks + causal),
    'grid_digits': VideoSet('grid', ('3',), 'words.csv', slot='digit', window=13, most=30,
                            networks=networks + causal),
    'miracl_words': VideoSet('miracl_words', ('4',), most=20),
    'hand_skeletons': VideoSet('hand_skeletons', ('3',), most=30),
    'grid_words': VideoSet('grid', ('3',), 'words.csv', window=13, most=15)}

class Loaded(NamedTuple):
    "A set in memory."
    clips: torch.Tensor # (N, 3, T, H, W) uint8
    labels: torch.Tensor # (N,)
    classes: list[str]
    held: np.ndarray # (N,) what is left out together
    units: np.ndarray # (N,) what is counted together
    spec: InputSpec # with the mean of the set, and the deviation from its mean picture

def table_of(name):
    "The list of a set, or the end with a sentence."
    folder = sets[name].folder
    place = Path(os.environ.get(folder.upper(), root.parent/'shared/data'/folder))
    if not (place/sets[name].table).is_file():
        sys.exit(f"{name}: there is no {place/sets[name].table}: give the folder of the videos as "
                 f"${folder.upper()}")
    return place/sets[name].table

def around(row, window):
    "The frames around the middle of a row."
    middle = (float(row['start_frame']) + float(row['end_frame']))/2
    first = max(int(middle - window/2), 0)
    return first, first + window

def contrast(clips):
    "The mean of all pixels and their deviation from the mean picture, in shares of white."
    picture = sum(clip.float().mean(1, keepdim=True) for clip in clips)/len(clips)
    squares = sum((clip - picture).square().mean() for clip in clips)
    return picture.mean().item()/255, (squares/len(clips)).sqrt().item()/255

@lru_cache(1)
def load(name, each=1):
    "Decode a set, `each` neighbouring frames at every point in time."
    about, file = sets[name], table_of(name)
    data, rows = csv_dataset(file), table_rows(file)[0]
    keep = [i for i, row in enumerate(rows) if about.slot in (None, row.get('slot'))]
    rows = [rows[i] for i in keep]
    frames = [around(row, about.window) if about.window else row['span'] for row in rows]
    reader, pick = data.reader, Views().pick(replace(spec, per_segment=each))
    clips = torch.stack([reader.read(data.paths[i], pick, (stored, stored), span)
                         for i, span in progress_bar(zip(keep, frames), total=len(keep),
                                                     desc=f'decode {name}')])
    classes = sorted({row['label'] for row in rows})
    labels = torch.tensor([classes.index(row['label']) for row in rows])
    held, units = (np.array([row[column] for row in rows]) for column in (about.held, 'group'))
    mean, std = contrast(clips)
    return Loaded(clips, labels, classes, held, units, replace(spec, mean=(mean,), std=(std,)))

def make(network, classes, input_spec):
    "The network of a run; `hgc_causal` is `hgc_tiny` that looks only back."
    operator = network.removesuffix('_causal')
    back = dict(causal=True) if operator != network else {}
    return create_model(f'{operator}_tiny', num_classes=classes, input_spec=input_spec, dropout=0.,
                        **back)

def learn(net, clips, labels, multiple, most, seed):
    "Train until nothing more is gained: (what ended it, [(loss, accuracy) of each epoch])."
    steps = max(len(clips) // batch, 1)
    optimizer = make_optimizer(net, operator_recipe(net, lr, multiple))
    still = max(math.ceil(patience / steps), 3)  # epochs
    plateau = Plateau(optimizer, still, most, fall * steps, climb, learned)
    transform, rng = train_transform(net.input_spec, augment), np.random.default_rng(seed)
    net.train()
    while not plateau.over:
        order, sums = torch.from_numpy(rng.permutation(len(clips))), torch.zeros(2)
        for part in order[:steps * batch].split(batch):
            some, their = transform(clips[part], rng, labels[part])
            scores = net(some)
            loss = F.cross_entropy(scores, their)
            descend(optimizer, loss, norm)
            sums += torch.stack([loss.detach(), (scores.argmax(1) == their).float().mean()])
            plateau.step()
        plateau.window(*(sums / steps).tolist())
    return plateau.ended, plateau.windows

def shuffled(clips):
    "Each clip's frames in an order of their own, the same ones each time."
    draws = torch.Generator().manual_seed(0)
    orders = [torch.randperm(clips.shape[2], generator=draws) for _ in clips]
    return torch.stack([clip[:, order] for clip, order in zip(clips, orders)])

@torch.inference_mode()
def scores_of(net, clips):
    "The scores of each clip, by BatchNorm's running statistics."
    net.eval()
    transform = eval_transform(net.input_spec)
    return torch.cat([net(transform(part)) for part in clips.split(32)])

def test(net, clips, labels, units):
    "Mean loss on ordered frames; unit → videos, and how many are right in order, shuffled, back."
    orders = clips, shuffled(clips), clips.flip(2)
    scores = [scores_of(net, order) for order in orders]
    right = torch.stack([of.argmax(1) == labels for of in scores]).numpy()
    counts = {unit: [int((units == unit).sum()), *right[:, units == unit].sum(1).tolist()]
              for unit in sorted(set(units))}
    return round(F.cross_entropy(scores[0], labels).item(), 4), counts

def run(job):
    "One training, one line."
    name, data, start = job['set'], load(job['set']), time.process_time()
    out = (np.isin(data.held, sets[name].validation) if job['part'] == 'tune'
           else data.held == job['held'])
    multiple = job['multiple'] or best_multiple(name, job['network'])
    torch.manual_seed(job['seed'])
    net = make(job['network'], len(data.classes), data.spec)
    there = torch.from_numpy(~out)
    ended, log = learn(net, data.clips[there], data.labels[there], multiple, sets[name].most,
                       job['seed'])
    loss, units = test(net, data.clips[~there], data.labels[~there], data.units[out])
    write_line(results, job | dict(
        multiple=multiple, videos=int((~out).sum()), classes=len(data.classes), ended=ended,
        log=log, loss=loss, units=units, seconds=round(time.process_time() - start, 1)))

def key(line):
    "What tells runs apart; the multiple of a test follows from tuning."
    tuning = line['part'] == 'tune'
    return tuple(line[k] for k in ('part', 'set', 'network', 'seed', 'held')) + (
        line['multiple'] if tuning else None,)

def best_multiple(name, network):
    "The multiple with most right answers in tuning, then with the lowest loss."
    tried = [r for r in read_lines(results)
             if (r['part'], r['set'], r['network']) == ('tune', name, network)]
    def merit(line):
        return sum(right for _, right, *_ in line['units'].values()), -line['loss']
    return max(tried, key=merit)['multiple']

def jobs_of(name, network, seed):
    "What is to be run for a network on a set: tuning before the first seed, then each group."
    about = sets[name]
    tune = [dict(part='tune', set=name, network=network, seed=100, held='validation', multiple=m)
            for m in multiples] if seed == 0 else []
    column = {row[about.held] for row in table_rows(table_of(name))[0]}
    return tune + [dict(part='test', set=name, network=network, seed=seed, held=value,
                        multiple=None) for value in sorted(column - set(about.validation))]

def main(argv):
    "Run what is asked for and not yet there."
    names, share = share_of(argv)
    names, seeds = option_of(names, '--seeds', 3)
    refuse_unknown(names, sets, 'set')
    names = names or list(sets)
    mine = set(share([(name, network) for name in names for network in sets[name].networks]))
    jobs = [job for seed in range(seeds) for name in names for network in sets[name].networks
            if (name, network) in mine for job in jobs_of(name, network, seed)]
    done = set(map(key, read_lines(results)))
    for job in progress_bar([job for job in jobs if key(job) not in done], desc='runs'):
        run(job)

if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
