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
extensions = ['myst_nb', 'sphinx_copybutton', 'site_extras']
root_doc = 'index'

nb_execution_mode = 'off'  # pages show the outputs that are committed
nb_ipywidgets_js = {}
nb_merge_streams = True
copybutton_selector = 'div:not(.output) > div.highlight > pre'  # code, not what it prints
nb_render_markdown_format = 'myst'  # tables and page links in outputs, as in the text
# a progress bar's text loses against a picture
nb_mime_priority_overrides = [('html', 'image/png', 15)]
myst_enable_extensions = ['dollarmath', 'amsmath', 'html_image', 'deflist']
myst_heading_anchors = 4
myst_dmath_double_inline = True
suppress_warnings = ['myst.header', 'mystnb.unknown_mime_type', 'misc.highlighting_failure']

html_theme = 'sphinx_book_theme'
html_title = project
html_static_path = ['_static', '_build/static']
html_css_files = ['site.css']
html_last_updated_fmt = None
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    'repository_url': cfg['git_url'],
    'use_repository_button': True,
    'use_download_button': False,
    'navbar_persistent': [],
    'show_navbar_depth': 1,
    'home_page_in_toc': True,
    'show_toc_level': 2,
}
mathjax_path = 'tex-svg-full.js'  # a local file: pages work without a network
mathjax3_config = {'svg': {'fontCache': 'global'}, 'options': {'enableMenu': False}}
