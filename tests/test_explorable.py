"""The figures that a reader can turn: the script computes what the package computes.

tests/explorable.json holds answers of data/explorable/core.js. They are compared with the package
everywhere, and computed again where there is node. After a change of core.js:

    .venv/bin/python tests/test_explorable.py"""
import hashlib
import json
import re
import runpy
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from itertools import product
from pathlib import Path, PurePath

import pytest
import setuptools
import torch

from video_convs.explorable import (Explorable, eight_motions, hourglass, one_channel,
                                    turn_the_taps)
from video_convs.stimuli import ball
from video_convs.utils import project_file

ROOT = Path(__file__).parents[1]
ANSWERS = ROOT/'tests/explorable.json'
CORE = project_file('data/explorable/core.js')
NODE, CHROMIUM = shutil.which('node'), shutil.which('chromium')
FIGURES = {'hourglass': cache(hourglass), 'taps': cache(turn_the_taps)}
LEFT = [0, 0, 0, 1, 0, 0, 0, 0, 0]
ANY = [1, 0, -1, 1, 1, 0, -1, 0, 1]
NINTH = [1 / 9] * 9


def operators():
    "What the answers are computed with: [(taps, slope, aggregate, window)]."
    for K, p, f in product((3, 5, 7), (0, 2, 8), ('avg', 'conv')):
        yield [1.] * K, p, f, NINTH
    yield from (([-1., 1., .25], p, 'conv', w) for p in (0, 2, 6) for w in (LEFT, ANY))


def cases():
    "Calls of the script: a name, and what it is given."
    for speed in 0., .75, 2., 5.5:
        yield dict(call='ball', given=[speed, 5, 13, 1.7])
    for taps, slope, aggregate, weights in operators():
        op = dict(taps=taps, slope=slope, aggregate=aggregate, weights=weights)
        yield dict(call='parts', given=[2.25, op, 4, 12, 12])
        yield dict(call='parts', given=[1., op, 0, 23, 1])
        yield dict(call='output', given=[1.5, op])
        if len(taps) == 3:
            yield dict(call='responses', given=[op])
    for responses in [3., 1., 3.01, 0.], [0., 0.], [1., .985, .97], [9., .1, .09, .089]:
        yield dict(call='groups', given=[responses])


RUN = r"""
const {cases, motions} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const clip = speed => ball(speed, 9, 25, .5);
const calls = {
  ball: (...given) => ball(...given).flat(),
  parts: (speed, op, t, x, y) => parts(clip(speed), 25, op, t, x, y),
  output: (speed, op) => [...hgc(clip(speed), 25, op), ...relu(hgc(clip(speed), 25, op))].map(
    frame => frame.reduce((sum, value, k) => sum + value * (1 + k % 7), 0)),
  responses: op => Object.values(motions).map(text => mean(relu(hgc(unpack(text, 25), 25, op)))),
  groups: responses => groups(responses),
};
console.log(JSON.stringify(cases.map(({call, given}) => calls[call](...given))));
"""


def run_node():
    "The script's answers, in the order of `cases`."
    given = json.dumps(dict(cases=list(cases()), motions=FIGURES['taps']().settings['motions']))
    done = subprocess.run([NODE, '-e', CORE.read_text('utf-8') + RUN], input=given, check=True,
                          capture_output=True, text=True, timeout=60)
    return [[round(value, 12) for value in answer] for answer in json.loads(done.stdout)]


def fingerprint():
    return hashlib.sha256(CORE.read_bytes()).hexdigest()


@pytest.fixture(scope='module')
def answers():
    "Calls with the answers of the script."
    stored = json.loads(ANSWERS.read_text('utf-8'))
    assert stored['core.js'] == fingerprint(), 'core.js has changed: see the top of this file'
    asked = list(cases())
    assert len(asked) == len(stored['answers'])
    return list(zip(asked, stored['answers']))


def chosen(answers, call):
    found = [(case['given'], torch.tensor(answer, dtype=torch.float64))
             for case, answer in answers if case['call'] == call]
    assert found
    return found


def package_operator(op):
    return one_channel(op['taps'], op['slope'], op['aggregate'], op['weights'])


@pytest.mark.skipif(NODE is None, reason='node is not installed: stored answers are compared')
def test_the_stored_answers_are_the_script_s(answers):
    for computed, (_, stored) in zip(run_node(), answers, strict=True):
        assert computed == pytest.approx(stored, abs=1e-9)


