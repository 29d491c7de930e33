"What everybody reads first: the index, the story and the demo."
import json
import re
from pathlib import Path

import pytest

from test_lessons import lines, measure, seen

root = Path(__file__).resolve().parent.parent
PAGES = [root/'nbs/index.ipynb', *sorted((root/'nbs/story').glob('*.ipynb')),
         root/'nbs/50_demo.ipynb']
readme = (root/'README.md').read_text(encoding='utf-8')
# matplotlib's answer to a last line that needs a semicolon
STRAY = re.compile(r"Text\(|\(?array\(|\[?<(matplotlib|mpl_toolkits)\.|\[?Text\(")


def cells(path):
    return json.loads(path.read_text(encoding='utf-8'))['cells']


def slugs(text):
    "The anchors of the headings of a page."
    plain = (re.sub(r'[^\w\- ]', '', found) for found in re.findall(r'^#+ (.*)$', text, re.M))
    return {heading.strip().lower().replace(' ', '-') for heading in plain}


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.stem)
def test_code_is_short(path):
    code = [len(lines(''.join(cell['source']))) for cell in cells(path)
            if cell['cell_type'] == 'code' and seen(cell)]
    assert measure(cells(path))['median'] <= 8
    assert max(code) <= 60


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.stem)
def test_nothing_stands_beside_a_picture(path):
    shown = [''.join(out['data'].get('text/plain', '')) for cell in cells(path)
             for out in cell.get('outputs', ()) if out['output_type'] == 'execute_result']
    assert not [text for text in shown if STRAY.match(text)]


def test_a_stray_answer_is_found():
    for text in ("Text(0.5, 1.0, 'x')", '[<matplotlib.lines.Line2D at 0x1>]', '(array([1.]),'):
        assert STRAY.match(text)
    assert not STRAY.match('<IPython.core.display.Markdown object>')


def test_the_readme_begins_with_what_was_found():
    order = ['> Efficient video convolutions', 'It is for students', '**What was found**',
             '**Not measured:**', '| you want to | go to |', '## Install and use',
             '## On your own videos', '## What was measured', '## The papers',
             '## The map of the book', '## Cite']
    places = [readme.index(text) for text in order]
    assert places == sorted(places)
    first_screen = readme[:readme.index('## Install and use')]
    assert len(re.sub(r'\]\([^)]*\)', ']', first_screen).split()) < 460


def test_anchors_of_the_readme():
    assert set(re.findall(r'\]\(#([\w-]+)\)', readme)) <= slugs(readme)
    assert 'a-title-with-letters' in slugs('## A title, with `letters`\n')
