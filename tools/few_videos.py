"""Learn from 2, 5, 10 and 20 videos a class, for nbs/results/65b_few_videos.ipynb:

    .venv/bin/python tools/few_videos.py [SET …] [--methods NAME …] [--draws N] [--share K/N]

The sets are those of tools/real_videos.py: `gestures`, the ten digits of `grid` as `grid_digits`,
and `miracl_words`; they are looked for in the same places. The trunk is MobileNetV2 with ImageNet's
weights ($MOBILENET, else beside the project in shared/weights), 8 frames of 64×64 pixels.

linear     the trunk stays as it is; a linear layer on the mean of its features over time
temporal   the same, on four moments over time
finetune   all of the network learns, from `temporal` on; its norms keep their statistics

A *draw* chooses the videos to learn from: the first 2, 5, 10, 20 of each class in an order of its
own, from all folds except one, which is the test. A class that has fewer gives all it has. Folds
hold whole sessions (gestures), sentences (digits), speakers (words). The frozen trunk runs on each
fold, fine-tuning on one fold for each draw: the draw's number. Each run is a line of
data/results/few_videos.jsonl with the right answers by unit (session, sentence, speaker); runs that
are in the file are not repeated. `--share 1/2` and `--share 2/2` divide them among two processes.

One setting of fine-tuning was written down and not searched for: AdamW, 3e-4, 100 steps of 8 clips
for 2 and 5 videos a class, 150 for 10, 200 for 20.

Predictions, written before the first run. They know that on the gestures' own split, with all 224
training videos at 96 pixels, the linear head was right on 6 and the temporal one on 19 of 56; the
equal weight of the moments was chosen by cross-validation within these 224.
1. Gestures, linear: 10 to 16 %, which is guessing, at every size. The finger is small and
   everywhere, and a mean over time and over the picture does not see where it goes.
2. Gestures, temporal: 12 to 18 % with 2 videos a class, 20 to 35 % with 20.
3. Digits, linear: 20 to 35 % with 2 and 45 to 60 % with 20. Temporal: 5 points more with 2, 10 to
   20 points more with 20.
4. Words of unseen speakers: linear 12 to 18 % with 2, 20 to 30 % with 20; temporal 0 to 8 points
   more. Two videos of a class are two speakers.
5. Fine-tuning is behind `temporal` or level with it (within 5 points) at 2 and at 5, and ahead by 5
   points or more at 20, on gestures as on digits.
6. At 2 videos a class the draws differ by more than the two heads do: the range over three draws is
   8 points or more."""
import csv
import json
import os
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from real_videos import around, augment, sets, table_of
from study import descend, option_of, read_lines, refuse, refuse_unknown, root, share_of, write_line
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import csv_dataset
from video_convs.data.lists import table_rows
from video_convs.progress import progress_bar
from video_convs.train.few_videos import fit_head, score_features
from video_convs.train.groups import frozen_parts, make_optimizer
from video_convs.train.recipes import Recipe, learning_rate
from video_convs.train.scores import score
from video_convs.use.features import extract_features, open_trunk

results = root/'data/results/few_videos.jsonl'
work = root/'runs/few_videos'
names = 'gestures', 'grid_digits', 'miracl_words'
sizes = {2: 100, 5: 100, 10: 150, 20: 200}  # videos of a class → steps of fine-tuning
methods = 'linear', 'temporal', 'finetune'
network = 'tsn_mobilenet_v2'
spec = dict(frames=8, size=64, fit='squash')
batch, parts = 8, 4  # clips of a step; folds of sessions

@lru_cache(1)
def trunk():
    "The network with ImageNet's weights."
    default = root.parent/'shared/weights/mobilenet_v2_trunk_float32.pth'
    file = Path(os.environ.get('MOBILENET', default))
    if not file.is_file():
        refuse(f'there is no {file}: give the weights of MobileNetV2 as $MOBILENET')
    return open_trunk(network, file, **spec)

def fold_of(rows, name):
    "The fold of each row: that of the table, or whole sessions, dealt out by their size."
    if sets[name].held == 'fold':
        return [row['fold'] for row in rows]
    groups = [row['group'] for row in rows]
    folds, filled = {}, [0] * parts
    for group in sorted(set(groups), key=lambda g: (-groups.count(g), g)):
        folds[group] = filled.index(min(filled))
        filled[folds[group]] += groups.count(group)
    return [str(folds[group]) for group in groups]

def write_table(name):
    "Write a list of a set's videos with their folds, beside a link to them: the list's folder."
    source, about, folder = table_of(name), sets[name], work/name
    rows = [row for row in table_rows(source)[0] if about.slot in (None, row.get('slot'))]
    folder.mkdir(parents=True, exist_ok=True)
    if not (link := folder/'videos').exists():
        link.symlink_to(source.parent)
    with open(folder/'clips.csv', 'w', newline='') as file:
        lines = csv.writer(file)
        lines.writerow('path label split group start_frame end_frame'.split())
        for row, fold in zip(rows, fold_of(rows, name)):
            frames = around(row, about.window) if about.window else ('', '')
            lines.writerow((f"videos/{row['path']}", row['label'], fold, row['group'], *frames))
    (folder/'dataset.json').write_text(json.dumps({'name': name}))
    return folder

