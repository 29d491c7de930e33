"The book: what paper cannot do is left out, and all pages are in it."
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_book
import site_pages
from notebooks import page


def test_a_page_of_the_book_has_no_folds_and_no_scripts(tmp_path):
    html = new_output('display_data', {'text/html': '<div><script>x</script></div>'})
    nb = new_notebook(cells=[
        new_markdown_cell('# T\n\n<details><summary>Answers</summary>\n\n1\n\n</details>'),
        new_code_cell('#| hide\nimport math'), new_code_cell('#| export\ndef two(): return 2'),
        new_code_cell('#| hide\nassert two() == 2'),
        new_code_cell('#| code-fold: true\ntwo()', outputs=[html])])
    nbformat.write(nb, tmp_path/'11_x.ipynb')
    cells = site_book.printed(site_pages.prepare(tmp_path/'11_x.ipynb')).cells
    assert [cell.source for cell in cells[1:]] == ['def two(): return 2', 'assert two() == 2',
                                                  'two()']
    assert '<details open>' in cells[0].source
    assert [cell.metadata['tags'] for cell in cells[1:]] == [['exported'], [], ['remove-input']]
    assert list(cells[-1].outputs[0].data) == ['text/markdown']


def test_every_page_of_the_site_is_a_chapter():
    paths = site_pages.listed()
    lines = site_book.contents(paths).splitlines()
    names = [line for line in lines if line and line[0] not in '`:']
    assert sorted(names) == sorted(map(page, paths)) and names[:2] == [
        'index', 'story/learning_to_see_motion']


def test_without_pikepdf_the_pdf_stays_as_it_is(tmp_path, monkeypatch, capsys):
    (tmp_path/'x.pdf').write_bytes(b'pages')
    monkeypatch.setattr(site_book, 'find_spec', lambda name: None)
    site_book.pack(tmp_path/'x.pdf')
    assert (tmp_path/'x.pdf').read_bytes() == b'pages'
    assert 'pikepdf is not installed' in capsys.readouterr().out
