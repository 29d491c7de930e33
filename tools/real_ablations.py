"""Train the variants of nbs/results/66_ablations.ipynb on spoken digits:

    .venv/bin/python tools/real_ablations.py [hourglass|sth|hf|stc …] [--folds N] [--share K/N]

On rendered motion nearly all variants name every clip or none (tools/ablations.py), so they are
also asked on a task that is hard for each of them: ten digits of GRID, as tools/real_videos.py
reads them, with its recipe, its plateau and its rate for the operator. A fold of sentences is left
out and tested on; `--folds 1` leaves only the first one out. Variants that are a network of that
tool are not run again. Networks with FMCB read five neighbouring frames at each point in time, all
others the one in the middle. H2CN chooses its rate here, on the fold that is never tested. Each run
is one line of data/results/real_ablations.jsonl, and runs that are in it are not repeated.

Predictions, written before the first run. They know the digits of tools/real_videos.py for `tsn`
(64 to 76 % by fold) and one choice of rate for `r2plus1d` (96 %), nothing of any variant. When they
were committed, that tool had also tested `r2plus1d` (95 %) and one fold of `tsm` (98 %); they were
not changed.
1. HF-Net with one gate is within 5 points of `tsn`, two gates are 15 points or more ahead of it,
   three within 3 points of two. Conservative or not: within 3 points.
2. STH: shares of 1/8, 1/4 and 1/2 are within 3 points of each other, and so are hybrid and merge,
   attention or none, and the two (2+1)D. Dilated kernels lose 3 points or more: a word is short.
3. STC: α from 1/4 to 3/4 within 3 points; α = 1, which has no spatial kernel in its place, loses 3
   points or more. Without TR, SR and the shift less than 3 points are lost. Light: within 3 points.
4. Windows: a lip moves by a pixel or two between two points in time, so averages and learned
   windows of slope 2 are within 3 points of the temporal convolution, slope 4 and 6 below it.
5. FMCB gains less than 3 points over the shift: at 25 frames a second its five frames are nearly
   those of the next point in time. A shift that reads all forty frames loses 3 points or more.
6. CMCB gains less than 3 points, with an hourglass or a temporal convolution.
7. Networks of 4 and of 8 points in time together are 1 to 4 points ahead of that of 8 alone."""
import sys
import time

import numpy as np
import torch
from ablations import frames_at, members, papers, read_by
from claims import network
from real_videos import best_multiple, learn, load, multiples, networks, scores_of, sets, spec
from study import option_of, read_lines, refuse_unknown, root, share_of, write_line
from video_convs import create_model
from video_convs.nets.registry import variants
from video_convs.progress import progress_bar

results = root/'data/results/real_ablations.jsonl'
digits, near = 'grid_digits', 5  # the set; neighbouring frames at a point in time, for FMCB
folds = '0', '1', '2'

def make(operator, variant, data):
    "The network, for the frames that it reads by default or by its variant."
    frames = variant.get('frames', spec.frames)
    described = dict(frames=frames, size=spec.size, fit=spec.fit, mean=data.spec.mean,
                     std=data.spec.std)
    rest = {name: value for name, value in variant.items() if name != 'frames'}
    return create_model(f'{operator}_tiny', num_classes=len(data.classes), input_spec=described,
                        dropout=0., **rest)

def nets_of(job, data):
    "The networks that answer together."
    return [make(job['operator'], variant, data) for variant in members(job['variant'])]

def counts(nets, clips, labels, units):
    "Unit → videos, and how many of them the mean of the scores names."
    right = (sum(scores_of(net, read_by(net, clips)) for net in nets).argmax(1) == labels).numpy()
    return {unit: [int((units == unit).sum()), int(right[units == unit].sum())]
            for unit in sorted(set(units))}

def reads(job):
    "How many neighbouring frames a run reads at a point in time."
    whole = variants(f"{job['operator']}_tiny") | job['variant']
    frames = whole.get('frames', spec.frames)
    return near if whole.get('fmcb') or frames == near * spec.frames else 1

def run(job):
    "One training, one line."
    data, start = load(digits, reads(job)), time.process_time()
    out = (np.isin(data.held, sets[digits].validation) if job['part'] == 'tune'
           else data.held == job['held'])
    multiple = job['multiple'] or multiple_of(job['operator'])
    torch.manual_seed(0)
    nets, there = nets_of(job, data), torch.from_numpy(~out)
    ends = [learn(net, read_by(net, data.clips[there]), data.labels[there], multiple,
                  sets[digits].most, seed=0) for net in nets]
    units = counts(nets, data.clips[~there], data.labels[~there], data.units[out])
    write_line(results, job | dict(
        multiple=multiple, ended=[ended for ended, _ in ends], log=[log for _, log in ends],
        reads=frames_at(nets), units=units, seconds=round(time.process_time() - start, 1)))

def multiple_of(operator):
    "The multiple that was chosen for an operator."
    if operator in networks:
        return best_multiple(digits, operator)
    tried = [r for r in read_lines(results) if (r['part'], r['operator']) == ('tune', operator)]
    def merit(line):
        return sum(right for _, right in line['units'].values()), -line['log'][0][-1][0]
    return max(tried, key=merit)['multiple']

def is_default(operator, variant):
    "Is this a network of tools/real_videos.py?"
    return operator in networks and network(operator, **variant) == network(operator)

def key(line):
    "What tells runs apart; the multiple of a test follows from tuning."
    tuning = line['part'] == 'tune'
    return (line['part'], line['operator'], str(line['variant']), line['held'],
            line['multiple'] if tuning else None)

def jobs_of(asked, folds_):
    "All variants of the papers with the first fold left out, then with the next."
    found = [dict(part='test', operator=operator, variant=variant, held=fold, multiple=None)
             for fold in folds_ for paper in asked for operator, variant in papers[paper]
             if not is_default(operator, variant)]
    found.sort(key=lambda job: (job['held'], reads(job)))
    untuned = dict.fromkeys(job['operator'] for job in found if job['operator'] not in networks)
    return [dict(part='tune', operator=operator, variant={}, held='validation', multiple=m)
            for operator in untuned for m in multiples] + found

def main(argv):
    "Run what is asked for and not yet there."
    names, share = share_of(argv)
    names, n = option_of(names, '--folds', len(folds))
    known = 'hourglass', 'sth', 'hf', 'stc'
    refuse_unknown(names, known, 'paper')
    done = set(map(key, read_lines(results)))
    jobs = [job for job in share(jobs_of(names or known, folds[:n])) if key(job) not in done]
    for job in progress_bar(jobs, desc='runs'):
        run(job)

if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
