"Numbers, paths and pages from outside: one range for each setting, whichever way it comes in."
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_convs.cli import main, parser
from video_convs.data.transforms import Augment
from video_convs.data.views import Views
from video_convs.guards import LIMITS, check_path, finite, printable, read_json
from video_convs.nets.ensemble import Ensemble
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import VideoNet
from video_convs.weights.create import create_model
from video_convs.train.recipes import Recipe, override

pytestmark = pytest.mark.usefixtures('one_thread')
ODD = ['nan', '-inf', '1e300', '-1', '²', '']

@given(st.one_of(st.floats(), st.integers(), st.text(max_size=3), st.none(), st.booleans(),
                 st.lists(st.integers(), max_size=2)))
def test_a_limit_lets_nothing_else_pass(value):
    for limit in LIMITS.values():
        if value not in limit:
            continue
        assert type(value) in ((int,) if limit.whole else (int, float)) and math.isfinite(value)
        assert limit.low <= value <= limit.high and limit.read(repr(value)) == value

PARSER = parser()  # making one takes longer than using it

@pytest.fixture(autouse=True)
def one_parser(monkeypatch):
    monkeypatch.setattr('video_convs.cli.entry.parser', lambda *asked: PARSER)

def number_flags():
    "Every flag of the command line that takes a number: command, flag, the command's parser."
    def walk(p, words):
        for action in p._actions:
            if hasattr(action, '_name_parser_map'):
                for name, inner in action.choices.items():
                    yield from walk(inner, [*words, name])
            if action.type is not None:
                yield ' '.join(words), action.option_strings[0], p
    return list(walk(PARSER, []))

NEEDED = {'train': ['--data', 'a', '--out', 'b'], 'search': ['--data', 'a', '--out', 'b'],
          'average': ['a', '--out', 'b'], 'evaluate': ['a', '--data', 'b'],
          'probe': ['a', '--data', 'b'], 'calibrate': ['a', '--data', 'b'],
          'ensemble': ['a'], 'predict': ['a', 'b'], 'features': ['a', 'b'],
          'head': ['a', '--out', 'b'],
          'explain': ['a', 'b'], 'timeline': ['a', 'b'], 'live': ['a'],
          'data check': ['folder', 'a'],
          'data prepare': ['folder', 'a', 'b'], 'data show': ['a'], 'bench': ['ops'], 'demo': []}

@pytest.mark.parametrize('command', NEEDED)
def test_every_number_of_the_command_line(command, capsys):
    "NaN, infinity and nonsense are one line and exit code 2; the range stands in the help."
    for flag, p in [(flag, p) for c, flag, p in number_flags() if c == command]:
        for text in ODD:
            assert main([*command.split(), *NEEDED[command], f'{flag}={text}']) == 2, text
            said = capsys.readouterr().err
            assert re.fullmatch(rf"video_convs \w+: {flag} must be a (whole )?number (above|from) "
                                rf".* got '{re.escape(text)}'\n", said), said
        shown = ' '.join(p.format_help().split())
        assert re.search(rf'{flag} .*?; a (whole )?number (above|from) [-\d,.e]+ to ', shown)

def test_there_are_many_flags():
    assert len(number_flags()) > 40
    assert {command for command, *_ in number_flags()} == {*NEEDED}

TRAIN = ['train', '--data', 'nowhere', '--out', 'nowhere/run']
@pytest.mark.parametrize('typed, says', [
    ([*TRAIN, '--max-skipped', 'nan'], "--max-skipped must be a number from 0 to 1, got 'nan'"),
    (['predict', 'a', 'b', '--timeout', 'inf'],
     "--timeout must be a number above 0 to 86,400, got 'inf'"),
    ([*TRAIN, '--lr', '1e300'], "--lr must be a number above 0 to 1,000,000, got '1e300'"),
    ([*TRAIN, '--scale', '0'], "--scale must be a number above 0 to 1, got '0'"),
    ([*TRAIN, '--keep', '-1'], "--keep must be a whole number from 1 to 1,000,000, got '-1'"),
    ([*TRAIN, '--log-every', '0'],
     "--log-every must be a whole number from 1 to 1,000,000,000, got '0'"),
    ([*TRAIN, '--fold', '²/3'], "--fold takes K/N, such as 2/3, got '²/3'"),
    ([*TRAIN, '--fold', '9999999/3'], '--fold takes K/N'),
    ([*TRAIN, '--size', '100000'], "--size must be a whole number from 1 to 4,096, got '100000'"),
    (['train', '--data', 'a', '--out', ''], 'out is empty: name a file or a folder'),
    (['train', '--data', ' ', '--out', 'b'], 'data is empty'), (['plot', ''], 'run is empty'),
    (['pull', 'a/b', '--to', ''], 'to is empty'),
    (['train', '--data', 'a', '--out', 'x' * 300],
     'out is too long for a disk, which takes names of 255 bytes'),
    (['evaluate', 'y/' * 3000, '--data', 'b'], 'checkpoint is too long for a disk'),
    ([*TRAIN, '--set', 'p=NaN'], '--set p must be finite, got nan'),
    ([*TRAIN, '--set', 'p=1e999'], '--set p must be finite, got inf'),
    ([*TRAIN, '--with', 'lr=Infinity'], '--with lr must be finite, got inf'),
    ([*TRAIN, '--with', 'lr=0'], 'recipe: lr must be a number above 0'),
    ([*TRAIN, '--lr-scale', '**=-Infinity'], '--lr-scale ** must be finite'),
    ([*TRAIN, '--option', 'fold=[1, NaN]'], '--option fold must be finite'),
    ([*TRAIN, '--test-resize', '99999'],
     "HEIGHTxWIDTH, such as 240x320, got '99999'; a side is a whole number from 1 to 16,384"),
    ([*TRAIN, '--no-augment', '--jitter', '0'], '--no-augment contradicts'),
])
def test_named_numbers(typed, says, capsys):
    assert main(typed) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1, said

