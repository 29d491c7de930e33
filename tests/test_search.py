"A search drops what falls behind, continues where it stopped, and says what it cannot do."
import csv
import json
import math
from dataclasses import replace

import pytest
from small_sets import write_reversals

pytest.importorskip('optuna', reason='install the extra: video_convs[search]')

from video_convs.cli import main
from video_convs.guards import read_lines
from video_convs.train import scale_out, search as module
from video_convs.train.checks import NotFinite
from video_convs.train.ranges import OneOf, Span, read_range
from video_convs.train.recipes import Recipe
from video_convs.train.scale_out import TrainConfig
from video_convs.train.search import Trial, plot_search, search, search_table

pytestmark = pytest.mark.usefixtures('one_thread')
SPACE = {'lr': Span(1e-4, 1.), 'optimizer': OneOf(('adamw', 'sgd'))}

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = write_reversals(tmp_path_factory.mktemp('videos'))
    (root/'test').rename(root/'val')
    return root

class Trainer:
    "Stands for a training whose accuracy follows from its learning rate."
    def __init__(self, stop_after=math.inf):
        self.epochs, self.stop_after, self.started = 0, stop_after, []

    def __call__(self, config, progress=None, on_epoch=None):
        recipe = config.own_recipe()
        config.out.mkdir(parents=True, exist_ok=True)
        file = config.out/'log.jsonl'
        log = read_lines(file) if file.exists() else []
        self.started.append(config.out.name)
        while len(log) < recipe.epochs:
            if self.epochs == self.stop_after:
                raise KeyboardInterrupt
            self.epochs += 1
            if recipe.lr > .5:
                raise NotFinite('the loss became inf')
            good = math.exp(-abs(math.log10(recipe.lr) + 2))  # 0.01 is best
            log.append(dict(test_top1=good * (1 - .5 ** (len(log) + 1))))
            file.write_text(''.join(json.dumps(entry) + '\n' for entry in log))
            on_epoch(log)
        return log

@pytest.fixture
def trainer(monkeypatch):
    def use(**kw):
        made = Trainer(**kw)
        monkeypatch.setattr(module, 'run_training', made)
        return made
    return use

def config(root, out, **changes):
    return TrainConfig(root, out, model='tsn_tiny', changes={'epochs': 9, 'seed': 1} | changes)

def test_the_best_is_found_and_most_are_dropped(root, tmp_path, trainer):
    made = trainer()
    found = search(config(root, tmp_path), SPACE, trials=12)
    assert [trial.number for trial in sorted(found, key=lambda t: t.number)] == list(range(12))
    first = min(found, key=lambda t: t.number)
    assert first.values == {'lr': 3e-3, 'optimizer': 'adamw'} and first.ended == 'finished'
    ended = [trial.ended for trial in found]
    assert ended.count('dropped') > 5 and set(ended) <= {'finished', 'dropped', 'diverged'}
    assert ended[0] == 'finished' and made.epochs < 12 * 9 / 2
    finished = [trial for trial in found if trial.ended == 'finished']
    assert found[0].scores[-1] == max(trial.scores[-1] for trial in finished)
    assert {len(t.scores) for t in found if t.ended == 'dropped'} <= {1, 3}
    assert all(t.values['lr'] == float(f"{t.values['lr']:.3g}") for t in found)
    rows = list(csv.reader((tmp_path/'trials.csv').open()))
    assert rows[0] == ['trial', 'lr', 'optimizer', 'epochs', 'accuracy', 'low', 'high', 'ended']
    assert len(rows) == 13 and int(rows[1][0]) == found[0].number
    assert (tmp_path/'search.png').stat().st_size > 5000

def test_a_stopped_search_continues(root, tmp_path, trainer):
    trainer()
    whole = search(config(root, tmp_path/'whole'), SPACE, trials=6)
    for at in (2, 11):
        out = tmp_path/str(at)
        trainer(stop_after=at)
        with pytest.raises(KeyboardInterrupt):
            search(config(root, out), SPACE, trials=6)
        made = trainer()
        assert search(config(root, out), SPACE, trials=6) == whole
        for name in ('trials.jsonl', 'trials.csv'):
            assert (out/name).read_bytes() == (tmp_path/'whole'/name).read_bytes()
        again = trainer()
        assert search(config(root, out), SPACE, trials=6) == whole and not again.started
        assert 'trial_005' in made.started

def test_more_trials_are_added(root, tmp_path, trainer):
    trainer()
    few = search(config(root, tmp_path), SPACE, trials=3)
    made = trainer()
    more = search(config(root, tmp_path), SPACE, trials=5)
    assert made.started == ['trial_003', 'trial_004']
    assert sorted(t.number for t in more) == list(range(5)) and all(t in more for t in few)

def test_a_training_that_diverges_is_a_row(root, tmp_path, trainer):
    trainer()
    found = search(config(root, tmp_path, lr=.9), {'lr': Span(.4, 1.)}, trials=3)
    assert found[-1].ended == 'diverged' and found[-1].scores == []
    assert 'diverged' in (tmp_path/'trials.csv').read_text()
    assert 'diverged' in search_table(found, 8)

