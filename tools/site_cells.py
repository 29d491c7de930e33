"""Cells of notebooks as the site shows them: folded set-up and proofs, printed tables as tables."""
import ast
import html
import re

from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_output

DRAWS = re.compile(r'\bplt\.|\b(ax|axes|fig|figure)\b|animate|savefig|imshow')
SETTINGS = 'manual_seed', 'set_num_threads', 'filterwarnings', 'simplefilter'
PICTURE_LINES = 10  # a longer cell folds under its picture
CHECK = re.compile(r'(test|assert|check)_|raises$|assert_close$')


def directives(cell, heading):
    "Turn directives such as `#| hide` into tags; a heading is the default text of a picture."
    found = dict(re.findall(r'^#\|\s*([\w-]+):?[ \t]*(.*)$', cell.source, re.M))
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    if 'hide' in found and not re.sub(r'^(#|.*\bnbdev).*\n?', '', cell.source, flags=re.M).strip():
        cell.source = ''  # nothing in it belongs to the reader's session
    exported = bool(found.keys() & {'export', 'exports'})
    folded = 'hide' in found or found.get('code-fold') == 'true'
    prompt, checks = fold_title(cell.source), proof(cell)
    tags = []
    if exported:
        tags.append('exported')
    if found.get('echo') == 'false':
        tags.append('remove-input')
        folded = False
    elif imports(cell.source):
        folded, prompt = True, 'Set-up'
    elif exported:
        pass
    elif draws(cell, folded):
        tags.append('picture-code')
        folded, prompt = True, 'Code of the picture'
    elif checks:
        folded, prompt = True, (f'Proof: {checks} checks pass' if checks > 1
                                else 'Proof: 1 check passes')
    if found.get('output') == 'false':
        tags.append('remove-output')
    if folded:
        tags.append('hide-input')
    cell.metadata = {'tags': tags, 'mystnb': {
        'code_prompt_show': prompt, 'code_prompt_hide': prompt,
        'image': {'alt': found.get('fig-alt') or heading}}}


def tree(source):
    "The syntax tree of a cell; IPython's own commands become calls."
    try:
        return ast.parse(TransformerManager().transform_cell(source)).body
    except SyntaxError:
        return []


def imports(source):
    "Whether a cell only imports."
    def silent(node):
        if isinstance(node, ast.If):
            return all(map(silent, node.body + node.orelse))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return getattr(node.value.func, 'attr', '') in SETTINGS
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        return text or isinstance(node, ast.Import | ast.ImportFrom)
    body = tree(source)
    return bool(body) and all(map(silent, body)) and 'import' in source


def merged(cells):
    "The same cells; set-up that stands in several cells in a row is one."
    found = []
    for cell in cells:
        if found and is_set_up(cell) and is_set_up(found[-1]):
            found[-1].source += f'\n\n{cell.source}'
            found[-1].metadata['tags'] = ['hide-input']
            found[-1].metadata['mystnb'].update(code_prompt_show='Set-up',
                                                code_prompt_hide='Set-up')
        else:
            found.append(cell)
    return found


def is_set_up(cell):
    "Whether a prepared cell is folded and shows nothing."
    if cell.cell_type != 'code' or cell.get('outputs'):
        return False
    tags, prompt = cell.metadata['tags'], cell.metadata['mystnb']['code_prompt_show']
    return {*tags} - {'exported'} == {'hide-input'} and prompt in ('Install', 'Set-up', 'Also run')


def fold_title(source):
    "The label of a folded cell."
    if 'pip install' in source:
        return 'Install'
    return 'Set-up' if re.search(r'\b(import|def)\b', source) else 'Also run'


def draws(cell, folded):
    "Whether the code of a cell is only about its picture, and long or folded anyway."
    pictures = any(kind.startswith('image/') for output in cell.get('outputs', [])
                   for kind in output.get('data', {}))
    if not pictures or not DRAWS.search(cell.source):
        return False
    return folded or cell.source.count('\n') >= PICTURE_LINES


