"""Train and test the networks of nbs/results/62_motion.ipynb, and make checkpoints of them.

`.venv/bin/python tools/motion.py [TASK …]` trains, `tools/motion.py keep TASK RUN` keeps a run.

The tasks have the same motions on two time scales. Every run calls `train` on one thread. Its log
and report become one line of data/results/motion.jsonl, and its folder stays under runs/motion/.
Runs that are already in the file are not repeated."""
import json, shutil, subprocess, sys, time
from dataclasses import asdict
from itertools import product
from pathlib import Path
import torch
from study import refuse_unknown
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.transforms import Augment
from video_convs.hub import FILES
from video_convs.nets.model_card import model_card
from video_convs.use.publish import checkpoint_name
from video_convs.checkpoint import read_config
from video_convs.nets.video_net import load
from video_convs.nets.complexity import complexity
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.train.evaluation import evaluate
from video_convs.train.loop import train
from video_convs.train.run_folder import about_code
from video_convs.train.recipes import Recipe

root = Path(__file__).resolve().parent.parent
results, runs = root/'data/results/motion.jsonl', root/'runs/motion'
# anew every 3 to 5 frames
tasks = {'micro': ('reversal', MotionConfig(frames=96, displacement=2., time_scale='micro')),
         # one thing after another, 24 frames each
         'macro': ('order', MotionConfig(frames=96, displacement=0.))}
learn, unseen, seeds = 1000, 600, range(3)
epochs = dict(micro=6, macro=12)  # order takes longer to be learned
recipe = dict(batch_size=16, lr=3e-3, dropout=0., augment=Augment.none())
# these start as the identity
grow = {f'{name}_tiny': {'**.op.*': 10.} for name in ('r2plus1d', 'hgc', 'hf_tsn')}
parts = [dict(shift=s, fmcb=f, cmcb=c)
         for s, f, c in product((False, True), (None, 'hgc'), (None, 'hgc'))]
networks = [(f'{name}_tiny', {})
            for name in ('tsn', 'r2plus1d', 'tsm', 'hgc', 'sth', 'stc', 'hf_tsn')]
# without both it is TSN, or TSM
networks += [('h2cn_tiny', p) for p in parts if p['fmcb'] or p['cmcb']]

def clips(task):
    "Training and test clips, for networks that read one or five frames at each point in time."
    folder, spec = runs/'data'/task, dict(frames=8, size=48)
    question, config = tasks[task]
    render_task(question, folder, learn, unseen, config)
    splits = open_data(folder, 'train'), open_data(folder, 'test')
    return {n: [Clips(split, InputSpec(**spec, per_segment=n), train=split is splits[0],
                      augment=recipe['augment'], cache=True) for split in splits] for n in (1, 5)}

def run(task, network, variant, seed, data):
    torch.manual_seed(seed)
    parts = '+'.join(k for k, v in variant.items() if v)
    train_clips, test_clips = data[5 if variant.get('fmcb') else 1]
    videos, spec = test_clips.dataset, test_clips.spec
    model = create_model(network, num_classes=len(videos.classes), classes=videos.classes,
                         input_spec=spec, dropout=0., **variant)
    cost = complexity(model, (1, 3, spec.frames * spec.per_segment, spec.size, spec.size))
    train_clips.seed, start = seed, time.time()
    out = runs/task/f"{network}{'_' + parts if parts else ''}_{seed}"
    setting = Recipe(epochs=epochs[task], lr_scale=grow.get(network, {}), **recipe, seed=seed)
    log = train(model, train_clips, setting, out)
    report = evaluate(model, test_clips)
    question, config = tasks[task]
    line = dict(task=task, network=network, variant=variant, seed=seed, question=question,
                config=asdict(config), top1=report['top1'], confusion=report['confusion'],
                classes=report['classes'], parameters=cost.params, macs=cost.macs,
                seconds=round(time.time() - start), log=log, recipe=setting.to_dict(),
                **about_code())
    results.parent.mkdir(exist_ok=True)
    with open(results, 'a') as f:
        f.write(json.dumps(line) + '\n')
    print(f"{task} {network} {parts or '-'} seed {seed}: {report['top1']['accuracy']:.1%}, "
          f"{line['seconds']} s", flush=True)

def done():
    return ([json.loads(line) for line in results.read_text().splitlines()]
            if results.exists() else [])

def keep(task, run):
    "Store a run as a checkpoint, evaluated by the command line, with the files of the Hub."
    folder, (question, config) = runs/task/run, tasks[task]
    command = ['video_convs', 'evaluate', folder, '--data', runs/'data'/task]
    subprocess.run([sys.executable, '-m', *command], check=True)
    rendered = dict(task=question, train=learn, test=unseen, config=asdict(config))
    page = read_config(folder) | {'rendered': rendered}
    out = root/'data/checkpoints'/checkpoint_name(load(folder), page['data'])
    out.mkdir(parents=True, exist_ok=True)
    for file in [file for name in FILES for file in folder.glob(name)]:
        shutil.copy(file, out)
    (out/'config.json').write_text(json.dumps(page, indent=1))
    (out/'README.md').write_text(model_card(load(out), out, f'video-convs/{out.name}'))

if __name__ == '__main__':
    torch.set_num_threads(1)
    if sys.argv[1:2] == ['keep']:
        sys.exit(keep(*sys.argv[2:]))
    refuse_unknown(sys.argv[1:], tasks, 'task')
    for task in sys.argv[1:] or tasks:
        data = clips(task)
        for seed, (network, variant) in product(seeds, networks):
            job = dict(task=task, network=network, variant=variant, seed=seed)
            if not any({k: line[k] for k in job} == job for line in done()):
                run(**job, data=data)