def test_the_ball(answers):
    for (speed, frames, size, radius), found in chosen(answers, 'ball'):
        expected = ball(speed, frames, size, radius).flatten().double()
        assert torch.allclose(found, expected, atol=1e-5)
        assert (speed > 5) == (found.view(frames, -1)[0].sum() == 0)  # it comes from outside


def test_what_each_frame_adds(answers):
    some = False
    for (speed, op, t, x, y), found in chosen(answers, 'parts'):
        clip, K = ball(speed, 9, 25, .5).double(), len(op['taps'])
        for k in range(K):
            alone = [tap * (j == k) for j, tap in enumerate(op['taps'])]
            expected = package_operator(op | {'taps': alone})(clip)[0, 0, t, y, x]
            assert abs(found[k] - expected) < 1e-6
            some = some or expected > 0 and k != K // 2
    assert some


def test_the_whole_output(answers):
    weights = 1 + torch.arange(625) % 7
    for (speed, op), found in chosen(answers, 'output'):
        maps = package_operator(op)(ball(speed, 9, 25, .5).double())[0, 0].flatten(1)
        expected = torch.cat([maps @ weights.double(), maps.relu() @ weights.double()])
        assert torch.allclose(found, expected, atol=1e-4)


def test_the_responses_to_the_motions(answers):
    "Clips come to the script as text, rounded to bytes: nothing else is lost."
    clips = torch.cat([(clip * 255).round().double() / 255 for clip in eight_motions().values()])
    for (op,), found in chosen(answers, 'responses'):
        expected = package_operator(op)(clips).relu().mean((1, 2, 3, 4))
        assert torch.allclose(found, expected, atol=1e-11)


def test_what_counts_as_apart(answers):
    assert [found.int().tolist() for _, found in chosen(answers, 'groups')] == [
        [0, 1, 0, 2], [0, 0], [0, 0, 0], [0, 1, 2, 2]]


def test_the_page_shows_these_scripts():
    "The figures that the notebook has stored hold the scripts as they are now."
    page = json.loads((ROOT/'nbs/story/00d_turn_the_knobs.ipynb').read_text('utf-8'))
    shown = [''.join(output['data']['text/html']) for cell in page['cells']
             for output in cell.get('outputs', []) if 'text/html' in output.get('data', {})]
    assert len(shown) == len(FIGURES), 'run the notebook'
    for name, text in zip(FIGURES, shown):
        parts = [project_file(f'data/explorable/{part}').read_text('utf-8')
                 for part in ('core.js', 'shell.js', f'{name}.js', 'style.css')]
        parts[-1] = json.dumps(parts[-1], ensure_ascii=False)
        assert all(part in text for part in parts), 'the scripts have changed: run the notebook'


class Page(HTMLParser):
    "Tags with their attributes, in order."
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize('name', FIGURES)
def test_the_html(name):
    figure = FIGURES[name]()
    text = figure._repr_html_()
    assert len(text.encode()) < 60_000
    (div, _), (img, picture), (script, _) = Page(text).tags
    assert (div, img, script) == ('div', 'img', 'script')
    assert picture['alt'] == figure.alt == repr(figure)
    assert picture['src'].startswith('data:image/png;base64,iVBOR')
    assert text.count('</script>') == 1 and '{{' not in text
    assert CORE.read_text('utf-8') in text
    assert not re.search(r'(src|href)\s*=\s*.?https?:|import\(|@import|fetch\(|url\(', text)


def test_words_of_others_stay_words():
    clips = {'</script><b>': ball(), '"': ball(-1.)}
    figure = turn_the_taps(clips)
    text = figure._repr_html_()
    assert text.count('</script>') == 1
    assert [tag for tag, _ in Page(text).tags] == ['div', 'img', 'script']
    assert Page(text).tags[1][1]['alt'] == figure.alt


def test_a_page_of_its_own(tmp_path):
    figure = FIGURES['hourglass']()
    figure.save(tmp_path/'figure.html')
    text = (tmp_path/'figure.html').read_text('utf-8')
    assert text.startswith('<!DOCTYPE html>') and figure._repr_html_() in text


