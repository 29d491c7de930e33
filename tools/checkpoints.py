"""Make checkpoints of networks that tools/ablations.py has kept:

    .venv/bin/python tools/checkpoints.py [micro|macro|drift10 …]

Of the runs with a network's defaults that was right most often is taken. The command line tests it
on 512 videos that are rendered anew, and its folder under data/checkpoints/ gets the files of the
Hub. Folders that are there already are left alone."""
import json
import shutil
import sys
from dataclasses import asdict

import ablations
import torch
from study import operator_recipe, read_lines, refuse_unknown, root
from video_convs.checkpoint import save
from video_convs.cli import main as command
from video_convs.data.motion_files import render_drift, render_task
from video_convs.hub import FILES
from video_convs.nets.model_card import model_card
from video_convs.nets.video_net import load
from video_convs.train.run_folder import about_code
from video_convs.use.publish import checkpoint_name

questions = {'micro': 'reversal', 'macro': 'order', 'drift10': 'drift'}
videos = 512  # to test on
work, shelf = root/'runs/checkpoints', root/'data/checkpoints'

def videos_of(task):
    "A folder of new test videos, and how it is rendered again."
    question, folder = questions[task], work/'data'/task
    asked = ablations.tasks[task]
    if isinstance(asked, ablations.Rendered):
        config, write = asked.config, lambda **n: render_task(question, folder, config=config, **n)
    else:
        config, write = asked.drift, lambda **n: render_drift(folder, config, **n)
    return write(train=0, test=videos), dict(task=question, train=0, test=videos,
                                             config=asdict(config))

def best_runs(task):
    "Of each network with its defaults, the run that was right most often."
    runs = [r for r in read_lines(ablations.results) if (r['task'], r['variant']) == (task, {})]
    return [max((r for r in runs if r['operator'] == operator), key=lambda r: r['right'])
            for operator in dict.fromkeys(r['operator'] for r in runs)]

def recipe_of(run, net):
    "How it was trained, for its card."
    recipe = operator_recipe(net, ablations.lr, run['multiple'])
    return dict(optimizer=recipe.optimizer, lr=round(recipe.lr, 6), lr_scale=recipe.lr_scale,
                weight_decay=recipe.weight_decay, clip_norm=ablations.norm,
                batch_size=ablations.batch, warmup_steps=ablations.climb,
                epochs=len(run['windows']), steps_per_epoch=ablations.window, seed=run['seed'],
                schedule=f'constant until the loss rests, then to zero in {ablations.last} steps')

def keep(run, data, rendered):
    "Test a run and store it with the files of the Hub."
    frames = f'{ablations.points}f'
    net, name = load(ablations.folder_of(run)/frames), f"motion-{rendered['task']}"
    out = shelf/checkpoint_name(net, name)
    if out.exists():
        return
    run_folder = work/out.name
    save(net, run_folder, recipe=recipe_of(run, net), data=name, rendered=rendered, **about_code())
    seconds = round(run['seconds'] / len(run['windows']), 2)
    windows = [dict(epoch=i, loss=loss, top1=top1, seconds=seconds)
               for i, (loss, top1) in enumerate(run['windows'], 1)]
    (run_folder/'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in windows))
    command(['evaluate', str(run_folder), '--data', str(data)])
    shutil.copytree(run_folder, out, ignore=lambda _, files: [
        file for file in files if not any((run_folder/file).match(known) for known in FILES)])
    (out/'README.md').write_text(model_card(load(out), out, f'video-convs/{out.name}'))
    print(out.name)

if __name__ == '__main__':
    torch.set_num_threads(1)
    refuse_unknown(sys.argv[1:], questions, 'task')
    for task in sys.argv[1:] or questions:
        data, rendered = videos_of(task)
        for run in best_runs(task):
            keep(run, data, rendered)
