"""What only a browser sees: pages that slide sideways, faults of access, scripts that fail, bytes.

Chromium is driven through its own protocol; axe-core comes from npm in the version below."""
import functools
import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from base64 import b64decode
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import site_use
from site_landing import hidden
from site_weight import TEXT

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
AXE = 'axe-core@4.14.1'
AXE_SHA256 = 'e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745'  # of its package
PHONE, TABLET, LAPTOP = 390, 800, 1440
SAMPLE = ['index', 'story/learning_to_see_motion', 'story/turn_the_knobs', 'story/play', 'demo',
          'ops/hourglass', 'workshop/hourglass', 'nets/models', 'nets/complexity', 'data/custom',
          'use/your_videos', 'results/claims',
          'papers/h2cn', 'reference/index', 'reference/ops.hourglass', 'search',
          'results/leaderboard', 'zh/index', 'zh/ops/hourglass']
LONGEST = 12
WIDE = """(() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit + 1) return '';
  const wide = [...document.querySelectorAll('body *')].filter(e => {
    if (e.getBoundingClientRect().right <= limit + 1) return false;
    for (let p = e.parentElement; p; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return false;
    return true;
  });
  const ends = wide.filter(e => !wide.some(o => o !== e && e.contains(o)) && e.textContent.trim());
  const right = e => e.getBoundingClientRect().right;
  const last = ends.sort((a, b) => b.scrollWidth - a.scrollWidth || right(b) - right(a))
    .find(e => !e.closest('.skip-link')) || document.body;
  return `${document.documentElement.scrollWidth} px: ` +
         `${last.tagName.toLowerCase()}.${last.className} ${last.textContent.trim().slice(0, 40)}`;
})()"""
RULES = """axe.run(document, {resultTypes: ['violations'],
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(found => found.violations.map(v =>
  `${v.id}: ${v.nodes.length} × ${v.nodes[0].target.join(' ')} ${v.nodes[0].html.slice(0, 80)}`))"""
HEADINGS = """(() => {
  const levels = [...document.querySelectorAll('main :is(h1,h2,h3,h4,h5,h6)')].filter(h =>
    h.checkVisibility()).map(h => [Number(h.tagName[1]), h.textContent.trim().slice(0, 40)]);
  const bad = levels.filter(([l], k) => k && l > levels[k - 1][0] + 1);
  if (levels.filter(([l]) => l === 1).length !== 1) bad.push([1, 'not one first heading']);
  return bad.map(([l, text]) => `h${l} out of order: ${text}`);
})()"""


FIGURES = """[...document.querySelectorAll('[data-explorable]')].flatMap(figure =>
  [...(figure.shadowRoot || figure).querySelectorAll('*')])"""
OWN_KEYS = """function() {
  if (this.matches('button, input, select, summary, label, a[href]')) return '';
  return (this.tabIndex < 0 ? 'no focus: ' : 'no keys: ') + this.outerHTML.slice(0, 80);
}"""
POINTER = {'click', 'pointerdown', 'mousedown', 'touchstart'}


