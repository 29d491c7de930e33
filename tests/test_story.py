"What everybody reads first: the index, the story and the demo."
import json
import re
import sys
from pathlib import Path

import pytest

from test_lessons import lines, measure, seen

root = Path(__file__).resolve().parent.parent
PAGES = [root/'nbs/index.ipynb', *sorted((root/'nbs/story').glob('*.ipynb')),
         root/'nbs/50_demo.ipynb']
sys.path.insert(0, str(root/'tools'))
from notebooks import reading_order

readme = (root/'README.md').read_text(encoding='utf-8')
# matplotlib's answer to a last line that needs a semicolon
STRAY = re.compile(r'\[?Text\(|\[?<(matplotlib|mpl_toolkits)\.')
MACHINE = re.compile(r'(?<![\w.])/(root|home|tmp|work|usr)/')


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


def shown(path):
    "(kind, text) of all outputs of a notebook."
    for cell in cells(path):
        for out in cell.get('outputs', ()):
            parts = [out.get('text', '')] + [text for kind, text in out.get('data', {}).items()
                                             if kind.startswith('text/')]
            yield out.get('name', out['output_type']), ''.join(map(''.join, parts))


def faults(kind, text):
    "What does not belong into a stored output."
    stray = kind == 'execute_result' and STRAY.match(text)
    return bool(stray or kind == 'stderr' or MACHINE.search(text))


ROOT, HOME = (f'/{folder}/' for folder in ('root', 'home'))


def test_outputs_are_clean():
    left = [(path.name, text[:80]) for path in reading_order() for kind, text in shown(path)
            if faults(kind, text)]
    assert not left


@pytest.mark.parametrize('kind, text', [
    ('execute_result', "Text(0.5, 1.0, 'x')"), ('execute_result', '[<matplotlib.lines.Line2D>]'),
    ('stderr', 'x'), ('stdout', f'saved {ROOT}a.txt'), ('stdout', f'in {HOME}me/x.py')])
def test_each_fault_is_found(kind, text):
    assert faults(kind, text)
    assert not faults('stdout', text.replace(ROOT, 'runs/').replace(HOME, 'runs/'))


INSIDE = re.compile(r'\b(rooms?|ground floor|export(s|ed)?|lessons?|workshops?|operators?)\b', re.I)


def test_the_readme_begins_with_the_picture_and_ends_on_two_screens():
    order = ['> How does', 'docs/images/readme', '**Measured on real video:**', 'pip install',
             '```python', '[Learn]', '## What was found', '**Not measured:**', '## Your own videos',
             '## The papers', '## See it work', '<details>', '## Cite']
    places = [readme.index(text) for text in order]
    assert places == sorted(places)
    words = re.sub(r'\]\([^)]*\)', ']', readme)
    first_screen = words[words.index('> How does'):words.index('## What was found')]
    assert len(first_screen.split()) < 260
    assert not INSIDE.search(first_screen), 'a word of the project before it is explained'
    unfolded = re.sub(r'(?s)<details>.*?</details>', '', words)
    assert len(unfolded.split()) < 1000


def test_anchors_of_the_readme():
    assert set(re.findall(r'\]\(#([\w-]+)\)', readme)) <= slugs(readme)
    assert 'a-title-with-letters' in slugs('## A title, with `letters`\n')
