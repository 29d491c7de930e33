"Papers: CITATION.cff, the pages and the README agree, and a page links the first mention of each."
import json
import re
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_cite

PAGES = {'H2CN': '80a_h2cn', 'STH': '80b_sth', 'HF-Net': '80c_hf_net', 'STC': '80d_stc'}


def text(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')


@pytest.mark.parametrize('name', PAGES)
def test_the_page_of_a_paper_says_what_the_citation_file_says(name):
    paper, page = site_cite.papers()[name], text(root/f'nbs/papers/{PAGES[name]}.ipynb')
    entry = re.search(r'```bibtex\n(.*?)```', page, re.S)[1]
    field = {key: re.sub(r'[{}]|\s+(?=\s)', '', value) for key, value in
             re.findall(r'(\w+) *= *\{(.*?)\},\n', entry, re.S)}
    assert field['title'] == paper['title']
    people = [f"{p['family-names']}, {p['given-names']}" for p in paper['authors']]
    assert re.sub(r'\s+', ' ', field['author']).split(' and ') == people
    assert field['year'] == str(paper['year']) and field.get('doi') == paper.get('doi')
    if number := site_cite.arxiv(paper):
        assert field['journal'] == f'arXiv preprint arXiv:{number}'
    for address in site_cite.addresses(paper).values():
        assert f']({address})' in page
        assert f']({address})' in text(root/'nbs/index.ipynb')


def test_all_papers_have_what_a_card_shows():
    assert list(site_cite.papers())[:4] == list(PAGES)
    for name, paper in site_cite.papers().items():
        assert paper['authors'] and 2014 <= paper['year'] <= 2022
        entry = site_cite.bibtex(name)
        assert entry.count('{') == entry.count('}') and f"{{{paper['title']}}}" in entry
        assert all(url.startswith('https://') for url in site_cite.addresses(paper).values())


def page(body):
    "The mentions in a small document, after the transform."
    from docutils import nodes
    from docutils.core import publish_doctree
    document = publish_doctree(body)
    seen, pattern = set(), site_cite.mentions()
    for node in list(document.findall(nodes.Text)):
        above = site_cite.ancestors(node)
        if not any(isinstance(parent, site_cite.APART) for parent in above):
            site_cite.Mentions.replace(node, pattern, seen)
    return [re.search('>([^<]*)</a>', raw.astext())[1] for raw in document.findall(nodes.raw)]


def test_the_first_mention_of_each_paper_is_a_link():
    body = 'On STH\n======\n\nSTH and ``STC`` and H2CN, and H2CN; STHConv, HF-Net中 and TSM.\n'
    assert page(body) == ['STH', 'H2CN', 'HF-Net', 'TSM']
    assert page('`STC <https://x.org>`_ is linked, STC-Light is not STC.\n') == ['STC']
