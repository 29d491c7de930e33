"Our few lines against the libraries that everybody trusts: scikit-learn, scipy, torch.optim."
import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from video_convs.train.evaluation import (bootstrap_interval, confusion_matrix, report,
                                          wilson_interval)
from video_convs.train.recipes import Recipe, learning_rate
from video_convs.train.scores import Scores
from video_convs.train.step import update_average
from video_convs.weights.create import create_model

metrics = pytest.importorskip('sklearn.metrics', reason='scikit-learn is a dev requirement')
stats = pytest.importorskip('scipy.stats', reason='scipy is a dev requirement')
pytestmark = pytest.mark.usefixtures('one_thread')


def answers(seed, n, videos=120):
    "Scores of n classes, the last of which never occurs, and the labels."
    rng = np.random.default_rng(seed)
    labels = rng.integers(n - 1, size=videos)
    z = rng.normal(size=(videos, n))
    z[np.arange(videos), labels] += 1.5
    return z, labels


@pytest.fixture(scope='module', params=[(0, 7), (1, 12), (2, 40)])
def scored(request):
    "Classes, scores, labels and our report."
    z, labels = answers(*request.param)
    n = z.shape[1]
    logits = torch.tensor(z)
    ids = tuple(map(str, range(len(labels))))
    scores = Scores(logits, logits.softmax(1), torch.tensor(labels), ids,
                    tuple(f'class {i}' for i in range(n)))
    return n, z, labels, report(scores)


def test_the_confusion_matrix(scored):
    n, z, labels, ours = scored
    theirs = metrics.confusion_matrix(labels, z.argmax(1), labels=range(n))
    assert ours['confusion'] == theirs.tolist()
    assert confusion_matrix(labels, z.argmax(1), n).tolist() == theirs.tolist()


def test_top_k(scored):
    n, z, labels, ours = scored
    assert ours['top1']['accuracy'] == metrics.accuracy_score(labels, z.argmax(1))
    top5 = metrics.top_k_accuracy_score(labels, z, k=5, labels=range(n))
    assert ours['top5']['accuracy'] == pytest.approx(top5, abs=1e-12)


def test_means_over_classes(scored):
    n, z, labels, ours = scored
    said, occur = z.argmax(1), np.unique(labels)
    each = dict(labels=occur, average='macro', zero_division=0)
    recall = metrics.recall_score(labels, said, **each)
    precision = metrics.precision_score(labels, said, **each)
    assert ours['mean_class']['accuracy'] == pytest.approx(recall, abs=1e-6)
    assert ours['mean_recall'] == pytest.approx(recall, abs=1e-6)
    assert ours['mean_precision'] == pytest.approx(precision, abs=1e-6)
    assert len(occur) < n and f'class {n - 1}' not in ours['per_class']


def test_balanced_accuracy():
    "scikit-learn's name for the mean over classes; it warns where an answer never occurs."
    labels, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    logits = torch.nn.functional.one_hot(torch.tensor(said), 3).double()
    scores = Scores(logits, logits, torch.tensor(labels), tuple('abcdef'), ('x', 'y', 'z'))
    ours = report(scores)['mean_class']['accuracy']
    assert ours == pytest.approx(metrics.balanced_accuracy_score(labels, said), abs=1e-6)


@pytest.mark.parametrize('right, total', [(0, 1), (1, 1), (0, 24), (7, 24), (24, 24), (4097, 9999)])
def test_the_interval_of_wilson(right, total):
    theirs = stats.binomtest(right, total).proportion_ci(0.95, method='wilson')
    assert wilson_interval(right, total) == pytest.approx((theirs.low, theirs.high), abs=1e-7)


@pytest.mark.parametrize('right, n', [(30, 40), (199, 200), (120, 300)])
def test_the_bootstrap_of_an_accuracy_is_binomial(right, n):
    ours = bootstrap_interval([1] * right + [0] * (n - right), draws=4000)
    assert ours == pytest.approx(stats.binom.ppf((.025, .975), n, right / n) / n, abs=1.01 / n)


def test_the_bootstrap_of_a_mean_over_classes():
    "scipy draws pairs of a label and an answer, as ours does."
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=150)
    right = (rng.random(150) < .3 + .15 * labels).astype(float)
    def mean(right, labels):
        labels = labels.astype(int)
        count = np.bincount(labels)
        return (np.bincount(labels, right)[count > 0] / count[count > 0]).mean()
    theirs = stats.bootstrap((right, labels), mean, paired=True, vectorized=False, rng=0,
                             n_resamples=4000, method='percentile').confidence_interval
    ours = bootstrap_interval(right, labels, draws=4000)
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=.05 * width)


def rates(make, steps):
    "What a scheduler of PyTorch sets, step by step."
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=.02)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return found


def after_warmup(optimizer, warmup, following):
    "A linear climb, then another schedule."
    climb = LinearLR(optimizer, 1 / warmup, total_iters=warmup - 1)
    return SequentialLR(optimizer, [climb, following], [warmup])


@pytest.mark.parametrize('warmup', [0, 12])
def test_cosine(warmup):
    steps, recipe = 120, Recipe(epochs=12, lr=.02, warmup=warmup / 120)
    def make(optimizer):
        cosine = CosineAnnealingLR(optimizer, steps - warmup)
        return after_warmup(optimizer, warmup, cosine) if warmup else cosine
    ours = [learning_rate(recipe, k, steps) for k in range(steps)]
    assert ours == pytest.approx(rates(make, steps), abs=1e-12)
    assert max(ours) == .02 and ours[-1] < 1e-4


def test_steps():
    "Milestones are epochs, of ten steps here."
    recipe = Recipe(epochs=12, lr=.02, warmup=0., schedule='step', milestones=(4, 9), gamma=.1)
    ours = [learning_rate(recipe, k, 120) for k in range(120)]
    theirs = rates(lambda optimizer: MultiStepLR(optimizer, [40, 90], .1), 120)
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize('name', ['tsn_tiny', 'h2cn_tiny'])
def test_the_mean_of_the_weights(name):
    "AveragedModel that has seen the start, with our growing decay: the same to the bit."
    torch.manual_seed(0)
    model = create_model(name, num_classes=3)
    ours, theirs = copy.deepcopy(model), AveragedModel(model, use_buffers=True)
    theirs.n_averaged += 1
    for k in range(12):
        for value in model.state_dict().values():
            value += torch.randn(value.shape).to(value.dtype) if value.is_floating_point() else 1
        d = min(.6, (k + 1) / (k + 10))
        def mean(means, values, n):
            get_ema_multi_avg_fn(d if means[0].is_floating_point() else 0.)(means, values, n)
        theirs.multi_avg_fn = mean
        theirs.update_parameters(model)
        update_average(ours, model, .6, k)
    expected = theirs.module.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in ours.state_dict().items())
    assert not torch.equal(ours.head.fc.weight, model.head.fc.weight)