@lru_cache(1)
def load(name):
    "The videos of each fold, and the features of all of them."
    file = write_table(name)/'clips.csv'
    folds = sorted({row['split'] for row in table_rows(file)[0]})
    data = {fold: csv_dataset(file, fold) for fold in folds}
    return data, extract_features(trunk(), [*data.values()], work/f'{name}.safetensors')

def drawn(features, fold, draw, most):
    "Rows of the videos to learn from: the first `most` of each class outside a fold."
    order = np.random.default_rng(draw).permutation(len(features)).tolist()
    left, rows = dict.fromkeys(range(len(features.classes)), most), []
    for i in order:
        label = features.labels[i].item()
        if features.splits[i] != fold and left[label]:
            left[label] -= 1
            rows.append(i)
    return sorted(rows)

def subset(data, features, rows):
    "The same videos, of the data sets of all folds."
    chosen = {features.ids[i] for i in rows}
    for one in data.values():
        mine = [i for i, video in enumerate(one.names()) if video in chosen]
        if mine:
            yield one.subset(mine)

def finetune(net, data, steps, seed):
    "Let all weights learn from these videos."
    recipe = Recipe(lr=3e-4, bn='frozen', batch_size=batch)
    clips = [Clips(one, net.input_spec, train=True, augment=augment, seed=seed, cache=True)
             for one in data]
    videos = torch.utils.data.ConcatDataset(clips)
    optimizer, draws = make_optimizer(net, recipe), torch.Generator().manual_seed(seed)
    step, epoch = 0, 0
    with frozen_parts(net, recipe) as still:
        net.train()
        for norm in still:
            norm.eval()
        while step < steps:
            for one in clips:
                one.set_epoch(epoch)
            epoch += 1
            for rows in torch.randperm(len(videos), generator=draws).split(batch):
                for group in optimizer.param_groups:
                    group['lr'] = learning_rate(recipe, step, steps) * group.get('scale', 1)
                some, labels, _ = zip(*(videos[i] for i in rows.tolist()))
                loss = F.cross_entropy(net(torch.stack(some)), torch.tensor(labels))
                descend(optimizer, loss, recipe.clip_norm)
                step += 1
                if step == steps:
                    break
    return net.eval()

def run(job):
    "One line of results."
    start, (data, features) = time.process_time(), load(job['set'])
    rows = drawn(features, job['fold'], job['draw'], job['size'])
    torch.manual_seed(job['draw'])
    head = 'linear' if job['method'] == 'linear' else 'temporal'
    fit = fit_head(trunk(), features.subset(rows), head)
    if job['method'] == 'finetune':
        net = finetune(fit.model, subset(data, features, rows), sizes[job['size']], job['draw'])
        clips = Clips(data[job['fold']], net.input_spec, train=False)
        found, held = score(net, clips, progress=False), features.split(job['fold'])
        group = dict(zip(held.ids, held.groups))
        units = [group[video] for video in data[job['fold']].names()]
    else:
        held = features.split(job['fold'])
        found, units = score_features(fit.model, held), held.groups
    right = (found.by().argmax(1) == found.labels).tolist()
    counts = {}
    for unit, hit in zip(units, right):
        videos, hits = counts.get(unit, (0, 0))
        counts[unit] = videos + 1, hits + hit
    write_line(results, job | dict(
        videos=len(rows), classes=len(features.classes), penalty=fit.penalty, units=counts,
        loss=round(F.cross_entropy(found.by(), found.labels).item(), 4),
        seconds=round(time.process_time() - start, 1)))

def key(line):
    "What tells runs apart."
    return tuple(line[k] for k in ('set', 'method', 'size', 'fold', 'draw'))

def jobs_of(name, method, draws):
    "What is to be run for a set, the smallest sizes first."
    table = write_table(name)/'clips.csv'
    folds = sorted({row['split'] for row in table_rows(table)[0]})
    for draw in range(draws):
        mine = folds if method != 'finetune' else [folds[draw % len(folds)]]
        for fold in mine:
            for size in sizes:
                yield dict(set=name, method=method, size=size, fold=fold, draw=draw)

def main(argv):
    "Run what is asked for and not yet there."
    words, share = share_of(argv)
    words, draws = option_of(words, '--draws', 3)
    at = words.index('--methods') if '--methods' in words else len(words)
    asked, wanted = words[:at], words[at + 1:]
    refuse_unknown(asked, names, 'set')
    refuse_unknown(wanted, methods, 'method')
    done = set(map(key, read_lines(results)))
    jobs = [job for method in wanted or methods for name in asked or names
            for job in jobs_of(name, method, draws)]
    for job in progress_bar([job for job in share(jobs) if key(job) not in done], desc='runs'):
        run(job)

if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
