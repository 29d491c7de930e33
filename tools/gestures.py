"""Train and test the networks of nbs/results/60_gestures.ipynb: `GESTURES=… .venv/bin/python tools/gestures.py`.

Every run is the command line of the package, on one thread, two runs side by side. What a run printed into its log and its
report becomes one line of data/results/gestures.jsonl; runs that are there already are not repeated."""
import json, os, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

root = Path(__file__).resolve().parent.parent
table = Path(os.environ.get('GESTURES', root.parent/'shared/data/gestures')).resolve()/'clips.csv'
results, runs = root/'data/results/gestures.jsonl', root/'runs/gestures'
common = '--frames 8 --size 64 --fit squash --epochs 60 --batch-size 8 --lr 2e-3 --cache'
settings = {'mild': '--dropout 0 --scale .75 --ratio 1.2 --jitter .2', 'strong': '--dropout .3 --scale .6 --ratio 1.3 --jitter .4'}
chosen = 'mild'
networks = 'tsn_tiny', 'r2plus1d_tiny', 'tsm_tiny', 'hgc_tiny'
folds = [dict(model='hgc_tiny', setting=s, seed=0, fold=f'{k}/3') for s in settings for k in (1, 2, 3)]
tests = [dict(model=m, setting=chosen, seed=seed, fold=None) for seed in range(3) for m in networks]

def run(job):
    "One training, and for the final ones one look at the test split."
    if any({k: line[k] for k in job} == job for line in done()): return
    name = f"{job['model']}_{job['setting']}_{job['seed']}" + (f"_fold{job['fold'][0]}" if job['fold'] else '')
    out, where = runs/name, f"--fold {job['fold']}" if job['fold'] else '--test-split val'
    commands = [f"video_convs train --data $GESTURES/clips.csv --model {job['model']} {common} {settings[job['setting']]}"
                f" --seed {job['seed']} {where} --out runs/gestures/{name}"]
    if not job['fold']: commands.append(f"video_convs evaluate runs/gestures/{name} --data $GESTURES/clips.csv --split test")
    environment, start = {**os.environ, 'GESTURES': str(table.parent), 'OMP_NUM_THREADS': '1',
                          'PATH': f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}, time.time()
    for command in commands: subprocess.run(command, shell=True, check=True, cwd=root, env=environment, stdout=subprocess.DEVNULL)
    report = json.loads((out/('report.json' if job['fold'] else 'evaluate_test.json')).read_text())
    log = [json.loads(line) for line in (out/'log.jsonl').read_text().splitlines()]
    line = dict(job, commands=commands, seconds=round(time.time() - start), report=report, log=log)
    with open(results, 'a') as f: f.write(json.dumps(line) + '\n')
    print(f"{name}: {report['top1']['accuracy']:.1%}, {line['seconds']} s", flush=True)

def done(): return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []

results.parent.mkdir(parents=True, exist_ok=True)
wanted = {'folds': folds, 'tests': tests}
jobs = [job for part in sys.argv[1:] or wanted for job in wanted[part]]
with ThreadPoolExecutor(2) as pool: list(pool.map(run, jobs))
