"""The notebooks as one book: docs/_build/video_convs.epub, and .pdf where Chromium is installed.

    python tools/site_book.py [PAGE …]     # only these pages, as in `ops/hourglass`"""
import shutil
import subprocess
import sys
from importlib.util import find_spec

import nbformat
from notebooks import page, room, rooms, root

import site_pages

built = root/'docs/_build'
source = built/'book'
CHROMIUM = 'chromium', 'chromium-browser', 'google-chrome'


def printed(nb):
    "A prepared page without what paper cannot do: folds, scripts, and cells that show nothing."
    kept = []
    for cell in nb.cells:
        if cell.cell_type == 'markdown':
            cell.source = cell.source.replace('<details>', '<details open>')
        tags = cell.metadata.get('tags', [])
        if cell.cell_type == 'code' and 'hide-input' in tags:
            proof = cell.metadata['mystnb']['code_prompt_show'].startswith('Proof')
            if not proof and not cell.outputs:
                continue
            shown = [] if proof else ['remove-input']
            cell.metadata['tags'] = [tag for tag in tags if tag != 'hide-input'] + shown
        for output in cell.get('outputs', ()):
            data = output.get('data', {})
            if '<script' in ''.join(data.get('text/html', '')):
                data['text/markdown'] = '*(A figure to turn: see it on the site.)*'
                del data['text/html']
        kept.append(cell)
    nb.cells = kept
    return nb


def write(paths):
    "What Sphinx reads."
    shutil.rmtree(source, ignore_errors=True)
    for path in paths:
        nb = printed(site_pages.prepare(path))
        target = source/f'{page(path)}.ipynb'
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, target)
    (source/'book.md').write_text(f'# video_convs\n\n{contents(paths)}\n', encoding='utf-8')


def contents(paths):
    "All pages of the book, part by part, the landing page first."
    parts = [[path for path in paths if page(path) != 'index' and room(path) == name]
             for name in rooms]
    names = ['index', *(page(path) for part in parts for path in part)]
    return '\n'.join(['```{toctree}', ':maxdepth: 1', '', *names, '```'])


def build(builder):
    "The folder in which Sphinx has built the book."
    folder = built/f'book_{builder}'
    subprocess.run([sys.executable, '-m', 'sphinx', '-b', builder, '-q',
                    '-c', str(root/'docs/book'), '-d', str(built/'book_doctrees'),
                    str(source), str(folder)], check=True)
    return folder


def pdf(html):
    "Print one long page, where there is a browser: whether it was printed."
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if browser is None:
        print('No PDF: Chromium is not installed.')
        return False
    subprocess.run([browser, '--headless', '--no-sandbox', '--disable-gpu',
                    '--no-pdf-header-footer', '--generate-pdf-document-outline',
                    '--virtual-time-budget=60000', f'--print-to-pdf={built/"video_convs.pdf"}',
                    (html/'book.html').as_uri()], check=True, capture_output=True, timeout=1800)
    pack(built/'video_convs.pdf')
    return True


def pack(path):
    "Compress what Chromium leaves loose: the parts that readers and search need, 3/4 of the file."
    if not find_spec('pikepdf'):
        print('The PDF is three times as large as it could be: pikepdf is not installed.')
        return
    import pikepdf
    with pikepdf.open(path, allow_overwriting_input=True) as found:
        found.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def main(names=()):
    paths = [path for path in site_pages.listed()
             if not names or page(path) in {*names, 'index'}]
    write(paths)
    epub, = build('epub').glob('*.epub')
    shutil.copy(epub, built/'video_convs.epub')
    pdf(build('singlehtml'))
    for file in sorted(built.glob('video_convs.*')):
        print(f'{file.relative_to(root)}: {file.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main(sys.argv[1:])
