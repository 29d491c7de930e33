"Recipes: what can be chosen, what the papers say, and sentences for what makes no sense."
import json
from dataclasses import replace

import pytest

from video_convs.data.transforms import Augment
from video_convs.nets.registry import find_model
from video_convs.train.recipes import (
    CHOICES, Recipe, find_recipe, learning_rate, list_recipes, override, recipe_table)

pytestmark = pytest.mark.usefixtures('one_thread')

def test_the_defaults_are_those_of_the_stored_results():
    "What trained data/results/gestures.jsonl and the demo: nobody changes these in passing."
    old = dict(epochs=30, batch_size=16, lr=3e-3, warmup=.1, lr_scale={}, weight_decay=.05,
               label_smoothing=0., clip_norm=5., dropout=.5, seed=0)
    r = Recipe()
    assert ({k: getattr(r, k) for k in old} == old
            and r.augment == Augment(scale=(.7, 1.), ratio=4/3, jitter=.2))
    assert ((r.optimizer, r.schedule, r.bn, r.precision, r.accumulate, r.ema, r.compile, r.freeze)
            == ('adamw', 'cosine', 'full', 'auto', 1, 0., False, ()))
    assert Recipe.from_dict(old | {'augment': {'scale': [.7, 1.], 'ratio': 4/3, 'jitter': .2,
                                               'hflip': False}}) == r  # of an older checkpoint

@pytest.mark.parametrize('name', list_recipes())
def test_a_published_recipe(name):
    p = find_recipe(name)
    assert Recipe.from_dict(json.loads(json.dumps(p.recipe.to_dict()))) == p.recipe
    assert (find_model(p.setup['model']) and p.recipe.optimizer == 'sgd'
            and p.recipe.peak == p.recipe.lr)
    assert (len({key for key, *_ in p.rows()}) == len(p.rows())
            and all(place for *_, place, _ in p.rows()))
    assert name in recipe_table(name) and p.setup['model'] in recipe_table(name)

@pytest.mark.parametrize('name, values', [
    ('h2cn.something-v1', dict(lr=.01, batch_size=64, epochs=60, milestones=(30, 45, 55),
                               weight_decay=5e-4, head_lr=1., bias_lr=2., clip_norm=20.)),
    ('h2cn.kinetics400', dict(epochs=100, milestones=(50, 75, 90))),
    ('hf_tsn.something-v1',
     dict(lr=.001, batch_size=32, epochs=60, milestones=(25, 40), bn='full')),
    ('stc.something-v1', dict(lr=.01, batch_size=40, epochs=50, milestones=(30, 40), dropout=.5)),
    ('sth.something-v1', dict(epochs=50, momentum=.9, weight_decay=5e-4)),
    ('tsm.kinetics400', dict(lr=.02, batch_size=128, weight_decay=1e-4, head_lr=5.)),
])
def test_values_as_printed(name, values):
    r = find_recipe(name).recipe
    assert {k: getattr(r, k) for k in values} == values

def test_two_stages():
    for name in ('sth.ucf101', 'sth.hmdb51', 'hf_eco.hmdb51', 'tsm.ucf101'):
        p = find_recipe(name)
        assert (find_recipe(p.setup['after']).setup['model'] == p.setup['model']
                and 'pretrained' not in p.setup)

def test_rates():
    r = Recipe(epochs=6, lr=.1, warmup=.25, schedule='step', milestones=(3, 5), gamma=.5,
               lr_batch=32, batch_size=64)
    rates = [learning_rate(r, k, 12) for k in range(12)]
    assert rates == pytest.approx([.2/3, .4/3, .2, .2, .2, .2, .1, .1, .1, .1, .05, .05])
    with_cosine = replace(r, schedule='cosine', milestones=(), lr_batch=None)
    assert max(learning_rate(with_cosine, k, 12) for k in range(12)) == pytest.approx(.1)

@pytest.mark.parametrize('changes, says', [
    (dict(epocs=3), "no 'epocs'; near matches: epochs"),
    ({'augment.hflp': True}, 'augment.hflip'),
    (dict(epochs='3'), "epochs must be a whole number from 1 to 1,000,000, or 'auto', got '3'"),
    (dict(epochs=True), "epochs must be a whole number from 1 to 1,000,000, or 'auto', got True"),
    (dict(epochs=2.5), "epochs must be a whole number from 1 to 1,000,000, or 'auto', got 2.5"),
    (dict(lr_scale={'**.op.*': 0}),
     "lr_scale of '**.op.*' must be a number above 0 to 1,000,000, got 0"),
    (dict(dropout=1.5), 'dropout must be a number from 0 to below 1, got 1.5'),
    (dict(schedule='step', epochs=5, milestones=(3, 9)), 'from 1 to 4, got (3, 9)'),
    (dict(compile=1), 'compile must be true or false, got 1'),
    (dict(lr=[1]), 'lr must be a number above 0 to 1,000,000, got [1]'),
    (dict(lr_batch=0), 'lr_batch must be a whole number from 1 to 1,000,000, got 0'),
    (dict(milestones=5), 'cannot be 5'),
    (dict(schedule='step', milestones=[4, 2]), 'rising'),
    (dict(schedule='step', milestones=['a']), 'rising'),
    (dict(milestones=[4]), "are for schedule='step'"),
    (dict(batch_size=6, accumulate=4), 'cannot go through in 4 equal parts'),
    (dict(momentum=1.), 'momentum must be a number from 0 to below 1, got 1.0'),
    ({'augment.crop': 'middle'}, 'crop is one of'),
    *[({key: 'none of them'}, f"{key} is one of {', '.join(known)}")
      for key, known in CHOICES.items()],
])
def test_sentences(changes, says):
    with pytest.raises(ValueError) as error:
        override(Recipe(), changes)
    assert says in str(error.value)

def test_unknown_names():
    with pytest.raises(ValueError, match=r"unknown entries \['learning_rate'\]"):
        Recipe.from_dict({'epochs': 3, 'learning_rate': 1})
    with pytest.raises(ValueError, match="no recipe 'sht.ucf101'; near matches: sth.ucf101"):
        find_recipe('sht.ucf101')
    with pytest.raises(ValueError, match='no recipe'):
        recipe_table('xyz*')
