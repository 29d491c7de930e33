"""Build the site: prepare pages from the notebooks, render them with Sphinx, check the result.
The pages in docs/_build/html need no network."""
import re, shutil, subprocess, sys, time
from importlib import import_module
from importlib.metadata import files
from inspect import getdoc
from urllib.parse import unquote, urlsplit
import nbformat, site_zh
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell
from nbdev.showdoc import BasicMarkdownRenderer, show_doc
from notebooks import page, reading_order, room, root, rooms

built = root/'docs/_build'
source, html = built/'source', built/'html'
repository = 'https://github.com/video-convs/video_convs/blob/main/'

def prepare(path, names=()):
    "A notebook as Sphinx needs it: links to pages, tags for directives, alternative texts."
    nb = nbformat.read(path, as_version=4)
    heading = path.stem
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = links(cell.source, names)
            heading = [heading, *re.findall(r'^#+ +(.*)', cell.source, re.M)][-1]
        elif cell.cell_type == 'code':
            directives(cell, heading)
            for output in cell.outputs:
                output_links(output, names)
    nb.cells = [c for c in nb.cells if c.source.strip() or c.get('outputs')]
    return nb

def directives(cell, heading):
    "Turn directives such as `#| hide` into tags; a heading is the default text of a picture."
    found = dict(re.findall(r'^#\|\s*([\w-]+):?[ \t]*(.*)$', cell.source, re.M))
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    if 'hide' in found and not re.sub(r'^(#|.*\bnbdev).*\n?', '', cell.source, flags=re.M).strip():
        cell.source = ''  # nothing in it belongs to the reader's session
    tags = []
    if found.keys() & {'export', 'exports'}:
        tags.append('exported')
    if found.get('echo') == 'false':
        tags.append('remove-input')
    if found.get('output') == 'false':
        tags.append('remove-output')
    if 'hide' in found or found.get('code-fold') == 'true':
        tags.append('hide-input')
    prompt = fold_title(cell.source)
    cell.metadata = {'tags': tags, 'mystnb': {
        'code_prompt_show': prompt, 'code_prompt_hide': prompt,
        'image': {'alt': found.get('fig-alt') or plain(heading)}}}

def fold_title(source):
    "The label of a folded cell."
    if 'pip install' in source:
        return 'Install'
    return 'Set-up' if re.search(r'\b(import|def)\b', source) else 'Also run'

