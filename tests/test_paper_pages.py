"The pages on single papers: every line of the tables stands on its page, and every link leads on."
import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from video_convs import papers
from video_convs.papers import (claim_table, cost_table, finding, measured_table, paper_lines,
                                reason_table, verdict)

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tests'))
from test_papers import COUNTED, FILES, PAPERS, ROWS, TABLES, count, name

NAMES = ('H2CN', 'STH', 'HF-Net', 'STC')
with open(root/'data/measured.csv', encoding='utf-8') as f:
    MEASURED = list(csv.DictReader(f))


def no_count(line):
    return {}


def measured_name(row):
    return f"{row['paper']} {row['table']} {row['row']} {row['frames']} {row['measure']}"


# the files

def test_columns_of_what_was_measured():
    assert list(MEASURED[0]) == ('paper table row backbone frames flops_G measure value '
                                 'model').split()
    keys = Counter(map(measured_name, MEASURED))
    assert [key for key, n in keys.items() if n > 1] == []
    for row in MEASURED:
        assert None not in row.values() and re.fullmatch(r'\d+(\.\d+)?', row['value'])
        assert row['paper'] in NAMES and (not row['model'] or json.loads(row['model'])['name'])


@pytest.mark.skipif(not PAPERS.exists(), reason='no texts of the papers: set PAPERS')
@pytest.mark.parametrize('paper', FILES)
def test_what_was_measured_stands_on_one_line(paper):
    (text,) = PAPERS.glob(FILES[paper])
    lines = [re.findall(r'\d+(?:\.\d+)?', line) for line in text.open() if '\t' in line]
    rows = {}
    for row in (row for row in MEASURED if row['paper'] == paper):
        key = row['table'], row['row'], row['frames']
        rows.setdefault(key, set()).add(row['value'])
    for key, values in rows.items():
        assert any(values <= set(line) for line in lines), key


# the functions

@pytest.mark.parametrize('paper, table', sorted({(r['paper'], r['table']) for r in ROWS}))
def test_a_table_with_costs_has_each_row_once(paper, table):
    shown = cost_table(paper, table, no_count)
    lines = paper_lines('papers.csv', paper, table)
    rows = [re.sub(r'\[(.*)\]\(.*\)', r'\1', row[0]) for row in shown.rows]
    assert rows == list(dict.fromkeys(line['row'] for line in lines))
    for line in lines:
        row = shown.rows[rows.index(line['row'])]
        printed = {line[key] for key in ('params_M', 'flops_G', 'shape', 'note') if line[key]}
        assert printed <= set(row)
        assert not line['top1'] or any(line['top1'] in cell.split(' / ') for cell in row)


@pytest.mark.parametrize('table', [('STH', 'Table 8'), ('STC', 'Table II')])
def test_the_recount_is_that_of_the_other_test(table):
    theirs = count(TABLES[table])
    ours = papers.recount(TABLES[table])
    assert ours == dict(params_M=theirs['params'], flops_G=theirs['flops'])


def test_a_verdict_follows_from_the_count_and_its_words_from_the_file():
    line = next(row for row in COUNTED if row['verdict'].startswith('params: trunk of'))
    both = dict(params_M=float(line['params_M']) + 1, flops_G=float(line['flops_G']))
    assert verdict(line, both) == 'parameters: trunk of 400 classes'
    assert verdict(line, both | dict(params_M=float(line['params_M']))) == 'exact'
    exact = next(row for row in COUNTED if row['verdict'] == 'exact')
    assert verdict(exact, dict(flops_G=1.)) == 'operations: differs'
    assert verdict(dict(line, model=''), {}) == 'not built'
    score = next(row for row in ROWS if row['table'] == 'Table II' and row['row'] == 'HF-TRN')
    assert verdict(score, {}) == 'not run' and verdict(dict(score, model=''), {}) == ''


def test_hours_of_a_network_made_for_a_number_of_frames():
    (row,) = papers.effort('hf_trn.something-v1').rows
    assert row[0] == '`hf_trn.something-v1`' and float(row[-2]) > 0


def test_hours_are_for_the_list_that_a_recipe_trains_on():
    videos = {row[0]: row[2] for name in ('hf_tsn.epic55', 'stc.epic55')
              for row in papers.effort(name).rows}
    assert videos == {'`hf_tsn.epic55`': '28,472', '`stc.epic55`': '23,191'}


def test_every_reason_has_a_meaning():
    told = papers.REASONS | papers.UNEXPLAINED
    used = {reason for row in ROWS for reason in papers._reasons(row).values()}
    assert used == set(told)
    numbers = {paper: sum(int(row[-1]) for row in reason_table(paper).rows) for paper in NAMES}
    assert numbers['HF-Net'] == 0 and all(numbers[paper] for paper in ('H2CN', 'STH', 'STC'))


