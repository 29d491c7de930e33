"A Sphinx extension for what single pages of the site need beyond their notebooks."
import shutil
from pathlib import Path

root = Path(__file__).resolve().parent.parent
TABLE = 'data/leaderboard.csv'
FILES = {'index': ['landing.css'], 'zh/index': ['landing.css'],
         'results/leaderboard': ['leaderboard.css', 'leaderboard.js']}


def extend_page(app, pagename, templatename, context, doctree):
    "Load styles and scripts where they are used; the table is downloaded from the site itself."
    for name in FILES.get(pagename, ()):
        (app.add_css_file if name.endswith('.css') else app.add_js_file)(name)
    if pagename == 'results/leaderboard' and 'body' in context:
        there = f'{app.config.html_theme_options["repository_url"]}/blob/main/{TABLE}'
        context['body'] = context['body'].replace(there, '../_static/leaderboard.csv')


def finish(app, error):
    "Put the table beside the pages."
    if error is None and app.builder.name == 'html':
        shutil.copy(root/TABLE, Path(app.outdir)/'_static')


def setup(app):
    app.connect('html-page-context', extend_page)
    app.connect('build-finished', finish)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
