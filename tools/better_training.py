"""Do a search, an automatic end, averaged weights and a teacher pay? Trainings on rendered motion.

    python tools/better_training.py [search] [ending] [teacher] [averaging]

Each part appends lines of JSON to data/results/better_training.jsonl. All parts train a small
network (hgc_tiny, 8 frames of 32 pixels) on 160 rendered videos of 8 classes of motion, and test it
on 96. What we expected before the first run:

search     Eight learning rates and rates of dropout, 12 epochs, half of the trials dropped after 3
           and after 6 epochs. It trains fewer than 70 of 96 epochs. The best of all, if each were
           trained to its end, is among those that it finishes, or lies within 10 points of the one
           it chooses.
ending     epochs='auto' needs more epochs than a cosine of 15, and ends within 5 points of it.
teacher    A student (tsm_tiny) that also learns from a trained hgc_tiny is better than alone by 0
           to 10 points; with 96 test videos and one seed this may not be told from 0.
averaging  The mean of the last 5 checkpoints of a run with a constant rate is at least as good as
           the last one. Without norm statistics of its own it is not worse by more than 2 points.
"""
import contextlib
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from study import read_lines, refuse_unknown, root, write_line
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.transforms import Augment
from video_convs.train.averaging import average_checkpoints
from video_convs.train.ranges import Span
from video_convs.train.recipes import Recipe
from video_convs.train.scale_out import TrainConfig, open_splits, run_training, shared_test
from video_convs.train.search import search

file = root/'data/results/better_training.jsonl'
RECIPE = Recipe(epochs=15, lr=1e-2, dropout=0., augment=Augment.none())

def videos(folder):
    "The rendered videos, with the unseen ones as the split 'val'."
    config = MotionConfig(size=32, frames=8)
    render_task('reversal', folder, train=160, test=96, config=config, progress=False)
    (folder/'test').rename(folder/'val')
    return folder

def config_of(folder, name, recipe, model='hgc_tiny', **more):
    return TrainConfig(folder/'videos', folder/name, model=model, recipe=recipe, frames=8, size=32,
                       cache=True, **more)

def tests(log):
    return [round(entry['test_top1'], 4) for entry in log]

def part_search(folder):
    "A search, and then every trial to its end."
    config = config_of(folder, 'search', replace(RECIPE, epochs=12))
    space = {'lr': Span(1e-3, 1e-1), 'dropout': Span(0., .6)}
    for trial in search(config, space, trials=8, reduction=2, progress=False):
        changed = replace(config, out=config.out/trial.folder, changes=trial.values)
        whole = None
        with contextlib.suppress(ValueError):
            whole = tests(run(changed))
        yield dict(trial=trial.number, values=trial.values, ended=trial.ended,
                   scores=[round(score, 4) for score in trial.scores], whole=whole)

def run(config):
    "The log of a training; in the same folder it is trained once."
    return run_training(config, progress=False, on_epoch=lambda log: None)

def part_ending(folder):
    "A cosine of 15 epochs, and a training that finds its own end."
    for epochs in (15, 'auto'):
        recipe = replace(RECIPE, epochs=epochs, patience=0 if epochs == 15 else 5)
        log = run(config_of(folder, str(epochs), recipe, keep=5))
        yield dict(epochs=epochs, scores=tests(log), lr=[entry['lr'] for entry in log],
                   losses=[round(entry['loss'], 4) for entry in log])

def part_teacher(folder):
    "A student alone, and with the network of 15 epochs as its teacher."
    teacher = config_of(folder, '15', RECIPE, keep=5)
    yield dict(net='hgc_tiny', taught=None, scores=tests(run(teacher)))
    for taught in (False, True):
        config = config_of(folder, f'student_{taught}', RECIPE, model='tsm_tiny',
                           teacher=(str(teacher.out),) if taught else ())
        yield dict(net='tsm_tiny', taught=taught, scores=tests(run(config)))

def part_averaging(folder):
    "The mean of the last five checkpoints of runs with a falling and with a constant rate."
    learned, unseen, _ = open_splits(folder/'videos')
    for seed, schedule in product(range(3), ('cosine', 'step')):
        recipe = replace(RECIPE, schedule=schedule, seed=seed)
        config = config_of(folder, f'{schedule}_{seed}', recipe, keep=5)
        log = run(config)
        paths = sorted(config.out.glob('epoch_*'))
        plain, counted = (average_checkpoints(paths, data) for data in (None, learned))
        test = shared_test(unseen, plain.input_spec, cache=True, workers=0)
        yield dict(schedule=schedule, seed=seed, scores=tests(log),
                   mean=round(test(plain)['top1'], 4), counted=round(test(counted)['top1'], 4))

PARTS = dict(search=part_search, ending=part_ending, teacher=part_teacher, averaging=part_averaging)

def main(argv):
    refuse_unknown(argv, PARTS, 'part')
    torch.set_num_threads(1)
    done = {line['part'] for line in read_lines(file)}
    with tempfile.TemporaryDirectory(prefix='better_training_') as folder:
        videos(Path(folder)/'videos')
        for part in argv or PARTS:
            if part in done:
                print(f'{part} is in {file.name} already')
                continue
            start = time.process_time()
            for line in list(PARTS[part](Path(folder))):
                write_line(file, dict(part=part) | line)
            print(f'{part}: {time.process_time() - start:.0f} s of CPU time')

if __name__ == '__main__':
    main(sys.argv[1:])
