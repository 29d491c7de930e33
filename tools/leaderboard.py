"""Write data/leaderboard.csv: each network of `list_models()`, its cost and what was measured.

    python tools/leaderboard.py

Parameters and multiply-accumulates are counted. Times and memory come from
data/results/bench_nets_cpu.json, accuracies from data/papers.csv, from the logs in data/results
and from the reports of data/checkpoints. An empty cell has not been measured."""
import csv
import json
from pathlib import Path

import numpy as np
import torch

from video_convs.nets.complexity import complexity
from video_convs.nets.registry import find_model, list_models
from video_convs.weights.create import create_model

root = Path(__file__).resolve().parent.parent
FILE = root/'data/leaderboard.csv'
RESULTS, CHECKPOINTS = root/'data/results', root/'data/checkpoints'
# beginning of a network's name → (lesson, module) of its operator
OPERATORS = {
    'tsn': ('nets/26c_baselines', 'nets/baselines'),
    'c2d': ('nets/26c_baselines', 'nets/baselines'),
    'tsm': ('ops/10b_shift', 'ops/shift'), 'r2plus1d': ('ops/10a_temporal', 'ops/temporal'),
    'p3d': ('ops/10c_space_time', 'ops/space_time'),
    'c3d': ('ops/10c_space_time', 'ops/space_time'),
    'hgc': ('ops/11_hourglass', 'ops/hourglass'), 'h2cn': ('ops/12a_fmcb', 'ops/fmcb'),
    'sth': ('ops/13_hybrid', 'ops/hybrid'), 'hf': ('ops/14_aggregation', 'ops/aggregation'),
    'stc': ('ops/15_collaborative', 'ops/collaborative'), 'gst': ('ops/16a_gst', 'ops/gst'),
    'tin': ('ops/16b_tin', 'ops/tin'), 'tea': ('ops/16c_tea', 'ops/tea'),
    'tam': ('ops/16d_tam', 'ops/tam'), 'trn': ('ops/16e_trn', 'nets/heads'),
    'gru': ('nets/24_heads', 'nets/heads'), 'eco': ('ops/16f_eco', 'nets/bninception')}
# sets of videos, accuracies in per cent: two rendered ones, then real videos
SHARES = 'order', 'between', 'gestures', 'digits', 'words', 'lips', 'hands'
# a set in the log of tools/real_videos.py → (its name here, its parts)
REAL = {'gestures': ('gestures', 8), 'grid_digits': ('digits', 3), 'grid_words': ('words', 3),
        'miracl_words': ('lips', 4), 'hand_skeletons': ('hands', 4)}
WHOLE_H2CN = {'shift': True, 'fmcb': 'hgc', 'cmcb': 'hgc'}


def lines(name):
    "The runs of a log; none where there is no log yet."
    file = RESULTS/name
    return [json.loads(line) for line in open(file)] if file.exists() else []


def operator(name):
    "The beginning of a network's name that says which operator is in it."
    return max((op for op in OPERATORS if name.startswith(op)), key=len)


def trunk(name):
    "The image network in which the operator is, or ''."
    last = name.rpartition('_')[2]
    return name[name.index('mobilenet'):] if 'mobilenet' in name else '' if last == 'lite' else last


def cost(name):
    "Parameters (M) and multiply-accumulates (G), 174 classes, 8 points in time of 224×224 pixels."
    with torch.device('meta'):
        net = create_model(name, num_classes=174)
    found = complexity(net, (3, 8 * net.input_spec.per_segment, 224, 224))
    return dict(params_M=f'{found.params / 1e6:.3f}', macs_G=f'{found.macs / 1e9:.2f}')


def printed():
    "Network → top-1 on Something-Something V1: default variants, fewest frames."
    best = {}
    for row in csv.DictReader(open(root/'data/papers.csv', encoding='utf-8')):
        model = json.loads(row['model'] or '{}')
        name = model.pop('name', '')
        if row['dataset'] != 'something-v1' or not row['top1'] or row['frames'] not in ('8', '16'):
            continue
        if not name or any(find_model(name).variants.get(k, v) != v for k, v in model.items()):
            continue
        if name not in best or int(row['frames']) < int(best[name]['frames']):
            best[name] = row
    return {name: dict(printed_top1=row['top1'], printed_in=f"{row['paper']}, {row['table']}",
                       printed_frames=row['frames']) for name, row in best.items()}


