"The pages on single papers: every line of the tables stands on its page, and every link leads on."
import csv
import json
import os
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


@pytest.mark.parametrize('row', TABLES.values(), ids=name)
def test_the_recount_is_that_of_the_other_test(row, monkeypatch):
    monkeypatch.setattr(papers, '_cost', papers._cost.__wrapped__)
    asked = [row] if len(row['frames']) < 3 else []
    for line in asked:
        ours, theirs = papers.recount(line), count(line)
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
