"What tools/gpu.sh promises, on the CPU with tiny numbers; a part that fails stops no other."
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
PARTS = 'tests', 'train', 'nets', 'ops'
# in every line
SAME = {'part', 'device', 'torch', 'seed', 'dtype', 'memory_format', 'form', 'versions'}

BARE = '''import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('decord', 'av', 'nbdev', 'IPython', 'fastcore', 'execnb'):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
'''


def gpu_sh(out, python, *part, **environment):
    "Run the script; its exit code and what it prints."
    done = subprocess.run([root/'tools/gpu.sh', out, *part, '--tiny'], capture_output=True,
                          text=True, cwd=out.parent, env=os.environ
                          | dict(PYTHON=str(python), OMP_NUM_THREADS='1') | environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope='module')
def measured(tmp_path_factory):
    "All parts, where what a bare machine lacks cannot be imported."
    folder = tmp_path_factory.mktemp('gpu')
    (folder/'bare').mkdir()
    (folder/'bare/sitecustomize.py').write_text(BARE)
    code, said = gpu_sh(folder/'out', sys.executable, PYTHONPATH=str(folder/'bare'))
    logs = '\n'.join(path.read_text()[-2000:] for path in (folder/'out').glob('*.log'))
    assert code == 0, said + logs
    return folder/'out', said


def read(out, part):
    return [json.loads(line) for line in (out/f'{part}.jsonl').read_text().splitlines()]


def test_every_part_measures(measured):
    out, _ = measured
    for part in PARTS:
        found = read(out, part)
        assert found and all(SAME <= line.keys() and line['part'] == part for line in found)
        assert not [line for line in found if 'error' in line]
    assert {line['outcome'] for line in read(out, 'tests')} == {'passed'}


def test_the_claims_are_a_run_of_their_own(tmp_path):
    code, said = gpu_sh(tmp_path/'out', sys.executable, '--part', 'claims')
    line, = read(tmp_path/'out', 'claims')
    assert code == 0 and SAME <= line.keys() and 'error' not in line
    assert (line['network'], line['displacement'], line['videos']) == ('hgc_tiny', 72., 16)
    assert line['variant'] == {'slope': [0, 2, 4, 8]}
    assert line['ceiling_without_time'] == .25 and line['steps'] > 0
    assert {file.name for file in (tmp_path/'out').iterdir()} == {'claims.jsonl', 'claims.log'}
    assert 'd = 72 of 224 px' in said


def test_an_unknown_part_is_refused(tmp_path):
    code, said = gpu_sh(tmp_path/'out', sys.executable, '--part', 'claim')
    assert code == 2 and "invalid choice: 'claim'" in said
    done = subprocess.run([root/'tools/gpu.sh', tmp_path, '--part'], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith('--part needs a name')


def test_files_are_few_and_small(measured):
    files = list(measured[0].iterdir())
    assert {file.name for file in files} == {f'{part}.{end}' for part in PARTS
                                             for end in ('jsonl', 'log')}
    assert all(file.stat().st_size < 1 << 24 for file in files)


def test_training_is_counted(measured):
    found = read(measured[0], 'train')
    assert [line['network'] for line in found] == ['tsn_tiny', 'hgc_tiny']
    for line in found:
        assert min(line[key] for key in ('steps', 'clips_per_s', 'seconds', 'ms_per_step',
                                         'memory_gb', 'loss')) > 0
        assert 0 <= line['wait_share'] < 1 and 0 <= line['top1'] <= 1 and line['videos'] == 16
        assert line['clips_per_s'] * line['seconds'] == pytest.approx(line['steps'] * line['batch'])
        assert line['ceiling_without_time'] == .5


def test_times_are_positive(measured):
    found = read(measured[0], 'nets')
    assert {line['memory_format'] for line in found} == {'channels_last', 'contiguous'}
    assert {line['dtype'] for line in found} == {'float32', 'bfloat16'}
    assert all(line[f'{mode}_ms'] > 0 for line in found for mode in ('inference', 'training'))
    found = read(measured[0], 'ops')
    assert {line['form'] for line in found} == {'eager', 'compiled'}
    assert all(min(line[mode][form]) > 0 for line in found for mode in ('inference', 'training')
               for form in ('layer', 'operator'))


def test_the_summary_names_what_counts(measured):
    _, said = measured
    for words in ('tests: 5 passed', "1.00 of TSN's", 'bfloat16 channels_last eager', 'hgc_tiny'):
        assert words in said, said


def test_a_part_that_fails_stops_no_other(tmp_path):
    "A Python that ends at once in the second part, and does nothing in the others."
    fake = tmp_path/'python'
    fake.write_text(f'''#!/bin/sh
case "$2" in
  limit|summary) exec {sys.executable} "$@";;
  train) echo "no memory"; exit 3;;
esac
echo '{{"part": "'$2'", "device": "none", "torch": "none", "outcome": "passed",' \
     '"error": "x", "dtype": "y", "form": "z"}}' > "$4/$2.jsonl"
''')
    fake.chmod(0o755)
    code, said = gpu_sh(tmp_path/'out', fake)
    assert code == 1 and said.splitlines()[-1].startswith('failed: train')
    written = [(tmp_path/'out'/f'{part}.jsonl').exists() for part in PARTS]
    assert written == [True, False, True, True]
    assert 'train: exit code 3' in said and 'no memory' in said


@pytest.fixture
def run(tmp_path, monkeypatch):
    "A part of the script, without a machine."
    monkeypatch.syspath_prepend(root/'tools')
    import gpu
    run = gpu.Run.__new__(gpu.Run)
    run.about, run.cuda, run.left_out, run.measured = {}, False, [], 0
    run.end, run.file = gpu.time.monotonic() + 100, open(tmp_path/'lines', 'w', buffering=1)
    yield run
    run.file.close()


def test_a_row_that_fails_is_a_line(run):
    for name, measure in (('bad', lambda: 1 / 0), ('good', lambda: {'ms': 1.})):
        run.row({'network': name}, measure)
    bad, good = map(json.loads, open(run.file.name))
    assert bad == {'network': 'bad', 'error': 'ZeroDivisionError: division by zero'}
    assert good == {'network': 'good', 'ms': 1.}
    assert run.close() == 0


def test_a_row_that_takes_too_long_ends(run):
    import time
    run.end = time.monotonic() + .2
    start = time.monotonic()
    run.row({'network': 'slow'}, lambda: time.sleep(20), least=.1)
    run.row({'network': 'next'}, lambda: {}, least=.1)
    line, = map(json.loads, open(run.file.name))
    assert line['error'].startswith('TimeoutError') and time.monotonic() - start < 10
    assert run.left_out == [{'network': 'next'}] and run.close() == 1


def test_all_parts_fit_into_nine_minutes(monkeypatch):
    monkeypatch.syspath_prepend(root/'tools')
    import gpu
    def limit(part, *more):
        command = [sys.executable, root/'tools/gpu.py', 'limit', part, *more]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert sum(map(limit, PARTS)) <= 540
    assert limit('train', '--seconds', '120') > len(gpu.LEARN) * 120
