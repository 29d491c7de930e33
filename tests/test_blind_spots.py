"data/blind_spots.csv: each `same` holds for random weights, and each `differs` has its witness."
import csv
import json
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

from video_convs import create_model
from video_convs.testing import randomised

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import blind_spots
from blind_spots import CHANGES, FRAMES, OPERATORS, PLACES, Net

pytestmark = pytest.mark.usefixtures('one_thread')
SAME, DIFFERS = 1e-10, 1e-3  # of scores
TINY = {'tsn': {}, 'tsm': {}, 'r2plus1d': {}, 'p3d': {}, 'c3d': {}, 'hgc': {}, 'sth': {}, 'stc': {},
        'hf_tsn': {}, 'hf_tsn, last gate only': dict(modules=1), 'gst': {}, 'tam': {}, 'h2cn': {},
        'h2cn, FMCB only': dict(shift=False, cmcb=None),
        'h2cn, CMCB only': dict(shift=False, fmcb=None)}
with open(root/'data/blind_spots.csv', encoding='utf-8') as file:
    ROWS = list(csv.DictReader(file))
VERDICTS = {(row['operator'], row['place'], row['change']): row['verdict'] for row in ROWS}


@cache
def clips(change, seed):
    "A clip and the same clip changed, (2, 1, T, S, S). Four of the changes are for any clip."
    draw, random = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    clip = torch.randn(1, 1, 6, 16, 16, generator=random)
    if change == 'shuffled':
        pair = clip, clip[:, :, [0, 3, 1, 4, 2, 5]]
    elif change == 'reversed':
        pair = clip[:, :, :5], clip[:, :, :5].flip(2)
    elif change == 'repeated':
        pair = blind_spots.twice(clip[:, :, :5])
    elif change == 'pixels':
        pair = clip[:, :, :5], blind_spots.pixels_shuffled(clip[:, :, :5], draw)
    else:
        pair = [30 * kind for kind in CHANGES[change](1, draw)]
    return torch.cat(list(pair)).double()


def differences(make, seed, strength=1., channels=1):
    "How far the scores of each clip and the changed clip are apart; one network for each length."
    found = {}
    for frames in sorted(set(FRAMES.values())):
        names = [change for change in CHANGES if FRAMES[change] == frames]
        net = weighted(make(frames).double(), seed, strength)
        x = torch.cat([clips(change, seed) for change in names])
        x = x.expand(-1, channels, -1, -1, -1)
        if getattr(getattr(net, 'input_spec', None), 'per_segment', 1) > 1:
            x = x.repeat_interleave(net.input_spec.per_segment, 2)
        with torch.no_grad():
            scores = net(x).unflatten(0, (-1, 2))
        apart = (scores[:, 0] - scores[:, 1]).abs().amax(1)
        found |= dict(zip(names, apart.tolist()))
    return found


def weighted(net, seed, strength):
    "Random weights, the same for each seed; the operators' times `strength`, the last times 100."
    last = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
    for name, p in randomised(net, seed).named_parameters():
        p.data /= p[0].numel()**.5
        if '.op.' in name:
            p.data *= strength
    last.weight.data *= 100
    return net


def faults(name, place, make, strengths=(1.,), channels=1, most=8):
    "Cells of one row whose verdict is wrong."
    blind = [change for change in CHANGES if VERDICTS[name, place, change] == 'same']
    left, said = set(CHANGES) - set(blind), []
    for seed in range(most):
        if not left and (seed > 1 or not blind):
            break
        apart = differences(make, seed, strengths[seed % len(strengths)], channels)
        left -= {change for change in left if apart[change] > DIFFERS}
        said += [f'{name} {place} {change}: not the same, {apart[change]:.0e}' for change in blind
                 if apart[change] > SAME]
    return said + [f'{name} {place} {change}: no weights that tell them apart' for change in left]


REST = [name for name in OPERATORS if re.fullmatch(r'hgc_\w+[46]|hgc_avg8', name)]


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('names', [sorted(set(OPERATORS) - set(REST)),
                                   pytest.param(REST, marks=pytest.mark.slow)],
                         ids=['operators', 'wide hourglasses'])
def test_operators(names, place):
    said = [fault for name in names
            for fault in faults(name, place, lambda T, name=name: Net(name, place, T))]
    assert not said, '\n'.join(said)


def test_tiny_networks():
    said = []
    for name, options in TINY.items():
        def make(T, name=name, options=options):
            return create_model(f"{name.partition(',')[0]}_tiny", num_classes=2,
                                input_spec=dict(frames=T, size=16), **options)
        said += faults(name, 'tiny', make, strengths=(4., 1.), channels=3)
    assert not said, '\n'.join(said)


def test_a_wrong_verdict_is_found(monkeypatch):
    for cell, wrong in ((('shift', 'network', 'reversed'), 'same'),
                        (('shift', 'network', 'shuffled'), 'differs')):
        monkeypatch.setitem(VERDICTS, cell, wrong)
    said = faults('shift', 'network', lambda T: Net('shift', 'network', T), most=2)
    assert [fault.split(':')[0] for fault in sorted(set(said))] == [
        'shift network reversed', 'shift network shuffled']


def headings(path):
    "The anchors of a notebook."
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    text = '\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown')
    titles = re.findall(r'^#+ (.*)$', text, re.M)
    return {re.sub(r'[^\w -]', '', title).strip().lower().replace(' ', '-') for title in titles}


def test_the_table_is_whole():
    cells = {(name, place, change) for change in CHANGES
             for names, places in ((OPERATORS, PLACES), (TINY, ['tiny']))
             for name in names for place in places}
    assert set(VERDICTS) == cells and len(ROWS) == len(cells)
    assert set(VERDICTS.values()) == {'same', 'differs'}
    assert all((row['verdict'] == 'same') == bool(row['theorem']) for row in ROWS)


def test_theorems_have_lessons():
    lessons = {row['lesson'] for row in ROWS if row['theorem']}
    for lesson in lessons:
        path, _, anchor = lesson.partition('#')
        assert (root/'nbs'/path).is_file(), path
        assert not anchor or anchor in headings(root/'nbs'/path), lesson


def test_trained_networks_obey():
    "Where the table says `same`, a trained network gives equal answers, and half of them is right."
    lines = blind_spots.read_lines(blind_spots.results)
    assert lines
    for line in lines:
        row = line['operator'], line['place']
        for change, (equal, total) in line['equal'].items():
            assert VERDICTS[*row, change] == 'differs' or equal == total, (line, change)
        if VERDICTS[*row, line['change']] == 'same':
            assert abs(line['right'] / line['total'] - .5) < 4 * .5 / line['total']**.5, line
