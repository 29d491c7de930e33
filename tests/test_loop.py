"Training that is killed, starved, poisoned and started again ends with the same weights."
import json
import os
import platform
import random
import resource
import shutil
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import children
import pytest
import torch

from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.paths import name_hash
from video_convs.checkpoint import read_config
from video_convs.messages import show_messages
from video_convs.nets.video_net import load
from video_convs.nets.registry import list_models
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.train import checks, epoch, loop, run_folder, run_log
from video_convs.train.scores import score
from video_convs.train.checks import check_task
from video_convs.train.device import autocast_type, find_device
from video_convs.train.ending import find_ending, stalls
from video_convs.train.epoch import epoch_batches
from video_convs.train.groups import make_optimizer, parameter_groups
from video_convs.train.loop import train
from video_convs.train.plots import plot_runs
from video_convs.train.run_folder import read_log, skipped_videos, trained_on
from video_convs.train.step import clip_loss, step
from video_convs.train.recipes import Recipe
from video_convs.train.targets import class_weights, make_targets, one_hot

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=4, size=32)
SHORT = Recipe(epochs=3, batch_size=8, ema=.9, optimizer='sgd', lr=.02)

@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp('motion')
    render_task('reversal', root, train=24, test=8, config=MotionConfig(size=32, frames=12),
                progress=False)
    return open_data(root, 'train')

def fresh(videos, name='tsn_tiny', **kw):
    torch.manual_seed(0)
    return create_model(name, num_classes=8, classes=videos.classes, input_spec=SPEC, **kw)

def run(videos, out, recipe=SHORT, model=None, **kw):
    model = model or fresh(videos)
    train(model, Clips(videos, model.input_spec, train=True, augment=recipe.augment,
                       seed=recipe.seed), recipe, out, progress=False, **kw)
    return model

def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))

