"""Make checkpoints of networks that tools/ablations.py has kept:

    .venv/bin/python tools/checkpoints.py [micro|slow|macro|drift10|shape|flow …] [tsn|hgc|h2cn …]

Of the runs of a network on `shelf` or `alpha` that was right most often is taken. It is tested on
512 videos that are rendered anew, and its folder under data/checkpoints/ gets the files of the Hub.
Networks of `shape` and `flow`, whose clips are no folders of videos, keep the score on clips that
their run ended with. Folders that are there already are left alone."""
import json
import shutil
import sys
from dataclasses import asdict
from functools import cache

import ablations
import torch
from study import operator_recipe, read_lines, refuse_unknown, root
from video_convs.checkpoint import save
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.motion_files import render_drift, render_task
from video_convs.hub import FILES
from video_convs.nets.model_card import model_card
from video_convs.nets.registry import variants
from video_convs.nets.video_net import load
from video_convs.train.run_folder import about_code
from video_convs.train.evaluation import report
from video_convs.train.scores import score
from video_convs.use.publish import checkpoint_name
from video_convs.weights.create import create_model

questions = {'micro': 'reversal', 'slow': 'reversal-slow', 'macro': 'order', 'drift10': 'drift',
             'shape': 'reversal-pairs', 'flow': 'reversal-flow'}
videos = 512  # to test on
work, shelf = root/'runs/checkpoints', root/'data/checkpoints'

def videos_of(task):
    "A folder of new test videos, or None, and how they are rendered again."
    asked, folder = ablations.tasks[task], work/'data'/task
    if isinstance(asked, ablations.Drifting):
        again = dict(task='drift', train=0, test=videos, config=asdict(asked.drift))
        return render_drift(folder, asked.drift, train=0, test=videos), again
    again = dict(task=asked.question, config=asdict(asked.config))
    if asked.pairs or asked.flow:
        return None, again | dict(pairs=asked.pairs, flow=asked.flow)
    render_task(asked.question, folder, train=0, test=videos, config=asked.config)
    return folder, again | dict(train=0, test=videos)

@cache
def clips_of(data, spec):
    "Test clips, read once for all networks that take them."
    return Clips(open_data(data, 'test'), spec, train=False, cache=True)

def settled(operator, variant):
    "A network with all of its variants; the small one has three places for gates."
    every = variants(f'{operator}_tiny') | variant
    return operator, every | ({'modules': None} if every.get('modules') == 3 else {})

def best_runs(task, operators=()):
    "Of each network on the shelf, or of these, the run that was right most often."
    wanted = [settled(*network) for name in ('shelf', 'alpha')
              for network in ablations.papers.get(name, ())
              if not operators or network[0] in operators]
    found = {}
    for run in read_lines(ablations.results):
        network = settled(run['operator'], ablations.members(run['variant'])[0])
        if run['task'] == task and network in wanted:
            found.setdefault(str(network), []).append(run)
    return [max(runs, key=lambda run: run['right']) for runs in found.values()]

def network_of(run):
    "The network of a run, under its defaults where a variant only spells them out."
    trained = load(ablations.folder_of(run)/f'{ablations.points}f')
    config = trained.config() | settled(run['operator'], trained.variant)[1]
    net = create_model(**config)
    net.load_state_dict(trained.state_dict())
    return net

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
    net, name = network_of(run), f"motion-{questions[run['task']]}"
    out = shelf/checkpoint_name(net, name)
    if out.exists():
        return
    run_folder = work/out.name
    share = f"{run['right'] / run['clips']:.1%} of {run['clips']:,} new clips"
    save(net, run_folder, recipe=recipe_of(run, net), data=name, rendered=rendered,
         **({} if data else dict(metrics={'top-1': share})), **about_code())
    seconds = round(run['seconds'] / len(run['windows']), 2)
    windows = [dict(epoch=i, loss=loss, top1=top1, seconds=seconds)
               for i, (loss, top1) in enumerate(run['windows'], 1)]
    (run_folder/'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in windows))
    if data:
        found = report(score(net.eval(), clips_of(data, net.input_spec), progress=False))
        (run_folder/'evaluate_test.json').write_text(json.dumps(found, indent=1))
    shutil.copytree(run_folder, out, ignore=lambda _, files: [
        file for file in files if not any((run_folder/file).match(known) for known in FILES)])
    (out/'README.md').write_text(model_card(load(out), out, f'video-convs/{out.name}'))
    print(out.name)

if __name__ == '__main__':
    torch.set_num_threads(1)
    known = {operator for networks in ablations.papers.values() for operator, _ in networks}
    refuse_unknown(sys.argv[1:], (*questions, *sorted(known)), 'task or network')
    operators = [name for name in sys.argv[1:] if name in known]
    for task in [name for name in sys.argv[1:] if name in questions] or questions:
        data, rendered = videos_of(task)
        for run in best_runs(task, operators):
            keep(run, data, rendered)
