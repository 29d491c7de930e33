"The package stands in layers: a module imports what is below it. Modules and functions are short."
import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent/'video_convs'
LAYERS = [  # from the ground up: rooms, and modules that stand in none
    {'', '_modidx', 'utils', 'clips', 'guards', 'progress', 'messages', 'command'},
    {'stimuli', 'animate'},
    {'hub', 'checkpoint', 'weight_files'},
    {'ops'}, {'testing', 'explorable'}, {'nets'}, {'weights'}, {'data'}, {'train'}, {'explain'},
    {'use', 'demo', 'papers'},
    {'cli'}, {'__main__'},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
RULES = ('in a later layer', 'inside a function', 'the private name', 'split the module',
         'split the function', 'a circle', 'has no layer')
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules(folder):
    "Module name, from inside the package → its syntax tree and its number of lines."
    found = {}
    for path in sorted(folder.rglob('*.py')):
        parts = path.relative_to(folder).with_suffix('').parts
        name = '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)
        text = path.read_text(encoding='utf-8')
        found[name] = ast.parse(text), len(text.splitlines())
    return found


def targets(node, name, is_package, package, known):
    "What an import statement asks this package for: [(module, name or '')]."
    if isinstance(node, ast.Import):
        own = [a.name for a in node.names if a.name.split('.')[0] == package]
        return [(n.removeprefix(package).lstrip('.'), '') for n in own]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        here = name.split('.') if name else []
        here = here[:len(here) - node.level + is_package]
        base = '.'.join([*here, *(node.module.split('.') if node.module else [])])
    elif node.module.split('.')[0] == package:
        base = node.module.removeprefix(package).lstrip('.')
    else:
        return []
    inside = [f'{base}.{a.name}'.lstrip('.') for a in node.names]
    asked = zip(inside, node.names)
    return [(module, '') if module in known else (base, a.name) for module, a in asked]


def imports(tree, name, is_package, package, known):
    "Every import of our own: (line, module, name or '', does it stand inside a function?)."
    found = []
    def visit(node, inside):
        for module, word in targets(node, name, is_package, package, known):
            found.append((node.lineno, module, word, inside))
        for child in ast.iter_child_nodes(node):
            visit(child, inside or isinstance(node, FUNCTIONS))
    visit(tree, False)
    return found


def circles(graph):
    "Circles of {module: modules that it imports}, each as a path that ends where it begins."
    found, done = [], set()
    def walk(module, path):
        if module in path:
            return found.append(path[path.index(module):] + [module])
        if module in done:
            return
        for following in sorted(graph.get(module, ())):
            walk(following, path + [module])
        done.add(module)
    for module in sorted(graph):
        walk(module, [])
    return found


def level(module):
    return LEVEL.get(module.split('.')[0])


def is_later(module, name):
    "Does a module stand in a later layer than the one that imports it?"
    return None not in (level(module), level(name)) and level(module) > level(name)


def import_faults(name, found):
    "What is wrong with the imports of one module."
    for line, module, word, inside in found:
        where = f'{name}, line {line}:'
        if inside:
            yield f'{where} imports {module} inside a function; import at the top'
        if is_later(module, name):
            yield f'{where} imports {module}, which is in a later layer'
        private = word or module.split('.')[-1]
        if private.startswith('_') and not private.startswith('__'):
            yield f'{where} imports the private name {private} of {module}'


def size_faults(name, tree, lines):
    "What is too long in one module."
    if lines > LONGEST_MODULE:
        yield f'{name}: {lines} lines, more than {LONGEST_MODULE}; split the module'
    for node in ast.walk(tree):
        if not isinstance(node, FUNCTIONS):
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        length = node.end_lineno - first + 1
        if length > LONGEST_FUNCTION:
            where = f'{name}.{node.name}'
            yield f'{where}: {length} lines, more than {LONGEST_FUNCTION}; split the function'


def faults(folder):
    "What breaks the rules in a package, as sentences."
    found, graph = modules(folder), {}
    said = []
    for name, (tree, lines) in found.items():
        is_package = (folder/name.replace('.', '/')/'__init__.py').is_file()
        asked = imports(tree, name, is_package, folder.name, found)
        wanted = {module for _, module, _, _ in asked if module in found}
        graph[name] = {module for module in wanted if not is_later(module, name)}
        if level(name) is None:
            said.append(f'{name}: has no layer; add its room to the table')
        said += dict.fromkeys(import_faults(name, asked))
        if name != '_modidx':
            said += size_faults(name, tree, lines)
    return said + [f"a circle of imports: {' → '.join(circle)}" for circle in circles(graph)]


FOUND = faults(PACKAGE)


@pytest.mark.parametrize('rule', RULES)
def test_the_package(rule):
    left = [fault for fault in FOUND if rule in fault]
    assert not left, f'{len(left)} faults:\n' + '\n'.join(left)


def test_the_operators():
    rooms = ('ops', 'testing', 'clips')
    named = [fault.removeprefix('a circle of imports: ') for fault in FOUND]
    assert not [fault for fault in named if fault.startswith(rooms)]


def test_the_graph_is_read():
    "Known imports are seen, so silence means order."
    found = modules(PACKAGE)
    asked = imports(found['ops.hourglass'][0], 'ops.hourglass', False, 'video_convs', found)
    assert ('clips', 'fold') in [(module, word) for _, module, word, _ in asked]
    assert {module for _, module, _, _ in asked} == {'clips', 'ops.common', 'ops.hourglass_kernel'}
    assert {'', 'clips', 'ops', 'ops.common', 'nets.video_net'} <= set(found)


GOOD = {
    '__init__.py': '', 'clips.py': 'import torch', 'ops/__init__.py': '',
    'ops/one.py': 'from ..clips import fold\nfrom . import two\ndef f():\n    import json\n',
    'ops/two.py': 'from made_up.clips import fold\n',
    'testing.py': 'from .ops.one import f\nimport made_up.clips\n',
    'utils.py': 'from .guards import f\nfrom . import __version__\n', 'guards.py': '',
    'nets/__init__.py': '', 'nets/net.py': 'from ..ops.one import f\nfrom ..ops import two\n',
    'nets/long.py': 'x = 1\n' * 400, 'nets/function.py': 'def f():\n' + '    x = 1\n' * 59,
    '_modidx.py': 'x = 1\n' * 999,
}
BAD = {
    'later layer': (
        {'ops/two.py': 'from ..nets.net import g\n'},
        'ops.two, line 1: imports nets.net, which is in a later layer'),
    'later layer, absolute': (
        {'ops/two.py': 'import made_up.nets.net\n'},
        'ops.two, line 1: imports nets.net, which is in a later layer'),
    'later layer, a module': (
        {'clips.py': 'from .ops import two\n'},
        'clips, line 1: imports ops.two, which is in a later layer'),
    'later layer, if': (
        {'clips.py': 'if x:\n    from .testing import f\n'},
        'clips, line 2: imports testing, which is in a later layer'),
    'circle': (
        {'ops/two.py': 'from .one import f\n'},
        'a circle of imports: ops.one → ops.two → ops.one'),
    'circle of three': (
        {'ops/two.py': 'from . import three\n', 'ops/three.py': 'from .one import f\n'},
        'a circle of imports: ops.one → ops.two → ops.three → ops.one'),
    'circle in a layer': (
        {'utils.py': 'from . import guards\n', 'guards.py': 'from .utils import f\n'},
        'a circle of imports: guards → utils → guards'),
    'itself': (
        {'ops/two.py': 'from .two import f\n'},
        'a circle of imports: ops.two → ops.two'),
    'inside a function': (
        {'nets/net.py': 'def f():\n    from ..clips import fold\n'},
        'nets.net, line 2: imports clips inside a function; import at the top'),
    'inside a method': (
        {'nets/net.py': 'class C:\n    async def f(self):\n        import made_up.clips\n'},
        'nets.net, line 3: imports clips inside a function; import at the top'),
    'long module': (
        {'nets/long.py': 'x = 1\n' * 401},
        'nets.long: 401 lines, more than 400; split the module'),
    'long function': (
        {'nets/function.py': 'def f():\n' + '    x = 1\n' * 60},
        'nets.function.f: 61 lines, more than 60; split the function'),
    'long method': (
        {'nets/function.py': 'class C:\n  @property\n  def f(self):\n' + '    x = 1\n' * 59},
        'nets.function.f: 61 lines, more than 60; split the function'),
    'private name': (
        {'nets/net.py': 'from ..ops.one import _g\n'},
        'nets.net, line 1: imports the private name _g of ops.one'),
    'private module': (
        {'ops/_three.py': '', 'nets/net.py': 'from ..ops import _three\n'},
        'nets.net, line 1: imports the private name _three of ops._three'),
    'no layer': (
        {'strange.py': ''},
        'strange: has no layer; add its room to the table'),
}


def package(folder, files):
    for name, text in files.items():
        path = folder/'made_up'/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    return folder/'made_up'


def test_a_package_in_order(tmp_path):
    assert faults(package(tmp_path, GOOD)) == []


@pytest.mark.parametrize('files, said', BAD.values(), ids=BAD)
def test_each_rule_can_fail(tmp_path, files, said):
    assert faults(package(tmp_path, {**GOOD, **files})) == [said]
    assert [rule in said for rule in RULES].count(True) == 1
