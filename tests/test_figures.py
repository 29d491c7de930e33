"Pictures with long names and many classes: nothing is cut."
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import matplotlib
matplotlib.use('agg')
import matplotlib.pyplot as plt

from figures import check_texts
from torch import nn
from video_convs import demo
from video_convs.nets.spec import InputSpec
from video_convs.train.plots import plot_confusion
from video_convs.train.plots import plot_runs
from video_convs.train.search import Trial, plot_search

@pytest.fixture(autouse=True)
def close():
    yield
    plt.close('all')

def long_name(k, letters=60):
    return f'{k} moving something and something so far that it falls off the table'[:letters]

@pytest.mark.parametrize('classes, networks, letters', [
    (3, 2, 60), (8, 2, 4), (27, 1, 60), pytest.param(174, 1, 60, marks=pytest.mark.slow)])
def test_confusion(classes, networks, letters):
    confusion = np.eye(classes, dtype=int)
    confusion[0] += 1
    report = dict(confusion=confusion.tolist(),
                  classes=[long_name(k, letters) for k in range(classes)], top1=dict(accuracy=1.))
    titles = [f'runs/{k}/hgc_resnet50_' + 'x'*(letters - 4) for k in range(networks)]
    check_texts(plot_confusion(dict.fromkeys(titles, report)))

@pytest.mark.parametrize('runs, letters', [(1, 60), (2, 4), (7, 60), (27, 4)])
def test_runs(runs, letters):
    log = [dict(epoch=k, loss=1/k, top1=.5, test_top1=.4) for k in (1, 2)]
    check_texts(plot_runs({long_name(k, letters): log for k in range(runs)}))

def test_a_run_of_one_epoch_is_seen():
    fig = plot_runs({'run': [dict(epoch=1, loss=2., top1=.5, test_top1=.4)]})
    check_texts(fig)
    for ax in fig.axes:
        assert all(line.get_marker() == 'o' for line in ax.get_lines())
        low, high = ax.get_xlim()
        assert [where for where in ax.get_xticks() if low <= where <= high] == [1]

def test_a_search():
    trials = [Trial(k, {'lr': .1}, [.1 * k, .5], ('finished', 'dropped')[k % 2]) for k in range(12)]
    check_texts(plot_search(trials + [Trial(12, {'lr': 9.}, [], 'diverged')]))

@pytest.mark.parametrize('classes, networks, letters',
                         [(2, 2, 60), (4, 5, 8), pytest.param(26, 2, 60, marks=pytest.mark.slow)])
def test_contact_sheet(monkeypatch, classes, networks, letters):
    names = [long_name(k, letters) for k in range(classes)]
    pairs = tuple(zip(names[::2], names[1::2]))
    videos = SimpleNamespace(classes=names, labels=list(range(classes)), pairs=pairs)
    videos.subset = lambda rows: rows
    clip = torch.zeros(3, 2, 8, 8)
    monkeypatch.setattr(demo, 'Clips', lambda rows, *args, **kw: [(clip, k, k) for k in rows])
    answer = nn.Sequential(nn.Flatten(), nn.Linear(384, classes))
    models = {f'hgc_resnet50_{k}': answer for k in range(networks)}
    fig = demo.contact_sheet(models, videos, InputSpec(frames=2, size=8))
    check_texts(fig)

def test_every_plot_of_the_package_is_here():
    "A function that makes a figure says so by its type."
    found = set()
    for path in Path(demo.__file__).parent.rglob('*.py'):
        for part in path.read_text(encoding='utf-8').split(") -> 'Figure':")[:-1]:
            found.add(re.findall(r'^ *def (\w+)', part, re.M)[-1])
    assert found == {'plot_confusion', 'plot_runs', 'contact_sheet', 'plot_probes',
                     'plot_margins', 'plot_comparison', 'plot_embedding', 'plot_timeline',
                     'plot_search', 'clip_sheet', 'plot'}  # of a Timeline
