"The tools behind `make`: reading order, page links, and whether notebooks and package are in step."
import json, os, re, subprocess, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import nbformat, pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
import notebooks, site_pages, site_reference
from site_checks import defects, remote

def test_reading_order_and_page_names():
    paths = notebooks.reading_order()
    pages = [notebooks.page(p) for p in paths]
    assert pages[0] == 'clips' and pages[-1] == 'index' and len(set(pages)) == len(pages)
    places = [(notebooks.number(p), p.name) for p in paths]
    assert places == sorted(places), 'number, then name'
    label = lambda path: re.match(r'(\d+[a-z]?_)?', path.name)[0]
    labels = [label(p) for p in paths if p.parent.name != 'workshop']
    assert len(set(labels)) == len(labels), 'a number with its letter stands once'
    workshops = {p.name for p in paths if p.parent.name == 'workshop'}
    lessons = {p.name for p in paths if p.parent.name != 'workshop'}
    assert workshops <= lessons, 'a workshop is named as its lesson'

def test_notebooks_name_no_machine():
    for path in notebooks.reading_order():
        text = re.sub(r'"image/png": "[^"]*"', '', path.read_text(encoding='utf-8'))
        assert not re.search(r'/(tmp|root|home|work)/', text), path.name
        assert (path.stat().st_size
                < 700_000), f'{path.name} is too large for a notebook that is read'

def test_links_become_page_links():
    assert (site_pages.links('[next](../ops/11_hourglass.ipynb#cost)')
            == '[next](../ops/hourglass.ipynb#cost)')
    assert site_pages.links('[home](../index.ipynb)') == '[home](../index.ipynb)'
    assert site_pages.links('[data](../data/30_motion.ipynb)') == '[data](../data/motion.ipynb)'
    for link in ('[terms](../LICENSE)', '[log](../../data/results/gestures.jsonl)'):
        there = link.replace('../', '').replace('](', f']({site_pages.repository}')
        assert site_pages.links(link) == there
    assert (site_pages.links('[![Open](https://x.org/a.svg)](https://y.org/b)')
            == '[Open](https://y.org/b)')

def test_names_become_links_to_the_reference():
    names = {'HgC', 'clips'}
    assert site_pages.links('Use `HgC`, or `clips`.', names) == 'Use [`HgC`](#ref-hgc), or `clips`.'
    for text in ('[`HgC`](11_hourglass.ipynb)', '# `HgC`', '```\n`HgC`\n```', '`torch`'):
        assert site_pages.links(text, names) == text.replace('11_', '')

@pytest.fixture
def notebook(tmp_path):
    "A notebook with each kind of cell that the site treats in a way of its own."
    table = '| next |\n|---|\n| [page](../nets/20_surgery.ipynb) |'
    shown = new_output('display_data', {'text/markdown': table})
    picture = new_output('display_data', {'image/png': 'iVBORw0KGgo='})
    nb = new_notebook(cells=[
        new_code_cell('#| hide\nimport subprocess\nsubprocess.run("pip install x", shell=True)'),
        new_markdown_cell('# Title\n\n> What it is for.'),
        new_code_cell('#| default_exp ops.x'),
        new_code_cell('#| hide\nimport math'),
        new_code_cell('#| hide\nfrom nbdev.showdoc import *\nimport nbdev; nbdev.nbdev_export()'),
        new_code_cell('#| export\ndef two(): return math.sqrt(4)'),
        new_markdown_cell('## See the `cost`'),
        new_code_cell('two()', outputs=[shown, picture]),
        new_code_cell('#| echo: false\n#| fig-alt: A ball.\n2', outputs=[picture]),
        new_code_cell('#| hide\ndel two')])
    kernel = {'name': 'python3', 'language': 'python', 'display_name': 'Python'}
    nb.metadata = {'kernelspec': kernel}
    path = tmp_path/'11_x.ipynb'
    nbformat.write(nb, path)
    return path

def test_hidden_code_is_folded_not_lost(notebook):
    cells = [c for c in site_pages.prepare(notebook).cells if c.cell_type == 'code']
    folded = {c.source.split('\n')[0]: c.metadata['mystnb']['code_prompt_show']
              for c in cells if 'hide-input' in c.metadata['tags']}
    assert folded == {'import subprocess': 'Install', 'import math': 'Set-up',
                      'del two': 'Also run'}
    hidden = {'hide-input', 'remove-input'}
    shown = [c.source for c in cells if not hidden & set(c.metadata['tags'])]
    assert shown == ['def two(): return math.sqrt(4)', 'two()']

