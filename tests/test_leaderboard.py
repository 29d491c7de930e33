"The table of all networks: each figure is that of its log, and the page sorts and filters it."
import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import leaderboard

ROWS = {row['network']: row for row in csv.DictReader(open(leaderboard.FILE, encoding='utf-8'))}
COUNTED = 'params_M', 'macs_G'
PAGE = root/'nbs/results/58_leaderboard.ipynb'
NODE = shutil.which('node')


def output(path, start):
    "The table of a page whose head begins with a text: rows of cells."
    for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
        for out in cell.get('outputs', ()):
            text = ''.join(out.get('data', {}).get('text/markdown', ''))
            if text.startswith(start):
                return [re.split(r' \| ', line.strip('| \n')) for line in text.splitlines()]
    raise LookupError(start)


def test_each_figure_is_that_of_its_log():
    uncounted = {row['network']: row for row in leaderboard.rows()}
    assert list(ROWS) == list(uncounted)
    for name, row in ROWS.items():
        stored = {key: value for key, value in row.items() if key not in COUNTED}
        assert stored == {key: uncounted[name][key] for key in stored}, 'run tools/leaderboard.py'


@pytest.mark.parametrize('name', ['tsn_tiny', 'hgc_mobilenet_v2', 'h2cn_tiny'])
def test_counts_are_counted_again(name):
    assert leaderboard.cost(name) == {key: ROWS[name][key] for key in COUNTED}


def test_counts_are_those_of_the_page_of_all_networks():
    said = output(root/'nbs/nets/29_models.ipynb', '| network | what it is')[2:]
    assert len(said) == len(ROWS)
    unit = {'k': 1e3, 'M': 1e6, 'G': 1e9}
    for name, _, *counts, _, _ in said:
        for key, text, scale in zip(COUNTED, counts, (1e6, 1e9)):
            number, prefix = text.split()
            found = float(ROWS[name.strip('`')][key]) * scale
            assert abs(found / (float(number) * unit[prefix]) - 1) < 5e-3 or found < 1e8


# read off the papers, data/results and the checkpoints' reports by hand
@pytest.mark.parametrize('name, key, value', [
    ('h2cn_resnet50', 'printed_top1', '53.6'), ('h2cn_resnet50', 'printed_in', 'H2CN, Table 2'),
    ('tsn_resnet50', 'cpu_ms', '380'), ('tsn_resnet50', 'memory_MB', '95'),
    ('hgc_tiny', 'digits', '94.7'), ('hgc_tiny', 'digits_low', '92.7'),
    ('tsn_tiny', 'digits_high', '73.3'), ('tsn_tiny', 'gestures', '46.0'),
    ('h2cn_tiny', 'between', '95.0'), ('hgc_resnet50', 'order', ''), ('hgc_tiny', 'gpu_ms', '')])
def test_cells(name, key, value):
    assert ROWS[name][key] == value


def test_links_of_the_rows_lead_to_files():
    for row in ROWS.values():
        assert (root/row['lesson']).is_file() and (root/row['source']).is_file()
        for folder in row['checkpoints'].split():
            config = root/'data/checkpoints'/folder/'config.json'
            assert json.loads(config.read_text())['name'] == row['network']
    shown = {name for row in ROWS.values() for name in row['checkpoints'].split()}
    assert len(shown) >= 20


def test_the_page_shows_every_row_and_says_what_was_not_measured():
    head, _, *rows = output(PAGE, '| network | parameters')
    assert [row[0].strip('`') for row in rows] == list(ROWS)
    gpu = head.index('GPU (ms)')
    assert {row[gpu] for row in rows} == {'not measured'}
    assert all(cell.strip() for row in rows for cell in row)
    by_name = {row[0].strip('`'): dict(zip(head, row)) for row in rows}
    assert by_name['hgc_tiny']['digits (%)'] == '94.7 (92.7–96.3)'
    assert by_name['tsn_tiny']['in print (%)'] == 'not printed'


SCRIPT = """
const {sorted, matches} = require('./docs/_static/leaderboard.js');
const rows = [['b', '2.5'], ['a', 'not measured'], ['c', '10 (9–11)']];
const names = ['hgc_tiny', 'hgc_mobilenet_v2', 'tsm_tiny'];
console.log(JSON.stringify([
  sorted(rows, 1, false), sorted(rows, 1, true), sorted(rows, 0, false), sorted(rows, 0, true),
  names.map(name => matches(name, 'HGC', '')), names.map(name => matches(name, '', 'tiny')),
  names.map(name => matches(name, 'mob hgc', 'mobilenet_v2'))]));
"""


@pytest.mark.skipif(NODE is None, reason='node is not installed: nobody reads the script')
def test_sorting_and_filtering():
    ran = subprocess.run([NODE, '-e', SCRIPT], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [[0, 2, 1], [2, 0, 1], [1, 0, 2], [2, 0, 1],
                                      [True, True, False], [True, False, True],
                                      [False, True, False]]
