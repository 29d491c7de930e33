"""Make built pages light, and measure what a reader's browser has to load.

Servers compress text with gzip, so that text counts as it is compressed."""
import gzip
import io
import re
from base64 import b64decode
from functools import cache
from urllib.parse import quote, urlsplit

from PIL import Image

FIRST, NEXT = 700_000, 300_000  # bytes of a first page, and of a further one
EAGER = 1  # pictures of a page that load at once
FINE = 125  # dots per inch; figures with more are drawn for fine screens, at twice their size
TEXT = {'.html', '.css', '.js', '.svg', '.json'}
ICONS = 'icons.css'
ALIAS = {'fab': 'fa-brands', 'fas': 'fa-solid', 'far': 'fa-regular'}


def lighten(html):
    "Rewrite all pages: pictures as WebP, icons without their library, scripts where they are used."
    smaller = {file.name: webp(file) for file in sorted((html/'_images').glob('*.png'))}
    icons, pages = set(), [p for p in html.rglob('*.html') if '_static' not in p.parts]
    for path in pages:
        text = path.read_text(encoding='utf-8')
        for found in re.findall(r'<(?:i|span) class="(fa[^"]*)"', text):
            icons |= set(re.findall(r'\bfa-([\w-]+)', found))
        text = pictures(named(scripts(text, path.stem == 'search')), smaller)
        path.write_text(text, encoding='utf-8')
    static = html/'_static'
    library = next(static.rglob('fontawesome.js'), None)
    if library:
        (static/ICONS).write_text(styles(library.read_text(encoding='utf-8'), icons), 'utf-8')
        library.unlink()
        sheet = static/'styles/pydata-sphinx-theme.css'
        text = re.sub(r'[^{}]*\{--fa:"[^"]*"[^{}]*\}|@font-face\{[^}]*\}', '',
                      sheet.read_text(encoding='utf-8'))
        sheet.write_text(text, encoding='utf-8')
    for file in [*static.rglob('*.map'), *static.rglob('webfonts/*')]:
        file.unlink()


def webp(file):
    "Rewrite a picture without loss where that is smaller: (name, width, height, whether it moves)."
    with Image.open(file) as picture:
        moves, target = getattr(picture, 'is_animated', False), file.with_suffix('.webp')
        size = *shown(picture), moves
        picture.save(target, lossless=True, quality=60, method=3, save_all=moves)
    if target.stat().st_size >= file.stat().st_size:
        target.unlink()
        return file.name, *size
    file.unlink()
    return target.name, *size


def shown(picture):
    "The size at which a picture is shown, in CSS pixels."
    fine = picture.info.get('dpi', (0, 0))[0] > FINE
    return tuple(round(side / 2) if fine else side for side in picture.size)


def scripts(text, searches):
    "A page without the library of icons, and with the search index only where one searches."
    text = re.sub(r'<script [^>]*src="([^"]*?)scripts/fontawesome\.js[^"]*"></script>',
                  rf'<link rel="stylesheet" href="\1{ICONS}" />', text)
    if not searches:
        text = re.sub(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*">'
                      '</script>', '', text)
    return text


EMPTY_HEAD = r'<thead>\s*<tr[^>]*>(?:\s*<th[^>]*><p></p></th>)+\s*</tr>\s*</thead>'


def named(text):
    "A page whose buttons have their visible names, without empty heads and lists in signatures."
    text = text.replace(' aria-label="Toggle hidden content"', '')
    text = re.sub(EMPTY_HEAD, '', text)
    text = text.replace('<summary><span class="toctree-toggle"',
                        '<summary aria-label="Pages of this part"><span class="toctree-toggle"')
    text = re.sub(r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r'\1',
                  text)

    def lines(found):
        start = re.sub('<(dl|dd)>', r'<span class="sig-\1">', found[0])
        return re.sub('</(dl|dd)>', '</span>', start)
    return re.sub(r'(?s)<dt class="sig.*?</dt>', lines, text)


def sized(tag, width, height):
    "An image with its size, so that nothing jumps when it comes; a given size stays."
    if re.search(r'\b(width|height)=', tag):
        return tag
    return re.sub(r'\s*/?>$', f' width="{width}" height="{height}" />', tag)


