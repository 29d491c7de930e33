"""Write data/claims.csv: what the papers claim about accuracy, and what our runs say.

    .venv/bin/python tools/claims.py

A claim names two networks, the better one first, and what the paper prints for their difference
(top-1 on Something-Something V1). Each study that has both networks answers it with a difference
and its 95 % interval: over seeds by Student's t, over units of real videos (sessions, sentences,
speakers) by the sign-flip test.

Verdicts: `holds` and `opposite` where the interval leaves out zero, `open` where it does not,
`level` where it lies within 3 points of zero, `one run` where there is no interval, `not run`."""
import csv
import json
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from study import read_lines, root
from video_convs.nets.registry import variants
from video_convs.train.evaluation import compare_groups

table = root/'data/claims.csv'
small = 3.  # points: a difference that lies within them is none
over_units = 'three parts', 'left out'  # studies of real videos

@dataclass(frozen=True)
class Claim:
    "One network is better than another, says a paper."
    paper: str
    place: str
    says: str
    printed: float | None # points; None: there is no number
    better: tuple
    worse: tuple
    tasks: tuple[str, ...] = ('micro', 'macro', 'gestures')

    @property
    def number(self):
        return '' if self.printed is None else f'{self.printed:+.1f}'

def network(operator, **variant):
    "A name for an operator and its variant, the same in all logs: with what is left out."
    whole = variants(f'{operator}_tiny') | variant
    if operator == 'hf_tsn' and whole['modules'] is None:
        whole['modules'] = 3  # one in each place of `tiny`
    return json.dumps([operator, whole], sort_keys=True)

drifts = 'drift5', 'drift10', 'drift15'
alone = {6.: 'one operator, 6 px', 8.: 'one operator, 8 px'}
tsn, tsm, conv1d = network('tsn'), network('tsm'), network('r2plus1d')
hgc, h2cn, sth, stc = network('hgc'), network('h2cn'), network('sth'), network('stc')
no_cmcb = network('h2cn', cmcb=None)
hourglass = (
    ('Fig. 3', 'A temporal convolution is better than no operator', 26.3, conv1d, tsn),
    ('Fig. 3', 'Averaged windows are better than a temporal convolution', .4,
     network('hgc', aggregate='avg', slope=2), conv1d),
    ('Fig. 3', 'Learned windows are better than a temporal convolution', 1., hgc, conv1d),
    ('Sec. 1', 'Slope 4 sees what is too fast for a temporal convolution', None,
     network('hgc', slope=4), conv1d),
    ('Sec. 5', 'Several slopes at once are better than one (future work there, ours here)', None,
     network('hgc', slope=[0, 2, 4, 8]), hgc),
    ('Table 1', 'FMCB is better than no FMCB', 6.9, no_cmcb, tsm),
    ('Table 1', 'FMCB is better than a shift that reads as many frames', None, no_cmcb,
     network('tsm', frames=40)),
    ('Table 1', 'Slope 4 is better than slope 2 in FMCB', .2, h2cn,
     network('h2cn', fmcb_slope=2)),
    ('Table 1', 'Slope 4 is better than slope 6 in FMCB', .2, h2cn,
     network('h2cn', fmcb_slope=6)),
    ('Table 2', 'CMCB is better than no CMCB', 1.1, h2cn, no_cmcb),
    ('Table 2', 'Slope 2 is better than slope 4 in CMCB', .2, h2cn,
     network('h2cn', cmcb_slope=4)),
    ('Table 2', 'Slope 2 is better than slope 6 in CMCB', 0., h2cn,
     network('h2cn', cmcb_slope=6)),
    ('Table 3', 'The hourglass is better than a temporal convolution in FMCB', .5, no_cmcb,
     network('h2cn', fmcb='conv1d', cmcb=None)),
    ('Table 3', 'The hourglass is better than a temporal convolution in CMCB', .4, h2cn,
     network('h2cn', cmcb='conv1d')),
    ('Table 4', 'Two numbers of frames together are better than the larger alone', 1.7,
     network('h2cn', frames=[4, 8]), h2cn))
