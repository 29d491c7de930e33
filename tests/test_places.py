"An operator's price is that of its place: the right network, layer and size, counted once."
from functools import cache

import pytest, torch

from video_convs.nets.bninception import Inception
from video_convs.nets.places import (HOMES, authors_ms, bench_table, changed_macs, changed_ms,
                                     places, said)
from video_convs.nets.res2net import Scales
from video_convs.ops.bench import OPERATORS


@cache
def found(name):
    with torch.device('meta'):
        return places(name)


@pytest.mark.parametrize('name, kind, words, blocks', [
    ('HgC', torch.nn.Conv2d, 'before the 3×3', 16),
    ('TIN 4C', torch.nn.Conv2d, 'before the 1×1', 16),
    ('TemporalShift', torch.nn.Conv2d, 'before the 3×3', 8),
    ('GST', torch.nn.Conv2d, 'instead of the 3×3', 16),
    ('HFModule', Inception, 'behind the inception block', 10),
    ('TEA ME', Scales, 'before the chain of 3×3', 16),
    ('TEA MTA', Scales, 'instead of the chain of 3×3', 16),
    ('FMCB', torch.nn.Sequential, 'beside the stem', 1)])
def test_the_layer_is_the_one_of_the_network(name, kind, words, blocks):
    some = found(name)
    assert {type(p.layer) for p in some} == {kind}
    assert {said(p) for p in some} == {words}
    assert sum(p.count for p in some) == blocks


def test_sizes_are_those_of_the_network():
    "A convolution that halves the map has an operator before it that sees the large one."
    sides = {p.path: (p.operator_in, p.layer.stride, p.count) for p in found('HgC')}
    assert sides['layer1.0.conv2'] == ((64, 56, 56), (1, 1), 3)
    assert sides['layer2.0.conv2'] == ((128, 56, 56), (2, 2), 1)
    assert sides['layer3.1.conv2'] == ((256, 14, 14), (1, 1), 5)
    behind = {p.path: (p.layer_in, p.operator_in) for p in found('HFModule')}
    assert behind['inception_3a'] == ((192, 28, 28), (256, 28, 28))
    assert behind['inception_3c'] == ((320, 28, 28), (576, 14, 14))


def test_a_gate_of_hf_is_measured_by_its_block():
    "Its inception block has 1×1, 3×3 and double 3×3 convolutions: no single one is its measure."
    some = found('HFModule')
    share = sum(p.added_macs for p in some) / sum(p.layer_macs for p in some)
    assert .012 < share < .015


def test_every_operator_has_a_home():
    assert set(HOMES) == {*OPERATORS, 'FMCB'}
    with pytest.raises(ValueError, match="no operator is called 'HgD'; there are TemporalConv"):
        places('HgD')


def row(operator, mode, layer, turns, adds=True, count=1, **more):
    return dict(operator=operator, mode=mode, network='n', place='before the 3×3', adds=adds,
                count=count, layer_macs=100, added_macs=2, ms=dict(layer=layer, operator=turns)
                | more)


def test_changes_are_formed_turn_by_turn():
    "A slow turn slows both forms and leaves their ratio alone; frequent places weigh more."
    rows = [row('a', 'inference', [1., 10., 1.], [.5, 5., .5], count=3),
            row('a', 'inference', [1., 1., 1.], [1., 1., 1.])]
    low, median, high = changed_ms(rows)
    assert median == pytest.approx((3 * .5 + 1) / 4) and low < high == pytest.approx(median)
    assert changed_macs(rows) == pytest.approx(.02)
    instead = [row('b', 'inference', [2., 2., 2.], [1., 1., 3.], adds=False)]
    assert changed_ms(instead)[1] == pytest.approx(-.5)


def test_a_table_names_what_was_not_measured():
    authors = dict(authors=[3., 3., 3.])
    rows = [row('a', mode, [1.] * 3, [.1] * 3, **extra)
            for mode, extra in (('inference', authors), ('training', {}))]
    assert authors_ms(rows[:1])[1] == pytest.approx(30) and authors_ms(rows[1:]) is None
    result = dict(machine='m', torch='t', dtype='float32', memory_format='channels_last',
                  form='eager', batch=1, frames=8, size=224, rounds=3, rows=rows)
    last = bench_table(result).splitlines()[-1]
    assert last == ('| a | `n` | before the 3×3 | +2.0 % | +10 % (10 to 10) | +10 % (10 to 10) | '
                    '30.0 × | not measured |')
