"Margins: which classes gain, the paired test, and what cannot be compared."
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

from figures import check_texts
from video_convs.explain.margins import (
    Margins, compare, correlation, halves, margins, mcnemar, paired_interval, plot_comparison,
    plot_margins, shuffled)
from video_convs.train.scores import Scores

matplotlib.use('agg')
LABELS = torch.tensor([0, 0, 0, 1, 1, 2])


def scores(answers, labels=LABELS, classes='abc', ids='uvwxyz'):
    logits = torch.nn.functional.one_hot(torch.tensor(answers), len(classes)).float()
    return Scores(logits, logits, labels, tuple(ids), tuple(classes))


FIRST, SECOND = scores([0, 1, 1, 1, 1, 0]), scores([0, 0, 1, 1, 0, 2])


def coins(K=60, each=40, seed=0):
    "Three networks that are equally good at each class."
    draw = torch.Generator().manual_seed(seed)
    right = (torch.rand(3, K * each, generator=draw) < .5).double()
    return Margins(('one', 'two', 'three'), tuple(map(str, range(K))),
                   torch.arange(K * each) % K, right)


def test_counts_of_two_networks():
    found = compare(FIRST, SECOND)
    assert [(g.name, g.videos, g.only_first, g.only_second) for g in found.classes] == [
        ('a', 3, 0, 1), ('b', 2, 1, 0), ('c', 1, 0, 1)]
    assert (found.total.only_first, found.total.only_second) == (1, 2)
    assert found.total.difference == pytest.approx(1 / 6)
    assert (found.only_first, found.only_second) == (('y',), ('v', 'z'))
    assert found.mended == {('a', 'b'): 1, ('c', 'a'): 1} and found.broken == {('b', 'a'): 1}


def test_p_values_are_corrected_for_the_number_of_classes():
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 4
    first = torch.where(torch.rand(200, generator=draw) < .5, labels, (labels + 1) % 4)
    second = torch.where((labels == 2) | (torch.rand(200, generator=draw) < .5), labels, first)
    ids = list(map(str, range(200)))
    one, other = (scores(a.tolist(), labels, 'abcd', ids) for a in (first, second))
    found = compare(one, other).classes
    by_p = sorted(found, key=lambda gain: gain.p)
    assert by_p[0].name == 'c' and by_p[0].corrected == pytest.approx(4 * by_p[0].p)
    assert all(gain.corrected >= gain.p for gain in found)


def test_rows_and_columns_of_the_second_are_put_in_order():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    names = tuple('cab')
    columns = [2, 0, 1]
    turned = Scores(SECOND.logits[order][:, columns], SECOND.probabilities[order][:, columns],
                    torch.tensor([1, 2, 0])[LABELS][order],
                    tuple('uvwxyz'[i] for i in order), names)
    assert compare(FIRST, turned) == compare(FIRST, SECOND)


def test_margins_leave_out_classes_that_do_not_occur():
    three = {name: scores(answers, torch.tensor([0, 0, 0, 0, 2, 2]))
             for name, answers in dict(a=[1, 1, 0, 0, 2, 0], b=[0, 1, 0, 0, 2, 2],
                                       c=[0, 0, 0, 0, 0, 2]).items()}
    found = margins(three)
    assert found.classes == ('a', 'c') and found.videos.tolist() == [4, 2]
    assert found.accuracy.tolist() == [[.5, .5], [.75, 1], [1, .5]]
    assert found.gains.tolist() == [[.25, .5], [.25, -.5]]
    assert correlation(found) == pytest.approx(-1)


def test_noise_alone_gives_one_half():
    drawn = [correlation(coins(seed=seed)) for seed in range(40)]
    apart = [correlation(*halves(coins(seed=seed), seed)) for seed in range(40)]
    assert abs(np.mean(drawn) + .5) < .05 and abs(np.mean(apart)) < .08


def test_dealt_labels_keep_sizes_and_answers_and_halves_share_no_video():
    found = coins(K=5, each=7)
    anew = shuffled(found, 1)
    assert torch.equal(anew.videos, found.videos) and torch.equal(anew.right, found.right)
    assert not torch.equal(anew.labels, found.labels)
    marked = replace(found, right=torch.arange(35.).repeat(3, 1))
    sides = halves(marked, 3)
    seen = torch.cat([side.right[0] for side in sides])
    assert sorted(seen.tolist()) == list(range(35))
    assert all(set(side.videos.tolist()) <= {3, 4} for side in sides)


