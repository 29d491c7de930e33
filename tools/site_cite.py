"""Papers that a page names: a link at the first mention, with title and BibTeX on hover or focus.

A Sphinx extension; CITATION.cff says which papers there are, by their `abbreviation`."""
import re
from functools import cache
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

root = Path(__file__).resolve().parent.parent
# text in these is no mention
APART = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title, nodes.raw, nodes.math,
         nodes.math_block, nodes.topic)


@cache
def papers():
    "Abbreviation → reference."
    cited = yaml.safe_load((root/'CITATION.cff').read_text(encoding='utf-8'))['references']
    return {paper['abbreviation']: paper for paper in cited}


def arxiv(paper):
    "The number of a preprint, or ''."
    found = [entry['value'] for entry in paper.get('identifiers', ())]
    return next((value.removeprefix('arXiv:') for value in found if 'arXiv' in value), '')


def addresses(paper):
    "Name → address, the publisher's first."
    found = {}
    if 'doi' in paper:
        found['DOI'] = f"https://doi.org/{paper['doi']}"
    if number := arxiv(paper):
        found[f'arXiv:{number}'] = f'https://arxiv.org/abs/{number}'
    return found or {'abstract': paper['url']}


def pages(paper):
    "The first and the last page, or ''."
    return f"{paper['start']}--{paper['end']}" if 'start' in paper else ''


def bibtex(name):
    "An entry for a bibliography."
    paper = papers()[name]
    fields = dict(title=f"{{{paper['title']}}}", year=paper['year'], author=' and '.join(
        f"{person['family-names']}, {person['given-names']}" for person in paper['authors']))
    if number := arxiv(paper):
        fields['journal'] = f'arXiv preprint arXiv:{number}'
    for key, value in (('journal', paper.get('journal')), ('doi', paper.get('doi')),
                       ('booktitle', paper.get('collection-title')),
                       ('volume', paper.get('volume')), ('pages', pages(paper))):
        if value:
            fields[key] = value
    kind = 'inproceedings' if 'booktitle' in fields else 'article'
    key = f"{paper['authors'][0]['family-names']}{paper['year']}{name}".lower()
    lines = [f'  {field} = {{{value}}},' for field, value in fields.items()]
    return '\n'.join([f'@{kind}{{{re.sub("[^a-z0-9]", "", key)},', *lines, '}'])


def mention(name):
    "The HTML of a paper's name with its card."
    paper = papers()[name]
    links = addresses(paper)
    people = ', '.join(person['family-names'] for person in paper['authors'])
    shown = ' · '.join(f'<a href="{escape(url)}">{label}</a>' for label, url in links.items())
    return (f'<span class="cite"><a href="{escape(next(iter(links.values())))}">{name}</a>'
            f'<span class="cite-card"><strong>{escape(paper["title"])}</strong> '
            f'{escape(people)}, {paper["year"]}. {shown} <button type="button" '
            f'data-bibtex="{escape(bibtex(name))}">Copy BibTeX</button></span></span>')


def mentions():
    names = '|'.join(sorted(map(re.escape, papers()), key=len, reverse=True))
    return re.compile(rf'(?<![A-Za-z0-9_/-])({names})(?![A-Za-z0-9_/-])')


class Mentions(SphinxPostTransform):
    "Make a link of the first mention of each paper."
    default_priority = 900
    formats = ('html',)

    def run(self):
        if self.app.builder.name != 'html':  # there is nothing to hover over in a book
            return
        pattern, seen = mentions(), set()
        for text in list(self.document.findall(nodes.Text)):
            if not any(isinstance(above, APART) for above in ancestors(text)):
                self.replace(text, pattern, seen)

    @staticmethod
    def replace(text, pattern, seen):
        parts, plain = [], ''
        for k, part in enumerate(pattern.split(text.astext())):
            if k % 2 and part not in seen:
                seen.add(part)
                parts += [nodes.Text(plain), nodes.raw('', mention(part), format='html')]
                plain = ''
            else:
                plain += part
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(plain)])


def ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app):
    app.add_post_transform(Mentions)
    app.add_js_file('cite.js', defer='defer')
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
