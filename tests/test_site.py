"The site: reference, search, formulas, tables, weight, and what a browser sees."
import gzip
from base64 import b64encode
import html
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import notebooks
import site_browser
import site_cells
import site_math
import site_pages
import site_reference
import site_search
import site_weight
from site_checks import defects

NODE = pytest.mark.skipif(not shutil.which('node'), reason='node is not installed: nobody searches')
CHROMIUM = pytest.mark.skipif(not site_browser.CHROMIUM, reason='chromium is not installed')
LINKED = '| next |\n|---|\n| [page](../nets/20_surgery.ipynb) |'
SIGNATURE = 'channels: int, kernel_size: int=3, slope: int=2'


def lesson(name):
    return next(path for path in notebooks.reading_order() if notebooks.page(path) == name)


@pytest.fixture(scope='module')
def hourglass():
    "The notebook of a lesson, its module, and the text of its reference."
    path = lesson('ops/hourglass')
    (found,) = site_reference.modules([path])
    text = site_reference.module_page(*found, set(), site_reference.Examples([path]))
    return path, found[1], text


def test_a_class_has_signature_bases_methods_and_an_example(hourglass):
    text = hourglass[2]
    assert f'{{py:class}} HgC({SIGNATURE}' in text
    assert 'Bases: `torch.nn.Module`' in text
    assert ':param slope: p: offset i sees a window' in text
    assert '{py:method} forward(x: Tensor) -> Tensor' in text
    assert '{py:method} kernel() -> Tensor' in text, 'the object itself is no parameter'
    assert 'Define the computation performed at every call' not in text, 'not torch\'s docstring'
    assert re.search(r'Example, from \[Hourglass convolution\]\(/ops/hourglass.ipynb\):\n\n'
                     r'```python\n[^`]*HgC\(', text)


def test_a_settings_class_has_its_fields_as_parameters():
    from video_convs.train.recipes import Recipe
    text = site_reference.entry('Recipe', Recipe, [])
    assert 'Recipe(epochs: int | str = 30, ' in text and ':param epochs: passes' in text


def test_an_object_leads_to_the_lines_that_define_it(hourglass):
    address = site_reference.sources([hourglass[:2]])['video_convs.ops.hourglass:HgC']
    first, last = map(int, re.search(r'hourglass\.py#L(\d+)-L(\d+)$', address).groups())
    lines = (ROOT/'video_convs/ops/hourglass.py').read_text('utf-8').splitlines()
    assert lines[first - 1].startswith('class HgC') and last > first


@pytest.fixture(scope='module')
def site(tmp_path_factory, hourglass):
    "A site of a lesson, its reference and a page that is told to be wide."
    folder = tmp_path_factory.mktemp('site')
    source, html = folder/'source', folder/'html'
    source.mkdir()
    path, module, _ = hourglass
    site_reference.write(source, [(path, module)], [path])
    overview = '# Reference\n\n```{toctree}\nops.hourglass\n```\n'
    (source/'reference/index.md').write_text(overview)
    cells = [new_markdown_cell('# Hourglass\n\n> Sees a window of $p|i| + 1$ pixels.\n\n'
                               '$$y = \\sum_i a_i x_i \\tag{7}$$'),
             new_code_cell('#| hide\nimport subprocess'),
             new_code_cell('print("x")', outputs=[new_output('stream', text='a  1\nb  2\nc  3')]),
             new_code_cell('y', outputs=[new_output('display_data', {'text/markdown': LINKED})])]
    for name in 'ops', 'nets':
        (source/name).mkdir()
    nbformat.write(new_notebook(cells=[new_markdown_cell('# Surgery')]),
                   source/'nets/surgery.ipynb')
    nb = new_notebook(cells=cells)
    nb.metadata = {'kernelspec': {'name': 'python3', 'language': 'python', 'display_name': 'P'}}
    nbformat.write(nb, folder/'x.ipynb')
    prepared = site_pages.prepare(folder/'x.ipynb')
    site_reference.lead(prepared, module)
    nbformat.write(prepared, source/'ops/hourglass.ipynb')
    (source/'index.md').write_text('# Start\n\nHere.\n\n```{toctree}\nops/hourglass\nnets/surgery\n'
                                   'reference/index\n```\n')
    (folder/'static').mkdir()
    assert site_pages.render(source, html) == 0
    site_weight.lighten(html)
    site_math.font(html, html/'_static/math.woff2')
    site_search.finish(html, [(path, module)])
    return html


