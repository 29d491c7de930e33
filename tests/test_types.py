"Public names carry their types, and the package says so to type checkers."
import ast
import runpy
from pathlib import Path

import pytest
import setuptools

root = Path(__file__).resolve().parent.parent
PACKAGE = root/'video_convs'
TYPED = [path for path in sorted(PACKAGE.rglob('*.py')) if path.name != '_modidx.py']


def public(tree):
    "The functions and methods that a reader may call: (name, node, is the first argument bound?)."
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            for method in node.body:
                if not isinstance(method, ast.FunctionDef):
                    continue
                if method.name.startswith('_') and not method.name.startswith('__'):
                    continue
                static = any(getattr(d, 'id', '') == 'staticmethod' for d in method.decorator_list)
                yield f'{node.name}.{method.name}', method, not static
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
            yield node.name, node, False


def untyped(text):
    "What has no type in a module: ['function: argument', 'function: result'], **options aside."
    said = []
    for name, node, bound in public(ast.parse(text)):
        a = node.args
        given = [*a.posonlyargs, *a.args][bound:] + [*a.kwonlyargs, a.vararg]
        said += [f'{name}: {x.arg}' for x in given if x and x.annotation is None]
        made = name.endswith(('.__init__', '.__post_init__'))  # these return nothing
        if node.returns is None and not made:
            said.append(f'{name}: result')
    return said


@pytest.mark.parametrize('path', TYPED, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_types_are_complete(path):
    assert untyped(path.read_text(encoding='utf-8')) == []


@pytest.mark.parametrize('text, said', [
    ('def f(x: int) -> int: pass', []), ('def _f(x): pass', []),
    ('class _C:\n    def f(self, x): pass', []),
    ('def f(x) -> int: pass', ['f: x']), ('def f(x: int): pass', ['f: result']),
    ('def f(*a, b=1, **c) -> None: pass', ['f: b', 'f: a']),
    ('class C:\n    def __init__(self, x): pass', ['C.__init__: x']),
    ('class C:\n    @staticmethod\n    def f(x) -> None: pass', ['C.f: x']),
    ('class C:\n    def f(self): pass\n    def _g(self, x): pass', ['C.f: result']),
])
def test_what_counts_as_typed(text, said):
    assert untyped(text) == said


def test_type_checkers_are_told(monkeypatch):
    given = {}
    monkeypatch.chdir(root)
    monkeypatch.setattr(setuptools, 'setup', given.update)
    runpy.run_path('setup.py')
    assert 'py.typed' in given['package_data']['video_convs'] and (PACKAGE/'py.typed').is_file()
