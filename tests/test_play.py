"""The page on which two networks watch a square: the browser gives the numbers of PyTorch.

A server of the test gives the page to the browser, and the page sends what it has found."""
import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from video_convs.explorable import play
from video_convs.utils import project_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'tools'))
import site_play

CHROMIUM, NPM, NODE = map(shutil.which, ('chromium', 'npm', 'node'))
NAMES = 'onnx', 'onnxscript', 'onnxruntime'
FRAMES = 14
ONE = [(0, slope, speed, heading) for slope, speed in ((0, 2), (4, 5), (8, 7))
       for heading in range(4)]
SIX = [(1, 4, 10, heading) for heading in (0, 2)]
USE = """<script>
const host = document.querySelector('[data-explorable]');
const wait = () => new Promise(resolve => setTimeout(resolve, 50));
const send = found => fetch('/found', {method: 'POST', body: JSON.stringify(found)});
async function ready() {
  while (!host.play) {
    host.shadowRoot?.querySelector('button.load')?.click();
    const bad = host.shadowRoot?.querySelector('.verdict.bad');
    if (bad) throw new Error(bad.textContent);
    await wait();
  }
  await host.play.ready;
}
async function use() {
  await ready();
  const {scene, ui, run, pick, tick} = host.play;
  const found = [];
  for (const [k, slope, speed, heading] of PLAN) {
    run(false);
    ui.setSlope(slope);
    await wait();
    await pick(k);
    ui.setSpeed(speed);
    Object.assign(scene, {mode: 'auto', heading, x: 4, y: 12});
    const rows = [];
    while (rows.length < FRAMES) {
      const seen = await tick();
      if (seen) rows.push({at: [scene.x, scene.y], scores: seen.scores});
      else await wait();
    }
    const words = host.shadowRoot.querySelector('.verdict').textContent;
    found.push({rows, words});
  }
  return found;
}
use().then(send, problem => send({problem: String(problem)}));
</script>"""


class Handler(SimpleHTTPRequestHandler):
    "Files of a folder; what is posted ends the wait."
    def do_POST(self):
        self.server.found = self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, *args):
        pass


