"Sphinx configuration of the site. `make docs` prepares the pages and calls Sphinx with this file."
import sys
from configparser import ConfigParser
from pathlib import Path

settings = ConfigParser(delimiters=['='])
settings.read(Path(__file__).parent.parent/'settings.ini', encoding='utf-8')
cfg = settings['DEFAULT']

project, author, release = cfg['title'], cfg['author'], cfg['version']
copyright = cfg['copyright']
sys.path.insert(0, str(Path(__file__).parent.parent/'tools'))
extensions = ['myst_nb', 'sphinx_copybutton']
root_doc = 'index'
extensions += ['site_head', 'site_math', 'site_extras', 'site_cite', 'site_feed']

nb_execution_mode = 'off'  # pages show the outputs that are committed
nb_ipywidgets_js = {}
nb_merge_streams = True
copybutton_selector = 'div:not(.output) > div.highlight > pre'  # code, not what it prints
nb_render_markdown_format = 'myst'  # tables and page links in outputs, as in the text
# a progress bar's text loses against a picture
nb_mime_priority_overrides = [('html', 'image/png', 15)]
myst_enable_extensions = ['dollarmath', 'amsmath', 'html_image', 'deflist', 'fieldlist']
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ['myst.header', 'mystnb.unknown_mime_type', 'misc.highlighting_failure',
                     'ref.python']  # a name that stands in two modules

html_theme = 'sphinx_book_theme'
html_title = project
html_static_path = ['_static', '_build/static']
html_css_files = ['site.css', ('print.css', {'media': 'print'})]
html_js_files = [('site.js', {'defer': 'defer'})]
html_last_updated_fmt = None
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    'repository_url': cfg['git_url'],
    'use_repository_button': True,
    'use_download_button': False,
    'navbar_persistent': [],
    'show_navbar_depth': 1,
    'collapse_navigation': True,  # a page lists the neighbours of its own part only
    'home_page_in_toc': True,
    'show_toc_level': 2,
}
html_math_renderer = 'mathml'  # of site_math
html_baseurl = cfg['doc_host'] + cfg['doc_baseurl']
html_favicon = '_static/favicon.svg'
html_short_title = cfg['description']
html_search_scorer = str(Path(__file__).parent/'_static/search.js')
python_maximum_signature_line_length = 80
add_module_names = False