hybrid = (
    ('Table 6', 'An eighth of temporal kernels is better than none', 26.9,
     network('sth', p=1/8), tsn),
    ('Table 6', 'A quarter is better than an eighth', .2, network('sth', p=1/4),
     network('sth', p=1/8)),
    ('Table 6', 'A quarter is better than a half', 1.7, network('sth', p=1/4),
     network('sth', p=1/2)),
    ('Table 7', 'Hybrid kernels are better than merged ones', .9, sth,
     network('sth', arrangement='merge')),
    ('Table 7', 'Hybrid kernels are better than (2+1)D in sequence', 4.1, sth,
     network('r2plus1d', arrangement='sequential')),
    ('Table 7', 'Hybrid kernels are better than (2+1)D in parallel', 1.4, sth,
     network('r2plus1d', arrangement='parallel')),
    ('Table 7', 'Attention is better than none', 1., network('sth', attention='softmax'), sth),
    ('Table 8', 'Dilated kernels are better than plain ones', .6, network('sth', dilated=True),
     sth),
    ('Table 2', 'Two numbers of frames together are better than the larger alone', 2.1,
     network('sth', frames=[4, 8]), sth),
    ('Table 2', 'STH is better than the temporal shift', 1.2, sth, tsm))
gates = (
    ('Table I', 'One gate, behind the last block, is better than none', 1.6,
     network('hf_tsn', modules=1), tsn),
    ('Table I', 'Half of the gates are better than one (five of ten there, two of three here)',
     14.8, network('hf_tsn', modules=2), network('hf_tsn', modules=1)),
    ('Table I', 'All gates are better than one (ten there, three here)', 22.6,
     network('hf_tsn', modules=3), network('hf_tsn', modules=1)),
    ('Table I', 'All gates are better than none', 24.2, network('hf_tsn', modules=3), tsn),
    ('Table I', 'A conservative gate is better than one that is not', 3.2,
     network('hf_tsn', modules=3), network('hf_tsn', modules=3, conservative=False)))
shares = (
    ('Table II', 'α = 3/4 is better than 1/4', 6.4, network('stc', alpha=3/4),
     network('stc', alpha=1/4)),
    ('Table II', 'α = 3/4 is better than 1/2', 1.9, network('stc', alpha=3/4),
     network('stc', alpha=1/2)),
    ('Table II', 'α = 3/4 is better than 1', 1., network('stc', alpha=3/4),
     network('stc', alpha=1.)),
    ('Table II', 'Unequal inputs are better than equal ones', 1.3, stc,
     network('stc', equal=True)),
    ('Table II', 'Full refinements are better than those of a quarter (light)', .1, stc,
     network('stc', reduction=4)),
    ('Table II', 'STC is better than the temporal shift', 2.7, stc, tsm),
    ('Table III', 'TR is better than none, beside SR', .5, stc, network('stc', tr=False)),
    ('Table III', 'SR is better than none, beside TR', .2, stc, network('stc', sr=False)),
    ('Table IV', 'Two numbers of frames together are better than the larger alone', 1.5,
     network('stc', frames=[4, 8]), stc),
    ('Fig. 7', 'The shift, TR and SR are better than none of them', None, stc,
     network('stc', tr=False, sr=False, shift=False)))
real = 'micro', 'macro', 'gestures', 'grid_digits', 'miracl_words', 'hand_skeletons'
claims = [Claim(paper, *row, tasks=tasks) for paper, tasks, rows in (
    ('Hourglass', (*real, *drifts, *alone.values()), hourglass),
    ('STH', (*real, drifts[-1]), hybrid), ('HF-Net', (*real, drifts[-1]), gates),
    ('STC', (*real, drifts[-1]), shares)) for row in rows]

def results_of(name):
    "The lines of a log, none where there is no log yet."
    return read_lines(root/f'data/results/{name}.jsonl')

def of_seeds(found):
    "Runs on rendered motion, with fixed epochs and to a plateau; the unit is a seed."
    for r in results_of('motion'):
        name = network(r['network'].removesuffix('_tiny'), **r['variant'])
        found['fixed epochs', r['task']][name][r['seed']] = r['top1']['right'], r['top1']['videos']
    for r in results_of('ablations'):
        if r['part'] == 'test':
            name = network(r['operator'], **r['variant'])
            found['plateau', r['task']][name][r['seed']] = r['right'], r['clips']
    names = {f'hgc_{kind}{p}': network('hgc', slope=p, aggregate=kind)
             for kind in ('conv', 'avg') for p in (2, 4, 6, 8)}
    names |= {'conv1d': conv1d, 'hgc_mixed': network('hgc', slope=[0, 2, 4, 8])}
    for r in results_of('displacement'):
        if (r['part'] != 'tune' and (r['side'], r['after']) == (3, 1) and r['d'] in alone
                and r['operator'] in names):
            found['plateau', alone[r['d']]][names[r['operator']]][r['seed']] = r['accuracy'], 1

