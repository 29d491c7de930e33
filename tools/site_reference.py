"""The reference of the site: one page per module, whose objects other sites can link to.

Signatures and comments behind parameters are read from the source, examples from the notebooks."""
import ast
import dataclasses
import inspect
import json
import re
import textwrap
from importlib import import_module
from urllib.parse import quote

import nbformat
from fastcore.docments import docments

import video_convs
from notebooks import page, room, rooms

REPOSITORY = 'https://github.com/video-convs/video_convs/blob/main/'
PACKAGE = 'video_convs'


def modules(paths):
    "[(notebook, module)]: what the notebooks export."
    found = [(p, re.search(r'#\|\s*default_exp\s+([\w.]+)', p.read_text(encoding='utf-8')))
             for p in paths]
    return [(p, import_module(f'{PACKAGE}.{m[1]}')) for p, m in found if m]


def short(module):
    "A module's name without the package."
    return module.__name__.removeprefix(f'{PACKAGE}.')


def title(path):
    "(title, sentence below it) of a notebook."
    first = nbformat.read(path, as_version=4).cells[0].source
    name, sentence = (re.search(rf'^{mark} +(.*)', first, re.M) for mark in '#>')
    return name[1], sentence[1] if sentence else ''


# signatures

def tree(value):
    "The syntax tree of a function or class, None where there is no source."
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(value)))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None


def generated(value):
    "The signature of a function that was generated, as that of a dataclass."
    found = []
    for parameter in inspect.signature(value).parameters.values():
        default = repr(parameter.default)
        if '<' in default or len(default) > 40:
            parameter = parameter.replace(default=Ellipsis)
        found.append(str(parameter).replace('Ellipsis', '...').replace('~', ''))
    return ', '.join(name for name in found if name != 'self')


def signature(value, bound=False):
    "Parameters and result of a function, or of a method, as they are written in its source."
    node = tree(value)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f'({generated(value)})'
    positional = node.args.posonlyargs or node.args.args
    if positional and (bound or positional[0].arg in ('self', 'cls')):
        del positional[0]
    result = f' -> {ast.unparse(node.returns)}' if node.returns else ''
    return f'({ast.unparse(node.args)}){result}'


def maker(value):
    "The function that makes an object of a class of this package, None if it is inherited."
    owner = next((c for c in value.__mro__ if '__init__' in vars(c)), object)
    return owner.__init__ if owner.__module__.startswith(PACKAGE) else None


def fields(value, bound=False):
    "What the source says about parameters and result, as a list of fields."
    try:
        found = docments(value, full=True, returns=True)
    except (TypeError, OSError, ValueError, KeyError, NameError):
        return []
    lines = []
    for name, about in found.items():
        text = ' '.join((about.get('docment') or '').split())
        if text and name == 'return':
            lines.append(f':returns: {text}')
        elif text and name not in ('self', 'cls') and not (bound and name == next(iter(found))):
            lines.append(f':param {name}: {text}')
    return lines


# objects

def directive(kind, head, body, depth, options=()):
    "A directive of Sphinx around a text."
    fence = '`'*depth
    return '\n'.join([f'{fence}{{py:{kind}}} {head}', *options, '', *body, fence])


def described(value, bound=False):
    "Docstring and parameters of a function, or of a method."
    return [plain(inspect.cleandoc(value.__doc__ or '')), '', *fields(value, bound), '']


def plain(text):
    "A docstring as text: `name` stays code, and nothing is taken for a heading or a list."
    return re.sub(r'^(#+|>|\d+\.|[-*+])(?=\s)', r'\\\1', text, flags=re.M)


def members(value):
    "The public methods and properties of a class, as directives."
    found = []
    for name, member in vars(value).items():
        if name.startswith('_'):
            continue
        function = getattr(member, '__func__', getattr(member, 'fget', member))
        options = [f':{kind.__name__}:' for kind in (classmethod, staticmethod)
                   if isinstance(member, kind)]
        bound = not isinstance(member, staticmethod)
        if isinstance(member, property):
            head, kind = name, 'property'
        elif inspect.isfunction(function):
            head, kind = name + signature(function, bound), 'method'
        else:
            continue
        found += ['', directive(kind, head, described(function, bound), 4, options)]
    return found


def bases(value):
    "The classes that a class is made from."
    def linked(base):
        name = f'{base.__module__}.{base.__qualname__}'
        if base.__module__.startswith(PACKAGE):
            return f'{{py:class}}`~{name}`'
        return f'`{re.sub(r"^torch[.]nn[.]modules[.][a-z]+", "torch.nn", name)}`'
    found = [linked(base) for base in value.__bases__ if base is not object]
    return [f'Bases: {", ".join(found)}', ''] if found else []