def browse(folder, profile, seconds=150):
    "What the page in a folder sends from Chromium."
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=str(folder)))
    server.done, server.found = threading.Event(), b'null'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = subprocess.Popen(
        [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', f'--user-data-dir={profile}',
         '--remote-debugging-port=0', f'http://127.0.0.1:{server.server_port}/index.html'],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        assert server.done.wait(seconds), 'the page has sent nothing'
    finally:
        browser.terminate()
        browser.wait(30)
        server.shutdown()
    return json.loads(server.found)


def lay_out(folder, plan):
    "The page and a script that uses it."
    play().save(folder/'index.html')
    script = USE.replace('PLAN', json.dumps(plan)).replace('FRAMES', str(FRAMES))
    with (folder/'index.html').open('a', encoding='utf-8') as page:
        page.write(script)


def square(x, y, side, size):
    "The frame that the page draws."
    grey = torch.zeros(size, size)
    rows, columns = ((torch.arange(side) + k) % size for k in (y, x))
    grey[rows[:, None], columns] = 1
    return grey


def expected(name, frames):
    "Scores after each frame, None while they are unknown."
    if name.endswith('_tiny'):
        stream = site_play.six_operators(name.removesuffix('_tiny')).stream()
        found = [stream.step(frame.expand(1, 3, -1, -1)) for frame in frames]
        return [scores[0][0].tolist() if scores else None for scores in found]
    step, found = site_play.one_operator(name)[1], []
    state = step.start()
    for t, frame in enumerate(frames):
        with torch.no_grad():
            scores, _, *state = step(frame[None, None], *state)
        found.append(scores[0].tolist() if t >= step.first else None)
    return found


def compare(plan, found):
    "The browser's scores are PyTorch's, and the answers are right."
    assert 'problem' not in found, found['problem']
    for (k, slope, speed, heading), seen in zip(plan, found, strict=True):
        chosen = site_play.sets()[k]
        names = chosen['tsn'], chosen['hgc'].get(slope, 'hgc_tiny')
        frames = [square(*row['at'], chosen['side'], chosen['size']) for row in seen['rows']]
        step = [(b - a) % chosen['size'] for a, b in zip(*(row['at'] for row in seen['rows'][:2]))]
        assert sorted(step)[0] == 0 and speed in (sorted(step)[1], chosen['size'] - sorted(step)[1])
        for j, name in enumerate(names):
            for wanted, row in zip(expected(name, frames), seen['rows'], strict=True):
                assert row['scores'][j] == (wanted and pytest.approx(wanted, abs=1e-4))
        tsn, hgc = (torch.tensor(scores) for scores in seen['rows'][-1]['scores'])
        assert tsn.softmax(0).max() < .5
        assert hgc.argmax() == heading and hgc.softmax(0).max() > .5
        assert seen['words'].startswith('✓ HgC says ' + 'right down left up'.split()[heading])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "The page with its networks, and the program that runs them."
    if CHROMIUM is None:
        pytest.skip('chromium is not installed: nobody uses the page')
    if NPM is None:
        pytest.skip('npm is not installed: it brings the program that runs networks in a browser')
    if not all(map(find_spec, NAMES)):
        pytest.skip('the extra video_convs[export] is not installed: there are no networks')
    folder = tmp_path_factory.mktemp('site')
    target = folder/'_static/play'
    target.mkdir(parents=True)
    try:
        site_play.runtime(target)
    except OSError as error:
        pytest.skip(f'{error}: there is no program that runs networks in a browser')
    return folder


def write_list(folder, sets, missing=''):
    page = dict(runtime=site_play.SCRIPT, program=site_play.PROGRAM, missing=missing, sets=sets,
                megabytes=18)
    (folder/'_static/play/play.json').write_text(json.dumps(page), encoding='utf-8')


def test_the_browser_s_numbers_are_pytorch_s(folder, tmp_path):
    "One operator: slopes 0, 4 and 8, all directions."
    with torch.no_grad():
        for name in site_play.ONE:
            site_play.write_step(site_play.one_operator(name)[1],
                                 folder/f'_static/play/{name}.onnx', {'': ['a', 'b', 'c', 'd']})
    write_list(folder, site_play.sets()[:1])
    lay_out(folder, ONE)
    compare(ONE, browse(folder, tmp_path/'profile'))


@pytest.mark.slow
def test_the_whole_page(tmp_path, folder):
    "As the site builds it, with the networks of six operators."
    assert site_play.write(folder/'_static/play') == ''
    files = {file.name: file.stat().st_size for file in (folder/'_static/play').iterdir()}
    assert max(size for name, size in files.items() if name.endswith('.onnx')) < 2_000_000
    license = folder/'_static/play/onnxruntime-web.LICENSE.txt'
    assert 'Copyright (c) Microsoft' in license.read_text('utf-8')
    lay_out(folder, ONE[:4] + SIX)
    compare(ONE[:4] + SIX, browse(folder, tmp_path/'profile'))


def test_the_step_is_the_network_on_the_torus():
    "The step of the page, fed with a clip, against the network that was trained."
    clip = torch.randn(1, 1, 5, site_play.SIZE, site_play.SIZE)
    for name in site_play.ONE:
        net, step = site_play.one_operator(name)
        state = step.start()
        with torch.no_grad():
            for frame in [*clip.unbind(2), torch.zeros(1, 1, *clip.shape[3:])][:5 + step.delay]:
                scores, _, *state = step(frame, *state)
            if not step.delay:  # otherwise a frame follows where the clip has none
                assert torch.allclose(scores, net(clip), atol=1e-5)
        assert step.delay == (name != 'none')


def test_without_npm_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(site_play.shutil, 'which', lambda name: None)
    assert site_play.write(tmp_path) == ('the site was built without them, because npm is not '
                                         'installed')
    page = json.loads((tmp_path/'play.json').read_text('utf-8'))
    assert page['missing'].endswith('npm is not installed')
    assert [file.name for file in tmp_path.iterdir()] == ['play.json']


def test_another_package_is_refused(tmp_path, monkeypatch):
    "npm here is a function that leaves a file."
    def pack(command, cwd, **how):
        assert site_play.RUNTIME in command
        (cwd/'x.tgz').write_bytes(b'x')
        return subprocess.CompletedProcess(command, 0, stdout='x.tgz\n')
    monkeypatch.setattr(site_play.shutil, 'which', lambda name: name)
    monkeypatch.setattr(site_play.subprocess, 'run', pack)
    assert site_play.write(tmp_path).endswith('is not the package that was tested')
    assert [file.name for file in tmp_path.iterdir()] == ['play.json']


@pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed: nobody uses the page')
def test_what_is_missing_is_read_on_the_page(tmp_path):
    (tmp_path/'_static/play').mkdir(parents=True)
    write_list(tmp_path, site_play.sets(), 'the site was built without them')
    lay_out(tmp_path, [])
    found = browse(tmp_path, tmp_path/'profile')
    assert 'The networks are not here: the site was built without them.' in found['problem']


def test_the_script_is_small_and_its_own():
    text = project_file('data/explorable/play.js').read_text('utf-8')
    assert len(text.splitlines()) <= 400 and max(map(len, text.splitlines())) <= 110
    assert not re.search(r'https?:|//cdn|require\(', text)
    style = project_file('data/explorable/play.css').read_text('utf-8')
    assert not re.search(r'url\(|@import', style)
    assert len(play()._repr_html_().encode()) < 60_000


@pytest.mark.skipif(NODE is None, reason='node is not installed: nobody reads the script')
def test_the_script_can_be_read():
    subprocess.run([NODE, '--check', project_file('data/explorable/play.js')], check=True)


def test_the_notebook_shows_this_script():
    "The stored figure holds script and style as they are now."
    page = json.loads((ROOT/'nbs/story/00e_play.ipynb').read_text('utf-8'))
    shown = [''.join(output['data']['text/html']) for cell in page['cells']
             for output in cell.get('outputs', []) if 'text/html' in output.get('data', {})]
    assert len(shown) == 1
    script, style = (project_file(f'data/explorable/play.{kind}').read_text('utf-8')
                     for kind in ('js', 'css'))
    assert script in shown[0] and json.dumps(style)[1:-1] in shown[0], 'run the notebook'
