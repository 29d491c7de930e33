"The modules of `video_convs.data` are small, in layers, and share only public names."
import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parent.parent/'video_convs/data'
MODULES = sorted(path for path in ROOM.glob('*.py') if path.stem != '__init__')
BELOW = {'utils', 'clips', 'guards', 'progress', 'command'}


def own_imports(tree):
    "(module, names, column) of what comes from the package."
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom): continue
        if node.level or node.module.startswith('video_convs'):
            yield node.level, node.module, [alias.name for alias in node.names], node.col_offset


@pytest.mark.parametrize('path', MODULES, ids=lambda path: path.stem)
def test_a_module_is_small_and_imports_at_its_top(path):
    source = path.read_text(encoding='utf-8')
    tree = ast.parse(source)
    assert len(source.splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
    for level, module, names, column in own_imports(tree):
        assert column == 0, f'{module} is imported inside a function'
        assert level == 1 or (level == 2 and module in BELOW), f'{module} is a later layer'
        assert not [name for name in names if name.startswith('_')], f'private names of {module}'


def test_no_module_needs_itself():
    needs = {}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding='utf-8'))
        needs[path.stem] = [module for level, module, *_ in own_imports(tree) if level == 1]
    assert len(list(TopologicalSorter(needs).static_order())) == len(MODULES)