@pytest.fixture(scope='module')
def undisturbed(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp('undisturbed')
    return run(videos, out), out

def stamp(path):
    return path.stat().st_mtime_ns if path.exists() else 0

@pytest.mark.parametrize('kills', [3, pytest.param(6, marks=pytest.mark.slow)])
def test_killed_at_random_moments(kills, videos, undisturbed, tmp_path):
    "SIGKILL while reading, computing or writing, with another number of workers each time."
    whole, folder = undisturbed
    out, dice, starts = tmp_path/'killed', random.Random(0), 0
    while starts < 40:
        # the first stands before the first step
        written = out/('starts.jsonl', 'resume.pt')[starts % 2]
        before = stamp(written)
        child = children.start(run, videos, out, save_every=1, workers=(0, 2, 1)[starts % 3],
                               said=tmp_path/'said')
        starts += 1
        if starts <= kills:
            while child.is_alive() and stamp(written) == before:
                time.sleep(.001)
            time.sleep(dice.uniform(0, .1))
            child.kill()
        child.join()
        if child.exitcode == 0:
            break
    assert starts > 2, (tmp_path/'said').read_text()
    assert same(load(out), whole) and not list(out.glob('.*'))[10:]
    resumed = torch.load(out/'resume.pt', weights_only=True)
    for key, value in torch.load(folder/'resume.pt', weights_only=True)['model'].items():
        assert torch.equal(value, resumed['model'][key])
    for a, b in zip(read_log(out), read_log(folder)):
        assert (a['epoch'], a['loss'], a['top1'], a['lr']) == (b['epoch'], b['loss'],
                                                               b['top1'], b['lr'])
    assert len(read_log(out)) == 3

class Stop(KeyboardInterrupt):
    pass

def stop_after(epochs):
    "A `test` that interrupts the run once so many epochs are trained."
    count = iter(range(1, 100))
    def test(model):
        if next(count) > epochs:
            raise Stop
        return {}
    return test

def test_killed_between_the_checkpoint_and_its_state(videos, undisturbed, tmp_path, monkeypatch):
    "In each epoch, the first one too."
    real = run_log.keep_checkpoint
    for stopped in (1, 2):
        def keep(out, state, *args):
            real(out, state, *args)
            if state.epoch == stopped:
                raise Stop
        monkeypatch.setattr(run_log, 'keep_checkpoint', keep)
        with pytest.raises(Stop):
            run(videos, tmp_path)
    monkeypatch.undo()
    assert (same(run(videos, tmp_path), undisturbed[0])
            and [e['epoch'] for e in read_log(tmp_path)] == [1, 2, 3])

def test_stopped_in_the_first_epoch_with_lines_of_steps(videos, undisturbed, tmp_path, monkeypatch):
    "They are no lines of epochs."
    real = run_log.keep_state
    def keep(out, state, *args):
        real(out, state, *args)
        if state.step == 2:
            raise Stop
    monkeypatch.setattr(run_log, 'keep_state', keep)
    with pytest.raises(Stop):
        run(videos, tmp_path, save_every=1, log_every=1)
    monkeypatch.undo()
    assert (tmp_path/'steps.jsonl').exists() and not (tmp_path/'log.jsonl').exists()
    seen = []
    assert same(run(videos, tmp_path, on_epoch=lambda log: seen.append([e['loss'] for e in log])),
                undisturbed[0])
    assert (seen[-1] == [e['loss'] for e in read_log(tmp_path)]
            == [e['loss'] for e in read_log(undisturbed[1])])

def test_progress_is_a_line_now_and_then(videos, tmp_path, monkeypatch, capsys):
    "Not one for each step; and silence covers the filling of the cache and the score too."
    recipe = Recipe(epochs=1, batch_size=8)
    clips = Clips(videos, SPEC, train=True, cache=True)
    said = {}
    for seconds, progress in (('1000', None), ('0', False), ('0', None)):
        monkeypatch.setenv('TQDM_MININTERVAL', seconds)
        clips._kept.clear()
        model = fresh(videos)
        train(model, clips, recipe, tmp_path/f'{seconds}{progress}', progress=progress)
        score(model, Clips(videos, SPEC, train=False, cache=True), progress=progress)
        said[seconds, progress] = capsys.readouterr().err
    assert said['1000', None] == said['0', False] == ''
    lines = said['0', None]
    for what in ('decode motion-reversal: 24 of 24', 'tsn_tiny epoch 1/1: 3 of 3',
                 'tsn_tiny unseen videos: 2 of 2'):
        assert what in lines

def test_other_videos_are_another_run(videos, undisturbed, tmp_path):
    "Of the same data set: another fold, another split. Where they lie does not matter."
    shutil.copytree(undisturbed[1], tmp_path/'run')
    swapped = replace(videos, labels=videos.labels[::-1], paths=videos.paths[::-1])
    for other in (videos.subset(range(12)), swapped):
        with pytest.raises(ValueError, match="its training set is another \\('24 videos, checksum"):
            run(other, tmp_path/'run')
    shutil.copytree(Path(videos.paths[0]).parents[2], tmp_path/'moved')
    assert same(run(open_data(tmp_path/'moved', 'train'), tmp_path/'run'), undisturbed[0])

def starved(videos, out):
    # the weights fit, the state does not
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    run(videos, out)

def test_a_full_disk_keeps_the_last_checkpoint(videos, undisturbed, tmp_path):
    with pytest.raises(Stop):
        run(videos, tmp_path, test=stop_after(1))
    children.start(starved, videos, tmp_path, said=tmp_path/'said').join()
    said = (tmp_path/'said').read_text()
    assert 'could not be written to' in said and 'continues from there' in said
    assert torch.load(tmp_path/'resume.pt', weights_only=True)['epoch'] == 1
    assert (same(run(videos, tmp_path), undisturbed[0])
            and [e['epoch'] for e in read_log(tmp_path)] == [1, 2, 3])

def test_an_infinite_loss_keeps_the_last_checkpoint(videos, undisturbed, tmp_path, monkeypatch):
    with pytest.raises(Stop):
        run(videos, tmp_path, test=stop_after(1))
    kept = load(tmp_path)
    monkeypatch.setattr('video_convs.train.step.clip_loss',
                        lambda scores, label, *_: (scores.sum() * float('nan'), 0))
    with pytest.raises(ValueError, match='the loss became nan: the last checkpoint is kept; try a '
                                         'smaller lr than 0.02'):
        run(videos, tmp_path)
    monkeypatch.undo()
    assert same(load(tmp_path), kept)
    assert same(run(videos, tmp_path), undisturbed[0])

def test_gradients_that_explode(videos):
    model = fresh(videos)
    model.head.fc.weight.register_hook(lambda g: g * float('inf'))
    with pytest.raises(ValueError, match='the gradients became'):
        step(model, make_optimizer(model, SHORT), torch.randn(2, 3, 4, 32, 32),
             torch.zeros(2, dtype=torch.long), SHORT)

def test_what_a_folder_holds(videos, undisturbed):
    names = {'config.json', 'log.jsonl', 'model.safetensors', 'resume.pt', 'starts.jsonl',
             'trained_on.txt'}
    assert {path.name for path in undisturbed[1].iterdir()} == names
    assert trained_on(undisturbed[1]) == set(map(name_hash, videos.names()))

def test_another_seed_gives_other_weights(videos, undisturbed, tmp_path):
    assert not same(run(videos, tmp_path, replace(SHORT, seed=1)), undisturbed[0])

class Fragile(Clips):
    "Every 17th clip that is read presses Ctrl-C."
    read = 0

    def __getitem__(self, index):
        Fragile.read += 1
        if Fragile.read % 17 == 0:
            raise KeyboardInterrupt
        return super().__getitem__(index)

def test_stopped_again_and_again_within_epochs(videos, tmp_path):
    "With dropout, accumulation and a step schedule; a start is noted as (epoch, step)."
    recipe = replace(SHORT, dropout=.5, schedule='step', milestones=(2,), accumulate=2)
    ask = dict(dropout=.5)
    whole = run(videos, tmp_path/'whole', recipe, fresh(videos, **ask))
    for _ in range(20):
        again = fresh(videos, **ask)
        clips = Fragile(videos, SPEC, train=True, augment=recipe.augment)
        try:
            log = train(again, clips, recipe, tmp_path/'fragile', progress=False, save_every=1)
            break
        except KeyboardInterrupt:
            pass
    starts = [json.loads(line) for line in open(tmp_path/'fragile/starts.jsonl')]
    assert len(starts) > 3 and any(start['step'] for start in starts)
    assert same(again, whole) and [e['epoch'] for e in log] == [1, 2, 3]

def test_half_a_line_of_the_log_is_dropped(videos, undisturbed, tmp_path):
    "As if the process had been killed while it wrote."
    with pytest.raises(Stop):
        run(videos, tmp_path, test=stop_after(2))
    with open(tmp_path/'log.jsonl', 'a') as file:
        file.write('{"epoch": 2, "lo')
    assert same(run(videos, tmp_path), undisturbed[0])
    assert [e['epoch'] for e in read_log(tmp_path)] == [1, 2, 3]

def test_which_checkpoints_are_kept(videos, tmp_path):
    "The newest two, the best, and lines for every second step."
    top1 = iter([.2, .9, .5])
    run(videos, tmp_path, test=lambda model: {'top1': next(top1)}, keep=2, log_every=2)
    kept = {path.parent.name: read_config(path.parent)['epoch']
            for path in tmp_path.rglob('config.json')}
    assert kept == {tmp_path.name: 3, 'best': 2, 'epoch_0002': 2, 'epoch_0003': 3}
    steps = [json.loads(line) for line in open(tmp_path/'steps.jsonl')]
    assert [(e['epoch'], e['step']) for e in steps] == [(1, 2), (2, 2), (3, 2)]
    assert {'versions', 'hardware', 'data'} <= set(read_config(tmp_path))

def test_broken_videos_are_named(videos, tmp_path):
    shutil.copytree(Path(videos.paths[0]).parents[2], tmp_path/'data')
    here = open_data(tmp_path/'data', 'train')
    Path(here.paths[3]).write_text('not a video')
    whole = Path(here.paths[10]).read_bytes()
    Path(here.paths[10]).write_bytes(whole[:len(whole)//3])
    run(here, tmp_path/'run', replace(SHORT, epochs=1), max_skipped=.2)
    said = skipped_videos(read_log(tmp_path/'run'))
    assert set(said) == {here.paths[3], here.paths[10]}
    assert 'is no video that FFmpeg can open' in said[here.paths[3]]
    assert 'cut before its index' in said[here.paths[10]]

def test_files_that_vanish(videos, undisturbed, tmp_path):
    "During a run: it stops with a sentence; when they are back, it goes on as if nothing had been."
    copy = tmp_path/'data'
    shutil.copytree(Path(videos.paths[0]).parents[2], copy)
    here = open_data(copy, 'train')
    def unmount(model):
        copy.rename(tmp_path/'elsewhere')
        return {}
    with pytest.raises(ValueError, match='24 training videos could not be read, more than the 5%'):
        run(here, tmp_path/'run', test=unmount)
    (tmp_path/'elsewhere').rename(copy)
    assert same(run(here, tmp_path/'run'), undisturbed[0])

def test_one_lost_file_is_left_out(videos, tmp_path):
    shutil.copytree(Path(videos.paths[0]).parents[2], tmp_path/'data')
    here = open_data(tmp_path/'data', 'train')
    Path(here.paths[5]).unlink()
    run(here, tmp_path/'run', replace(SHORT, epochs=1))
    assert list(skipped_videos(read_log(tmp_path/'run'))) == [here.paths[5]]

def test_a_folder_of_an_older_version_goes_on(videos, undisturbed, tmp_path):
    "Without the fields that came later in config.json and resume.pt."
    plain = Recipe(epochs=2, batch_size=8)
    whole = run(videos, tmp_path/'whole', plain)
    with pytest.raises(Stop):
        run(videos, tmp_path/'old', plain, test=stop_after(1))
    state = torch.load(tmp_path/'old/resume.pt', weights_only=True)
    torch.save({key: state[key] for key in ('epoch', 'model', 'optimizer')},
               tmp_path/'old/resume.pt')
    config = json.loads((tmp_path/'old/config.json').read_text())
    config['recipe'] = {key: config['recipe'][key] for key in list(config['recipe'])[:11]}
    (tmp_path/'old/config.json').write_text(json.dumps(config))
    assert same(run(videos, tmp_path/'old', plain), whole)

def test_compiled(videos, tmp_path, monkeypatch):
    "The same network, traced; its checkpoint is an ordinary one."
    whole, compiler = run(videos, tmp_path/'plain', replace(SHORT, epochs=1)), torch.compile
    monkeypatch.setattr(torch, 'compile', lambda net: compiler(net, backend='eager'))
    traced = run(videos, tmp_path/'traced', replace(SHORT, epochs=1, compile=True))
    for a, b in zip(whole.parameters(), traced.parameters()):
        torch.testing.assert_close(a, b)
    assert same(load(tmp_path/'traced'), traced)

@pytest.mark.parametrize('changes', [
    dict(precision='float16'), dict(bn='partial', accumulate=2),
    dict(mixup=.4, cutmix=1., balance='loss', accumulate=2)])
def test_options_resume_exactly(videos, tmp_path, changes):
    recipe = replace(SHORT, epochs=2, **changes)
    whole = run(videos, tmp_path/'whole', recipe)
    with pytest.raises(Stop):
        run(videos, tmp_path/'part', recipe, test=stop_after(1))
    assert same(run(videos, tmp_path/'part', recipe), whole)

def test_what_is_frozen_stays(videos, tmp_path):
    model, before = fresh(videos, 'hgc_tiny'), fresh(videos, 'hgc_tiny').state_dict()
    run(videos, tmp_path,
        replace(SHORT, epochs=1, ema=0., freeze=('trunk.layer1.**', 'trunk.conv1.weight'),
                bn='partial'), model)
    changed = {key
               for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert not [key for key in changed if key.startswith(('trunk.layer1', 'trunk.conv1'))]
    assert {'trunk.bn1.weight', 'trunk.bn1.running_mean', 'trunk.layer2.0.conv2.weight',
            'head.fc.bias'} <= changed
    assert ('trunk.layer2.0.bn2.running_mean' not in changed
            and all(p.requires_grad for p in model.parameters()))

def test_several_tasks(videos, tmp_path):
    half = tuple(y // 2 for y in videos.labels)
    tasks = dict(verb=(('a', 'b', 'c', 'd'), half), noun=(videos.classes, videos.labels),
                 action=(videos.classes, videos.labels))
    data = replace(videos, tasks=tasks)
    torch.manual_seed(0)
    model = create_model('tsn_tiny', num_classes={'verb': 4, 'noun': 8, 'action': 8},
                         classes={t: list(c) for t, (c, _) in tasks.items()}, input_spec=SPEC)
    run(data, tmp_path, replace(SHORT, epochs=2, head_lr=5.), model)
    assert (0 <= read_log(tmp_path)[-1]['top1'] <= 1
            and load(tmp_path).num_classes == model.num_classes)
    scores = {'a': torch.eye(3), 'b': torch.eye(3)}
    labels = torch.tensor([[0, 0], [1, 2], [2, 2]])
    loss, right = clip_loss(scores, labels, Recipe())
    torch.testing.assert_close(clip_loss(scores, one_hot(labels, (3, 3)), Recipe()), (loss, right))
    assert (right == 2
            and loss.item() == pytest.approx(2 * -torch.eye(3)[0].log_softmax(0)[0].item() + 1/3))
    with pytest.raises(ValueError, match="learns 'verb', for which"):
        run(videos, tmp_path/'b', SHORT, model)
    run(data, tmp_path/'c', replace(SHORT, epochs=1, mixup=.4, balance='loss'), model)
    with pytest.raises(ValueError, match="for videos with one label: .* use balance='loss'"):
        run(data, tmp_path/'d', replace(SHORT, balance='sampling'), model)

def test_memory_is_explained(videos, tmp_path):
    class Small(type(fresh(videos))):
        def forward(self, clip):
            if len(clip) > 2:
                raise torch.OutOfMemoryError('CUDA out of memory')
            return super().forward(clip)
    model = Small('tsn_tiny', 8, classes=videos.classes, input_spec=SPEC)
    with pytest.raises(ValueError) as error:
        run(videos, tmp_path, model=model)
    assert ('8 clips of 4 frames of 32×32 do not fit' in str(error.value)
            and 'accumulate=4' in str(error.value) and 'batch_size=2' in str(error.value))
    run(videos, tmp_path, replace(SHORT, epochs=1, accumulate=4),
        Small('tsn_tiny', 8, classes=videos.classes, input_spec=SPEC))

def test_memory_that_holds_nothing(videos, tmp_path):
    class None_(type(fresh(videos))):
        def forward(self, clip):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
    with pytest.raises(ValueError, match='nor does a single one'):
        run(videos, tmp_path, model=None_('tsn_tiny', 8, classes=videos.classes, input_spec=SPEC))

def test_shares():
    for n, B, W in ((22, 8, 4), (5, 4, 2), (7, 3, 3), (16, 16, 8)):
        whole = epoch_batches(n, B, 1, 2)
        parts = [epoch_batches(n, B, 1, 2, r, W) for r in range(W)]
        assert [sum(step, []) for step in zip(*parts)] == whole
        assert all(max(map(len, step)) - min(map(len, step)) <= 1 for step in zip(*parts))

def test_sampling_shows_all_classes_alike(videos, tmp_path):
    labels = [0] * 190 + [1] * 10
    weights = class_weights(labels, 2)[labels]
    drawn = torch.tensor(sum(epoch_batches(200, 8, 0, 0, weights=weights), []))
    assert len(drawn) == 200 and 75 < (drawn >= 190).sum() < 125
    few = replace(videos, labels=(0,) * 20 + (1,) * 4)
    whole = [epoch._shares(Clips(few, SPEC, train=True), replace(SHORT, balance=b), 0)
             for b in ('none', 'sampling')]
    rare = [sum(i >= 20 for step in steps for i in step) for steps in whole]
    assert rare[0] == 4 < rare[1]

def test_weights_of_classes_have_a_mean_of_one():
    labels = torch.tensor([0] * 6 + [2] * 2)
    weights = class_weights(labels, 4)
    assert weights[labels].mean() == 1 and weights[0] * 6 == weights[2] * 2 and weights[3] == 1

def test_mixtures_keep_their_share(videos):
    "The target of a mixture says how much of each clip is in it."
    clip = torch.stack([torch.zeros(3, 2, 16, 16), torch.ones(3, 2, 16, 16)])
    for recipe in (Recipe(mixup=1.), Recipe(cutmix=1.), Recipe(mixup=.2, cutmix=1.)):
        targets = make_targets(2, videos, recipe)
        for seed in range(5):
            torch.manual_seed(seed)
            mixed, target = targets(clip, torch.tensor([0, 1]))
            assert (mixed[:, :, :1] == mixed).all()  # the same in all frames
            torch.testing.assert_close(target[:, 1], mixed.mean((1, 2, 3, 4)))
            torch.testing.assert_close(target.sum(1), torch.ones(2))
    one, target = targets(clip[:1], torch.tensor([1]))
    assert torch.equal(one, clip[:1]) and target.tolist() == [[0, 1]]
    label = torch.tensor([0, 1])
    assert make_targets(2, videos, Recipe())(clip, label) == (clip, label)

def test_patience(videos, tmp_path, capsys):
    "The best test is the second; two epochs later training ends, and another start adds nothing."
    scores = iter([.2, .5, .5, .4, .9])
    recipe = replace(SHORT, epochs=9, patience=2)
    with show_messages():
        run(videos, tmp_path, recipe, test=lambda model: dict(top1=next(scores)))
    assert [e['test_top1'] for e in read_log(tmp_path)] == [.2, .5, .5, .4]
    said = capsys.readouterr().out
    assert 'no test was better for 2 epochs: the training ends after epoch 4' in said
    run(videos, tmp_path, recipe, test=lambda model: dict(top1=next(scores)))
    assert len(read_log(tmp_path)) == 4
    with pytest.raises(ValueError, match='patience waits for a better test, but there is none'):
        run(videos, tmp_path/'b', recipe)

def test_a_run_finds_its_own_end(videos, tmp_path, capsys):
    "Two epochs without a gain: the rate falls in one more, and a stop changes nothing."
    recipe = replace(SHORT, epochs='auto', patience=2, warmup=0)
    def learn(out, **kw):
        scores = iter([.2, .5, .5, .4, .3, .1])
        for _ in read_log(out) if (out/'log.jsonl').exists() else ():
            next(scores)
        with show_messages():
            return run(videos, out, recipe, test=lambda model: dict(top1=next(scores)), **kw)
    whole = learn(tmp_path/'a')
    said, log = capsys.readouterr().out, read_log(tmp_path/'a')
    assert [e['lr'] for e in log] == [.02, .02, .02, .02, pytest.approx(.02 / 3)]
    assert 'no test was better for 2 epochs: the learning rate falls to zero until epoch 5' in said
    assert 'no test was better for 2 epochs: the training ends after epoch 5' in said
    with pytest.raises(Stop):
        learn(tmp_path/'b', on_epoch=stop_after(3))
    assert same(learn(tmp_path/'b'), whole)
    kept = [{k: e[k] for k in ('loss', 'top1', 'lr')} for e in read_log(tmp_path/'b')]
    assert kept == [{k: e[k] for k in ('loss', 'top1', 'lr')} for e in log]

def test_how_training_ends():
    def log(*losses, **more):
        return [dict(loss=x, top1=.5) | more for x in losses]
    auto = Recipe(epochs='auto', patience=3)
    assert find_ending([], auto) is None and find_ending(log(1, .9, .8, .7), auto) is None
    flat = find_ending(log(1, 1, .99, .985), auto)
    assert (flat.epoch, flat.last) == (4, 5) and 'has not fallen by 2 % in 3 epochs' in flat.why
    learned = find_ending(log(1, top1=.996), auto)
    assert (learned.epoch, learned.last) == (1, 2) and '99.5%' in learned.why
    assert find_ending(log(1, top1=.996, test_top1=.5), auto) is None
    assert find_ending(log(*[1] * 10), Recipe(epochs=10)).last == 10
    assert find_ending(log(*[1 / n for n in range(1, 30)]), Recipe(epochs=30)) is None
    assert find_ending(log(*[1] * 30), Recipe(epochs='auto')).epoch == 11
    assert list(stalls([3, 2, 2, 1], .98)) == [0, 0, 1, 0]

@pytest.mark.parametrize('values, says', [
    (dict(epochs='automatic'), "recipe: epochs must be a whole number from 1 to 1,000,000, or"),
    (dict(epochs='auto', schedule='step', milestones=(3,)), "with epochs='auto' the learning rate"),
])
def test_an_end_that_is_unclear(values, says):
    with pytest.raises(ValueError, match=says):
        Recipe(**values)

def test_groups_of_tsn(videos):
    model = fresh(videos)
    groups = parameter_groups(model, Recipe(bias_lr=2., head_lr=5., first_lr=3., weight_decay=.1))
    scale = {id(p): g['scale'] for g in groups for p in g['params']}
    decay = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    for name, p in model.named_parameters():
        expected = {'head.fc.weight': 5, 'head.fc.bias': 10, 'trunk.conv1.weight': 3}.get(name, 1)
        assert scale[id(p)] == expected and decay[id(p)] == (.1 if p.ndim > 1 else 0), name

@pytest.mark.parametrize('name', list_models('*_tiny'))
def test_every_parameter_learns(name):
    "Distributed training waits for the gradient of each."
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, frames=4).train()
    spec = model.input_spec
    model(torch.randn(2, 3, 4 * spec.per_segment, 32, 32)).square().sum().backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None]

def test_tensorboard(videos, tmp_path, monkeypatch):
    import builtins
    real = builtins.__import__
    def without(name, *args, **kw):
        if name.startswith('torch.utils.tensorboard'):
            raise ImportError(name)
        return real(name, *args, **kw)
    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ValueError, match='tensorboard is not installed'):
        run(videos, tmp_path/'a', tensorboard=True)
    monkeypatch.undo()
    pytest.importorskip('tensorboard')
    run(videos, tmp_path/'b', replace(SHORT, epochs=1), tensorboard=True)
    assert list((tmp_path/'b/tensorboard').iterdir())

def test_logs_hold_what_is_asked_for(undisturbed):
    _, out = undisturbed
    for entry in read_log(out):
        assert ({'epoch', 'loss', 'top1', 'lr', 'clips_per_s', 'wait_share', 'memory_gb', 'skipped'}
                <= entry.keys())
    config = read_config(out)
    assert (Recipe.from_dict(config['recipe']) == SHORT
            and config['versions']['torch'] == torch.__version__ and 'hardware' in config)
    plot_runs({'a': read_log(out)})

@pytest.mark.parametrize('device, says',
                         [('gpu', "no device 'gpu'"), *([] if torch.cuda.is_available() else [
                             ('cuda', 'was asked for, but'), ('cuda:3', 'was asked for, but')])])
def test_devices(device, says):
    with pytest.raises(ValueError, match=says):
        find_device(device)

def test_batches_and_processes(videos, monkeypatch):
    monkeypatch.setattr(checks, 'world', lambda: 3)
    with pytest.raises(ValueError, match='a batch of 8 cannot be shared by 3 processes: choose a '
                                         'batch_size of 6 or 9'):
        check_task(fresh(videos), Clips(videos, SPEC, train=True), SHORT)

# --- two runs, one folder

def hold(videos, out, ready):
    "A run that waits in its test, until it is killed."
    def test(model):
        Path(ready).touch()
        time.sleep(60)
        return {}
    run(videos, out, test=test)

def test_two_runs_on_one_folder(videos, undisturbed, tmp_path):
    "The second is told who holds it; a killed run, and its workers that live on, hold nothing."
    out, ready = tmp_path/'run', tmp_path/'ready'
    first = children.start(hold, videos, out, ready, said=tmp_path/'said')
    while first.is_alive() and not ready.exists():
        time.sleep(.01)
    assert ready.exists(), (tmp_path/'said').read_text()
    before = {p: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(ValueError, match=rf'run is being written by process {first.pid} on '
                                         rf'{platform.node()}, since 20.*choose another folder'):
        run(videos, out)
    assert {p: p.read_bytes() for p in out.iterdir()} == before
    first.kill()
    first.join()
    assert (out/'.lock').exists()  # left behind, and held by nobody
    assert same(run(videos, out), undisturbed[0]) and not (out/'.lock').exists()

def test_a_third_start_adds_nothing(videos, undisturbed, tmp_path, capsys):
    shutil.copytree(undisturbed[1], tmp_path/'run')
    before = {p: p.read_bytes() for p in (tmp_path/'run').iterdir()}
    with show_messages():
        run(videos, tmp_path/'run')
    said = f"{tmp_path/'run'} holds all 3 epochs of this run already: nothing is added\n"
    assert capsys.readouterr().out == said
    assert {p: p.read_bytes() for p in (tmp_path/'run').iterdir()} == before

def test_ctrl_c_says_what_is_kept(videos, tmp_path, capsys):
    def stop(model):
        raise KeyboardInterrupt
    for shown in (False, True):
        out, show = tmp_path/str(shown), show_messages if shown else nullcontext
        with pytest.raises(KeyboardInterrupt), show():
            run(videos, out, test=stop)
        said = ('\nStopped in epoch 1 of 3: there is no checkpoint yet. '
                'The same command continues.\n')
        assert capsys.readouterr() == (said * shown, '')

def test_locks(tmp_path):
    with (run_folder.locked(tmp_path/'a'), run_folder.locked(tmp_path/'a'),
          run_folder.locked(tmp_path/'b')):  # a block inside a block
        said = []
        def other():
            try:
                with run_folder.locked(tmp_path/'a'):
                    said.append('in')
            except ValueError as error:
                said.append(str(error))
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(said) == 1 and 'another thread of this process' in said[0]
    # of a process that is dead
    for text in ('', '{', '[]', json.dumps(dict(pid=2**22, host='gone', since='long ago'))):
        (tmp_path/'a/.lock').write_text(text)
        with run_folder.locked(tmp_path/'a'):
            assert json.loads((tmp_path/'a/.lock').read_bytes())['pid'] == os.getpid()
    assert not (tmp_path/'a/.lock').exists()
    with pytest.raises(RuntimeError), run_folder.locked(tmp_path/'a'):
        raise RuntimeError
    with run_folder.locked(tmp_path/'a'):
        pass

# --- precision, norms, waiting

@pytest.mark.parametrize('capability, kind', [((7, 0), torch.float16), ((7, 5), torch.float16),
                                              ((8, 0), torch.bfloat16), ((8, 9), torch.bfloat16),
                                              ((9, 0), torch.bfloat16)])
def test_bfloat16_only_where_convolutions_have_it(monkeypatch, capability, kind):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device=None: 'Tesla')
    gpu = torch.device('cuda', 0)
    assert (autocast_type(Recipe(), gpu) == kind
            and autocast_type(Recipe(), torch.device('cpu')) == torch.float32)
    assert (autocast_type(Recipe(precision='float16'), gpu) == torch.float16
            and autocast_type(Recipe(precision='float32'), gpu) == torch.float32)
    if kind == torch.bfloat16:
        assert autocast_type(Recipe(precision='bfloat16'), gpu) == kind
    else:
        with pytest.raises(ValueError, match=rf"needs a GPU of compute capability 8.0 or higher "
                                             rf"for convolutions, and Tesla has "
                                             rf"{capability[0]}.{capability[1]}: choose 'float16'"):
            autocast_type(Recipe(precision='bfloat16'), gpu)

def norm_of(clips_to_one_value, videos, size):
    "A network whose norm sees one value per channel for one clip of one frame."
    class Pooled(type(fresh(videos))):
        def __init__(self, *args, **kw):
            super().__init__(*args, **kw)
            self.last = torch.nn.BatchNorm1d(self.features)
        def frame_features(self, clip):
            x = super().frame_features(clip)
            return x + self.last(x.mean(1))[:, None]
    return Pooled('tsn_tiny', 8, classes=videos.classes, input_spec=SPEC)

@pytest.mark.parametrize('changes, says', [
    (dict(batch_size=23), 'in 1 clip of 4 frames of 32×32, the last of 24 videos in batches of 23: '
                          'choose a batch_size of 22'),
    (dict(batch_size=8, accumulate=8),
     'in 1 clip of 4 frames of 32×32: choose more clips at a time, or a larger size'),
    (dict(batch_size=1), 'choose more clips at a time')])
def test_a_norm_with_one_value_is_said_before_the_first_epoch(videos, tmp_path, changes, says):
    model = norm_of(1, videos, 32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError,
                       match='would take its mean over one value per channel, ') as error:
        run(videos, tmp_path, replace(SHORT, **changes), model)
    assert (says in str(error.value) and not (tmp_path/'resume.pt').exists()
            and not (tmp_path/'starts.jsonl').exists())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

def test_what_is_suggested_works(videos, tmp_path):
    run(videos, tmp_path, replace(SHORT, epochs=1, batch_size=22), norm_of(1, videos, 32))
    run(videos, tmp_path/'b', replace(SHORT, epochs=1, batch_size=1, bn='frozen'),
        norm_of(1, videos, 32))  # frozen norms need no batch

class Device:
    "Counts how often training fetches numbers from a device that computes on its own."
    def __init__(self, monkeypatch):
        self.waits = 0
        monkeypatch.setattr(epoch, 'is_asynchronous', lambda device: True)
        for name in ('item', 'tolist', '__bool__', '__float__', '__int__', 'cpu',
                     'numpy', '__index__'):
            monkeypatch.setattr(torch.Tensor, name, self.counted(getattr(torch.Tensor, name)))

    def counted(self, real):
        def call(tensor, *args, **kw):
            caller = sys._getframe(1).f_code
            ours = Path(caller.co_filename).parent == Path(loop.__file__).parent
            self.waits += ours and caller.co_name != 'epoch_batches'
            return real(tensor, *args, **kw)
        return call

def test_the_device_is_waited_for_once_a_line(videos, undisturbed, tmp_path, monkeypatch):
    "24 steps in 3 epochs; a line every 4th step, and at the end of an epoch."
    recipe = replace(SHORT, batch_size=3)
    whole = run(videos, tmp_path/'plain', recipe)
    device = Device(monkeypatch)
    takes, real = [], epoch._fetch_numbers
    monkeypatch.setattr(epoch, '_fetch_numbers',
                        lambda pending, *rest: takes.append(len(pending))
                        or real(pending, *rest))
    again = run(videos, tmp_path/'lazy', recipe, log_every=4)
    assert takes == [4, 4] * 3 and device.waits == len(takes)
    monkeypatch.undo()
    assert same(again, whole)
    for a, b in zip(read_log(tmp_path/'plain'), read_log(tmp_path/'lazy')):
        assert (a['loss'], a['top1']) == (b['loss'], b['top1'])
    steps = read_log(tmp_path/'lazy/steps.jsonl')
    assert ([(e['epoch'], e['step']) for e in steps] == [(e, s) for e in (1, 2, 3) for s in (4, 8)]
            and all('loss' in e for e in steps))

def test_a_loss_that_explodes_is_noticed_before_anything_is_kept(videos, undisturbed,
                                                                 tmp_path, monkeypatch):
    "Although nobody looks at each step."
    with pytest.raises(Stop):
        run(videos, tmp_path, test=stop_after(1))
    kept = load(tmp_path)
    monkeypatch.setattr(epoch, 'is_asynchronous', lambda device: True)
    monkeypatch.setattr('video_convs.train.step.clip_loss',
                        lambda scores, label, *_: (scores.sum() * float('nan'), 0))
    with pytest.raises(ValueError, match='the loss became nan: the last checkpoint is kept'):
        run(videos, tmp_path)
    monkeypatch.undo()
    assert same(load(tmp_path), kept) and same(run(videos, tmp_path), undisturbed[0])

def test_workers_live_through_all_epochs(videos, undisturbed, tmp_path, monkeypatch):
    made, real = [], epoch.DataLoader._get_iterator
    monkeypatch.setattr(epoch.DataLoader, '_get_iterator',
                        lambda self: made.append(self.num_workers) or real(self))
    # and each epoch has its own draws
    assert same(run(videos, tmp_path, workers=2), undisturbed[0]) and made == [2]

@pytest.mark.parametrize('videos, batch, accumulate, processes, parts', [
    (24, 8, 1, 1, {8}), (25, 8, 1, 1, {8, 1}), (24, 23, 1, 1, {23, 1}), (24, 8, 3, 1, {3, 2}),
    (25, 8, 1, 2, {4}), (26, 8, 1, 2, {4, 1}), (3, 8, 1, 1, {3}), (1, 8, 1, 2, set())])
def test_parts_of_a_batch(monkeypatch, videos, batch, accumulate, processes, parts):
    "Those that an epoch really has: a step of which some process has nothing is left out."
    monkeypatch.setattr(checks, 'world', lambda: processes)
    recipe = Recipe(batch_size=batch * accumulate, accumulate=accumulate)
    assert checks.part_sizes(videos, recipe, batch) == parts
