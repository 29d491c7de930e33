"One page for one video: every kind of network, bad input, and what the page holds."
import base64
import io
import re
import runpy
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import setuptools
import torch
from PIL import Image

from video_convs import create_model
from video_convs.checkpoint import save
from video_convs.cli import parser
from video_convs.cli.entry import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.dataset import VideoDataset
from video_convs.data.decoder import Decoder
from video_convs.data.video import write_video
from video_convs.explain.internals import Internal, internals
from video_convs.explain.page import METHODS, Explanation, explain_video, gates_of, spans
from video_convs.explain.page_drawing import explanation_page
from video_convs.explain.probes import CHANGES, probe
from video_convs.nets.backbones import BACKBONES
from video_convs.nets.registry import find_model, list_models
from video_convs.nets.spec import InputSpec

pytestmark = pytest.mark.usefixtures('one_thread')
CLASSES = ['left', 'right', '<b>still</b>', 'up', 'down', 'turn', 'stop']


def film(frames=10, size=24):
    y, x, t = np.mgrid[:size, :size][0], np.mgrid[:size, :size][1], np.arange(frames)[:, None, None]
    return np.stack([(9*x + 20*t) % 200, (7*y + 5*t) % 200, (x + y + 11*t) % 250],
                    -1).astype(np.uint8)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('videos')
    for name, frames in (('clip', 6), ('other', 8)):
        write_video(root/f'{name}.mp4', film(frames))
    (root/'text.mp4').write_text('no video')
    return root


@pytest.fixture(scope='module', autouse=True)
def one_decoder():
    "The decoding process is started once."
    with pytest.MonkeyPatch.context() as patch, Decoder() as decoder:
        patch.setattr('video_convs.explain.page.Decoder', lambda timeout: nullcontext(decoder))
        yield


def tiny(name='tsn_tiny', size=24, **options):
    torch.manual_seed(0)
    options = dict(num_classes=7, classes=CLASSES, input_spec=dict(frames=4, size=size)) | options
    return create_model(name, **options)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return str(save(tiny(), tmp_path_factory.mktemp('runs')/'run'))


def parts(name):
    "The operator and the trunk of a network, by its name."
    trunk = find_model(name).card.name
    return name.removesuffix(f'_{trunk}'), trunk


def cost(name):
    "Networks on the small trunk first, then by the size of their trunk."
    operator, trunk = parts(name)
    return list(BACKBONES).index(trunk), operator != 'tsn', name


def tried():
    """Every operator on its smallest trunk, then every trunk that none of these has, with its
    simplest operator: explain and probe look at operators and at stages, never at both."""
    found = {}
    for name in sorted(list_models(), key=cost):
        found.setdefault(parts(name)[0], name)
    seen = {parts(name)[1] for name in found.values()}
    for name in sorted(list_models(), key=cost):
        if parts(name)[1] not in seen:
            seen.add(parts(name)[1])
            found[name] = name
    return sorted(found.values())


TRIED = tried()


def small(name):
    "A small version of a network; layers that halve time, and the pools before, need more."
    operator, trunk = parts(name)
    frames, size = (8, 64) if trunk == 'eco_lite' else (4 if trunk == 'tiny' else 2, 32)
    return tiny(name, input_spec=dict(frames=frames, size=size))


def test_every_operator_and_every_trunk_is_tried():
    operators, trunks = zip(*map(parts, TRIED))
    for name in list_models():
        assert parts(name)[0] in operators and parts(name)[1] in trunks, name
    assert len(set(TRIED)) == len(TRIED) < len(list_models())


@pytest.mark.parametrize('name', [
    name if name in TRIED else pytest.param(name, marks=pytest.mark.slow)
    for name in list_models()])