@pytest.mark.parametrize('paper', NAMES)
def test_the_finding_counts_the_files(paper):
    text, lines = finding(paper), [row for row in ROWS if row['paper'] == paper]
    cells = {(row['model'], row['frames'], key, row[key]) for row in lines
             if row['model'] and row['convention'] for key in ('params_M', 'flops_G') if row[key]}
    claims = {(row['place'], row['claim']) for row in paper_lines('claims.csv', paper)}
    scores = sum(bool(row[key]) for row in lines for key in ('top1', 'top5'))
    scores += sum(row['paper'] == paper for row in MEASURED)
    numbers = [int(n) for n in re.findall(r'\d+', text)]
    assert numbers[0] == len(cells) == sum(numbers[1:4])
    assert f'Of **{len(claims)}** claims' in text and f'The {scores} accuracies' in text
    (waiting,) = re.findall(r'(\d+) wait for', text)
    tested = int((re.findall(r'(\d+) (?:is|are) tested', text) or ['0'])[0])
    assert tested + int(waiting) == len(claims)


@pytest.mark.parametrize('call, said', [
    (lambda: paper_lines('papers.csv', 'STX'), "no paper 'STX'; near matches: ST"),
    (lambda: cost_table('H2CN', 'Table 14'), "no 'Table 14' of H2CN; near matches: Table 4"),
    (lambda: measured_table('STH', 'Table 2'), "no 'Table 2' of STH"),
    (lambda: claim_table('STH', 'Table 5'), "no 'Table 5' of STH"),
    (lambda: papers.effort('h2cn.somethin'), 'h2cn.something-v1')])
def test_what_there_is_not(call, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


# the pages

PAGES = {'H2CN': '80a_h2cn', 'STH': '80b_sth', 'HF-Net': '80c_hf_net', 'STC': '80d_stc'}
FOLDER = root/'nbs/papers'
WRITTEN = [paper for paper, page in PAGES.items() if (FOLDER/f'{page}.ipynb').is_file()]


def cells(path):
    return json.loads(path.read_text('utf-8'))['cells']


def shown(paper):
    "The rows of the tables that a page's cells have shown, each as its cells without links."
    texts = [''.join(output.get('data', {}).get('text/markdown', ''))
             for cell in cells(FOLDER/f'{PAGES[paper]}.ipynb')
             for output in cell.get('outputs', ())]
    lines = [line for text in texts for line in text.splitlines() if line.startswith('| ')]
    return [[re.sub(r'\[(.*)\]\([^)]*\)', r'\1', cell) for cell in line[2:-2].split(' | ')]
            for line in lines]


def of(pages, paper):
    return pages.setdefault(paper, shown(paper))


@pytest.fixture(scope='module')
def pages():
    return {}


def test_there_are_pages():
    assert {'H2CN', 'STH'} <= set(WRITTEN)


@pytest.mark.parametrize('row', [row for row in ROWS if row['paper'] in WRITTEN], ids=name)
def test_every_row_with_costs_is_on_its_page(pages, row):
    printed = {row[key] for key in ('params_M', 'flops_G', 'shape') if row[key]}
    printed |= {papers._pair(row)} - {''}
    found = [line for line in of(pages, row['paper'])
             if line[0] == row['row'] and printed <= set(line)]
    assert found, printed
    for key in ('params_M', 'flops_G', 'shape'):
        word = papers.WORDS[key].partition(',')[0]
        for line in found if row['model'] and row[key] else ():
            ours = line[line.index(row[key]) + 1]
            value = ours if key == 'shape' else float(ours)
            said = [cell for cell in line if cell == 'exact' or ': ' in cell][0]
            assert papers.agrees(value, row[key]) == (word not in said), (key, line)


@pytest.mark.parametrize('row', [row for row in MEASURED if row['paper'] in WRITTEN],
                         ids=measured_name)
def test_every_measured_number_is_on_its_page(pages, row):
    values = {row[key] for key in ('value', 'frames', 'backbone') if row[key]}
    assert any(line[0] == row['row'] and values <= set(line) for line in of(pages, row['paper']))


@pytest.mark.parametrize('paper', WRITTEN)
def test_every_claim_is_on_its_page_as_it_stands_in_the_file(pages, paper):
    for row in paper_lines('claims.csv', paper):
        wanted = {row['claim'], row['verdict']} | {row['printed']} - {''}
        ours = f"{row['ours']} ({row['better']} against {row['worse']} %)" if row['ours'] else '–'
        assert any(wanted | {ours} <= set(line) for line in of(pages, paper)), (
            f"{row['claim']}: execute nbs/papers/{PAGES[paper]}.ipynb again")


@pytest.mark.parametrize('paper', WRITTEN)
def test_the_finding_on_a_page_is_that_of_the_files(paper):
    texts = [''.join(output.get('data', {}).get('text/markdown', ''))
             for cell in cells(FOLDER/f'{PAGES[paper]}.ipynb')
             for output in cell.get('outputs', ())]
    assert finding(paper) in texts, f'execute nbs/papers/{PAGES[paper]}.ipynb again'


def anchor(heading):
    "A heading's name in an address, as GitHub makes it."
    kept = re.sub(r'[^\w\- ]', '', re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).lower())
    return kept.strip().replace(' ', '-')


