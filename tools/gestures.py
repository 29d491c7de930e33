"""Train and test the networks of nbs/results/60_gestures.ipynb.

`GESTURES=… .venv/bin/python tools/gestures.py [PART …]`. Every run calls the package's
command line on one thread; two runs work side by side. A run's log and report become one line of
data/results/gestures.jsonl. Runs that are already in the file are not repeated."""
import json, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import torch
from study import read_lines, refuse_unknown
from torch.nn import BatchNorm2d
from video_convs import InputSpec, create_model
from video_convs.data.custom import open_data
from video_convs.data.splits import group_fold
from video_convs.data.transforms import eval_transform
from video_convs.data.views import Views
from video_convs.data.video import read_frames

root = Path(__file__).resolve().parent.parent
table = Path(os.environ.get('GESTURES', root.parent/'shared/data/gestures')).resolve()/'clips.csv'
weights, clips = table.parents[2]/'weights/mobilenet_v2_imagenet.pth', table.parents[1]/'clips'
results, runs = root/'data/results/gestures.jsonl', root/'runs/gestures'
shape = '--frames 8 --size 64 --fit squash'
common = f'{shape} --epochs 60 --batch-size 8 --lr 2e-3 --dropout 0 --cache'
fast, augment = "--lr-scale '**.op.*=10'", '--scale .65 --ratio 1.3 --jitter .4'
short = f'--epochs 24 --batch-size 8 --lr 2e-3 --dropout .2 --cache {augment} {fast}'
settings = {'chosen': f'{common} {augment} {fast}', 'one rate': f'{common} {augment}',
            'ImageNet': short, 'random': f'{shape} {short}'}
networks = ('tsn_tiny', 'r2plus1d_tiny', 'tsm_tiny', 'hgc_tiny', 'sth_tiny', 'stc_tiny',
            'hf_tsn_tiny')
pretrained = 'tsn_mobilenet_v2', 'tsm_mobilenet_v2', 'hgc_mobilenet_v2'
# no operator's weights, or the operator is the block's own convolution
one_rate = 'tsn', 'tsm', 'sth', 'stc'

def folds(model, setting):
    return [dict(model=model, setting=setting, seed=0, fold=f'{k}/3') for k in (1, 2, 3)]

parts = {'choice': [job for s in ('chosen', 'one rate') for job in folds('hgc_tiny', s)],
         'tests': [dict(model=m, setting='chosen', seed=seed, fold=None) for seed in range(3)
                   for m in networks],
         'folds': [job for m in networks for job in folds(m, 'chosen')],
         'pretrained': [job for m in pretrained for job in folds(m, 'ImageNet')]
         + folds('hgc_mobilenet_v2', 'random')}

def from_imagenet(model):
    "A folder with the network and ImageNet weights, whose folded norms are restored."
    folder = runs/f'start_{model}'
    if not (folder/'config.json').exists():
        torch.manual_seed(0)
        # (x − 128) / 128
        spec = InputSpec(frames=8, size=64, fit='squash', mean=(.5,) * 3, std=(.5,) * 3)
        network = create_model(model, num_classes=1000, pretrained=weights, input_spec=spec).eval()
        frames = eval_transform(spec, Views(clips=8))(read_frames(clips/'mma_demo.mp4', range(64)))
        with torch.no_grad():
            before = network(frames)
        unfold_norms(network, frames)
        with torch.no_grad():
            torch.testing.assert_close(network(frames), before, rtol=0, atol=1e-3)
        network.save_pretrained(folder)

def unfold_norms(network, frames):
    "Give each norm the statistics of its input, and the scale and shift that undo them."
    def unfold(norm, inputs):
        mean, var = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3))
        norm.bias += norm.weight * mean
        norm.weight *= (var + norm.eps).sqrt()
        norm.running_mean, norm.running_var = mean, var
    hooks = [m.register_forward_pre_hook(unfold)
             for m in network.modules() if isinstance(m, BatchNorm2d)]
    with torch.no_grad():
        network(frames)
    for hook in hooks:
        hook.remove()

def run(job):
    "One training, and for final runs one test on the test split."
    if any({k: line[k] for k in job} == job for line in done()):
        return
    name = (f"{job['model']}_{job['setting']}_{job['seed']}".replace(' ', '_')
            + (f"_fold{job['fold'][0]}" if job['fold'] else ''))
    out, where = runs/name, f"--fold {job['fold']}" if job['fold'] else '--test-split val'
    flags = settings[job['setting']].replace(fast,
                                             '' if job['model'].split('_')[0] in one_rate else fast)
    network = (f"--pretrained runs/gestures/start_{job['model']}" if job['setting'] == 'ImageNet'
               else f"--model {job['model']}")
    commands = [f"video_convs train --data $GESTURES/clips.csv {network} {flags}"
                f" --seed {job['seed']} {where} --out runs/gestures/{name}"]
    if not job['fold']:
        commands.append(f"video_convs evaluate runs/gestures/{name} --data $GESTURES/clips.csv "
                        "--split test")
    for command in commands:
        shell(command)
    report = json.loads((out/('report.json' if job['fold'] else 'evaluate_test.json')).read_text())
    log = [json.loads(line) for line in (out/'log.jsonl').read_text().splitlines()]
    with open(results, 'a') as f:
        f.write(json.dumps(dict(job, commands=commands, report=report, log=log)) + '\n')
    print(f"{name}: {report['top1']['accuracy']:.1%}", flush=True)

def shell(command):
    environment = {**os.environ, 'GESTURES': str(table.parent),
                   'CLIPS': str(table.parent.parent/'clips'), 'OMP_NUM_THREADS': '1',
                   'PATH': f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, check=True, cwd=root, env=environment,
                          stdout=subprocess.PIPE, text=True).stdout

def done():
    return read_lines(results)

def predictions():
    "The answers of trained networks for a held-out gesture and for a video without a gesture."
    commands = [f'video_convs predict runs/gestures/{m}_chosen_0 {video}' for video in
                ('$GESTURES/circlecc/circlecc_003.mp4', '$CLIPS/mma_demo.mp4')
                for m in ('tsn_tiny', 'hgc_tiny')]
    (root/'data/results/gestures_predict.json').write_text(
        json.dumps({c: shell(c) for c in commands}, indent=1) + '\n')

def sessions():
    "The session of each answer of the cross-validation, part by part."
    data, held = open_data(table, 'train'), {}
    for fold in ('1/3', '2/3', '3/3'):
        part = group_fold(data, *map(int, fold.split('/')))[1]
        for line in done():
            assert line['fold'] != fold or line['report']['labels'] == list(part.labels)
        held[fold] = list(part.groups)
    (root/'data/results/gestures_sessions.json').write_text(json.dumps(held) + '\n')

results.parent.mkdir(parents=True, exist_ok=True)
known = *parts, 'sessions', 'predict'
asked = sys.argv[1:] or known
refuse_unknown(asked, known, 'part')
for model in pretrained if 'pretrained' in asked else ():
    from_imagenet(model)
with ThreadPoolExecutor(2) as pool:
    list(pool.map(run, [job for part in asked if part in parts for job in parts[part]]))
if 'sessions' in asked:
    sessions()
if 'predict' in asked:
    predictions()