def add(of, unit, right, clips):
    "Count more answers for a unit."
    before = of.get(unit, (0, 0))
    of[unit] = before[0] + right, before[1] + clips

def of_videos(found):
    "Runs on real videos; the unit is what was filmed together, and the seeds are added up."
    sessions = json.loads((root/'data/results/gestures_sessions.json').read_text())
    for r in results_of('gestures'):
        if r['fold'] and r['setting'] == 'chosen':
            of = found['three parts', 'gestures'][network(r['model'].removesuffix('_tiny'))]
            report = r['report']
            for s, a, b in zip(sessions[r['fold']], report['answers'], report['labels']):
                add(of, s, a == b, 1)
    for r in results_of('real_videos'):
        if r['part'] == 'test' and not r['network'].endswith('_causal'):
            for unit, (clips, right, *_) in r['units'].items():
                add(found['left out', r['set']][network(r['network'])], unit, right, clips)
    for r in results_of('real_ablations'):
        if r['part'] == 'test':
            of = found['left out', 'grid_digits'][network(r['operator'], **r['variant'])]
            for unit, (clips, right) in r['units'].items():
                add(of, unit, right, clips)

def right_answers():
    "{(study, task): {network: {unit: (right, clips)}}}."
    found = defaultdict(lambda: defaultdict(dict))
    of_seeds(found)
    of_videos(found)
    return found

def compare(first, second, sizes, study):
    "(difference, its 95 % interval) in points; no interval where there is one run."
    if study in over_units:
        found = compare_groups(first, second, sizes)
        return 100 * found['difference'], [100 * end for end in found['interval']]
    gains = 100 * np.subtract(first, second) / sizes
    if len(gains) < 2:
        return gains[0], None
    half = student.ppf(.975, len(gains) - 1) * np.std(gains, ddof=1) / len(gains)**.5
    return gains.mean(), [gains.mean() - half, gains.mean() + half]

def verdict(low, high):
    "What an interval says."
    if low > 0:
        return 'holds'
    if high < 0:
        return 'opposite'
    return 'level' if -small < low and high < small else 'open'

def answers(claim, found):
    "One row for each study and task that has both networks, or one that says that there is none."
    about = dict(paper=claim.paper, place=claim.place, claim=claim.says, printed=claim.number)
    rows = []
    for (study, task), accuracy in found.items():
        if task not in claim.tasks:
            continue
        first, second = accuracy.get(claim.better, {}), accuracy.get(claim.worse, {})
        units = sorted(first.keys() & second.keys())
        if not units:
            continue
        right, more, sizes = (np.array([of[u][k] for u in units])
                              for of, k in ((first, 0), (second, 0), (first, 1)))
        gain, ends = compare(right, more, sizes, study)
        low, high = ('', '') if ends is None else (f'{end:.1f}' for end in ends)
        rows.append(about | dict(
            study=study, task=task, runs=len(units),
            better=f'{100 * right.sum() / sizes.sum():.1f}',
            worse=f'{100 * more.sum() / sizes.sum():.1f}', ours=f'{gain:+.1f}', low=low, high=high,
            verdict='one run' if ends is None else verdict(*ends)))
    empty = dict.fromkeys(('study', 'task', 'runs', 'better', 'worse', 'ours', 'low', 'high'), '')
    return rows or [about | empty | dict(verdict='not run')]

def rows():
    "The table."
    found = right_answers()
    return [row for claim in claims for row in answers(claim, found)]

if __name__ == '__main__':
    lines = rows()
    with open(table, 'w', newline='', encoding='utf-8') as f:
        writer = csv.DictWriter(f, lines[0], lineterminator='\n')
        writer.writeheader()
        writer.writerows(lines)
    print(f'{table.name}: {len(lines)} rows')