def pictures(text, smaller):
    "A page whose pictures have their size, and load when they come into view."
    count = 0

    def rewrite(found):
        nonlocal count
        tag = found[0]
        if inside := re.search(r'src="data:image/png;base64,([^"]*)"', tag):
            return sized(tag, *shown(Image.open(io.BytesIO(b64decode(inside[1])))))
        name = re.search(r'src="[^"]*?_images/([^"/]+)"', tag)
        if not name or name[1] not in smaller:
            return tag
        new, width, height, moves = smaller[name[1]]
        count += 1
        tag = sized(tag.replace(name[1], new), width, height)
        lazy = (' loading="lazy"' if count > EAGER else '') + (' data-moving' if moves else '')
        return re.sub(r'\s*/?>$', f'{lazy} decoding="async" />', tag)
    text = re.sub(r'<img\b[^>]*>', rewrite, text)
    return re.sub(r'href="([^"]*_images/)([^"/]+)"',
                  lambda m: f'href="{m[1]}{smaller.get(m[2], (m[2],))[0]}"', text)


def jumping(html):
    "Pictures whose place is not kept while they load."
    found = []
    for path in sorted(html.rglob('*.html')):
        if '_static' not in path.parts:
            tags = re.findall(r'<img\b[^>]*>', path.read_text(encoding='utf-8'))
            found += [f'{path.relative_to(html)}: no width or height, {tag[:80]}' for tag in tags
                      if '_static/' not in tag
                      and not all(f' {side}=' in tag for side in ('width', 'height'))]
    return found


ICON = r'\[(\d+),(\d+),\[[^\]]*\],"[^"]*",\[?"([^"]+)"'


def styles(library, names):
    "Icons as style: each is a mask, cut out of the colour of the text."
    rules = ['.fa-solid,.fa-brands,.fa-regular,.fas,.fab,.far{display:inline-block;width:1em;'
             'height:1em;background:currentColor;-webkit-mask:var(--icon) center/contain no-repeat;'
             'mask:var(--icon) center/contain no-repeat;vertical-align:-.125em}',
             '.fa-solid::before,.fa-brands::before,.fa-regular::before,.fas::before,'
             '.fab::before,.far::before{content:none !important}',
             '.fa-lg{font-size:1.25em;vertical-align:-.075em}.fa-fw{width:1.25em}']
    for name in sorted(names):
        found = re.search(rf'["{{,]{re.escape(name)}"?:' + ICON, library)
        if found:
            width, height, path = found.groups()
            picture = (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>"
                       f"<path d='{path}'/></svg>")
            rules.append(f'.fa-{name}{{--icon:url("data:image/svg+xml,{quote(picture)}")}}')
    return '\n'.join(rules) + '\n'


LATER = 'loading="lazy"'
AT_ONCE = 'rel="(stylesheet|preload|icon)"'


@cache
def size(path):
    "What a file weighs on its way."
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if path.suffix in TEXT else len(data)


def loads(path):
    "The files that a page loads at once, itself among them."
    text = path.read_text(encoding='utf-8')
    found = []
    for tag in re.findall(r'<(?:script|link|img)\b[^>]*>', text):
        if re.search(LATER, tag) or tag.startswith('<link') and not re.search(AT_ONCE, tag):
            continue
        found += re.findall(r'\s(?:src|href)="([^"]+)"', tag)
    files = {(path.parent/urlsplit(address).path).resolve() for address in found
             if not address.startswith('data:')}
    if '<math' in text:
        files |= set((path.parent/'_static').glob('math.woff2'))
        files |= {f for p in path.parents for f in (p/'_static').glob('math.woff2')}
    return {path.resolve()} | {file for file in files if file.is_file()}


def heavy(html):
    "Pages that load more than they may, as a first and as a further page."
    shared = loads(html/'index.html') - {(html/'index.html').resolve()}
    shared = {file for file in shared if '_images' not in file.parts}
    found = []
    for path in sorted(html.rglob('*.html')):
        if '_static' in path.parts:
            continue
        files = loads(path)
        for limit, kind, needed in ((FIRST, 'first', files), (NEXT, 'next', files - shared)):
            weight = sum(map(size, needed))
            if weight > limit:
                found.append(f'{path.relative_to(html)}: {weight // 1000} kB as a {kind} page')
    return found


def weights(html):
    "[(bytes as a first page, page)], the heaviest first."
    return sorted(((sum(map(size, loads(p))), str(p.relative_to(html)))
                   for p in html.rglob('*.html') if '_static' not in p.parts), reverse=True)