def test_mcnemar_and_its_interval():
    stats = pytest.importorskip('scipy.stats', reason='scipy is a dev requirement')
    for one, other in ((0, 0), (1, 7), (5, 5), (30, 12), (400, 520)):
        p = stats.binomtest(one, one + other).pvalue if one + other else 1.
        assert mcnemar(one, other) == pytest.approx(p, rel=1e-9)
    low, high = paired_interval(0, 0, 50)
    assert -.1 < low < 0 < high < .1  # no disagreement is no proof
    assert paired_interval(3, 9, 40) == pytest.approx([-e for e in paired_interval(9, 3, 40)][::-1])


@pytest.mark.parametrize('rates', [(.05, .15), (.2, .2), (.02, .02)])
def test_the_interval_covers(rates):
    draw = np.random.default_rng(0)
    counts = draw.multinomial(50, [*rates, 1 - sum(rates)], size=2000)
    ends = np.array([paired_interval(one, other, 50) for one, other, _ in counts.tolist()])
    true = rates[1] - rates[0]
    assert ((ends[:, 0] <= true) & (true <= ends[:, 1])).mean() > .94


@pytest.mark.parametrize('other, says', [
    (scores([0] * 6, ids='uvwxyq'), 'different videos'),
    (scores([0] * 6, classes='abd'), "'c', is unknown"),
    (scores([0] * 6, labels=LABELS.flip(0)), 'disagree about the labels'),
    ({'verb': FIRST, 'noun': FIRST}, "several tasks (verb, noun): compare one of them, such as "
                                     "scores['verb']"),
    (replace(FIRST, logits=FIRST.logits * torch.nan), 'not numbers')])
def test_scores_that_cannot_be_compared(other, says):
    for call in (lambda: compare(FIRST, other), lambda: margins({'one': FIRST, 'two': other})):
        with pytest.raises(ValueError) as error:
            call()
        assert says in str(error.value) and '\n' not in str(error.value)


def test_what_has_no_margins():
    secret = replace(FIRST, labels=torch.full((6,), -1))
    none = replace(FIRST, logits=torch.zeros(0, 3), probabilities=torch.zeros(0, 3),
                   labels=torch.zeros(0, dtype=torch.long), ids=())
    for call, says in ((lambda: compare(secret, secret), '6 of 6 labels are secret'),
                       (lambda: compare(none, none), 'one video or more'),
                       (lambda: margins({'one': FIRST}), 'two networks or more, got 1'),
                       (lambda: correlation(margins(dict(a=FIRST, b=SECOND))), 'three networks'),
                       (lambda: halves(margins(dict(a=FIRST, b=SECOND))), "class 'c' has one")):
        with pytest.raises(ValueError) as error:
            call()
        assert says in str(error.value)


@pytest.mark.parametrize('K', [3, 174])
def test_pictures(K):
    found = coins(K, 4)
    check_texts(plot_margins(found, 'networks that are alike'))
    names = [f'{k} moving something so far that it falls off the table' for k in range(K)]
    labels = torch.arange(K * 4) % K
    both = [scores(torch.where(right > 0, labels, (labels + 1) % K).tolist(), labels, names,
                   list(map(str, range(K * 4)))) for right in found.right[:2]]
    check_texts(plot_comparison(compare(*both), ('TSN', 'H2CN')))
    matplotlib.pyplot.close('all')


@pytest.mark.parametrize('call', [lambda: mcnemar(-1, 2), lambda: paired_interval(30, 4, 5),
                                  lambda: paired_interval(3, 4, 0)])
def test_counts_that_cannot_be_are_named(call):
    with pytest.raises(ValueError, match='not more than there are videos'):
        call()


def test_scores_have_names():
    with pytest.raises(ValueError, match='got a list'):
        margins([None, None])
    with pytest.raises(ValueError, match='b has no scores, but a NoneType'):
        margins({'b': None, 'c': None})