def test_outputs_have_page_links_and_pictures_have_words(notebook):
    cells = [c for c in site_pages.prepare(notebook).cells if c.get('outputs')]
    assert '](../nets/surgery.ipynb)' in cells[0].outputs[0].data['text/markdown']
    assert [c.metadata['mystnb']['image']['alt'] for c in cells] == ['See the cost', 'A ball.']

@pytest.mark.parametrize('path', notebooks.reading_order(), ids=notebooks.page)
def test_a_page_has_all_code_of_its_notebook(path):
    def code(cells):
        cells = [c for c in cells if c.cell_type == 'code' and '#| echo: false' not in c.source]
        return re.sub(r'(?m)^#\|.*\n?|\n', '', '\n'.join(c.source for c in cells))
    prepared = [c for c in site_pages.prepare(path).cells
                if 'remove-input' not in c.metadata.get('tags', ())]
    assert code(prepared) == code(nbformat.read(path, as_version=4).cells)

def test_the_code_of_a_page_runs_from_top_to_bottom():
    path = next(p for p in notebooks.reading_order() if notebooks.page(p) == 'data/sampling')
    shown = [c.source for c in site_pages.prepare(path).cells
             if c.cell_type == 'code' and 'remove-input' not in c.metadata['tags']]
    code = TransformerManager().transform_cell('\n'.join(shown))  # %pip is no Python
    subprocess.run([sys.executable, '-c', code], cwd=path.parent, check=True, timeout=300,
                   env={**os.environ, 'MPLBACKEND': 'agg'})

PICTURE = 'src="data:image/png;base64,iVBORw0KGgo="'
COLAB = 'https://colab.research.google.com/github/video-convs/video_convs/blob/main/nbs/'
@pytest.mark.parametrize('body, defect', [
    ('<a href="gone.html">x</a>', 'dead link gone.html'),
    ('<a href="#gone">x</a>', 'dead link #gone'),
    ('<a href="folder/b.html#gone">x</a>', 'dead link folder/b.html#gone'),
    ('<div class="cell_output"><a href="26_zoo.ipynb">x</a></div>', 'dead link 26_zoo.ipynb'),
    (f'<a href="{site_pages.repository}data/gone.csv">x</a>', 'dead link https://github'),
    (f'<a href="{COLAB}gone.ipynb">x</a>', 'dead link https://colab'),
    ('<img alt="a ball" src="gone.png">', 'dead link gone.png'),
    ('<p>| a | b |\n| — | — |\n| <code>1</code> | 2 |</p>', 'raw table | — | — |'),
    ('<div class="cell_output"><pre>|a|b|\n|---|:-:|\n|1|2|</pre></div>', 'raw table |---|:-:|'),
    ('<p>A [<code>Recipe</code>](recipes.ipynb) is</p>', 'raw link ](recipes.ipynb) is'),
    ('<div class="cell_output"><pre>[a](b)</pre></div>', 'raw link [a](b)'),
    (f'<img {PICTURE}>', 'picture without alternative text'),
    (f'<img alt="../_images/7db70.png" {PICTURE}>', 'picture without alternative text'),
    ('<script src="https://x.org/a.js"></script>', 'loads https://x.org/a.js'),
    (f'<div class="cell_input"><pre>{"x"*101}</pre></div>', 'line of 101 characters'),
    ('<p>See 29_models.</p>', 'name of a file 29_models'),
    ('<head><title>x</title></head>', 'no description'),
    ('<head><meta name="description" content="x"><meta property="og:image" content="a/gone.png">'
     '</head>', 'no picture for links')])
def test_a_defect_of_a_page_is_found(tmp_path, body, defect):
    (tmp_path/'folder').mkdir()
    (tmp_path/'folder/b.html').write_text('<h1 id="there">b</h1>')
    (tmp_path/'a.html').write_text(body, encoding='utf-8')
    found = defects(tmp_path)
    assert len(found) == 1 and found[0].startswith(f'a.html: {defect}')

def test_a_good_page_has_no_defects(tmp_path):
    (tmp_path/'b.html').write_text('<h1 id="hgc-α">b</h1><a href="a.html"></a>', encoding='utf-8')
    (tmp_path/'a.html').write_text(f'''
        <a href="b.html#hgc-%CE%B1">b</a> <a href="#">top</a> <a href="https://x.org/gone">x</a>
        <a href="{site_pages.repository}data/papers.csv">data</a>
        <a href="{COLAB}00_clips.ipynb">c</a>
        <img alt="A ball" {PICTURE}>
        <p>|x| is <code>a[0](b)</code> <span class="math">\\(f[0](x)\\)</span></p>
        <div class="cell_input"><pre>print("|a|b|\n|---|---|\n[a](b)")</pre></div>
        <div class="cell_output"><pre>network | top-1\n--------|------\ntsn     | 50 %</pre>
        </div>''', encoding='utf-8')
    assert defects(tmp_path) == []

