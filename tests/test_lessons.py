"What a reader sees of a lesson (cells, words, lines) and of every page (lines of a cell) is short."
import json
import re
import statistics
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
LESSONS = [root/'nbs/00_clips.ipynb', *sorted((root/'nbs/ops').glob('1[0-6]*.ipynb'))]
LIMITS = dict(cells=30, words=1600, median=6, module=45)
OF_A_PAGE = dict(median=8, longest=60)
sys.path.insert(0, str(root/'tools'))
from notebooks import reading_order


def lines(source):
    "Lines of code, without directives and empty lines."
    return [line for line in source.splitlines() if line.strip() and not line.startswith('#|')]


def seen(cell):
    "Folded cells and those without a line of code are not read."
    source = ''.join(cell['source'])
    hidden = re.search(r'^#\| *(hide|code-fold: *true)\b', source, re.M)
    return cell['cell_type'] == 'markdown' or (bool(lines(source)) and not hidden)


def measure(cells):
    "Cells that are read, words, lines of the median cell, of the longest and the longest exported."
    text, code = ([''.join(cell['source']) for cell in cells
                   if cell['cell_type'] == kind and seen(cell)] for kind in ('markdown', 'code'))
    words = ' '.join(re.sub(r'<[^>]*>', ' ', part) for part in text).split()
    module = [len(lines(source)) for source in code if '#| export' in source]
    sizes = [len(lines(source)) for source in code]
    return dict(cells=len(text) + len(code), words=len(words), module=max(module, default=0),
                median=statistics.median(sizes or [0]), longest=max(sizes, default=0))


def too_much(found, limits=LIMITS):
    return {name: found[name] for name, limit in limits.items() if found[name] > limit}


def read(path):
    return json.loads(path.read_text(encoding='utf-8'))['cells']


@pytest.mark.parametrize('path', LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_short(path):
    assert not too_much(measure(read(path)))


@pytest.mark.parametrize('path', reading_order(), ids=lambda path: path.stem)
def test_cells_of_a_page_are_short(path):
    assert not too_much(measure(read(path)), OF_A_PAGE)


def test_each_limit_can_be_passed():
    def cell(source, kind='code'):
        return dict(cell_type=kind, source=source)

    few = [cell('x = 1'), cell('two words', 'markdown'), cell('#| hide\n' + 'x = 1\n' * 99),
           cell('#| default_exp ops.x')]
    assert measure(few) == dict(cells=2, words=2, module=0, median=1, longest=1)
    long = measure([*few, cell('x = 1'), cell('x = 1\n' * 61)])
    assert set(too_much(long, OF_A_PAGE)) == {'longest'}
    for name, more in (('cells', [cell('x = 1')] * 29), ('median', [cell('x = 1\n' * 20)] * 3),
                       ('words', [cell('word ' * 1600, 'markdown')]),
                       ('module', [cell('x = 1')] * 4 + [cell('#| export\n' + 'x = 1\n' * 46)])):
        assert set(too_much(measure(few + more))) == {name}
