"""What the site says of its own changes: a page, a feed of releases, and the foot of each page.

A Sphinx extension."""
import re
import subprocess
import xml.etree.ElementTree as ET
from configparser import ConfigParser
from html import escape
from pathlib import Path

import site_versions
import site_zh
from notebooks import page, reading_order, root

RELEASE = re.compile(r'^## \[(\d[\w.]*)\] - (\d{4}-\d{2}-\d{2})\n(.*?)(?=^## |\Z)', re.M | re.S)
ATOM = 'http://www.w3.org/2005/Atom'


def settings():
    config = ConfigParser(delimiters=['='])
    config.read(root/'settings.ini', encoding='utf-8')
    return config['DEFAULT']


def releases(text):
    "[(version, day, Markdown)] of a changelog, the newest first."
    return [(version, day, notes.strip()) for version, day, notes in RELEASE.findall(text)]


def feed(text, cfg):
    "The releases of a changelog as an Atom feed."
    address, found = cfg['doc_host'] + cfg['doc_baseurl'], releases(text)
    ET.register_namespace('', ATOM)
    top = ET.Element(f'{{{ATOM}}}feed')

    def put(parent, name, text=None, **fields):
        ET.SubElement(parent, f'{{{ATOM}}}{name}', fields).text = text
    put(top, 'title', f"Releases of {cfg['title']}")
    put(top, 'id', address)
    put(top, 'link', href=f'{address}feed.xml', rel='self')
    put(top, 'link', href=f'{address}changelog.html')
    put(top, 'updated', f'{found[0][1] if found else "1970-01-01"}T00:00:00Z')
    author = ET.SubElement(top, f'{{{ATOM}}}author')
    put(author, 'name', cfg['author'])
    for version, day, notes in found:
        entry = ET.SubElement(top, f'{{{ATOM}}}entry')
        put(entry, 'title', f"{cfg['title']} {version}")
        put(entry, 'id', f'{address}changelog.html#{version}')
        put(entry, 'link', href=f'{address}changelog.html')
        put(entry, 'updated', f'{day}T00:00:00Z')
        put(entry, 'content', notes, type='text')
    return ET.tostring(top, 'unicode', xml_declaration=True) + '\n'


def days():
    "File → day of its last commit; nothing where the history is not here."
    def git(*words):
        done = subprocess.run(['git', '-C', str(root), *words], capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ''
    if git('rev-parse', '--is-shallow-repository').strip() != 'false':
        return {}
    found, day = {}, ''
    for line in git('log', '--format=@%cs', '--name-only', '--', 'nbs', 'docs/zh').splitlines():
        if line.startswith('@'):
            day = line[1:]
        elif line:
            found.setdefault(line, day)
    return found


def files():
    "Page → the file that is edited."
    found = {page(path): path for path in reading_order()}
    found |= {f'zh/{page(path)}': site_zh.file_of(path) for path in site_zh.sources()}
    found = {name: path.relative_to(root).as_posix() for name, path in found.items()}
    return found | {'changelog': 'CHANGELOG.md'}


def foot(pagename, url, known, changed):
    "The last line of a page."
    if pagename not in known:
        return ''
    up, file = '../' * pagename.count('/'), known[pagename]
    parts = [f'<a href="{escape(url)}/edit/main/{file}">Edit this page</a>',
             f'<a href="{up}versions.html">Version {site_versions.label()}</a>',
             f'<a href="{up}changelog.html">Changelog</a>', f'<a href="{up}feed.xml">Feed</a>']
    if file in changed:
        parts.append(f'last change {changed[file]}')
    return f'<p class="page-foot">{" · ".join(parts)}</p>'


def begin(app):
    app.env.site_days, app.env.site_files = days(), files()


def extend_page(app, pagename, templatename, context, doctree):
    "Name the feed in the head, and what can be done with the page at its foot."
    up = '../' * pagename.count('/')
    context['metatags'] = context.get('metatags', '') + (
        f'<link rel="alternate" type="application/atom+xml" title="Releases" href="{up}feed.xml">')
    if 'body' in context:
        url = app.config.html_theme_options['repository_url']
        context['body'] += foot(pagename, url, app.env.site_files, app.env.site_days)


def finish(app, error):
    if error is None and app.builder.name == 'html':
        text = (root/'CHANGELOG.md').read_text(encoding='utf-8')
        (Path(app.outdir)/'feed.xml').write_text(feed(text, settings()), encoding='utf-8')


def changelog(folder):
    "Write the page that Sphinx reads."
    (folder/'changelog.md').write_text((root/'CHANGELOG.md').read_text(encoding='utf-8'),
                                       encoding='utf-8')


def setup(app):
    app.connect('builder-inited', begin)
    app.connect('html-page-context', extend_page)
    app.connect('build-finished', finish)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
