"Progress: a bar at a terminal or in a notebook, lines elsewhere, and silence on request."
import fcntl, io, os, re, struct, subprocess, sys, termios, time
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from video_convs.progress import progress_bar

root = Path(__file__).resolve().parent.parent
LINE = re.compile(r'count: \d of 6, +[\d.]+step/s, \d\d:\d\d left(, loss 1)?')

@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ('TQDM_DISABLE', 'RANK'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('TQDM_MININTERVAL', '.05')

def said(stream, seconds=.03, **kw):
    "Count to six while messages go to `stream`."
    with redirect_stderr(stream):
        bar = progress_bar(range(6), desc='count', unit='step', **kw)
        for _ in bar:
            time.sleep(seconds)
            bar.set_postfix_str('loss 1', refresh=False)
    return stream

def test_lines_without_a_terminal():
    text = said(io.StringIO()).getvalue()
    assert '\r' not in text and text.endswith('\n')
    lines = text.splitlines()
    assert 2 <= len(lines) <= 3 and all(LINE.fullmatch(line) for line in lines), text

def test_a_short_loop_says_nothing(monkeypatch):
    monkeypatch.setenv('TQDM_MININTERVAL', '10')
    assert said(io.StringIO(), 0).getvalue() == ''

@pytest.mark.parametrize('change, kw',
                         [({}, dict(show=False)), ({'RANK': '1'}, {}), ({}, dict(total=0))])
def test_silence(monkeypatch, change, kw):
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    assert said(io.StringIO(), **kw).getvalue() == ''

def test_only_the_first_process_of_a_group(monkeypatch):
    import torch.distributed as dist
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    for rank in (0, 1):
        monkeypatch.setattr(dist, 'get_rank', lambda rank=rank: rank)
        assert bool(said(io.StringIO()).getvalue()) == (rank == 0)

def test_a_bar_at_a_terminal():
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    os.set_blocking(master, False)
    with open(slave, 'w') as terminal:
        said(terminal)
        text = os.read(master, 10_000).decode()
    os.close(master)
    assert '\rcount: ' in text and '%|' in text and LINE.search(text) is None

def test_show_asks_for_a_bar_everywhere():
    assert '%|' in said(io.StringIO(), show=True).getvalue()

def test_one_replaced_output_in_a_notebook(monkeypatch):
    shown = []
    class Handle:
        def update(self, text, raw):
            shown.append(text['text/plain'])
    def display(text, raw, display_id):
        shown.append(text['text/plain'])
        return Handle()
    monkeypatch.setattr('IPython.display.display', display)
    monkeypatch.setattr('video_convs.progress.NOTEBOOK_DELAY', 0)
    stream = type('OutStream', (io.StringIO,), {'__module__': 'ipykernel.iostream'})()
    assert said(stream).getvalue() == ''
    assert '%|' in shown[0] and shown[-1] == ''

def test_a_batch_job():
    "A process without a terminal says lines and nothing else."
    code = ("import time\nfrom video_convs.progress import progress_bar\n"
            "for _ in progress_bar(range(6), desc='count', unit='step'): time.sleep(.03)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert lines and all(LINE.fullmatch(line) for line in lines), done.stderr

def test_a_loop_of_the_package(monkeypatch, tmp_path):
    from video_convs.data.motion import MotionConfig
    from video_convs.data.motion_files import render_task
    monkeypatch.setenv('TQDM_MININTERVAL', '0')
    file = io.StringIO()
    for progress, n in ((None, 6), (False, 0)):
        with redirect_stderr(file):
            render_task('reversal', tmp_path/str(n), 6, 0, MotionConfig(size=32, frames=4),
                        progress=progress)
    assert re.findall('render reversal: ([1-6]) of 6', file.getvalue()) == list('123456')

def test_one_place_knows_tqdm():
    users = [path.name for path in (root/'video_convs').rglob('*.py')
             if 'tqdm' in path.read_text(encoding='utf-8')]
    assert users == ['progress.py']