def bench():
    "Network → milliseconds and megabytes of one clip on two CPU cores."
    rows = json.loads((RESULTS/'bench_nets_cpu.json').read_text())['rows']
    return {row['network']: dict(
        cpu_ms=f"{row['inference']:.0f}", cpu_training_ms=f"{row['training']:.0f}",
        memory_MB=f"{row['memory']['inference'] / 1e6:.0f}",
        training_memory_MB=f"{row['memory']['training'] / 1e6:.0f}") for row in rows}


def cells(key, middle, low, high):
    "A share and its interval, in per cent."
    ends = zip((key, f'{key}_low', f'{key}_high'), (middle, low, high))
    return {name: f'{100 * share:.1f}' for name, share in ends}


def motion():
    "Network → rendered motion: mean, lowest and highest of the seeds."
    seeds = {}
    for run in lines('motion.jsonl'):
        if run['variant'] in ({}, WHOLE_H2CN):
            key = {'macro': 'order', 'micro': 'between'}[run['task']]
            seeds.setdefault((run['network'], key), []).append(run['top1']['accuracy'])
    found = {}
    for (name, key), of in seeds.items():
        found.setdefault(name, {}).update(cells(key, np.mean(of), min(of), max(of)))
    return found


def over_units(units, draws=2000):
    "The share of right answers of units (videos, right), and 95 % of it in samples of the units."
    counts = np.array(units)
    shares = counts[:, 1] / counts[:, 0]
    if len(counts) < 6:  # no interval: the worst unit and the best
        return counts[:, 1].sum() / counts[:, 0].sum(), shares.min(), shares.max()
    picks = np.random.default_rng(0).integers(len(counts), size=(draws, len(counts)))
    drawn = counts[picks].sum(1)
    share = counts[:, 1].sum() / counts[:, 0].sum()
    return share, *np.quantile(drawn[:, 1] / drawn[:, 0], (.025, .975))


def gestures():
    "Network → gestures, cross-validated on 224 videos; the interval is over eight sessions."
    sessions = json.loads((RESULTS/'gestures_sessions.json').read_text())
    found = {}
    for run in lines('gestures.jsonl'):
        if run['fold'] and run['setting'] in ('chosen', 'ImageNet'):
            units = found.setdefault(run['model'], {})
            report = run['report']
            for session, *pair in zip(sessions[run['fold']], report['answers'], report['labels']):
                units[session] = np.add(units.get(session, 0), (1, pair[0] == pair[1]))
    return {name: cells('gestures', *over_units(list(of.values()))) for name, of in found.items()}


def real():
    "Network → the sets of real videos of which all parts were run."
    units, parts, found = {}, {}, {}
    for run in lines('real_videos.jsonl'):
        if run['part'] == 'test':
            key = f"{run['network']}_tiny", run['set']
            parts.setdefault(key, set()).add(run['held'])
            for unit, counts in run['units'].items():
                of = units.setdefault(key, {})
                of[unit] = np.add(of.get(unit, 0), counts[:2])
    for (name, key), of in units.items():
        if len(parts[name, key]) == REAL[key][1]:
            shares = cells(REAL[key][0], *over_units(list(of.values())))
            found.setdefault(name, {}).update(shares)
    return found


def checkpoints(name):
    "The folders of the trained networks with the default variants of this name."
    return [folder.name for folder in sorted(CHECKPOINTS.glob(f'{name}.*'))
            if folder.name.count('.') == 1]


def measured():
    "Network → all cells that need no count."
    found = {}
    for part in (printed, bench, motion, gestures, real):
        for name, row in part().items():
            found.setdefault(name, {}).update(row)
    return found


FIELDS = ['network', 'what', 'operator', 'trunk', 'params_M', 'macs_G', 'cpu_ms', 'cpu_training_ms',
          'gpu_ms', 'memory_MB', 'training_memory_MB', 'printed_top1', 'printed_in',
          'printed_frames', *(f'{key}{end}' for key in SHARES for end in ('', '_low', '_high')),
          'lesson', 'source', 'checkpoints']


def rows():
    "All networks as in the file, without what is counted."
    found = measured()
    for name in list_models():
        lesson, module = OPERATORS[operator(name)]
        row = dict(network=name, what=find_model(name).summary, operator=operator(name),
                   trunk=trunk(name), lesson=f'nbs/{lesson}.ipynb',
                   source=f'video_convs/{module}.py', checkpoints=' '.join(checkpoints(name)))
        yield dict.fromkeys(FIELDS, '') | row | found.get(name, {})


def main():
    counted = {row['network']: row | cost(row['network']) for row in rows()}
    with open(FILE, 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
        writer.writeheader()
        writer.writerows(counted.values())
    print(f'{FILE.relative_to(root)}: {len(counted)} networks')


if __name__ == '__main__':
    main()
