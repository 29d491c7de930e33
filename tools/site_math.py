"""Formulas as MathML, written when the site is built: pages load no program for them.

Sphinx calls `setup`. `font` writes the part of STIX Two Math that the formulas need."""
import io
import re
from importlib.metadata import files

from docutils import nodes
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert


def prepared(tex):
    "The same formula in the words that the converter knows, and its number: (formula, number)."
    found = re.search(r'\\tag\{([^}]*)\}', tex)
    if found:
        tex = tex.replace(found[0], '')
    tex = re.sub(r'\\(?:big|Big)[lr]?\s*\\([lr](?:floor|ceil))', r'\\\1 ', tex)
    tex = re.sub(r'\\text(?:tt)?\{[^}]*\}', lambda m: m[0].replace(r'\_', '_'), tex)
    return tex, found[1] if found else ''


def mathml(tex, display='inline'):
    "A formula as MathML, with what stands in the notebook as its annotation."
    formula, number = prepared(tex)
    found = convert(formula, display=display)
    if unknown := re.search(r'\\[a-zA-Z]+', found):
        raise ValueError(f'{unknown[0]} in the formula {tex!r} has no MathML')
    label = f'<span class="eqno">({number})</span>' if number else ''
    return label + found


def inline(self, node):
    self.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def block(self, node):
    self.body.append(f'<div class="math" tabindex="0">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def font(html, target):
    "The letters that the formulas of pages use, as a font: its size in bytes."
    letters = set()
    for page in html.rglob('*.html'):
        for found in re.findall(r'(?s)<math\b.*?</math>', page.read_text(encoding='utf-8')):
            letters |= set(re.sub(r'<[^>]*>|\s', '', found))
    letters |= {chr(italic(c)) for c in letters} | set('()[]{}|⌊⌋⌈⌉⟨⟩√−′')
    source = next(f for f in files('ziamath') if f.name == 'STIXTwoMath-Regular.ttf').locate()
    options = Options(layout_features=['ssty', 'dtls', 'flac'], notdef_outline=True,
                      name_IDs=[0, 1, 2, 13, 14], flavor='woff2', hinting=False)
    face, written = TTFont(source), io.BytesIO()
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=map(ord, letters))
    subsetter.subset(face)
    face.flavor = 'woff2'
    face.save(written)
    target.write_bytes(written.getvalue())
    return len(written.getvalue())


def italic(letter):
    "The code point under which a browser looks up a single letter of a formula."
    for first, last, start in (('A', 'Z', 0x1D434), ('a', 'z', 0x1D44E), ('Α', 'Ω', 0x1D6E2),
                               ('α', 'ω', 0x1D6FC)):
        if first <= letter <= last:
            return 0x210E if letter == 'h' else start + ord(letter) - ord(first)
    return {'ϵ': 0x1D716, 'ϕ': 0x1D719, '∂': 0x1D715}.get(letter, ord(letter))


def setup(app):
    app.add_html_math_renderer('mathml', (inline, None), (block, None))
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
