"What a reader does with built pages: each fault is found, and the mended page has none."
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
import site_browser
import site_use

pytestmark = pytest.mark.skipif(not site_browser.CHROMIUM, reason='chromium is not installed')
HEAD = '<!DOCTYPE html><html lang="en"><head><title>x</title>' \
       '<meta name="viewport" content="width=device-width"></head><body><article><h1>x</h1>'
FIGURE = """<div data-explorable="x"></div><script>
const host = document.querySelector('[data-explorable]');
host.attachShadow({mode: 'open'}).innerHTML = `STYLE<button>one</button>
<input type="range" min="0" max="3" value="3"><button tabindex="-1">two</button>`;
</script>"""
HIDDEN = '<style>button { outline: none }</style>'


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pages')
    with site_browser.Browser(folder) as found:
        yield folder, found


def put(folder, **pages):
    for name, body in pages.items():
        (folder/f'{name}.html').write_text(HEAD + body, encoding='utf-8')
    return list(pages)


def test_what_scripts_fetch_counts(browser):
    folder, tab = browser
    (folder/'large.bin').write_bytes(bytes(site_use.FIRST + 1))
    names = put(folder, eager='<script>fetch("large.bin")</script>',
                asked='<button onclick="fetch(\'large.bin\')">Load</button>')
    found = site_use.first_views(tab, names)
    assert len(found) == 1 and found[0].startswith('eager.html: fetches 7')


def test_a_figure_is_used_by_keyboard(browser):
    folder, tab = browser
    names = put(folder, bad=FIGURE.replace('STYLE', HIDDEN),
                good=FIGURE.replace('STYLE', '').replace(' tabindex="-1"', ''))
    assert site_use.by_keyboard(tab, names) == ['bad.html, figure 1: shows no focus: one',
                                                'bad.html, figure 1: is not reached by Tab: two']


def test_what_moves_without_being_wanted(browser):
    folder, tab = browser
    turn = '<style>@keyframes turn { to { rotate: 1turn } } STILL' \
           'i { display: block; animation: turn 9s infinite }</style><i>x</i>'
    still = '@media (prefers-reduced-motion: reduce) { i { animation: none !important } } '
    names = put(folder, moves=turn.replace('STILL', ''), rests=turn.replace('STILL', still))
    assert site_use.restless(tab, names) == [
        'moves.html: 1 parts move where motion is to be reduced']


def test_paper_shows_whole_code_and_no_buttons(browser):
    folder, tab = browser
    code = f'<pre>{"x "*400}</pre><button class="copybtn">Copy</button>'
    wraps = '<style>@media print { pre { white-space: pre-wrap } button { display: none } }</style>'
    found = site_use.on_paper(tab, put(folder, cut=code, whole=wraps + code))
    assert len(found) == 2 and 'is printed: button.copybtn' in found[0]
    assert found[1].startswith('cut.html, printed: is cut: pre.')


def test_bright_boxes_and_cut_formulas(browser):
    folder, tab = browser
    formula = '<div class="math" style="display: flex; overflow-x: auto; DIRECTION">' \
              f'<math display="block"><mtext>{"many"*60}</mtext></math></div>'
    box = '<div style="background: white; height: 20px">x</div>'
    names = put(folder, glares=box + formula.replace('DIRECTION', 'flex-direction: row-reverse'),
                calm=formula.replace('DIRECTION', ''))
    found = site_use.looks(tab, names)
    assert len(found) == 2 and all(line.startswith('glares.html') for line in found)
