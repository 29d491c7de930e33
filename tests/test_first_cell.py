"A notebook's first code cell installs the package where it is absent, else it does nothing."
import ast, json, os, re, shutil, socket, subprocess, sys, threading, venv
from configparser import ConfigParser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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


def code(path):
    return [text for kind, text in cells(path) if kind == 'code']


OWN = re.compile(r'data/checkpoints/\w[\w.-]*')  # a checkpoint by its path


def reads(path):
    "The project's files that a notebook asks for; what is computed in a name may be anything."
    asks = re.compile(r'project_(file|checkpoint)\(|data/checkpoints/')
    trees = [ast.parse(TransformerManager().transform_cell(text)) for text in code(path)
             if asks.search(text)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = {kind: [call.args[0] for call in nodes if isinstance(call, ast.Call)
                    and getattr(call.func, 'id', '') == f'project_{kind}']
             for kind in ('file', 'checkpoint')}
    def pattern(name):
        return ''.join(part.value if isinstance(part, ast.Constant) else '*'
                       for part in getattr(name, 'values', [name]))
    folders = {f'data/checkpoints/{pattern(name)}' for name in calls['checkpoint']}
    folders |= {node.value for node in nodes if isinstance(node, ast.Constant)
                and isinstance(node.value, str) and OWN.fullmatch(node.value)}
    patterns = {*map(pattern, calls['file']), *(f'{folder}/{name}' for folder in folders
                                                for name in ('config.json', 'model.safetensors'))}
    found = {file for pattern in patterns for file in root.glob(pattern) if file.is_file()}
    return {file.relative_to(root).as_posix() for file in found}


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
    assert len(lines) <= 5 and max(map(len, lines)) <= 80
    assert f"git+{cfg['git_url']}" in lines[-1]


def test_with_the_package_the_cell_is_silent(monkeypatch, capfd):
    def refuse(*args, **kw):
        raise AssertionError('the cell does something')
    monkeypatch.setattr(socket, 'socket', refuse)
    exec(TransformerManager().transform_cell(FIRST), {'get_ipython': refuse})
    assert capfd.readouterr() == ('', '')


BESIDE = re.compile(r"""\.\./(data|docs|tests|tools)\b|parents?(\[\d\])?/['"](data|docs)\b"""
                    r"""|/['"](tests|tools)\b""")


@pytest.mark.parametrize('path', NOTEBOOKS, ids=page)
def test_no_notebook_needs_the_checkout(path):
    for text in code(path):
        assert not BESIDE.search(text), 'project_file finds it where there is no checkout, too'


def test_no_module_needs_the_checkout():
    for path in sorted((root/'video_convs').rglob('*.py')):
        text = path.read_text(encoding='utf-8')
        if path.name != 'utils.py':
            assert not BESIDE.search(text), f'{path.name}: use project_file'


def test_the_reading_notebooks_are_known():
    assert 'data/results/motion.jsonl' in reads(nbs/'results/62_motion.ipynb')
    assert 'data/results/gestures_first.jsonl' in reads(nbs/'results/60_gestures.ipynb')
    weights = {path.relative_to(root).as_posix()
               for path in root.glob('data/checkpoints/*/*.safetensors')}
    assert {'tests/hub_server.py', *weights} <= reads(nbs/'use/45c_publish.ipynb')
    assert sum(bool(reads(path)) for path in NOTEBOOKS) >= 6
    own = 'data/checkpoints/hgc_tiny.motion-order_8f/model.safetensors'
    assert {own, 'data/results/speed_cpu.jsonl'} <= reads(nbs/'use/45_your_videos.ipynb')


@pytest.mark.parametrize('path', NOTEBOOKS, ids=page)
def test_a_checkpoint_is_fetched_whole(path):
    pair = 'config.json', 'model.safetensors'
    asked = {name.rpartition('/')[::2] for name in reads(path)
             if name.startswith('data/checkpoints/')}
    half = {(folder, other) for folder, name in asked for other in pair
            if name in pair and (folder, other) not in asked}
    assert not half, 'project_checkpoint fetches both files of a checkpoint'


# --- where the package is not

RUN = """
import json, sys
from importlib.util import find_spec
from IPython.core.interactiveshell import InteractiveShell
assert find_spec('video_convs') is None
first, names = json.load(sys.stdin)
InteractiveShell.instance().run_cell(first).raise_error()
sys.stdout.flush()
import video_convs
from video_convs.utils import _commit, packaged_table, project_file
files = [str(project_file(name)) for name in names]
print(json.dumps([video_convs.__file__, _commit(), files, len(packaged_table('egogestar.csv'))]))
"""


def bare_environment(folder):
    "A Python with all packages of this one, except our own; what is installed there stays there."
    venv.create(folder, symlinks=True)
    shared = folder/'shared'
    shared.mkdir()
    own = re.compile(r'video_convs|__editable__|__pycache__|.*\.pth$')
    for place in map(Path, sys.path):
        if place.name not in ('site-packages', 'dist-packages'):
            continue
        for entry in place.iterdir():
            if own.match(entry.name) or (shared/entry.name).exists():
                continue
            (shared/entry.name).symlink_to(entry)
    next(folder.glob('lib/python*/site-packages')).joinpath('shared.pth').write_text(str(shared))
    return folder/'bin/python'


def repository(folder):
    "What pip needs of this project, as a git repository; its commit."
    def git(*args):
        command = ['git', '-c', 'user.name=t', '-c', 'user.email=t@localhost', *args]
        return subprocess.check_output(command, cwd=folder, text=True)
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'MANIFEST.in', 'README.md',
                 'LICENSE'):
        shutil.copy(root/name, folder)
    shutil.copytree(root/'video_convs', folder/'video_convs',
                    ignore=shutil.ignore_patterns('__pycache__'))
    (folder/'data').mkdir()
    for table in (root/'data').glob('*.csv'):
        shutil.copy(table, folder/'data')
    git('init', '-q')
    git('add', '-A')
    git('-c', 'commit.gpgsign=false', 'commit', '-qm', 'all')
    return git('rev-parse', 'HEAD').strip()


