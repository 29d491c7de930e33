"""The Chinese edition: pages whose text comes from docs/zh and whose code from the notebooks.

A file of docs/zh has, for each Markdown cell of its notebook, a line `<!-- id fingerprint -->` and
below it the translation. The fingerprint is that of the English text; where it is `-`, the cell is
left out. `<!-- alt id fingerprint -->` stands before the alternative text of a picture.

    python tools/site_zh.py            # which translations are behind their English text
    python tools/site_zh.py --stamp    # after they were brought up to date"""
import re
import sys
from hashlib import sha256
from os.path import relpath
from pathlib import Path

import nbformat
from notebooks import nbs, page, root

FOLDER = root/'docs/zh'
MARK = re.compile(r'^<!-- (alt )?([\w-]+) ([0-9a-f]{8}|-|\?) -->\n', re.M)
ALT = re.compile(r'^#\| *fig-alt: *(.*)$', re.M)
LINK = re.compile(r'\]\((?!https?:|#)([^)#\s]+)')


def sources():
    "The notebooks that have a translation, the landing page first."
    files = sorted(FOLDER.rglob('*.md'), key=lambda file: (file.stem != 'index', file))
    return [nbs/file.relative_to(FOLDER).with_suffix('.ipynb') for file in files]


def file_of(path):
    return FOLDER/path.relative_to(nbs).with_suffix('.md')


def fingerprint(text):
    return sha256(text.strip().encode()).hexdigest()[:8]


def translations(path):
    "{(whether it is an alternative text, id of a cell): (fingerprint, text)}"
    text = file_of(path).read_text(encoding='utf-8')
    marks = [*MARK.finditer(text)]
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {(bool(mark[1]), mark[2]): (mark[3], text[mark.end():end].strip())
            for mark, end in zip(marks, ends)}


def english(path):
    "{(whether it is an alternative text, id of a cell): text}, in the order of the notebook."
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == 'markdown':
            found[False, cell.id] = cell.source
        elif alt := ALT.search(cell.source):
            found[True, cell.id] = alt[1]
    return found


def behind(path):
    "What keeps a translation from being that of its notebook, one line each."
    ours, theirs = translations(path), english(path)
    name = file_of(path).relative_to(root)
    lines = [f'{name}: {key[1]} is in no cell of the notebook' for key in ours.keys() - theirs]
    lines += [f'{name}: {key[1]} is not translated' for key in theirs.keys() - ours]
    for key in ours.keys() & theirs:
        if ours[key][0] not in ('-', fingerprint(theirs[key])):
            lines.append(f'{name}: the English text of {key[1]} has changed')
    if not lines and list(ours) != list(theirs):
        lines.append(f'{name}: the cells stand in another order')
    return sorted(lines)


def from_a_folder_below(text, path):
    "The links of a page as they are one folder deeper, where only the translated pages are near."
    near = {source.resolve() for source in sources()}
    start = nbs/'zh'/path.parent.relative_to(nbs)

    def moved(found):
        target = (path.parent/found[1]).resolve()
        link = found[1] if target in near else Path(relpath(target, start.resolve())).as_posix()
        return f']({link}'
    return LINK.sub(moved, text)


def translated(path):
    "A notebook with Chinese text."
    ours, nb = translations(path), nbformat.read(path, as_version=4)
    left_out = {id for (_, id), (mark, _) in ours.items() if mark == '-'}
    nb.cells = [cell for cell in nb.cells if cell.id not in left_out]
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = from_a_folder_below(ours[False, cell.id][1], path)
        elif (True, cell.id) in ours:
            cell.source = ALT.sub(f'#| fig-alt: {ours[True, cell.id][1]}', cell.source, count=1)
        for output in cell.get('outputs', ()):
            data = output.get('data', {})
            if 'text/markdown' in data:
                data['text/markdown'] = from_a_folder_below(data['text/markdown'], path)
    return nb


def write(folder, prepare):
    "The pages of the Chinese edition as Sphinx reads them; `prepare` is that of all pages."
    for path in sources():
        target = folder/'zh'/f'{page(path)}.ipynb'
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(translated(path), target)
        nb = prepare(target)
        nb.metadata['nosearch'] = True  # the search cuts English words only
        if page(path) == 'index':
            pages = '\n'.join(page(other) for other in sources()[1:])
            nb.metadata['orphan'] = True  # the link of its English page leads here
            toc = f'```{{toctree}}\n:hidden:\n:caption: 中文版\n\n{pages}\n```'
            nb.cells.append(nbformat.v4.new_markdown_cell(toc))
        nbformat.write(nb, target)


def stamp(path):
    "Write the fingerprints of the English text of today."
    theirs = english(path)

    def fresh(mark):
        alt, id, old = mark.groups(default='')
        new = old if old == '-' else fingerprint(theirs[bool(alt), id])
        return f'<!-- {alt}{id} {new} -->\n'
    file = file_of(path)
    file.write_text(MARK.sub(fresh, file.read_text(encoding='utf-8')), encoding='utf-8')


if __name__ == '__main__':
    if '--stamp' in sys.argv[1:]:
        for path in sources():
            stamp(path)
    found = [line for path in sources() for line in behind(path)]
    sys.exit('\n'.join(found) or None)