@pytest.mark.parametrize('field', [f for f in LIMITS if hasattr(Recipe(), f) and f != 'lr_scale'])
def test_recipes_know_the_same_ranges(field):
    limit = LIMITS[field]
    for value in (math.nan, math.inf, -math.inf, limit.high * 2 + 1, limit.low - 1, '1', [1]):
        with pytest.raises(ValueError,
                           match=f'recipe: {field} must be {re.escape(str(limit))}, got'):
            override(Recipe(), {field: value})
        with pytest.raises(ValueError, match=f'recipe: {field} must be'):
            Recipe.from_dict({field: value})

@pytest.mark.parametrize('make', [
    lambda n: Augment(ratio=n), lambda n: Augment(jitter=n), lambda n: Augment(scale=(n, 1)),
    lambda n: Augment.corners(scale=(1, n)),
    lambda n: Augment(resize=n), lambda n: Augment(hflip=n), lambda n: Views(clips=n),
    lambda n: Views(size=n), lambda n: Views(resize=(8, n)),
    lambda n: InputSpec(size=n), lambda n: InputSpec(frames=n), lambda n: InputSpec(per_segment=n),
    lambda n: InputSpec(value_range=n),
    lambda n: InputSpec(mean=(0., 0., n)), lambda n: InputSpec(std=(n,)),
    lambda n: Recipe(lr_scale={'**': n}),
    lambda n: create_model('tsn_tiny', num_classes=n),
    lambda n: create_model('tsn_tiny', num_classes={'action': n}),
    lambda n: create_model('tsn_tiny', num_classes=2, dropout=n),
    lambda n: create_model('sth_tiny', num_classes=2, p=n),
    lambda n: create_model('hgc_tiny', num_classes=2, kernel_size=n),
    lambda n: Ensemble(*[create_model('tsn_tiny', num_classes=2)] * 2, weights=[n, 1])])
def test_nan_and_infinity_are_refused_everywhere(make):
    for n in (math.nan, math.inf, -math.inf, 1e300, 10**30):
        with pytest.raises(ValueError) as error:
            make(n)
        assert '\n' not in str(error.value)

def test_a_recipe_of_another_kind():
    for page in ({'augment': {'scale': None}}, {'augment': {'zoom': 2}}, {'augment': 3},
                 {'milestones': 3}):
        with pytest.raises(ValueError, match='recipe: its values are of another kind'):
            Recipe.from_dict(page)

def test_clips_beyond_reason():
    assert InputSpec(frames=64, size=1024)
    with pytest.raises(ValueError,
                       match=r'clips of 206,158,430,208 numbers, 4096 · 1 frames of 4096×4096'):
        InputSpec(frames=4096, size=4096)
    with pytest.raises(ValueError, match='size must be .* got 20000'):
        InputSpec(size=20_000)

@pytest.mark.parametrize('classes, says', [
    (['a', 'a', 'b'], "two are called 'a'"), (['a', 1, 'b'], '1 is a int'),
    (['a', None, 'b'], 'None is a NoneType'), (['a', ['b'], 'c'], 'is a list')])
def test_classes_are_names_and_differ(classes, says):
    with pytest.raises(ValueError, match=says):
        create_model('tsn_tiny', num_classes=3, classes=classes)
    with pytest.raises(ValueError, match=says):
        VideoNet('tsn_tiny', {'action': 3}, {'action': classes})

@given(st.text())
def test_printable(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert not re.search('[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]', shown)
    shown.encode()

def test_names_keep_their_letters():
    for name in ('Ballett', '舞踊', 'نمی‌دانم', '  a b', '👨‍👩‍👧', 'l\'été'):
        assert printable(name) == name

def test_pages():
    for text in ('[' * 100_000, '{"a":' * 100_000, '[' * 100_000 + ']' * 100_000):
        with pytest.raises(ValueError):
            read_json(text)
    with pytest.raises(ValueError, match='more than'):
        read_json(' ' * 64_000_001)
    assert read_json('{"a": 1}') == {'a': 1}
    with pytest.raises(ValueError, match='x must be finite'):
        finite([{'a': (1., -math.inf)}], 'x')

def test_paths():
    assert check_path('a/b').name == 'b'
    for path in ('', ' ', 'a\0b', 'x' * 256, 'ä' * 128, 'a/' * 2049):
        with pytest.raises(ValueError):
            check_path(path)
