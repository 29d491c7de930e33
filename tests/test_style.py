"ruff, with the rules in pyproject.toml, over package, notebooks, tests and tools."
import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
from notebooks import reading_order

RUFF = shutil.which('ruff', path=str(Path(sys.executable).parent))
PLACES = 'video_convs', 'nbs', 'tests', 'tools', 'docs/conf.py', 'hubconf.py'
needs_ruff = pytest.mark.skipif(RUFF is None,
                                reason='ruff is not installed: it is among the dev requirements')


def ruff(*paths):
    "Exit code and findings, `path:line:column: rule text` a line."
    done = subprocess.run([RUFF, 'check', '--no-cache', '--output-format', 'concise', '--config',
                           root/'pyproject.toml', *paths], capture_output=True, text=True, cwd=root)
    return done.returncode, done.stdout + done.stderr


@needs_ruff
def test_ruff():
    code, found = ruff(*PLACES)
    assert code == 0, found


@needs_ruff
@pytest.mark.parametrize('rule, text', [
    ('E501', f'x = "{"a " * 50}"\n'), ('E701', 'if True: x = 1\n'), ('E701', 'class C: pass\n'),
    ('E702', 'x = 1; y = 2\n'), ('E703', 'x = 1;\n')])
@pytest.mark.parametrize('name', ['a.py', 'a.ipynb'])
def test_each_rule_can_fail(tmp_path, name, rule, text):
    if name == 'a.ipynb':
        cells = [dict(cell_type='code', id=str(k), metadata={}, outputs=[], execution_count=None,
                      source=source) for k, source in enumerate((text, 'print(1)\n'))]
        if rule == 'E703':  # at a cell's end a semicolon silences what it shows
            cells[0]['source'] += 'print(1)\n'
        text = json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5))
    (tmp_path/name).write_text(text, encoding='utf-8')
    code, found = ruff(tmp_path/name)
    assert code == 1 and found.count(f' {rule} ') == 1, found


def sources():
    "(path, Python) of each file, and of each notebook's cells that define functions."
    for place in ('tests', 'tools'):
        for path in sorted((root/place).glob('*.py')):
            yield path, path.read_text(encoding='utf-8')
    for path in reading_order():
        for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
            source = ''.join(cell['source'])
            if cell['cell_type'] == 'code' and 'def ' in source:
                yield path, source


def packed(source):
    "Functions whose body begins on the line of their colon, which ruff allows."
    kinds = ast.FunctionDef, ast.AsyncFunctionDef
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    lines = source.splitlines()
    return [node.name for node in found
            if lines[node.body[0].lineno - 1][:node.body[0].col_offset].strip()]


def test_bodies_of_functions():
    assert packed('def f(x): return x\n\nclass C:\n    async def g(self): ...\n') == ['f', 'g']
    assert packed('def f(x):\n    return x\n') == []
    left = {f'{path.name}: {function}' for path, source in sources() for function in packed(source)}
    assert not left, sorted(left)