def headings(path):
    text = '\n'.join(''.join(cell['source']) for cell in cells(path)
                     if cell['cell_type'] == 'markdown')
    return {anchor(found) for found in re.findall(r'^#+ +(.*)$', text, re.M)}


def page_links(path):
    "(address, anchor) of each link to a page or a file of the repository, from text and outputs."
    for cell in cells(path):
        texts = [''.join(cell['source'])] if cell['cell_type'] == 'markdown' else []
        texts += [''.join(output.get('data', {}).get('text/markdown', ''))
                  for output in cell.get('outputs', ())]
        for text in texts:
            for address in re.findall(r'\]\((?!https?:)([^)\s]+)\)', text):
                yield address.partition('#')[::2]


LATER = {f'{PAGES[paper]}.ipynb' for paper in NAMES if paper not in WRITTEN}


@pytest.mark.parametrize('path', [root/'nbs/79_papers.ipynb',
                                  *(FOLDER/f'{PAGES[paper]}.ipynb' for paper in WRITTEN)],
                         ids=lambda path: path.stem)
def test_links_lead_on(path):
    links = list(page_links(path))
    assert len(links) > 5
    for address, where in links:
        if Path(address).name in LATER:
            continue
        target = (path.parent/address).resolve() if address else path
        assert target.is_file(), address
        assert not where or where in headings(target), f'{address}#{where}'


def figures(paper):
    "{number: (what is ours, verdict)} from the table of a page; a row '3b, c' stands for both."
    text = '\n'.join(''.join(cell['source']) for cell in cells(FOLDER/f'{PAGES[paper]}.ipynb'))
    found = {}
    rows = re.findall(r'^\| (\d[\da-c, ]*) \|.*\| (.*) \| (.*) \|$', text, re.M)
    for numbers, ours, verdict_ in rows:
        first, *others = numbers.split(', ')
        for number in first, *(n if n[0].isdigit() else first[:-1] + n for n in others):
            found[number] = ours, verdict_
    return found


def pictures_below(path, wanted):
    "How many pictures a section of a page has among its outputs."
    inside, count = False, 0
    for cell in cells(path):
        if cell['cell_type'] == 'markdown':
            for heading in re.findall(r'^## +(.*)$', ''.join(cell['source']), re.M):
                inside = anchor(heading) == wanted
        elif inside:
            count += sum('image/png' in output.get('data', {}) for output in cell['outputs'])
    return count


DRAWN = [('H2CN', n) for n in ('6', '7', '8')] + [('HF-Net', n) for n in ('3a', '3b', '3c')]
DRAWN += [('STH', str(n)) for n in range(5, 11)] + [('STC', '8')]


@pytest.mark.parametrize('paper, number', DRAWN)
def test_a_figure_of_a_trained_network_is_drawn(paper, number):
    ours, found = figures(paper)[number]
    assert 'missing' not in found and 'needs' not in ours
    links = re.findall(r'\]\(\.\./explain/(\w+\.ipynb)#([^)]+)\)', ours)
    assert links
    for page, where in links:
        path = root/'nbs/explain'/page
        assert pictures_below(path, where), f'{page}#{where}'
        assert 'project_checkpoint(' in path.read_text('utf-8')


@pytest.mark.parametrize('paper', WRITTEN)
def test_an_entry_to_copy(paper):
    text = '\n'.join(''.join(cell['source']) for cell in cells(FOLDER/f'{PAGES[paper]}.ipynb'))
    (entry,) = re.findall(r'```bibtex\n(.*?)```', text, re.S)
    fields = dict(re.findall(r'(\w+) +?= +\{(.*?)\},?\n', entry, re.S))
    assert {'title', 'author', 'year'} <= fields.keys()
    names = [' '.join(reversed(part.split(', '))) for part in
             re.sub(r'\s+', ' ', fields['author']).split(' and ')]
    if PAPERS.exists():
        (file,) = PAPERS.glob(FILES[paper])
        head = file.read_text('utf-8')[:6000]
        at = [head.index(name) for name in names]
        assert at == sorted(at)
        assert re.sub(r'[{}]', '', fields['title']).lower() in head.lower()


@pytest.mark.parametrize('paper', WRITTEN)
def test_the_commands_of_a_page_can_be_read(paper, capsys):
    from video_convs.cli import main
    text = '\n'.join(''.join(cell['source']) for cell in cells(FOLDER/f'{PAGES[paper]}.ipynb'))
    trains = re.findall(r'-m video_convs (train .*)', text.replace('\\\n', ' '))
    assert trains
    for line in trains:
        assert main([*line.split(), '--print-config']) == 0
        assert 'recipe: ' in capsys.readouterr().out