def is_check(node):
    "Whether a part of a program is a check."
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
    return bool(CHECK.match(name) or name in ('raises', 'assert_close'))


def proof(cell):
    "How many checks a cell makes that prints nothing and is mostly checks, otherwise 0."
    if cell.get('outputs'):
        return 0
    body = tree(cell.source)
    counts = [sum(map(is_check, ast.walk(node))) for node in body]
    kinds = ast.FunctionDef, ast.ClassDef
    if not counts or not counts[-1] or any(isinstance(node, kinds) for node in body):
        return 0
    return sum(counts) if 2*sum(map(bool, counts)) >= len(counts) else 0


# what cells print

def printed(outputs):
    "The same outputs; text with columns becomes tables."
    found = []
    for output in outputs:
        if (found and output.output_type == 'stream' == found[-1].output_type
                and found[-1].name == output.name):
            found[-1].text += output.text
        else:
            found.append(output)
    return [with_tables(output) for output in found]


def with_tables(output):
    "A printed output, as HTML if there is a table in it."
    if output.output_type != 'stream' or output.name != 'stdout':
        return output
    parts, rest = [], []
    for block in re.split(r'(\n[ \t]*\n)', output.text.strip('\n')):
        lines = block.split('\n')
        skip = next((k for k in (0, 1) if (rows := columns(lines[k:]))), None)
        if skip is None:
            rest.append(block)
            continue
        rest += lines[:skip]
        parts += [text_block(rest), table(rows)]
        rest = []
    if not parts:
        return output
    return new_output('display_data', {'text/html': ''.join([*parts, text_block(rest)])})


def text_block(lines):
    "Printed lines as HTML."
    text = '\n'.join(lines).strip('\n')
    return f'<pre>{html.escape(text)}</pre>\n' if text.strip() else ''


def columns(lines):
    "The cells of lines that stand in columns, [] if they do not."
    lines = [line.rstrip() for line in lines]
    if len(lines) < 3 or not all(lines):
        return []
    if re.fullmatch(r'[-|: ]*-{3}[-|: ]*', lines[1]) and '|' in lines[1]:
        return [[cell.strip() for cell in line.split('|')]
                for k, line in enumerate(lines) if k != 1]
    width = max(map(len, lines))
    filled = ''.join('x' if any(line[k:k + 1].strip() for line in lines) else ' '
                     for k in range(width))
    spans = [m.span() for m in re.finditer(r'x+(?: x+)*', filled)]
    rows = [[line[a:b].strip() for a, b in spans] for line in lines]
    cells = [cell for row in rows for cell in row]
    if len(spans) < 2 or any(map(CODE.search, cells)):
        return []
    full = [sum(map(bool, column)) for column in zip(*rows)]
    return rows if min(full) >= .6*len(rows) else []


CODE = re.compile(r'  |[,[(:|]$|^[][({│├└]')  # what does not stand in a table's cell
NUMBER = re.compile(r'[-+−]?[\d.,–]+ ?(%|[kKMG]B?|ms|s|×|px)?')


def table(rows):
    "An HTML table; a row of words above columns of numbers is its head."
    numbers = [[bool(NUMBER.fullmatch(cell)) or not cell for cell in row] for row in rows]
    numeric = [all(column[1:]) for column in zip(*numbers)]
    words = [not own[0] and kind for own, kind in zip(zip(*numbers), numeric)]
    head = any(words) or not rows[0][0]

    def line(row, tag):
        cells = (f'<{tag}{" class=number" if kind else ""}>{html.escape(cell)}</{tag}>'
                 for cell, kind in zip(row, numeric))
        return f'<tr>{"".join(cells)}</tr>'
    first = [f'<thead>{line(rows[0], "th")}</thead>'] if head else []
    body = ''.join(line(row, 'td') for row in rows[head:])
    return f'<table class="printed">{"".join(first)}<tbody>{body}</tbody></table>\n'