def test_make_docs_fails_and_lists_the_defects(tmp_path, monkeypatch):
    def render(pages, folder):
        folder.mkdir()
        (folder/'a.html').write_text('<a href="gone.html">x</a>')
        return 0
    replaced = {'built': tmp_path/'b', 'source': tmp_path/'b/source', 'html': tmp_path/'b/html',
                'render': render, 'listed': list, 'playground': list,
                'improve': list, 'faults': lambda exported: defects(tmp_path/'b/html')}
    for name, value in replaced.items():
        monkeypatch.setattr(site_pages, name, value)
    with pytest.raises(SystemExit, match='(?s)1 defect.*a.html: dead link gone.html'):
        site_pages.main()

def test_remote_parts_of_a_page_are_found(tmp_path):
    (tmp_path/'a.html').write_text('<a href="https://x.org">fine</a><script '
                                   'src="_static/b.js"></script>')
    assert remote(tmp_path) == []
    (tmp_path/'a.html').write_text('<img alt="x" src="https://x.org/a.png"><link rel="stylesheet" '
                                   'href="https://x.org/a.css">')
    assert len(remote(tmp_path)) == 2

def test_a_notebook_out_of_step_is_noticed(tmp_path, monkeypatch):
    import in_step
    for folder in ('nbs', 'video_convs'):
        (tmp_path/folder).mkdir()
    for name in ('settings.ini', 'setup.py', 'pyproject.toml'):
        (tmp_path/name).write_bytes((root/name).read_bytes())
    for name in ('nbs/05a_stimuli.ipynb', 'video_convs/stimuli.py', 'video_convs/__init__.py'):
        (tmp_path/name).write_bytes((root/name).read_bytes())
    monkeypatch.setattr(in_step, 'root', tmp_path)
    # the index of all modules was left out here
    assert in_step.check() == ['video_convs/_modidx.py']
    module = tmp_path/'video_convs/stimuli.py'
    module.write_text(module.read_text(encoding='utf-8') + '\nedited = True\n', encoding='utf-8')
    (tmp_path/'video_convs/orphan.py').write_text('# AUTOGENERATED! DO NOT EDIT!\n')
    assert in_step.check() == ['video_convs/_modidx.py',
                               'video_convs/orphan.py', 'video_convs/stimuli.py']

@pytest.mark.parametrize('path', notebooks.reading_order(), ids=notebooks.page)
def test_a_notebook_is_ready_to_be_read(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    text = '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    assert re.match(r'# \S.*\n\n> \S', text), 'a notebook starts with its title and one sentence'
    for link in re.findall(r'\]\((?!https?:|#)([^)#\s]+)', text):
        assert (path.parent/link).exists(), (f'{link} leads nowhere: link to a notebook as '
                                             'NN_name.ipynb')
    outputs = [o for c in cells if c['cell_type'] == 'code' for o in c['outputs']]
    if any('plt.' in ''.join(c['source']) for c in cells if c['cell_type'] == 'code'):
        assert any('image/png' in o.get('data', {})
                   for o in outputs), 'the pictures are missing: execute it and keep the outputs'
    assert not [o for o in outputs if o['output_type'] == 'error']

def test_the_reference_has_every_public_name(tmp_path):
    paths = site_pages.listed()
    exported = site_reference.modules(paths)
    site_reference.write(tmp_path/'source', exported, paths)
    for _, module in exported:
        file = tmp_path/f'source/reference/{site_reference.short(module)}.md'
        text = file.read_text(encoding='utf-8')
        for name in module.__all__:
            assert re.search(rf'{{py:(class|function|data)}} {name}\b', text), f'{file.name} {name}'

def test_the_navigation_lists_every_page_once():
    text = site_pages.contents(site_pages.listed())
    captions = re.findall(r':caption: (.*)', text)
    listed = [line for line in text.splitlines() if line and line[0] not in '`:']
    pages = [notebooks.page(p) for p in site_pages.listed()]
    assert len(set(captions)) == len(captions)
    assert sorted(listed) == sorted(
        {*pages, 'reference/index', 'changelog', 'versions'} - {'index'})
    assert 'main' not in listed and listed.index('demo') < 10
