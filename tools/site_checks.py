"Faults of the built pages: links, tables, pictures, remote files."
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from notebooks import root

LIMIT = 100  # characters of a line of code

def defects(folder):
    "Faults of built pages, one per line: links, tables, pictures, remote files."
    pages = {p.resolve(): parsed(p.read_text(encoding='utf-8'))
             for p in sorted(folder.rglob('*.html')) if '_static' not in p.parts}
    anchors = {p: {t['id'] for t in soup.find_all(id=True)} for p, soup in pages.items()}
    found = []
    for path, soup in pages.items():
        lines = [*dead_links(path, soup, anchors), *long_lines(soup), *raw_markdown(soup),
                 *wordless_pictures(soup), *names_and_head(path, soup)]
        found += [f'{path.relative_to(folder.resolve())}: {line}' for line in lines]
    return found + remote(folder)

def parsed(text):
    "The tree of a page, without the thousands of elements that colour code."
    text = re.sub(r'(?s)(<pre\b[^>]*>)(.*?)(?=</pre>)',
                  lambda m: m[1] + re.sub('<[^>]*>', '', m[2]), text)
    return BeautifulSoup(text, 'html.parser')

def dead_links(path, soup, anchors):
    "Links of one page to pages, files, anchors and files of the repository that do not exist."
    found = []
    for tag in soup.select('[href], [src]'):
        address = tag.get('href') or tag.get('src') or ''
        url = urlsplit(address)
        if in_repository := re.match(r'https://(?:github\.com|colab\.research\.google\.com/github)'
                                     r'/video-convs/video_convs/(?:blob|tree|edit)/main/([^#?]*)',
                                     address):
            target, anchor = root/unquote(in_repository[1]), ''
        elif url.scheme or url.netloc:
            continue
        else:
            target = path.parent/unquote(url.path) if url.path else path
            anchor = unquote(url.fragment)
        target = target.resolve()
        known = anchors.get(target)
        if not target.exists() or anchor and known is not None and anchor not in known:
            found.append(f'dead link {address}')
    return found

def raw_markdown(soup):
    "Tables and links of one page that are shown as plain text. Removes code from the soup."
    printed = [tag.get_text() for tag in soup.select('.cell_output pre')]
    for tag in soup.select('script, style, code, pre, .math, .cell_input'):
        tag.extract()
    texts = [*soup.strings, *printed]
    cell = r'[ \t]*:?[-–—]+:?[ \t]*'  # a renderer turns --- into a dash
    row = re.compile(rf'^[ \t]*\|({cell}\|)+[ \t]*$', re.M)
    tables = [m[0].strip() for t in texts for m in row.finditer(t)]
    raw = [m[0].strip() for t in texts for m in re.finditer(r'.{0,30}\]\(.{0,30}', t)]
    return [f'raw table {t}' for t in tables] + [f'raw link {t}' for t in raw]

def long_lines(soup):
    "Code of one page that is cut at the edge."
    return [f'line of {len(line)} characters {line.strip()[:40]}'
            for tag in soup.select('.cell_input pre, div.highlight > pre')
            if not tag.find_parent(class_='cell_output')
            for line in tag.get_text().splitlines() if len(line) > LIMIT]

def names_and_head(path, soup):
    "Names of notebooks' files in the text of a page; a head without description or card."
    found = [f'name of a file {m[0]}' for text in soup.strings
             for m in re.finditer(r'(?<![\w/.-])\d\d[a-z]?_[a-z]\w+', text)]
    if soup.head and not soup.select_one('meta[name=description][content]:not([content=""])'):
        found.append('no description')
    card = soup.select_one('meta[property="og:image"]')
    if card and not any((place/'_cards'/Path(card['content']).name).is_file()
                        for place in path.parents):
        found.append('no picture for links')
    return found

def wordless_pictures(soup):
    "Pictures of one page without an alternative text, or with a file name as text."
    return [f'picture without alternative text {tag.get("src", "")[:60]}'
            for tag in soup.find_all('img')
            if not tag.get('alt', '').strip() or re.search(r'\.(png|jpe?g|svg|gif)$', tag['alt'])]

def remote(folder):
    "Pictures, scripts, styles and fonts that pages would load from a remote address."
    load = re.compile(
        r'<(?:img|script|iframe|source|video)\b[^>]*?\ssrc="((?:https?:)?//[^"]*)"'
        r'|<link\b(?![^>]*rel="canonical")[^>]*?\shref="(https?:[^"]*)"'
        r'|url\(["\']?((?:https?:)?//[^)"\']*)|@import\s+["\'](https?:[^"\']*)')
    return [f'{p.relative_to(folder)}: loads {"".join(m)}'
            for p in sorted(folder.rglob('*')) if p.suffix in ('.html', '.css')
            for m in load.findall(p.read_text(encoding='utf-8', errors='ignore'))]
