"The printed numbers in data/papers.csv: well-formed, one row of each table counted again."
import csv
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from video_convs.nets.complexity import CONVENTIONS
from video_convs.nets.registry import list_models, variants
from video_convs.papers import recount

pytestmark = pytest.mark.usefixtures('one_thread')

FILE = Path(__file__).parents[1]/'data'/'papers.csv'
ROWS = list(csv.DictReader(FILE.open()))
COLUMNS = ('paper table row model frames params_M flops_G shape dataset top1 top5 convention '
           'verdict note'.split())
NUMBERS = ('params_M', 'flops_G', 'top1', 'top5')
REASON = re.compile(r'(params|flops|shape): [^;]+')

def name(row):
    return f"{row['paper']} {row['table']} {row['row']}"

def test_columns_and_keys():
    assert list(ROWS[0]) == COLUMNS
    assert all(None not in row and None not in row.values() for row in ROWS)
    keys = Counter((row['paper'], row['table'], row['row'], row['dataset']) for row in ROWS)
    assert [key for key, n in keys.items() if n > 1] == []
    assert {row['paper'] for row in ROWS} == {'H2CN', 'STH', 'HF-Net', 'STC'}
    assert {row['dataset'] for row in ROWS} == {'something-v1', 'something-v2', 'hmdb51', ''}

def test_cells():
    for row in ROWS:
        for key in NUMBERS:
            assert re.fullmatch(r'(\d+(\.\d+)?)?', row[key]), name(row)
        for key in ('top1', 'top5'):
            assert not row[key] or 0 < float(row[key]) < 100, name(row)
        assert re.fullmatch(r'(\d+(\+\d+)?)?', row['frames']), name(row)
        assert any(row[key] for key in (*NUMBERS, 'shape')), name(row)

def test_verdicts():
    for row in ROWS:
        printed = any(row[key] for key in ('params_M', 'flops_G', 'shape'))
        judged = row['verdict'] == 'exact' or all(map(REASON.fullmatch, row['verdict'].split('; ')))
        assert (judged if row['model']
                and printed else row['verdict'] == ('not built' if printed else '')), name(row)
        counted = row['model'] and (row['params_M'] or row['flops_G'])
        convention, _, pool = row['convention'].partition(', ')
        assert ((convention in CONVENTIONS if counted else not convention)
                and pool in ('', '7×7 pool')), name(row)

def test_models_can_be_built():
    for row in ROWS:
        if not row['model']:
            continue
        options = json.loads(row['model'])
        model = options.pop('name')
        assert model in list_models(), name(row)
        assert set(options) <= {'frames', *variants(model)}, name(row)
        assert 'frames' not in options or str(options['frames']) == row['frames'], name(row)

PAPERS = Path(os.environ.get('PAPERS', Path(__file__).parents[2]/'shared'/'papers'))
FILES = {'H2CN': '000_*.txt', 'STH': '002_*.txt', 'HF-Net': '003_*.txt', 'STC': '004_*.txt'}

@pytest.mark.skipif(not PAPERS.exists(),
                    reason="no texts of the papers: set PAPERS to their folder")
@pytest.mark.parametrize('paper', FILES)
def test_numbers_of_a_row_stand_on_one_line(paper):
    (text,) = PAPERS.glob(FILES[paper])
    lines = [set(re.findall(r'\d+(?:\.\d+)?', line.replace(',', '')))
             for line in text.open() if '\t' in line]
    for row in (row for row in ROWS if row['paper'] == paper):
        numbers = {row[key] for key in NUMBERS if row[key]}
        if (paper, row['table']) == ('STC', 'Table I'):
            numbers = {f"{float(row['params_M']) * 1e6:.0f}"}
        assert any(numbers <= line for line in lines), name(row)

def count(row, **change):
    "What the row's counter says: parameters in millions, operations in billions."
    found = recount(row | change)
    return dict(params=found['params_M'], flops=found['flops_G'])

COUNTED = [row for row in ROWS if row['flops_G'] and row['model'] and row['convention']]
TABLES = {(row['paper'], row['table']): row for row in COUNTED}  # the last row of each

@pytest.mark.parametrize('row', TABLES.values(), ids=name)
def test_one_row_of_each_table(row):
    ours = count(row)
    for key, column in (('params', 'params_M'), ('flops', 'flops_G')):
        digits = len(row[column].partition('.')[2])
        if row[column]:
            assert (f'{ours[key]:.{digits}f}' == row[column]) == (f'{key}:' not in row['verdict'])

def rows_of(paper, table, start=''):
    "The rows of a table, each once."
    found = {}
    for row in ROWS:
        if (row['paper'], row['table']) == (paper, table) and row['row'].startswith(start):
            found.setdefault(row['row'], row)
    return list(found.values())

def test_hf_net_has_two_counters():
    "Rows 1 and 4 count the statistics of norms, the others what is learned."
    learned = [f"{count(row, convention='ptflops')['params']:.2f}" == row['params_M']
               for row in rows_of('HF-Net', 'Table I')]
    assert learned == [False, True, True, False, True]

def test_the_second_decimal_tells_how_stc_pools():
    "At r = 4 a window of 7×7 gives what is printed, a mean of the whole map does not."
    rows = rows_of('STC', 'Table II', 'STC-Light')
    assert [row['flops_G'] for row in rows] == ['26.80', '26.76', '26.75', '26.75']
    for convention, fits in (('thop_old, 7×7 pool', [True] * 4),
                             ('thop_old', [True, False, True, True])):
        found = [f"{count(row, convention=convention)['flops']:.2f}" == row['flops_G']
                 for row in rows]
        assert found == fits

def test_no_counter_gives_both_rows_of_gst():
    "With the statistics of norms one row would agree, and then the other would not."
    found = {row['row']: [f"{count(row, convention=way)['params']:.1f}" == row['params_M']
                          for way in ('ptflops', 'ptflops_state')]
             for row in rows_of('STC', 'Table II', 'GST')}
    assert found == {'GST': [True, False], 'GST-Large': [False, True]}

@pytest.mark.parametrize('frames, ours', [('8', '30.50'), ('16', '60.99')])
def test_the_operations_of_sth_with_attention(frames, ours):
    "The paper prints 30.5 in Tables 7 and 8, and 30.6 and 61.3 in Table 9."
    row = rows_of('STH', 'Table 8')[0]
    assert row['flops_G'] == '30.5'
    assert f"{count(row, frames=frames)['flops']:.2f}" == ours
    printed = {'8': '30.6', '16': '61.3'}[frames]
    assert any(row['frames'] == frames and row['flops_G'] == printed
               for row in rows_of('STH', 'Table 9'))

@pytest.mark.parametrize('classes, params', [(174, '23.865'), (400, '24.328')])
def test_the_classes_can_be_chosen(classes, params):
    row = dict(model='{"name": "tsn_resnet50"}', frames='8', convention='thop_old')
    assert f"{recount(row, classes)['params_M']:.3f}" == params
