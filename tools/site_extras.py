"A Sphinx extension for what single pages of the site need beyond their notebooks."
import shutil
from pathlib import Path

import site_zh
from notebooks import page

root = Path(__file__).resolve().parent.parent
TABLE = 'data/leaderboard.csv'
FILES = {'index': ['landing.css'], 'zh/index': ['landing.css'],
         'results/leaderboard': ['leaderboard.css', 'leaderboard.js']}


def extend_page(app, pagename, templatename, context, doctree):
    "Load styles and scripts where they are used; the table is downloaded from the site itself."
    for name in FILES.get(pagename, ()):
        (app.add_css_file if name.endswith('.css') else app.add_js_file)(name)
    if 'body' in context:
        context['body'] = languages(pagename) + context['body']
    if pagename.startswith('zh/'):
        context['language'] = 'zh-CN'
    if pagename == 'results/leaderboard' and 'body' in context:
        there = f'{app.config.html_theme_options["repository_url"]}/blob/main/{TABLE}'
        context['body'] = context['body'].replace(there, '../_static/leaderboard.csv')


def languages(pagename):
    "The link between a page and its translation, or ''."
    translated = {page(path) for path in site_zh.sources()}
    plain = pagename.removeprefix('zh/')
    if plain not in translated:
        return ''
    up, here = '../' * pagename.count('/'), plain == pagename
    language, folder, name = ('zh-CN', 'zh/', '中文') if here else ('en', '', 'English')
    return (f'<p class="languages"><a hreflang="{language}" lang="{language}" '
            f'href="{up}{folder}{plain}.html">{name}</a></p>')


def finish(app, error):
    "Put the table beside the pages."
    if error is None and app.builder.name == 'html':
        shutil.copy(root/TABLE, Path(app.outdir)/'_static')


def setup(app):
    app.add_css_file('extras.css')
    app.connect('html-page-context', extend_page)
    app.connect('build-finished', finish)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
