"""Build the site: prepare pages from the notebooks, render them with Sphinx, check the result.
The pages in docs/_build/html need no network."""
import re, shutil, subprocess, sys, time
import nbformat
from nbformat.v4 import new_markdown_cell
import site_browser, site_feed, site_math, site_reference, site_search, site_versions, site_weight
import site_zh
from notebooks import page, reading_order, room, root, rooms
from site_cells import directives, merged, printed
from site_checks import defects

built = root/'docs/_build'
source, html = built/'source', built/'html'
repository = site_reference.REPOSITORY

def prepare(path, names=()):
    "A notebook as Sphinx needs it: links to pages, tags for directives, alternative texts."
    nb = nbformat.read(path, as_version=4)
    heading = path.stem
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = links(cell.source, names)
            heading = [heading, *re.findall(r'^#+ +(.*)', cell.source, re.M)][-1]
        elif cell.cell_type == 'code':
            cell.outputs = printed(cell.outputs)
            directives(cell, plain(heading))
            for output in cell.outputs:
                output_links(output, names)
    nb.cells = merged(c for c in nb.cells if c.source.strip() or c.get('outputs'))
    return nb

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
    tocs.append(('Look up', ['reference/index', 'changelog', 'versions']))
    return '\n\n'.join('\n'.join(['```{toctree}', ':hidden:', f':caption: {caption}', '', *names,
                                  '```']) for caption, names in tocs)

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

def listed():
    "The notebooks that are pages of the site, in reading order."
    return [path for path in reading_order() if page(path) != 'main']

def write_pages(paths, exported):
    "Write what Sphinx reads: prepared notebooks, and the reference."
    names = {name for _, module in exported for name in module.__all__}
    module_of = dict(exported)
    for path in paths:
        nb, target = prepare(path, names), source/f'{page(path)}.ipynb'
        if path in module_of:
            site_reference.lead(nb, module_of[path])
        if page(path) == 'index':
            nb.cells.append(new_markdown_cell(contents(paths)))
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, target)
    site_zh.write(source, lambda path: prepare(path, names))
    site_feed.changelog(source)
    site_versions.write(source)
    site_reference.write(source, exported, paths)

def improve(exported):
    "Make the rendered pages light and searchable."
    site_weight.lighten(html)
    site_math.font(html, html/'_static/math.woff2')
    site_search.finish(html, exported)

def faults(exported):
    "All that is wrong with the rendered pages, a line each."
    return [*defects(html), *site_weight.heavy(html), *site_weight.jumping(html),
            *site_search.misses(html, exported), *site_browser.faults(html)]

def main():
    start, paths = time.time(), listed()
    shutil.rmtree(built, ignore_errors=True)
    source.mkdir(parents=True)
    exported = site_reference.modules(paths)
    write_pages(paths, exported)
    playground()
    if code := render(source, html):
        sys.exit(code)
    improve(exported)
    if found := faults(exported):
        sys.exit(f'{len(found)} defects of the site:\n' + '\n'.join(found))
    site_versions.copy(html)
    print(f'{len(paths)} notebooks in {time.time() - start:.0f} s: open '
          f'{html.relative_to(root)}/index.html')

if __name__ == '__main__':
    main()
