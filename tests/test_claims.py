"The table of claims: it is what the logs say, and each claim names two networks that there are."
import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('scipy.stats', reason='scipy is a dev requirement')
sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import ablations
import claims
from video_convs.nets.registry import variants
from video_convs.train.evaluation import compare_groups


def test_the_table_is_what_the_logs_say():
    with open(claims.table, encoding='utf-8') as f:
        written = list(csv.DictReader(f))
    told = [{key: str(value) for key, value in row.items()} for row in claims.rows()]
    assert written == told, 'data/claims.csv is older than a log: run `python tools/claims.py`'


@pytest.mark.parametrize('claim', claims.claims, ids=lambda claim: f'{claim.paper} {claim.says}')
def test_a_claim_names_two_networks_that_are_trained(claim):
    trained = {claims.network(operator, **variant)
               for paper in ablations.papers.values() for operator, variant in paper}
    for operator, options in map(json.loads, (claim.better, claim.worse)):
        assert set(options) <= {*variants(f'{operator}_tiny'), 'frames'}
    assert claim.better != claim.worse
    assert {claim.better, claim.worse} <= trained, 'no tool trains it'


@pytest.mark.parametrize('low, high, says', [
    (.1, 9, 'holds'), (-9, -.1, 'opposite'), (-2.9, 2.9, 'level'), (-2.9, 3.1, 'open'),
    (-3.1, 2.9, 'open'), (0, 1, 'level')])
def test_verdicts(low, high, says):
    assert claims.verdict(low, high) == says


def test_the_interval_over_seeds_is_that_of_students_t():
    gain, (low, high) = claims.compare([11, 12, 13], [10, 10, 10], np.full(3, 100), 'plateau')
    assert (gain, low, high) == pytest.approx((2, 2 - 2.484138, 2 + 2.484138), abs=1e-5)
    assert claims.compare([6], [1], np.full(1, 100), 'plateau') == (5, None)


def test_the_interval_over_sessions_is_that_of_the_sign_flip_test():
    sizes = np.array([10, 20, 30, 10, 10, 10, 10, 10])
    gain, ends = claims.compare(sizes - 1, sizes - 3, sizes, 'left out')
    told = compare_groups(sizes - 1, sizes - 3, sizes)
    assert (gain, *ends) == (100 * told['difference'], *(100 * end for end in told['interval']))