def test_the_pages_are_whole(site):
    # this small site has none of them
    absent = 'blob/main', 'zh/', 'changelog.html', 'versions.html', 'edit/main'
    assert [line for line in defects(site) if not any(name in line for name in absent)] == []
    page = BeautifulSoup((site/'ops/hourglass.html').read_text('utf-8'), 'html.parser')
    assert [cell.get_text() for cell in page.select('table.printed tr')[0].find_all('td')] == [
        'a', '1']
    assert page.select_one('a[href="../reference/ops.hourglass.html"]')
    assert page.select_one('.cell_output table a')['href'] == '../nets/surgery.html'
    assert page.select_one('details.hide pre').get_text().startswith('import subprocess')
    assert page.select('script[src*=copybutton]')
    assert page.find('meta', property='og:title')['content'] == 'Hourglass · video_convs'
    image = page.find('meta', property='og:image')['content']
    assert image.endswith('/_cards/ops-hourglass.png') and image.startswith('https://')
    with Image.open(site/'_cards/ops-hourglass.png') as card:
        assert card.size == (1200, 630)
    about = page.select_one('meta[name=description]')['content']
    assert about.startswith('Sees a window of') and page.select_one('link[rel=icon]')


def test_formulas_need_no_program(site):
    text = (site/'ops/hourglass.html').read_text('utf-8')
    page = BeautifulSoup(text, 'html.parser')
    assert len(page.find_all('math')) == 2 and page.select_one('.eqno').get_text() == '(7)'
    assert 'mathjax' not in re.sub(r'(tex2jax|mathjax)_\w+', '', text).lower()
    assert 5_000 < (site/'_static/math.woff2').stat().st_size < 60_000


def test_other_sites_can_link_to_objects(site):
    from sphinx.util.inventory import InventoryFile
    inventory = InventoryFile.loads((site/'objects.inv').read_bytes(), uri='')
    item = inventory['py:class', 'video_convs.ops.hourglass.HgC']
    assert item.uri == 'reference/ops.hourglass.html#video_convs.ops.hourglass.HgC'
    page = BeautifulSoup((site/item.uri.split('#')[0]).read_text('utf-8'), 'html.parser')
    term = page.find(id=item.uri.split('#')[1])
    assert term.find('a', string='[source]') or 'source' in term.get_text()


@NODE
def test_a_name_gives_its_reference_and_then_its_lesson(site):
    hits = site_search.ask(site, ['HgC', 'hgc', 'forward', 'window'])
    for name in 'HgC', 'hgc':
        assert hits[name][:2] == ['reference/ops.hourglass#video_convs.ops.hourglass.HgC',
                                  'ops/hourglass']
    assert hits['forward'][0].endswith('HgC.forward')
    assert 'ops/hourglass' in hits['window']


@NODE
def test_what_the_search_misses_is_told(site, monkeypatch, hourglass):
    monkeypatch.setattr(site_search, 'QUESTIONS', {'window of pixels': ('ops/hourglass',),
                                                   'webcam': ('use/live',)})
    found = site_search.misses(site, [hourglass[:2]])
    assert len(found) == 1 and found[0].startswith("search 'webcam' gives")


def test_questions_are_asked_for_pages_that_exist():
    pages = {notebooks.page(path) for path in site_pages.listed()}
    assert len(site_search.QUESTIONS) >= 20
    for question, wanted in site_search.QUESTIONS.items():
        assert pages & set(wanted), question
    assert set(site_search.WORDS) <= pages


# cells

