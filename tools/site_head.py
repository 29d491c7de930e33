"""Words and a picture of each page for search engines and for links that people share.

An extension of Sphinx: it fills the page's head, and names the source of each object."""
import html
import json
import re
import textwrap
from pathlib import Path

from docutils import nodes
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1200, 630
PAPER, INK, GREY, BLUE, RED = '#fbfaf7', '#222222', '#5b5b5b', '#0072b2', '#d55e00'


def description(doctree):
    "One or two sentences: the quotation below the title, otherwise the first paragraph."
    if doctree is None:
        return ''
    quoted = list(doctree.findall(nodes.block_quote))
    texts = [*(q.astext() for q in quoted[:1]),
             *(p.astext() for p in doctree.findall(nodes.paragraph))]
    text = ' '.join(next(filter(None, texts), '').split())
    return textwrap.shorten(text, 200, placeholder=' …')


def tags(app, pagename, templatename, context, doctree):
    "Fill the head of a page."
    about = description(doctree) or app.config.html_short_title
    title = re.sub('<[^>]*>', '', context.get('title', ''))
    name = f'{title} · {app.config.project}' if pagename != 'index' else app.config.project
    base = app.config.html_baseurl
    address = base if pagename == 'index' else f'{base}{pagename}.html'
    found = {'og:type': 'article', 'og:site_name': app.config.project, 'og:title': name,
             'og:description': about, 'og:url': address, 'og:image': f'{base}{card_of(pagename)}',
             'og:image:width': str(WIDTH), 'og:image:height': str(HEIGHT),
             'og:image:alt': html.escape(name)}
    lines = [f'<meta property="{key}" content="{quoted(value)}" />' for key, value in found.items()]
    lines += [f'<meta name="description" content="{quoted(about)}" />',
              '<meta name="twitter:card" content="summary_large_image" />']
    context['metatags'] = context.get('metatags', '') + '\n'.join(lines)
    own = doctree is not None and card_of(pagename) != card_of('index')
    if pagename == 'index' or own:
        target = Path(app.outdir)/card_of(pagename)
        target.parent.mkdir(parents=True, exist_ok=True)
        card(html.unescape(title), about).save(target, optimize=True)


def quoted(text):
    return html.escape(html.unescape(text))


def card_of(pagename):
    "Where the picture of a page lies; references, search and Chinese pages share the first page's."
    shared = pagename.startswith(('reference/', 'zh/')) or pagename in ('genindex', 'search',
                                                                        'py-modindex')
    return f'_cards/{"index" if shared else pagename.replace("/", "-")}.png'


def font(size, bold=False):
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(Path(get_data_path())/'fonts/ttf'/name, size)


def card(title, about):
    "The picture beside a shared link: the windows of an hourglass, title and sentence."
    picture = Image.new('RGB', (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(picture)
    for k in range(-2, 3):  # five frames; their windows grow with the distance
        x, half = 860 + 130*k//2, 26 + 42*abs(k)
        draw.rectangle((x - 26, 470 - half, x + 26, 470 + half), outline=BLUE, width=5)
        draw.ellipse((x - 8, 462 + 24*k, x + 8, 478 + 24*k), fill=RED)
    y = 70
    for line in textwrap.wrap(title, 30)[:3]:
        draw.text((70, y), line, INK, font(56, bold=True))
        y += 74
    y += 16
    for line in textwrap.wrap(about, 58 if y < 250 else 40)[:4 if y < 250 else 5]:
        draw.text((70, y), line, GREY, font(28))
        y += 40
    draw.text((70, 545), 'video_convs', BLUE, font(34, bold=True))
    return picture.quantize(16)


def source_of(domain, info):
    "The lines on GitHub that define an object."
    return SOURCES.get(f'{info.get("module")}:{info.get("fullname")}')


def read_sources(app):
    path = Path(app.srcdir).parent/'sources.json'
    if path.is_file():
        SOURCES.update(json.loads(path.read_text('utf-8')))


SOURCES = {}


def name_sources(app, config):
    config.linkcode_resolve = source_of


def setup(app):
    app.setup_extension('sphinx.ext.linkcode')
    app.connect('config-inited', name_sources)
    app.connect('html-page-context', tags)
    app.connect('builder-inited', read_sources)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