def entry(name, value, example):
    "The text about one public name."
    if inspect.isclass(value):
        make = maker(value)
        if dataclasses.is_dataclass(value):
            head, about = f'({generated(value)})', fields(value)
        else:
            head, about = (signature(make), fields(make)) if make else ('', [])
        body = [*bases(value), plain(inspect.getdoc(value) or ''), '', *about, '', *example,
                *members(value)]
        return directive('class', name + head.split(' -> ')[0], body, 5)
    if callable(value):
        try:
            return directive('function', name + signature(value), [*described(value), *example], 5)
        except (TypeError, ValueError):
            pass
    printed = ' '.join(repr(value).split())
    options = [f':type: {type(value).__name__}']
    if len(printed) <= 60:
        options.append(f':value: {printed}')
    return directive('data', name, example, 5, options)


# examples

class Examples:
    "Short cells of the notebooks that use a name."
    def __init__(self, paths):
        self.cells = [(path, source) for path in paths for source in self.read(path)]

    def read(self, path):
        "The cells of a notebook that show how something is used."
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != 'code' or re.search(r'#\|\s*(export|hide|default_exp)',
                                                     cell.source):
                continue
            source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip()
            if source and source.count('\n') < 12 and not re.search(r'\bplt\.|\bdef |\bclass ',
                                                                    source):
                yield source

    def find(self, name, home):
        "The first cell that uses a name, preferably in the notebook that defines it."
        use = re.compile(rf'(?<![\w.]){re.escape(name)}\b *[(.\[]')
        found = [(path != home, source.count('\n') > 6, k)
                 for k, (path, source) in enumerate(self.cells)
                 if name in source and use.search(source)]
        if not found:
            return []
        path, source = self.cells[min(found)[-1]]
        return [f'Example, from [{title(path)[0]}](/{page(path)}.ipynb):', '',
                '```python', source, '```', '']


# pages

def place(value, module):
    "The address of the lines that define a name."
    if inspect.getmodule(value) is not module:
        return None
    try:
        lines, start = inspect.getsourcelines(inspect.unwrap(value))
    except (OSError, TypeError):
        return None
    file = quote(module.__name__.replace('.', '/') + '.py')
    return f'{REPOSITORY}{file}#L{start}-L{start + len(lines) - 1}'


def sources(exported):
    "{module:name: address} of all functions, classes and methods."
    found = {}
    for _, module in exported:
        for name in module.__all__:
            value = getattr(module, name)
            own = [(name, value)]
            if inspect.isclass(value):
                own += [(f'{name}.{k}', getattr(v, '__func__', getattr(v, 'fget', v)))
                        for k, v in vars(value).items() if not k.startswith('_')]
            for full, part in own:
                if callable(part) and (address := place(part, module)):
                    found[f'{module.__name__}:{full}'] = address
    return found


def module_page(path, module, seen, examples):
    "The reference of one module."
    name, sentence = title(path)
    file = module.__name__.replace('.', '/') + '.py'
    lesson = f'[{name}](/{page(path)}.ipynb)'
    lines = [f'# {short(module)}', f'```{{py:module}} {module.__name__}\n```', sentence,
             f'Derived and tested in {lesson}. Import it from `{module.__name__}`, '
             f'[whose source]({REPOSITORY}{file}) that notebook writes.']
    for name in module.__all__:
        if name.lower() not in seen:
            lines.append(f'(ref-{name.lower()})=')
        seen.add(name.lower())
        lines.append(entry(name, getattr(module, name), examples.find(name, path)))
    return '\n\n'.join(lines) + '\n'


def first_line(value):
    "The first line of a docstring, fit for a table."
    return (inspect.getdoc(value) or ' ').splitlines()[0].replace('|', '\\|')


def overview(exported):
    "The first page of the reference: public names, then the modules by room."
    lines = ['# Reference', 'What `from video_convs import …` offers, then every module. '
             'Each name leads to its signature, its source and an example.', '## Public names',
             '\n'.join(['| name | what it is |', '|---|---|', *(
                 f'| [`{name}`](#ref-{name.lower()}) | {first_line(getattr(video_convs, name))} |'
                 for name in video_convs.__all__)])]
    order = [*(name for name in rooms if name not in ('', 'story')), 'story', '']
    for name in order:
        rows = [f'| [`{short(module)}`](/reference/{short(module)}.md) | {title(path)[1]} |'
                for path, module in exported if room(path) == name]
        if rows:
            lines += [f'## {rooms[name]}', '\n'.join(['| module | what it does |', '|---|---|',
                                                      *rows])]
    toctree = [short(module) for name in order for path, module in exported if room(path) == name]
    lines.append('\n'.join(['```{toctree}', ':hidden:', '', *toctree, '```']))
    return '\n\n'.join(lines) + '\n'


def write(folder, exported, paths):
    "Write all pages, and the addresses of the sources."
    seen, examples = set(), Examples(paths)
    (folder/'reference').mkdir(parents=True, exist_ok=True)
    (folder/'reference/index.md').write_text(overview(exported), encoding='utf-8')
    for path, module in exported:
        text = module_page(path, module, seen, examples)
        (folder/'reference'/f'{short(module)}.md').write_text(text, encoding='utf-8')
    (folder.parent/'sources.json').write_text(json.dumps(sources(exported)), encoding='utf-8')


def lead(nb, module):
    "Let a lesson lead to the reference of what it defines."
    nb.cells[0].source += f'\n\nReference: [`{short(module)}`](/reference/{short(module)}.md).\n'