@pytest.mark.parametrize('source, label', [
    ('assert f(1) == 2\nassert f(2) == 3', 'Proof: 2 checks pass'),
    ('x = f(1)\ntest_eq(x, 2)', 'Proof: 1 check passes'),
    ('for k in range(3):\n    assert f(k)', 'Proof: 1 check passes'),
    ('with pytest.raises(ValueError):\n    f(0)', 'Proof: 1 check passes'),
    ('import torch\n\nfrom x import y', 'Set-up')])
def test_proofs_and_set_up_fold(source, label):
    cell = new_code_cell(source)
    site_cells.directives(cell, 'x')
    assert 'hide-input' in cell.metadata['tags']
    assert cell.metadata['mystnb']['code_prompt_show'] == label


@pytest.mark.parametrize('source', [
    'y = net(x)\ny.shape', 'a = 1\nb = 2\nc = f(a, b)\nassert c',
    'def f():\n    return 1\nassert f()',
    '#| export\ndef f():\n    assert True'])
def test_code_to_be_read_stays_open(source):
    cell = new_code_cell(source)
    site_cells.directives(cell, 'x')
    assert 'hide-input' not in cell.metadata['tags']


def test_code_that_draws_folds_under_its_picture():
    picture = new_output('display_data', {'image/png': 'iVBORw0KGgo='})
    long = new_code_cell('fig, ax = plt.subplots()\n' + 'ax.plot([1])\n'*12, outputs=[picture])
    short = new_code_cell('plt.plot([1])', outputs=[picture])
    for cell in long, short:
        site_cells.directives(cell, 'x')
    assert long.metadata['tags'] == ['picture-code', 'hide-input']
    assert short.metadata['tags'] == []


def tables(text):
    (output,) = site_cells.printed([new_output('stream', text=text)])
    return BeautifulSoup(output.get('data', {}).get('text/html', ''), 'html.parser')


def test_printed_columns_become_a_table():
    page = tables('Two networks:\n\nnet      top-1  time\ntsn      48.0%  12 ms\n'
                  'hgc avg  99.0%  13 ms\n\nThat is all.')
    assert [tag.get_text() for tag in page.find_all('th')] == ['net', 'top-1', 'time']
    rows = [[cell.get_text() for cell in row.find_all('td')] for row in page.select('tbody tr')]
    assert rows == [['tsn', '48.0%', '12 ms'], ['hgc avg', '99.0%', '13 ms']]
    assert [tag.get_text().strip() for tag in page.find_all('pre')] == ['Two networks:',
                                                                       'That is all.']


@pytest.mark.parametrize('text', [
    'tensor([[ 0.5,  1.0],\n        [ 2.0,  3.0],\n        [ 4.0,  5.0]])',
    'one line\nand another\nand a third', 'a  b\nc  d'])
def test_other_output_stays_as_it_is(text):
    assert not tables(text).find('table')


# formulas

def test_a_formula_that_has_no_mathml_is_refused():
    found = html.unescape(site_math.mathml(r'\big\lfloor \tau \big\rfloor'))
    assert re.sub('<[^>]*>', '', found) == '⌊τ⌋'
    with pytest.raises(ValueError, match=r'\\nonsense in the formula'):
        site_math.mathml(r'a \nonsense b')


# weight

