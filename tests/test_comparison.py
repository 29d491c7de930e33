"Two networks over the same groups: scipy's permutation test, the interval's promise, Holm."
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import permutation_test

from video_convs.train.evaluation import compare_groups, holm

def groups(n, seed=0, gain=.1):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 60, n)
    shift = rng.normal(0, .05, n)
    first, second = (rng.binomial(sizes, np.clip(.6 + a*gain + shift, 0, 1)) for a in (1, 0))
    return first, second, sizes

@pytest.mark.parametrize('n, seed', [(3, 0), (6, 1), (8, 2), (10, 3), (12, 4)])
def test_p_is_that_of_scipy(n, seed):
    first, second, sizes = groups(n, seed)
    found = compare_groups(first, second, sizes)
    want = permutation_test((first - second,), np.sum, permutation_type='samples',
                            n_resamples=np.inf)
    assert found['p'] == pytest.approx(want.pvalue, abs=1e-12)
    assert found['difference'] == pytest.approx(first.sum()/sizes.sum() - second.sum()/sizes.sum())

@pytest.mark.parametrize('seed', range(4))
def test_the_interval_holds_what_the_test_does_not_reject(seed):
    first, second, sizes = groups(8, seed)
    lo, hi = compare_groups(first, second, sizes)['interval']
    for delta, inside in ((lo - 1e-6, False), (lo + 1e-6, True), (hi - 1e-6, True),
                          (hi + 1e-6, False)):
        p = compare_groups(first - delta*sizes, second, sizes)['p']
        assert (p > .05) == inside

def test_the_interval_keeps_its_promise():
    rng = np.random.default_rng(0)
    gains = rng.normal(.07, .1, (400, 8))
    ends = [compare_groups(gain, np.zeros(8))['interval'] for gain in gains]
    assert .93 < np.mean([lo <= .07 <= hi for lo, hi in ends]) < .98

def test_drawn_signs_agree_with_counted_ones():
    first, second, sizes = groups(12, 5, gain=.03)
    exact = compare_groups(first, second, sizes)
    doubled = [np.r_[of, np.zeros(1)] for of in (first, second)]  # a group that says nothing
    drawn = compare_groups(*doubled, np.r_[sizes, 1e-9])
    assert drawn['p'] == pytest.approx(exact['p'], abs=.02)
    assert drawn['interval'] == pytest.approx(exact['interval'], abs=.02)
    assert drawn == compare_groups(*doubled, np.r_[sizes, 1e-9])

def test_few_groups_say_nothing_at_95_percent():
    for n in range(1, 6):
        found = compare_groups(np.ones(n), np.zeros(n))
        assert found['interval'] == [-np.inf, np.inf] and found['p'] == 2/2**n
    assert compare_groups(np.ones(6), np.zeros(6))['interval'] == [1., 1.]
    assert compare_groups([3, 4], [3, 4], [5, 5])['p'] == 1

@pytest.mark.parametrize('arguments', [([], []), ([1, 2], [1, 2], [3]), ([1], [1], [0])])
def test_what_cannot_be_compared_is_refused(arguments):
    with pytest.raises(ValueError, match='one group or more'):
        compare_groups(*arguments)

def test_holm_is_the_closed_test_of_bonferroni():
    "A comparison counts if every set of comparisons that holds it is rejected."
    rng = np.random.default_rng(1)
    for n in (1, 2, 5):
        p = rng.random(n)**3
        sets = [s for k in range(1, n + 1) for s in combinations(range(n), k)]
        want = [max(min(1, len(s)*p[list(s)].min()) for s in sets if i in s) for i in range(n)]
        assert holm(p) == pytest.approx(want)
    assert holm([.01, .04, .03, .005]) == pytest.approx([.03, .06, .06, .02])
    with pytest.raises(ValueError, match='from 0 to 1'):
        holm([.5, 1.5])