class Pages(SimpleHTTPRequestHandler):
    "Files of a folder, text compressed as a server of pages does."
    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        data, packed = path.read_bytes(), path.suffix in TEXT
        if packed:
            data = gzip.compress(data, 6)
        self.send_response(200)
        self.send_header('Content-Type', self.guess_type(str(path)))
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Cache-Control', 'max-age=600')
        if packed:
            self.send_header('Content-Encoding', 'gzip')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Browser:
    "Chromium on the pages of a folder."
    def __init__(self, folder):
        from websocket import create_connection
        self.server = ThreadingHTTPServer(('127.0.0.1', 0),
                                          functools.partial(Pages, directory=str(folder)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.profile = tempfile.mkdtemp(prefix='site_browser')
        self.process = subprocess.Popen(
            [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
             f'--user-data-dir={self.profile}', '--remote-debugging-port=0',
             '--remote-allow-origins=*', 'about:blank'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        port = self.port()
        with urlopen(f'http://127.0.0.1:{port}/json') as answer:
            tab = next(t for t in json.load(answer) if t['type'] == 'page')
        self.socket = create_connection(tab['webSocketDebuggerUrl'], timeout=120)
        self.count, self.events, self.width, self.dark = 0, [], LAPTOP, False
        for name in 'Page', 'Runtime', 'Network', 'Log':
            self.send(f'{name}.enable')

    def port(self):
        file = Path(self.profile)/'DevToolsActivePort'
        for _ in range(600):
            if file.is_file() and (lines := file.read_text().split()):
                return lines[0]
            time.sleep(.1)
        raise OSError('chromium does not start')

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)
        self.server.shutdown()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method, **params):
        "Send a command and return its result; events that come meanwhile are kept."
        self.count += 1
        self.socket.send(json.dumps(dict(id=self.count, method=method, params=params)))
        while True:
            message = json.loads(self.socket.recv())
            if message.get('id') == self.count:
                if 'error' in message:
                    raise OSError(f'{method}: {message["error"]["message"]}')
                return message['result']
            self.events.append(message)

    def show(self, width=LAPTOP, dark=False, height=900, still=False):
        "Choose the window's width, light or dark, and whether motion is reduced."
        self.send('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)
        self.send('Emulation.setEmulatedMedia', features=[
            dict(name='prefers-color-scheme', value='dark' if dark else 'light'),
            dict(name='prefers-reduced-motion', value='reduce' if still else 'no-preference')])

    def open(self, page):
        "Open a page and wait until it has loaded."
        self.events.clear()
        self.send('Page.navigate', url=f'http://127.0.0.1:{self.server.server_port}/{page}.html')
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if any(event['method'] == 'Page.loadEventFired' for event in self.events):
                return
            self.events.append(json.loads(self.socket.recv()))
        raise OSError(f'{page} does not load')

    def run(self, script):
        "The value of a script in the page."
        done = self.send('Runtime.evaluate', expression=script, returnByValue=True,
                         awaitPromise=True)
        if 'exceptionDetails' in done:
            raise OSError(done['exceptionDetails']['exception'].get('description', 'it fails'))
        return done['result'].get('value')

    def problems(self):
        "Scripts that failed and files that were missing since the page was opened."
        found = [event['params']['exceptionDetails']['exception'].get('description', '')[:120]
                 for event in self.events if event['method'] == 'Runtime.exceptionThrown']
        entries = [event['params']['entry'] for event in self.events
                   if event['method'] == 'Log.entryAdded']
        return found + [f'{entry["text"][:90]} {entry.get("url", "")}' for entry in entries
                        if entry['level'] == 'error' and 'favicon.ico' not in entry.get('url', '')]

    def bytes(self):
        "Bytes that came over the line since the page was opened."
        return sum(event['params']['encodedDataLength'] for event in self.events
                   if event['method'] == 'Network.loadingFinished')

    def picture(self, target, whole=False):
        "A picture of the page, or of the window."
        data = self.send('Page.captureScreenshot', format='png', captureBeyondViewport=whole)
        Path(target).write_bytes(b64decode(data['data']))


def deaf(browser):
    "Parts of figures that answer a pointer and not the keyboard."
    found = []
    parts = browser.send('Runtime.evaluate', expression=FIGURES)['result']['objectId']
    for part in browser.send('Runtime.getProperties', objectId=parts, ownProperties=True)['result']:
        identity = part.get('value', {}).get('objectId')
        if not part['name'].isdigit() or identity is None:
            continue
        kinds = {listener['type'] for listener in browser.send(
            'DOMDebugger.getEventListeners', objectId=identity)['listeners']}
        if not kinds & POINTER:
            continue
        fault = browser.send('Runtime.callFunctionOn', objectId=identity, returnByValue=True,
                             functionDeclaration=OWN_KEYS)['result']['value']
        if fault and not (fault.startswith('no keys') and 'keydown' in kinds):
            found.append(f'a figure answers a pointer only, {fault}')
    return found


@functools.cache
def axe():
    "The script of axe-core, '' where npm does not bring it."
    npm = shutil.which('npm')
    if npm is None:
        return ''
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([npm, 'pack', AXE, '--silent', '--prefer-offline'], cwd=folder,
                              capture_output=True, text=True, timeout=600)
        packed = Path(folder)/done.stdout.strip()
        if done.returncode or not packed.is_file():
            return ''
        if hashlib.sha256(packed.read_bytes()).hexdigest() != AXE_SHA256:
            raise OSError(f'{AXE} is not the package that was tested')
        with tarfile.open(packed) as archive:
            return archive.extractfile('package/axe.min.js').read().decode()


def sideways(browser, pages):
    "Pages that are wider than a phone."
    browser.show(PHONE)
    found = []
    for page in pages:
        browser.open(page)
        if wide := browser.run(WIDE):
            found.append(f'{page}.html: slides sideways at {PHONE} px, {wide}')
        found += [f'{page}.html: {problem}' for problem in browser.problems()]
    return found


def access(browser, pages):
    "Faults of access that axe finds, light and dark."
    found = []
    for dark in (False, True):
        browser.show(LAPTOP, dark, still=True)  # no colour on its way to another
        for page in pages:
            browser.open(page)
            browser.run(axe())
            kind = 'dark' if dark else 'light'
            found += [f'{page}.html, {kind}: {line}' for line in browser.run(RULES)]
            if not dark:
                found += [f'{page}.html: {line}'
                          for line in [*browser.run(HEADINGS), *deaf(browser)]]
    return found


def faults(html):
    "All faults of the built pages that a browser sees."
    if CHROMIUM is None:
        print('Not checked in a browser: width on a phone, access, because chromium is not '
              'installed')
        return []
    files = [p for p in sorted(html.rglob('*.html')) if '_static' not in p.parts]
    # of the references, which one program writes, only the longest
    longest = sorted((p for p in files if p.parent.name == 'reference'),
                     key=lambda p: p.stat().st_size)[-LONGEST:]
    pages = [p.relative_to(html).with_suffix('').as_posix() for p in files
             if p.parent.name != 'reference' or p in longest]
    with Browser(html) as browser:
        found = sideways(browser, pages) + hidden(browser)
        sample = [p for p in SAMPLE if (html/f'{p}.html').is_file()]
        found += site_use.faults(browser, html, sample)
        if axe():
            found += access(browser, sample)
        else:
            print(f'Not checked: access, because npm does not bring {AXE}')
    return found