def test_a_moving_picture_keeps_its_frames(tmp_path):
    (tmp_path/'_images').mkdir()
    (tmp_path/'_static').mkdir()
    frames = [Image.new('RGB', (40, 20), (9*k, 0, 0)) for k in range(3)]
    frames[0].save(tmp_path/'_images/a.png', save_all=True, append_images=frames[1:])
    frames[0].resize((300, 200)).save(tmp_path/'_images/b.png')
    frames[0].resize((600, 400)).save(tmp_path/'_images/c.png', dpi=(200, 200))
    inside = b64encode((tmp_path/'_images/b.png').read_bytes()).decode()
    sources = '_images/a.png', '_images/b.png', '_images/c.png', f'data:image/png;base64,{inside}'
    (tmp_path/'a.html').write_text(''.join(f'<img alt="x" src="{name}" />' for name in sources))
    site_weight.lighten(tmp_path)
    page = BeautifulSoup((tmp_path/'a.html').read_text(), 'html.parser')
    moving, still, *others = page.find_all('img')
    assert site_weight.jumping(tmp_path) == []
    assert all(picture['width'] == '300' for picture in others), 'a fine one is shown at half size'
    with Image.open(tmp_path/moving['src']) as picture:
        assert picture.n_frames == 3 and picture.size == (40, 20)
    assert 'data-moving' in moving.attrs and 'data-moving' not in still.attrs
    assert (still['width'], still['height'], still['loading']) == ('300', '200', 'lazy')


def test_a_picture_without_its_size_is_found(tmp_path):
    page = tmp_path/'a.html'
    page.write_text('<img height="1" src="a.webp" width="2"><img width="2" height="1" src="b">')
    assert site_weight.jumping(tmp_path) == []
    page.write_text('<img alt="its width" height="1" src="a.webp">')
    assert site_weight.jumping(tmp_path) == [
        'a.html: no width or height, <img alt="its width" height="1" src="a.webp">']


def test_a_heavy_page_is_found(tmp_path):
    noise = gzip.compress(bytes(range(256)))*1500
    for name in 'index', 'b':
        (tmp_path/f'{name}.html').write_text('<h1>x</h1>')
    assert site_weight.heavy(tmp_path) == []
    (tmp_path/'b.png').write_bytes(noise)
    (tmp_path/'b.html').write_text('<img src="b.png">')
    assert site_weight.heavy(tmp_path) == [f'b.html: {len(noise) // 1000} kB as a next page']
    (tmp_path/'b.html').write_text('<img src="b.png" loading="lazy">')
    assert site_weight.heavy(tmp_path) == []


# a browser

WIDE = '<h1>x</h1><table><tr>' + '<td>wide_wide</td>'*20 + '</tr></table><h3>y</h3>'


DEAF = """<div data-explorable><i></i><button>a</button><b tabindex="0">c</b></div><script>
for (const part of document.querySelector('div[data-explorable]').children)
  part.addEventListener('click', () => {});
document.querySelector('b').addEventListener('keydown', () => {});</script>"""


@CHROMIUM
def test_a_browser_finds_faults(tmp_path):
    head = '<!DOCTYPE html><html lang="en"><head><title>x</title>' \
           '<meta name="viewport" content="width=device-width"></head><body><main>'
    (tmp_path/'bad.html').write_text(head + WIDE + DEAF + '<script>gone()</script>')
    (tmp_path/'good.html').write_text(head + '<h1>x</h1><div style="overflow-x:auto">'
                                      + WIDE[10:-10] + '</div>')
    with site_browser.Browser(tmp_path) as browser:
        found = site_browser.sideways(browser, ['bad', 'good'])
        assert len(found) == 2 and 'bad.html: slides sideways at 390 px' in found[0]
        assert 'gone is not defined' in found[1]
        browser.open('bad')
        assert browser.run(site_browser.HEADINGS) == ['h3 out of order: y']
        assert site_browser.deaf(browser) == ['a figure answers a pointer only, no focus: <i></i>']


def test_set_up_in_a_row_is_one_cell():
    cells = [new_code_cell(source) for source in (
        '#| hide\nimport os', '#| export\nimport math', 'import torch\ntorch.manual_seed(0)',
        'x = 1', '#| hide\ny = 2')]
    for cell in cells:
        site_cells.directives(cell, 'x')
    found = [(cell.source, cell.metadata['mystnb']['code_prompt_show'], cell.metadata['tags'])
             for cell in site_cells.merged(cells)]
    assert found[0] == ('import os\n\nimport math\n\nimport torch\ntorch.manual_seed(0)', 'Set-up',
                        ['hide-input'])
    assert [source for source, *_ in found[1:]] == ['x = 1', 'y = 2']
