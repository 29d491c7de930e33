"Sphinx configuration of the book, as one PDF or EPUB; all that it shares with the site is there."
import runpy
from pathlib import Path

docs = Path(__file__).resolve().parent.parent
shared = runpy.run_path(str(docs/'conf.py'))
globals().update(shared)

extensions = ['myst_nb', 'site_math', 'site_cite']
version, root_doc = shared['release'], 'book'
html_theme, html_theme_options = 'basic', {}
html_static_path, html_css_files, html_js_files = [str(docs/'book/book.css')], ['book.css'], []
html_favicon = None
html_domain_indices = html_use_index = epub_use_index = False
epub_theme_options, epub_css_files = {}, ['book.css']
epub_basename = 'video_convs'
epub_show_urls = 'no'
epub_exclude_files = ['search.html', 'genindex.html', 'py-modindex.html']
suppress_warnings = [*shared['suppress_warnings'], 'myst.xref_missing',
                     'epub.unknown_project_files', 'epub.duplicated_toc_entry']