def test_every_network(folder, name):
    model = small(name).train()
    e = explain_video(folder/'clip.mp4', model)
    T, size = model.input_spec.frames, model.input_spec.size
    assert e.frames.shape == (T, size, size, 3) and e.heat.shape[1:] == (size, size)
    assert e.over_time.shape == (len(e.spans), 7) and model.training
    assert e.heat.min() >= 0 and abs(e.probabilities.sum().item() - 1) < 1e-5
    assert explanation_page(e).count('<figure ') == T
    data = VideoDataset('toy', tuple(CLASSES), (str(folder/'clip.mp4'), str(folder/'other.mp4')),
                        (0, 1), split='test')
    found = probe(model, Clips(data, model.input_spec, train=False, cache=True), progress=False)
    assert list(found) == list(CHANGES)
    assert all(s.logits.isfinite().all() and len(s.labels) == 2 for s in found.values())
    torch.testing.assert_close(found['in order'].probabilities[0], e.probabilities,
                               rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('typed, says', [
    (['clip.mp4', '--class', 'lefft'], "tsn_tiny has no class 'lefft'; near matches: left"),
    (['clip.mp4', '--stage', '3'], 'tsn_tiny has 3 stages, from 0 to 2'),
    (['clip.mp4', '--stage', '1', '--method', 'occlusion'], 'looks at no stage'),
    (['clip.mp4', '--method', 'magic'], "invalid choice: 'magic'"),
    (['clip.mp4', '--rule', 'magic'], "--rule is one of segments, dense, not 'magic'"),
    (['text.mp4'], 'text.mp4'), (['none.mp4'], 'none.mp4'),
    (['clip.mp4', '--out', 'page.txt'], "--out names a page (.html), got 'page.txt'"),
    (['clip.mp4', '--out', 'dir.html'], '--out dir.html is a folder: name a file in it'),
    (['clip.mp4', '--out', 'clip.mp4/page.html'], 'cannot be written'),
    (['clip.mp4', '--device', 'gpu'], "no device 'gpu'")])
def test_bad_input_is_one_sentence(folder, run, capsys, monkeypatch, typed, says):
    monkeypatch.chdir(folder)
    (folder/'dir.html').mkdir(exist_ok=True)
    try:
        code = main(['explain', run, str(folder/typed[0]), *typed[1:]])
    except SystemExit as stop:  # argparse: a word that is none of a few
        code = stop.code
    said = capsys.readouterr()
    assert code == 2 and not said.out
    assert says in said.err and len(said.err.strip().splitlines()) == 1, said.err
    assert not (folder/'explain.html').exists()


def test_the_command_writes_into_a_new_folder(folder, run, tmp_path, capsys):
    out = tmp_path/'new/page.html'
    assert main(['explain', run, str(folder/'clip.mp4'), '--class', 'up', '--method', 'gradcam',
                 '--out', str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[-1] == f'Written to {out}'
    assert 'Grad-CAM' in out.read_text('utf-8') and '<b>up</b>' in out.read_text('utf-8')


def test_without_names_the_classes_are_numbers(folder):
    model = tiny(classes=None)
    e = explain_video(folder/'clip.mp4', model, 'occlusion', label='3')
    assert e.classes == list('0123456') and e.label == 3 and e.stage == ''
    with pytest.raises(ValueError, match="no class '7'; there are 0, 1"):
        explain_video(folder/'clip.mp4', model, label='7')


@pytest.mark.parametrize('options, says', [
    (dict(num_classes=0, classes=None), 'has no classes, only features'),
    (dict(num_classes=dict(action=2, noun=3), classes=None), r'several tasks \(action, noun\)'),
    (dict(input_spec=InputSpec(frames=4, size=24, modality='flow', mean=(0.,), std=(1.,))),
     'wants 10 channels of flow')])
def test_networks_that_have_no_answer_to_a_video(folder, options, says):
    with pytest.raises(ValueError, match=says):
        explain_video(folder/'clip.mp4', tiny(**options))


def test_swapped_arguments_are_named(folder):
    with pytest.raises(ValueError, match='the video comes first and the network second'):
        explain_video(tiny(), folder/'clip.mp4')


def test_an_unknown_method_is_named(folder):
    with pytest.raises(ValueError, match="no method 'magic': choose one of hirescam, gradcam"):
        explain_video(folder/'clip.mp4', tiny(), 'magic')


@pytest.fixture(scope='module')
def page(folder):
    return explanation_page(explain_video(folder/'clip.mp4', tiny('hgc_tiny'), 'occlusion',
                                          label=CLASSES[2]))


def test_the_page_loads_nothing_and_escapes_names(page):
    assert not re.findall(r'(?:src|href)="(?!data:image/)', page)
    assert 'http' not in page.replace('http-equiv', '') and '@import' not in page
    assert '<b>still</b>' not in page and '&lt;b&gt;still&lt;/b&gt;' in page
    assert "default-src 'none'" in page and '{{' not in page


def test_the_page_has_two_sets_of_colours(page):
    light, dark = re.findall(r':root \{(.*?)\}', page, re.S)
    names = [set(re.findall(r'--\w+', part)) for part in (light, dark)]
    assert names[0] == names[1] and 'prefers-color-scheme: dark' in page
    used = set(re.findall(r'var\((--\w+)\)', page))
    assert used == names[0]


def made(T=8, size=8, points=None, **options):
    "An explanation of nothing in particular."
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (T, size, size, 3), generator=draw, dtype=torch.uint8)
    given = dict(
        network='net', video='a.mp4', duration=4., classes=CLASSES,
        probabilities=torch.tensor([.3, .2, .15, .15, .1, .06, .04]), label=6, method='hirescam',
        stage='layer1', frames=frames, moments=np.linspace(.2, 3.8, T),
        heat=torch.rand(points or T, size, size, generator=draw), spans=[(0., 2.), (2., 4.)],
        over_time=torch.full((2, 7), 1/7))
    return Explanation(**given | options)


def test_a_page_of_many_large_frames_stays_small():
    page = explanation_page(made(64, 224))
    assert len(page.encode()) < 3e6 and page.count('<figure ') == 32


def test_the_explained_class_is_listed_and_drawn_even_if_it_is_no_answer():
    page = explanation_page(made())
    assert page.count('class="number"') == 6 and page.count('class="line"') == 6
    assert re.findall('<span class="name explained">.*?</i>(.*?)</span>', page) == ['stop']
    assert 'the most probable of 7 classes' in page.lower()


def test_a_map_with_fewer_points_in_time_says_so():
    page = explanation_page(made(8, points=4))
    assert 'The map has 4 points in time' in page and page.count('<b style="left') == 4


def test_a_map_of_zeros_is_drawn():
    assert '0 % of the map' in explanation_page(made(heat=torch.zeros(8, 8, 8)))


def test_a_still_picture_and_a_long_video_are_named():
    assert 'which are all the same frame' in explanation_page(made(moments=np.zeros(8)))
    page = explanation_page(made(moments=np.linspace(10, 590, 8), duration=600.))
    assert '82.9 s apart; what happens between them it does not see' in page
    assert 's apart' not in explanation_page(made())


@pytest.mark.parametrize('n', [1, 20, 15_000])  # ten minutes
def test_no_more_than_ten_clips_are_read_however_long_the_video(n, capfd, monkeypatch):
    model, asked = tiny(), []
    class Reads:
        "In place of a decoder."
        def probe(self, path):
            return SimpleNamespace(times=np.arange(n) / 25)
        def read(self, path, numbers):
            asked.append(numbers)
            return torch.zeros(3, len(numbers), 24, 24, dtype=torch.uint8)
    monkeypatch.setattr('video_convs.explain.page.Decoder', lambda timeout: nullcontext(Reads()))
    e = explain_video('a.mp4', model, progress=True)
    assert len(asked) == 1 + len(e.spans) <= 10 and all(len(k) == 4 for k in asked)
    assert max(map(max, asked)) < n and e.duration == n / 25
    said = capfd.readouterr().err
    assert 'a.mp4: ' in said and f'/{len(asked)} [' in said


def test_names_on_the_right_do_not_overlap():
    page = explanation_page(made())
    tops = [float(t) for t in re.findall(r'<span style="top:([\d.]+)px" title', page)]
    assert len(tops) == 6 and max(tops) <= 200
    assert min(np.diff(sorted(tops))) >= 20


@pytest.mark.parametrize('n', [2, 3, 5, 96, 1000])
@pytest.mark.parametrize('spec, rule', [
    (InputSpec(frames=8), 'segments'), (InputSpec(frames=8), 'dense'),
    (InputSpec(frames=8, stride=4), 'segments'), (InputSpec(frames=8, seconds=.5), 'segments')])
def test_spans_lie_in_the_video_and_cover_it(n, spec, rule):
    found = spans(np.arange(n) / 24, spec, rule)
    assert 1 <= len(found) <= 9 and found[0][0] == 0 and found[-1][1] == n
    assert len({b - a for a, b in found}) == 1 and all(2 <= b - a <= n for a, b in found)


def test_what_is_after_a_span_does_not_change_its_answer(tmp_path):
    "A network that mixes all points in time: the first stretch is the same in both videos."
    model, one = tiny('stc_tiny').eval(), film(16)
    two = one.copy()
    two[8:] = 255 - one[8:]
    each = []
    for name, frames in (('one', one), ('two', two)):
        path = write_video(tmp_path/f'{name}.mp4', frames, crf=0)
        each.append(explain_video(path, model))
    first, last = (abs(each[0].over_time[k] - each[1].over_time[k]).max() for k in (0, -1))
    assert first < .2 * last


def test_methods_of_the_command_are_those_of_the_function():
    for action in parser('explain').parse_args(['explain', 'a', 'b']).flags._actions:
        if action.dest == 'method':
            assert tuple(action.choices) == METHODS


def test_the_template_is_installed(monkeypatch):
    root, given = Path(__file__).resolve().parents[1], {}
    monkeypatch.chdir(root)
    monkeypatch.setattr(setuptools, 'setup', given.update)
    runpy.run_path('setup.py')
    assert (root/'data/explain/page.html').is_file()
    assert 'explain/*' in given['package_data']['video_convs.tables']


def with_gates(**values):
    "An explanation with gates of these values."
    return made(gates={name: Internal(torch.tensor(rows), ('channel', 'time'), 'gate', 'Eq. 1')
                       for name, rows in values.items()})


def test_gates_are_drawn_on_one_scale():
    page = explanation_page(with_gates(one=[[0., 1.]], two=[[.5, .25], [0., 0.]]))
    assert 'Full blue is 1.00, and 0.00 has no colour' in page and page.count('(Eq. 1)') == 1
    strips = re.findall(r'base64,([^"]*)" alt="gates of (\w+)', page)
    found = {name: np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))[..., 3].tolist()
             for png, name in strips}
    assert found == {'one': [[0, 255]], 'two': [[128, 64], [0, 0]]}