def test_another_state_is_another_figure():
    fast, other = hourglass(2.), turn_the_taps(taps=(0, 1, 0))
    figures = [*(make() for make in FIGURES.values()), fast, other]
    assert len({re.search('data-explorable="(.*?)"', f._repr_html_())[1] for f in figures}) == 4
    assert len({figure.still for figure in figures}) == 4
    assert all(len(figure.still) < 15_000 for figure in figures)
    assert 'add 0.22' in figures[0].alt and 'add 0.00' in fast.alt


@pytest.mark.parametrize('make, given, said', [
    (hourglass, dict(slope=3), 'slope=3'), (hourglass, dict(kernel_size=9), 'kernel_size=9'),
    (hourglass, dict(aggregate='max'), "'max'"), (hourglass, dict(speed=7), 'speed=7'),
    (hourglass, dict(speed=float('nan')), 'speed=nan'),
    (turn_the_taps, dict(taps=(1, 2)), 'taps=(1, 2)'),
    (turn_the_taps, dict(taps=(3, 0, 0)), 'from −2 to 2'),
    (turn_the_taps, dict(window=(1,) * 8), 'nine numbers'),
    (turn_the_taps, dict(window=(.5,) * 9), 'nine numbers'),
    (turn_the_taps, dict(slope=8), 'slope=8'),
    (turn_the_taps, dict(motions={'a': ball()}), '1 motions'),
    (turn_the_taps, dict(motions={'a': ball(), 'b': ball(frames=4)}), 'one shape'),
    (turn_the_taps, dict(motions={'a': ball()[0], 'b': ball()[0]}), 'shape (1, 8, 24, 24)'),
    (turn_the_taps, dict(motions={'a': ball(), 'b': 2 * ball()}), "'b'")])
def test_wrong_inputs(make, given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make(**given)


USE = """<script>
const [first, second] = [...document.querySelectorAll('[data-explorable]')].map(e => e.shadowRoot);
const said = [];
const tell = root => said.push(root.querySelector('.verdict').textContent);
const set = (root, k, value) => {
  const input = root.querySelectorAll('input[type=range]')[k];
  input.value = value;
  input.dispatchEvent(new Event('input'));
  tell(root);
};
tell(first);
set(first, 1, 4);
first.querySelector('input[value=conv]').click();
tell(first);
tell(second);
second.querySelectorAll('.grid button')[3].click();
const down = new KeyboardEvent('keydown', {key: 'ArrowDown'});
second.querySelectorAll('.grid button')[4].dispatchEvent(down);
tell(second);
set(second, 3, 0);
document.body.dataset.said = said.join('|');
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed: no figure is used')
def test_a_reader_turns_the_knobs(tmp_path):
    "Both figures on one page; the controls are used, and what the figures say is read."
    page = tmp_path/'page.html'
    figures = hourglass(1., 0), FIGURES['taps']()
    text = '<!DOCTYPE html><meta charset="utf-8"><body>'
    page.write_text(text + ''.join(f._repr_html_() for f in figures) + USE, 'utf-8')
    done = subprocess.run([CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu',
                           f'--user-data-dir={tmp_path/"profile"}', '--dump-dom', page.as_uri()],
                          capture_output=True, text=True, timeout=120)
    tags = Page(done.stdout).tags
    assert sum(attributes.get('data-live') == 'true' for _, attributes in tags) == 2
    said = dict(tags)['body']['data-said'].split('|')
    assert [line[:13] for line in said[:3]] == ['✕ Out of view', '✓ In view. Th', '✕ Out of view']
    assert 'right = left' in said[3]
    assert 'right = left' not in said[4]
    assert 'right = left' in said[5]


def test_any_html_of_its_own():
    figure = Explorable('taps', dict(motions={}), b'png', 'a < b')
    assert 'alt="a &lt; b"' in figure._repr_html_()


def test_the_scripts_are_installed(monkeypatch):
    given = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(setuptools, 'setup', given.update)
    runpy.run_path('setup.py')
    patterns = given['package_data']['video_convs.tables']
    files = [file.relative_to(ROOT/'data') for file in (ROOT/'data/explorable').iterdir()]
    assert len(files) == 9
    assert all(any(PurePath(file).match(p) for p in patterns if '/' in p) for file in files)


if __name__ == '__main__':
    stored = {'core.js': fingerprint(), 'answers': run_node()}
    ANSWERS.write_text(json.dumps(stored) + '\n', 'utf-8')
