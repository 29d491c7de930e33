"The Chinese edition keeps step with the English cells: numbers, links and code are the same."
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_extras
import site_zh

PATHS = site_zh.sources()
PAIRS = [(path.stem, key[1], theirs, site_zh.translations(path)[key][1])
         for path in PATHS for key, theirs in site_zh.english(path).items()
         if site_zh.translations(path)[key][0] != '-']
CJK = re.compile('[\u4e00-\u9fff]')


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_no_translation_is_behind(path):
    assert site_zh.behind(path) == [], 'translate, then: python tools/site_zh.py --stamp'


def numbers(text):
    "Numbers and code of a text; a number next to letters is a name."
    text = LINK.sub('', text)
    code = CODE.findall(text)
    plain = CODE.sub('', text)
    return Counter(code), set(re.findall(r'(?<![\w.])\d+(?:\.\d+)?(?![\w])', plain))


CODE = re.compile(r'`[^`\n]+`|\$\$[^$]+\$\$|\$[^$\n]+\$')
LINK = re.compile(r'\]\(([^)\s]*)\)')
BLOCK = re.compile(r'(?ms)^```.*?^```')


@pytest.mark.parametrize('page, id, theirs, ours', PAIRS, ids=lambda value: value[:8])
def test_a_cell_has_the_numbers_links_and_code_of_the_english_one(page, id, theirs, ours):
    links, targets = ([link.partition('#')[0] for link in LINK.findall(text)]
                      for text in (theirs, ours))
    assert Counter(targets) == Counter(links)
    blocks = [[re.sub(r' *#.*', '', block) for block in BLOCK.findall(text)]
              for text in (theirs, ours)]
    assert blocks[0] == blocks[1]
    (code, found), (said, here) = (numbers(BLOCK.sub('', text)) for text in (theirs, ours))
    assert said == code
    assert found <= {number for number in re.findall(r'\d+(?:\.\d+)?', ours)}
    assert CJK.search(ours) or not re.search('[a-z]{3} [a-z]{3}', BLOCK.sub('', theirs))


def test_anchors_lead_to_headings_of_the_chinese_page():
    for path in PATHS:
        texts = [text for _, text in site_zh.translations(path).values()]
        for target, anchor in re.findall(r'\]\(([^)\s#]*)#([^)\s]+)\)', '\n'.join(texts)):
            there = (path.parent/target).resolve() if target else path
            if there not in PATHS:
                continue
            own = '\n'.join(text for _, text in site_zh.translations(there).values())
            headings = re.findall(r'^#+ +(.*)$', own, re.M)
            slugs = {re.sub(r'[^\w\- ]', '', h).strip().lower().replace(' ', '-') for h in headings}
            assert anchor in slugs, (path.name, anchor)


@pytest.fixture
def edition(tmp_path, monkeypatch):
    "A copy of the first story and its translation that may be changed."
    source = next(path for path in PATHS if path.stem.startswith('00a_'))
    notebook = tmp_path/'nbs/story'/source.name
    notebook.parent.mkdir(parents=True)
    shutil.copy(source, notebook)
    copy = tmp_path/'docs/zh/story'/f'{source.stem}.md'
    copy.parent.mkdir(parents=True)
    shutil.copy(site_zh.file_of(source), copy)
    for name, value in (('nbs', tmp_path/'nbs'), ('root', tmp_path),
                        ('FOLDER', tmp_path/'docs/zh')):
        monkeypatch.setattr(site_zh, name, value)
    return notebook, copy


def change(notebook, old, new):
    text = notebook.read_text(encoding='utf-8')
    assert old in text
    notebook.write_text(text.replace(old, new, 1), encoding='utf-8')


@pytest.mark.parametrize('old, new, said', [
    ('A dot on a ring', 'A dot on a circle', 'the English text of ed786d7d has changed'),
    ('fig-alt: Three taps', 'fig-alt: The taps', 'the English text of 0e18460c has changed'),
    ('"id": "ed786d7d"', '"id": "aaaaaaaa"', 'aaaaaaaa is not translated')])
def test_a_changed_cell_is_noticed(edition, old, new, said):
    assert site_zh.behind(edition[0]) == []
    change(edition[0], old, new)
    assert any(line.endswith(said) for line in site_zh.behind(edition[0]))
    if 'changed' in said:
        site_zh.stamp(edition[0])
        assert site_zh.behind(edition[0]) == []


def test_a_page_has_chinese_text_and_the_code_of_the_notebook():
    path = next(path for path in PATHS if path.stem.startswith('00a_'))
    nb, theirs = site_zh.translated(path), nbformat.read(path, as_version=4)
    assert nb.cells[0].source.startswith('# 学会看见运动\n')
    text = '\n'.join(cell.source for cell in nb.cells)
    assert '](../../nets/23c_single_operator.ipynb)' in text, 'an English page is a folder higher'
    code = [[re.sub('fig-alt.*', '', cell.source) for cell in book.cells
             if cell.cell_type == 'code'] for book in (nb, theirs)]
    assert code[0] == code[1]


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_links_are_right_from_the_folder_of_the_chinese_page(path):
    place = site_zh.nbs/'zh'/path.parent.relative_to(site_zh.nbs)
    there = {site_zh.nbs/'zh'/other.relative_to(site_zh.nbs) for other in PATHS}
    for cell in site_zh.translated(path).cells:
        if cell.cell_type == 'markdown':
            for link in site_zh.LINK.findall(cell.source):
                target = Path(os.path.normpath(place/link))
                assert target in there or target.exists(), link


def test_each_of_two_pages_leads_to_the_other():
    assert 'href="../zh/story/learning_to_see_motion.html">中文' in site_extras.languages(
        'story/learning_to_see_motion')
    assert 'href="../../story/learning_to_see_motion.html">English' in site_extras.languages(
        'zh/story/learning_to_see_motion')
    assert site_extras.languages('zh/index').count('href="../index.html"') == 1
    assert site_extras.languages('ops/bench') == ''