def test_rows_stand_in_the_order_of_their_strongest_moments():
    page = explanation_page(with_gates(one=[[0., 0., 1.], [1., 0., 0.], [0., 1., 0.]]))
    png, = re.findall(r'base64,([^"]*)" alt="gates', page)
    alpha = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))[..., 3]
    assert (alpha == 255 * np.eye(3)).all()


def test_many_layers_are_folded_away():
    page = explanation_page(with_gates(**{f'layer{k}': [[0., 1.]] for k in range(6)}))
    assert page.count('class="plot strip"') == 6 and '<summary>2 more layers</summary>' in page


@pytest.mark.parametrize('name, axes', [('h2cn_tiny', ('channel', 'time')), ('tsn_tiny', None),
                                        ('hf_tsn_tiny', ('gate', 'time')), ('hgc_tiny', None)])
def test_gates_over_time(name, axes):
    model = tiny(name).eval()
    clip = torch.randn(3, 4 * model.input_spec.per_segment, 24, 24)
    found = gates_of(model, clip)
    assert {one.axes for one in found.values()} == ({axes} if axes else set())
    every = internals(model, clip) if found else {}
    for key, one in found.items():
        values = every[key].values
        expected = values.mean((2, 3)) if values.ndim == 4 else values
        torch.testing.assert_close(one.values, expected)