@pytest.fixture
def files_address():
    "Where a server on this machine gives the files of the project."
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, args=(.01,), daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not shutil.which('git'), reason='pip needs git to install from a repository')
def test_without_the_package_the_cell_installs_it(tmp_path, files_address):
    "The cell as it stands, on a repository and a server on this machine; then every file is found."
    (tmp_path/'project').mkdir()
    commit, python = repository(tmp_path/'project'), bare_environment(tmp_path/'env')
    clean = {key: value for key, value in os.environ.items()
             if not key.startswith(('GIT_', 'PIP_', 'PYTHON'))}
    environment = clean | {
        'GIT_CONFIG_COUNT': '1',
        'GIT_CONFIG_KEY_0': f"url.{(tmp_path/'project').as_uri()}.insteadOf",
        'GIT_CONFIG_VALUE_0': cfg['git_url'],
        'PIP_CONFIG_FILE': os.devnull, 'PIP_NO_INDEX': '1', 'PIP_NO_DEPS': '1',
        'PIP_NO_BUILD_ISOLATION': '0',  # pip reads this as: no isolation
        'PIP_NO_CACHE_DIR': '1', 'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        'IPYTHONDIR': str(tmp_path/'ipython'), 'XDG_CACHE_HOME': str(tmp_path/'cache'),
        'VIDEO_CONVS_FILES': files_address}
    names = sorted(set().union(*map(reads, NOTEBOOKS)))
    run = subprocess.run([python, '-c', RUN], input=json.dumps([FIRST, names]), cwd=tmp_path,
                         env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    said, *others, last = [line for line in run.stdout.splitlines() if line]
    assert said == 'Installing video_convs takes about a minute.'
    assert all(line.startswith('Note: you may need to restart the kernel') for line in others)
    package, installed, files, rows = json.loads(last)
    assert Path(package).is_relative_to(tmp_path/'env')
    assert (installed, rows) == (commit, 200)
    for name, file in zip(names, files):
        assert Path(file).is_relative_to(tmp_path)
        assert Path(file).read_bytes() == (root/name).read_bytes(), name