@pytest.mark.parametrize('change, space, options, says', [
    ({}, {}, {}, 'a search needs a range or a list of values'),
    ({}, {'lrr': Span(1e-3, 1.)}, {}, "a recipe has no 'lrr'; "),
    ({}, {'lr': Span(1e-3, 1e9)}, {}, 'recipe: lr must be a number above 0'),
    ({}, {'optimizer': OneOf(('adamw', 'adam'))}, {}, 'recipe: optimizer is one of adamw, sgd'),
    ({}, {'lr': [1, 2]}, {}, 'lr is a Span or a OneOf in a search'),
    ({}, {'epochs': Span(3, 9)}, {}, 'of the same length and seed'),
    ({'epochs': 1}, SPACE, {}, 'no trial of 1 epochs can be dropped after 1'),
    ({}, SPACE, {'min_epochs': 9}, 'no trial of 9 epochs can be dropped after 9'),
    ({}, SPACE, {'trials': 1}, 'trials must be a whole number from 2 to 10,000'),
    ({}, SPACE, {'reduction': 1}, 'reduction must be a whole number from 2 to 100'),
])
def test_what_is_refused_before_the_first_epoch(root, tmp_path, trainer, change, space, options,
                                                says):
    made = trainer()
    with pytest.raises(ValueError) as error:
        search(config(root, tmp_path/'a', **change), space, **options)
    assert says in str(error.value) and not made.started
    assert not (tmp_path/'a').exists()

@pytest.mark.parametrize('test_split, renamed, says', [
    ('none', 'val', "make a split 'val', or hold out a part"),
    (None, 'test', "'test' must stay unseen until the end"), ('test', 'test', None)])
def test_a_search_needs_a_validation_split(root, tmp_path, trainer, monkeypatch, test_split,
                                           renamed, says):
    trainer()
    split = scale_out.open_splits
    def open_it(*args):
        *videos, where = split(root, None, 'train', 'val')
        return (*videos, renamed) if test_split != 'none' else (videos[0], None, '')
    monkeypatch.setattr(scale_out, 'open_splits', open_it)
    asked = replace(config(root, tmp_path), test_split=test_split)
    if says is None:
        assert len(search(asked, SPACE, trials=2)) == 2
        return
    with pytest.raises(ValueError, match=says):
        search(asked, SPACE)

def test_another_search_in_the_same_folder(root, tmp_path, trainer):
    trainer()
    search(config(root, tmp_path/'a'), SPACE, trials=2)
    for space, change, says in (
            ({'lr': Span(1e-4, .5)}, {}, 'its space is another'),
            (SPACE, {'epochs': 18}, 'its min_epochs is another'),
            (SPACE, {'dropout': .1}, r'its recipe is another \(dropout is 0.5, not 0.1\)')):
        with pytest.raises(ValueError, match=says):
            search(config(root, tmp_path/'a', **change), space, trials=2)
    (tmp_path/'run').mkdir()
    (tmp_path/'run/resume.pt').touch()
    with pytest.raises(ValueError, match='holds a run, not a search'):
        search(config(root, tmp_path/'run'), SPACE, trials=2)

def test_without_the_library(root, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'optuna', None)
    with pytest.raises(ValueError, match='a search needs optuna'):
        search(config(root, tmp_path), SPACE)

TYPED = ['search', '--data', 'x', '--out', 'y']
@pytest.mark.parametrize('typed, says', [
    (['--lr', '1e-1..1e-3'], '--lr: a range runs from the smaller number to the larger one, got'
                             ' 0.1..0.001'),
    (['--lr', '1e-3..fast'], "--lr must be a number above 0 to 1,000,000, got 'fast'"),
    (['--optimizer', 'sgd,adm'], "--optimizer is one of adamw, sgd, not 'adm'"),
    (['--batch-size', '8,8'], '--batch-size: a value stands twice in 8,8'),
    (['--lrr', '1..2'], 'there is no --lrr; near matches: --lr'),
    (['--trials', '1'], '--trials must be a whole number from 2 to 10,000'),
    ([], 'a search needs a range or a list of values'),
])
def test_sentences(capsys, typed, says):
    assert main([*TYPED, *typed]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1, said

def test_from_the_command_line(root, tmp_path, capsys):
    out = tmp_path/'s'
    typed = ['search', '--data', str(root), '--out', str(out), '--model', 'tsn_tiny', '--size',
             '32', '--frames', '2', '--cache', '--epochs', '2', '--trials', '2', '--reduction',
             '2', '--lr', '1e-3..1e-2', '--batch-size', '8']
    assert main(typed) == 0
    said = capsys.readouterr().out
    assert 'accuracy (95 %)' in said and f"train --config {out/'best.yaml'}" in said
    best = Recipe.from_dict(json.loads((out/'search.json').read_text())['recipe'])
    assert (best.epochs, best.lr) == (2, Recipe().lr)
    assert main(['train', '--config', str(out/'best.yaml')]) == 0
    first = read_lines(out/'trials.jsonl')[0]
    if 'trial 0 is' in said.replace('checkpoint of ', ''):
        scores = [e['test_top1'] for e in read_lines(out/'best/log.jsonl')]
        assert scores == first['scores']

def test_read_range():
    assert read_range('1e-3..1e-1', float) == Span(.001, .1)
    assert read_range('.1...5', float) == Span(.1, .5)
    assert read_range('4', int) == 4

def test_a_picture_without_finished_trials():
    trials = [Trial(0, {'lr': 1.}, [], 'diverged'), Trial(1, {'lr': .1}, [.2], 'dropped')]
    assert len(plot_search(trials).axes[0].get_lines()) == 2