def plain(text):
    "A heading without Markdown."
    return re.sub(r'[`*$]', '', re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', text)).strip()

def output_links(output, names):
    "Turn links in displayed Markdown into links to pages."
    data = output.get('data', {})
    if 'text/markdown' in data:
        data['text/markdown'] = links(data['text/markdown'], names)

def links(text, names=()):
    "Turn links to notebooks into links to pages, `names` into references, badges into text."
    def reference_link(found):  # plain words such as `clips` are too often not the function
        name = found[1]
        if name not in names or not re.search('[A-Z_]', name):
            return found[0]
        return f'[`{name}`](#ref-{name.lower()})'
    text = re.sub(r'\[!\[([^\]]*)\]\(https?:[^)]*\)\]', r'[\1]', text)
    text = re.sub(r'!\[([^\]]*)\]\(https?:[^)]*\)', r'\1', text)
    text = re.sub(r'\]\((?!https?:)([^)\s]*?)(?:\d+[a-zA-Z]?_)?(\w+)\.(?:ipynb|html)',
                  r'](\1\2.ipynb', text)
    text = re.sub(r'\]\((?:\.\./)+((?:[A-Z]|data/|docs/|tools/)[\w./-]*)(?<!\.ipynb)\)',
                  rf']({repository}\1)', text)
    return re.sub(r'(?ms)^```.*?^```|^#.*?$|\[[^\]\n]*\]\([^)\n]*\)|`(\w+)`', reference_link, text)

def contents(paths):
    "The navigation: one list of pages per room, in reading order, and the reference at the end."
    pages = [p for p in paths if page(p) != 'index']
    tocs = [(caption, [page(p) for p in pages if room(p) == name])
            for name, caption in rooms.items()]
    tocs = [(caption, names) for caption, names in tocs if names]
    tocs.append(('Look up', ['reference']))
    return '\n\n'.join('\n'.join(['```{toctree}', ':hidden:', f':caption: {caption}', '', *names,
                                  '```']) for caption, names in tocs)

def modules(paths):
    "[(notebook, module)]: what the notebooks export."
    found = [(p, re.search(r'#\|\s*default_exp\s+([\w.]+)', p.read_text(encoding='utf-8')))
             for p in paths]
    return [(p, import_module(f'video_convs.{m[1]}')) for p, m in found if m]

def documented(value):
    "nbdev's documentation of a function or class, without rule and source link in front of it."
    try:
        text = show_doc(value, renderer=BasicMarkdownRenderer, title_level=3)._repr_markdown_()
    except NameError:  # a base class from elsewhere, whose annotations only its own module can read
        return f'### {value.__name__}\n\n{getdoc(value)}'
    # nbdev's links are not of this site
    text = re.sub(r'\[(`[\w.]+`)\]\(https?:[^)]*\)', r'\1', text)
    return text[text.index('### '):]

def reference(exported):
    "One page with every public name of the package: signature, parameters, one line on each."
    lines = ['# Reference', 'Every public name, module by module. The notebook beside each module '
                            'derives and tests it.']
    seen = set()
    for path, module in exported:
        lines += [f'## {module.__name__.removeprefix("video_convs.")}',
                  f'Module `{module.__name__}`, notebook [{page(path)}](/{page(path)}.ipynb).']
        for name in module.__all__:
            value = getattr(module, name)
            if name.lower() not in seen:
                lines.append(f'(ref-{name.lower()})=')
            seen.add(name.lower())
            lines.append(documented(value) if callable(value)
                         else f'### {name}\n\n`{type(value).__name__}`')
    return '\n\n'.join(lines) + '\n'

def defects(folder):
    "Faults of built pages, one per line: links, tables, pictures, remote files."
    pages = {p.resolve(): parsed(p.read_text(encoding='utf-8'))
             for p in sorted(folder.rglob('*.html')) if '_static' not in p.parts}
    anchors = {p: {t['id'] for t in soup.find_all(id=True)} for p, soup in pages.items()}
    found = []
    for path, soup in pages.items():
        lines = dead_links(path, soup, anchors) + raw_markdown(soup) + wordless_pictures(soup)
        found += [f'{path.relative_to(folder.resolve())}: {line}' for line in lines]
    return found + remote(folder)

def parsed(text):
    "The tree of a page, without the thousands of elements that colour code."
    text = re.sub(r'(?s)(<pre\b[^>]*>)(.*?)(?=</pre>)',
                  lambda m: m[1] + re.sub('<[^>]*>', '', m[2]), text)
    return BeautifulSoup(text, 'html.parser')

def dead_links(path, soup, anchors):
    "Links of one page to pages, files, anchors and files of the repository that do not exist."
    found = []
    for tag in soup.select('[href], [src]'):
        address = tag.get('href') or tag.get('src') or ''
        url = urlsplit(address)
        if in_repository := re.match(r'https://(?:github\.com|colab\.research\.google\.com/github)'
                                     r'/video-convs/video_convs/(?:blob|tree)/main/([^#?]*)',
                                     address):
            target, anchor = root/unquote(in_repository[1]), ''
        elif url.scheme or url.netloc:
            continue
        else:
            target = path.parent/unquote(url.path) if url.path else path
            anchor = unquote(url.fragment)
        target = target.resolve()
        known = anchors.get(target)
        if not target.exists() or anchor and known is not None and anchor not in known:
            found.append(f'dead link {address}')
    return found

def raw_markdown(soup):
    "Tables and links of one page that are shown as plain text. Removes code from the soup."
    printed = [tag.get_text() for tag in soup.select('.cell_output pre')]
    for tag in soup.select('script, style, code, pre, .math, .cell_input'):
        tag.extract()
    texts = [*soup.strings, *printed]
    cell = r'[ \t]*:?[-–—]+:?[ \t]*'  # a renderer turns --- into a dash
    row = re.compile(rf'^[ \t]*\|({cell}\|)+[ \t]*$', re.M)
    tables = [m[0].strip() for t in texts for m in row.finditer(t)]
    raw = [m[0].strip() for t in texts for m in re.finditer(r'.{0,30}\]\(.{0,30}', t)]
    return [f'raw table {t}' for t in tables] + [f'raw link {t}' for t in raw]

def wordless_pictures(soup):
    "Pictures of one page without an alternative text, or with a file name as text."
    return [f'picture without alternative text {tag.get("src", "")[:60]}'
            for tag in soup.find_all('img')
            if not tag.get('alt', '').strip() or re.search(r'\.(png|jpe?g|svg|gif)$', tag['alt'])]

def remote(folder):
    "Pictures, scripts, styles and fonts that pages would load from a remote address."
    load = re.compile(
        r'<(?:img|script|iframe|source|video)\b[^>]*?\ssrc="((?:https?:)?//[^"]*)"'
        r'|<link\b[^>]*?\shref="(https?:[^"]*)"'
        r'|url\(["\']?((?:https?:)?//[^)"\']*)|@import\s+["\'](https?:[^"\']*)')
    return [f'{p.relative_to(folder)}: loads {"".join(m)}'
            for p in sorted(folder.rglob('*')) if p.suffix in ('.html', '.css')
            for m in load.findall(p.read_text(encoding='utf-8', errors='ignore'))]

def mathjax():
    "The one file of MathJax that the pages load, from the package that carries it."
    found = next(f for f in files('sphinx-mathjax-offline') if f.name == 'tex-svg-full.js')
    (built/'static').mkdir(parents=True, exist_ok=True)
    shutil.copy(found.locate(), built/'static'/found.name)

def playground():
    "What the page `play` loads; it says itself what is missing."
    import site_play
    if missing := site_play.write(built/'static/play'):
        print(f'No networks on the page story/play: {missing}')

def render(pages, folder):
    "The exit status of Sphinx, which turns prepared pages into HTML."
    return subprocess.run([sys.executable, '-m', 'sphinx', '-b', 'html', '-q', '-j', 'auto',
                           '-c', str(root/'docs'), '-d', str(folder.parent/'doctrees'),
                           str(pages), str(folder)]).returncode

def main():
    start, paths = time.time(), reading_order()
    shutil.rmtree(built, ignore_errors=True)
    source.mkdir(parents=True)
    exported = modules(paths)
    names = {name for _, module in exported for name in module.__all__}
    for path in paths:
        nb, target = prepare(path, names), source/f'{page(path)}.ipynb'
        if page(path) == 'index':
            nb.cells.append(new_markdown_cell(contents(paths)))
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, target)
    site_zh.write(source, lambda path: prepare(path, names))
    (source/'reference.md').write_text(reference(exported), encoding='utf-8')
    mathjax()
    playground()
    if code := render(source, html):
        sys.exit(code)
    if found := defects(html):
        sys.exit(f'{len(found)} defects of the site:\n' + '\n'.join(found))
    print(f'{len(paths)} notebooks in {time.time() - start:.0f} s: open '
          f'{html.relative_to(root)}/index.html')

if __name__ == '__main__':
    main()
