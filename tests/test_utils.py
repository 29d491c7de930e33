"Files of the project without a checkout: fetched once and whole, or refused with one sentence."
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from video_convs import utils
from video_convs.utils import project_file


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    "A server in place of the project's address, which notes what it is asked for."
    class Shelf(SimpleHTTPRequestHandler):
        asked, short = [], 0  # paths; bytes that it keeps back

        def log_message(self, *args):
            pass

        def do_GET(self):
            self.asked.append(self.path)
            super().do_GET()

        def copyfile(self, source, out):
            out.write(source.read()[:-self.short or None])
    (tmp_path/'shelf').mkdir()
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Shelf, directory=tmp_path/'shelf'))
    Thread(target=server.serve_forever, args=(.01,), daemon=True).start()
    monkeypatch.setenv('VIDEO_CONVS_FILES', f'http://127.0.0.1:{server.server_port}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'cache'))
    yield Shelf
    server.shutdown()
    server.server_close()


def cached(tmp_path):
    return [file for file in tmp_path.glob('cache/**/*') if file.is_file()]


def test_a_file_of_the_checkout_is_not_fetched(shelf):
    assert project_file('data/papers.csv').name == 'papers.csv'
    assert shelf.asked == []


def test_a_clone_beside_an_installed_package_gives_its_own_files(shelf, tmp_path, monkeypatch):
    "A wheel is installed, and a notebook runs in a folder of a clone."
    installed, clone = tmp_path/'site-packages/video_convs', tmp_path/'clone'
    monkeypatch.setattr(utils, 'files', lambda package: installed)
    for file, text in ((installed/'tables/x.csv', 'installed'), (clone/'data/x.csv', 'clone'),
                       (clone/'data/run.jsonl', 'clone'), (clone/'nbs/04_utils.ipynb', '{}')):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (clone/'nbs/use').mkdir()
    for folder in (clone, clone/'nbs', clone/'nbs/use'):
        monkeypatch.chdir(folder)
        assert project_file('data/run.jsonl') == clone/'data/run.jsonl'
        assert project_file('data/x.csv').read_text() == 'clone'
    assert shelf.asked == []
    monkeypatch.chdir(tmp_path)
    assert project_file('data/x.csv').read_text() == 'installed'
    with pytest.raises(ValueError, match='data/run.jsonl is not on this machine'):
        project_file('data/run.jsonl')


def test_a_file_is_fetched_once_with_its_folders(shelf, tmp_path):
    (tmp_path/'shelf/a').mkdir()
    (tmp_path/'shelf/a/x.bin').write_bytes(b'0123456789')
    files = [project_file('a/x.bin') for _ in range(2)]
    assert files[0] == files[1] and files[0].read_bytes() == b'0123456789'
    assert shelf.asked == ['/a/x.bin'] and cached(tmp_path) == files[:1]


def test_a_file_that_is_cut_short_is_not_kept(shelf, tmp_path):
    (tmp_path/'shelf/x.bin').write_bytes(b'0123456789')
    shelf.short = 3
    with pytest.raises(ValueError, match=r'^x.bin is not .* http\S+/x.bin cannot be read'):
        project_file('x.bin')
    assert cached(tmp_path) == []
    shelf.short = 0
    assert project_file('x.bin').read_bytes() == b'0123456789'


def test_an_unknown_file_is_named_with_its_address(shelf, tmp_path):
    with pytest.raises(ValueError, match=r'^no.bin is not .*http\S+/no.bin cannot be read .*404'):
        project_file('no.bin')
    assert cached(tmp_path) == []


def test_without_a_network_the_sentence_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv('VIDEO_CONVS_FILES', 'http://127.0.0.1:9')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with pytest.raises(ValueError) as refused:
        project_file('far.bin')
    place = str(refused.value).rpartition('put the file there as ')[2]
    (tmp_path/place).parent.mkdir(parents=True)
    (tmp_path/place).write_bytes(b'by hand')
    assert project_file('far.bin').read_bytes() == b'by hand'
