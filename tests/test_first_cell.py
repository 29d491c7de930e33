"A notebook's first code cell: it installs the package where it is absent, and does nothing where it is there."
import json, socket, sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
from notebooks import nbs, page, reading_order

config = ConfigParser(delimiters=['='])
config.read(root/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
NOTEBOOKS = [path for path in reading_order() if path != nbs/'index.ipynb']


def cells(path):
    "[(kind, source)] of a notebook."
    read = json.loads(path.read_text(encoding='utf-8'))['cells']
    return [(cell['cell_type'], ''.join(cell['source'])) for cell in read]


FIRST = cells(NOTEBOOKS[0])[1][1]


@pytest.mark.parametrize('path', NOTEBOOKS, ids=page)
def test_a_badge_and_the_first_cell(path):
    title, first, *_ = cells(path)
    host, place = 'https://colab.research.google.com', path.relative_to(root).as_posix()
    address = f"{host}/github/{cfg['user']}/{cfg['repo']}/blob/{cfg['branch']}/{place}"
    badge = f'[![Open in Colab]({host}/assets/colab-badge.svg)]({address})'
    assert badge in title[1], 'the title cell has the badge that opens this notebook'
    assert first == ('code', FIRST), 'the cell after the title is the first cell of all notebooks'


def test_the_first_cell_is_short_and_hidden():
    directive, *lines = FIRST.splitlines()
    assert directive == '#| hide'
    assert len(lines) <= 4 and max(map(len, lines)) <= 80
    assert f"git+{cfg['git_url']}" in lines[-1]


def test_with_the_package_the_cell_is_silent(monkeypatch, capfd):
    def refuse(*args, **kw): raise AssertionError('the cell does something')
    monkeypatch.setattr(socket, 'socket', refuse)
    exec(TransformerManager().transform_cell(FIRST), {'get_ipython': refuse})
    assert capfd.readouterr() == ('', '')
