"Build the site: nbdev processes the notebooks, Sphinx renders them. The result in docs/_build/html needs no network."
import re, shutil, subprocess, sys, time
from importlib import import_module
from importlib.metadata import files
from itertools import groupby
import nbformat
from nbformat.v4 import new_markdown_cell
from nbdev.serve import proc_nbs
from nbdev.showdoc import BasicMarkdownRenderer, show_doc
from notebooks import nbs, page, reading_order, root, rooms

built = root/'docs/_build'
source, html = built/'source', built/'html'

def prepare(path, names):
    "A notebook as nbdev processed it, with what Sphinx needs: the title cell back, tags instead of directives."
    original = nbformat.read(path, as_version=4)
    nb = nbformat.read(root/'_proc'/path.relative_to(nbs), as_version=4)
    exported = {c.id for c in original.cells if re.match(r'#\|\s*exports?\b', c.source)}
    cells = [original.cells[0]] if original.cells[0].source.startswith('# ') else []
    for cell in nb.cells:
        if cell.cell_type == 'raw' or not cell.source.strip(): continue
        if cell.cell_type == 'code': directives(cell, cell.id in exported)
        if cell.source.strip() or cell.get('outputs'): cells.append(cell)
    for cell in cells:
        if cell.cell_type == 'markdown': cell.source = links(cell.source, names)
    nb.cells = cells
    return nb

def directives(cell, exported):
    "Turn `#| echo: false` and its kin into the tags that the renderer knows."
    found = dict(re.findall(r'^#\|\s*([\w-]+):?[ \t]*(.*)$', cell.source, re.M))
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    tags = ['exported'] if exported else []
    if found.get('echo') == 'false': tags.append('remove-input')
    if found.get('output') == 'false': tags.append('remove-output')
    if found.get('code-fold') == 'true': tags.append('hide-input')
    cell.metadata = {'tags': tags}
    if 'fig-alt' in found: cell.metadata['mystnb'] = {'image': {'alt': found['fig-alt']}}

def links(text, names=()):
    "Notebook links become page links, nbdev's links to names go to the reference, remote pictures become their text."
    text = re.sub(r'\[`([\w.]+)`\]\(https?:[^)]*\)',  # plain words such as `clips` are too often not the function
                  lambda m: f'[`{m[1]}`](#ref-{m[1].lower()})' if m[1] in names and re.search('[A-Z_]', m[1]) else f'`{m[1]}`', text)
    text = re.sub(r'\[!\[([^\]]*)\]\(https?:[^)]*\)\]', r'[\1]', text)
    text = re.sub(r'!\[([^\]]*)\]\(https?:[^)]*\)', r'\1', text)
    text = re.sub(r'\]\((?!https?:)([^)\s]*?)(?:\d+[a-zA-Z]?_)?(\w+)\.(?:ipynb|html)', r'](\1\2.ipynb', text)
    return re.sub(r'\]\(\.\./([A-Z][\w.]*|data/[\w./]*|docs/[\w./]*)\)',
                  r'](https://github.com/video-convs/video_convs/blob/main/\1)', text)

def contents(paths):
    "The navigation: one list of pages per room, in reading order, and the reference at the end."
    pages = [p for p in paths if page(p) != 'index']
    tocs = []
    for room, group in groupby(pages, key=lambda p: p.parent.relative_to(nbs).as_posix().strip('.')):
        caption = rooms.get(room, room) if room or not tocs else 'In use'
        tocs.append((caption, [page(p) for p in group]))
    tocs.append(('Look up', ['reference']))
    return '\n\n'.join('\n'.join(['```{toctree}', ':hidden:', f':caption: {caption}', '', *names, '```'])
                       for caption, names in tocs)

def modules(paths):
    "[(notebook, module)]: what the notebooks export."
    found = [(p, re.search(r'#\|\s*default_exp\s+([\w.]+)', p.read_text(encoding='utf-8'))) for p in paths]
    return [(p, import_module(f'video_convs.{m[1]}')) for p, m in found if m]

def documented(value):
    "nbdev's documentation of a function or class, without the rule and the source link in front of it."
    text = show_doc(value, renderer=BasicMarkdownRenderer, title_level=3)._repr_markdown_()
    return text[text.index('### '):]

def reference(exported):
    "One page with every public name of the package: signature, parameters, one line on what it does."
    lines, seen = ['# Reference', 'Every public name, module by module. The notebook beside each module derives and tests it.'], set()
    for path, module in exported:
        lines += [f'## {module.__name__.removeprefix("video_convs.")}',
                  f'Module `{module.__name__}`, notebook [{page(path)}](/{page(path)}.ipynb).']
        for name in module.__all__:
            value = getattr(module, name)
            if name.lower() not in seen: lines.append(f'(ref-{name.lower()})=')
            seen.add(name.lower())
            lines.append(documented(value) if callable(value) else f'### {name}\n\n`{type(value).__name__}`')
    return '\n\n'.join(lines) + '\n'

def remote(folder):
    "What the pages would load from elsewhere: pictures, scripts, styles and fonts with a remote address."
    load = re.compile(r'<(?:img|script|iframe|source|video)\b[^>]*?\ssrc="((?:https?:)?//[^"]*)"|<link\b[^>]*?\shref="(https?:[^"]*)"'
                      r'|url\(["\']?((?:https?:)?//[^)"\']*)|@import\s+["\'](https?:[^"\']*)')
    return [f'{p.relative_to(folder)}: {"".join(m)}' for p in sorted(folder.rglob('*')) if p.suffix in ('.html', '.css')
            for m in load.findall(p.read_text(encoding='utf-8', errors='ignore'))]

def mathjax():
    "The one file of MathJax that the pages load, from the package that carries it."
    found = next(f for f in files('sphinx-mathjax-offline') if f.name == 'tex-svg-full.js')
    (built/'static').mkdir(parents=True, exist_ok=True)
    shutil.copy(found.locate(), built/'static'/found.name)

def main():
    start, paths = time.time(), reading_order()
    shutil.rmtree(built, ignore_errors=True)
    proc_nbs(n_workers=2, force=True)
    exported = modules(paths)
    names = {name for _, module in exported for name in module.__all__}
    for path in paths:
        nb, target = prepare(path, names), source/f'{page(path)}.ipynb'
        if page(path) == 'index': nb.cells.append(new_markdown_cell(contents(paths)))
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, target)
    shutil.rmtree(root/'_proc')
    (source/'reference.md').write_text(reference(exported), encoding='utf-8')
    mathjax()
    done = subprocess.run([sys.executable, '-m', 'sphinx', '-b', 'html', '-q', '-j', 'auto', '-c', str(root/'docs'),
                           '-d', str(built/'doctrees'), str(source), str(html)])
    if done.returncode: sys.exit(done.returncode)
    if loads := remote(html): sys.exit('These would need a network:\n' + '\n'.join(loads))
    print(f'{len(paths)} notebooks in {time.time() - start:.0f} s: open {html.relative_to(root)}/index.html')

if __name__ == '__main__': main()
