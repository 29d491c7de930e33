"Flags come from fields: name, type, default and comment are those of the source."
import ast
import dataclasses
import io
import json
import re
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import video_convs.cli.fields as source
from video_convs.cli import parser
from video_convs.cli.arguments import ARGUMENTS
from video_convs.cli.fields import Field, constant_of, fields_of
from video_convs.cli.flags import add_field
from video_convs.data.transforms import CROPS, Augment
from video_convs.train.recipes import CHOICES, Recipe
from video_convs.train.scale_out import TrainConfig

HOMES = {TrainConfig: ('train.scale_out', 'TrainConfig'), Recipe: ('train.recipes', 'Recipe'),
         Augment: ('data.transforms', 'Augment')}
EACH = [(made, field) for made in HOMES for field in dataclasses.fields(made)]
NAMES = [f'{made.__name__}.{field.name}' for made, field in EACH]
PACKAGE = Path(source.__file__).parents[1]


@pytest.mark.parametrize('made, field', EACH, ids=NAMES)
def test_the_source_says_what_the_class_has(made, field):
    read = fields_of(*HOMES[made])
    assert list(read) == [f.name for f in dataclasses.fields(made)]
    said = read[field.name]
    if field.default is dataclasses.MISSING:
        assert (said.default is None) == (field.default_factory is dataclasses.MISSING)
    elif field.default != 4/3:
        assert said.value == field.default and type(said.value) is type(field.default)
    else:
        assert said.default == '4 / 3'


@pytest.mark.parametrize('made, field', EACH, ids=NAMES)
def test_every_field_has_its_comment(made, field):
    assert len(fields_of(*HOMES[made])[field.name].help.split()) > 1 or field.name == 'compile'


def test_help_shows_the_comments():
    shown = ' '.join(parser('train').parse_args(['train']).flags.format_help().split())
    other = {'recipe', 'pretrained', 'variant', 'options', 'fold', 'tasks', 'test_resize', 'resize',
             'changes', 'augment'}
    for made, field in EACH:
        if field.name in other:
            continue
        help = fields_of(*HOMES[made])[field.name].help
        assert help in shown, field.name
    assert "peak learning rate; a number above 0 to 1,000,000 [0.003]" in shown
    assert ('share of the target that all classes get; 0: none; '
            'a number from 0 to below 1 [0.0]') in shown
    assert 'default: None' not in shown and '(default: 50)' in shown


def test_every_argument_is_explained():
    found = every_argument()
    assert len(found) > 130
    for command, action in found:
        assert action.help and 'None' not in action.help, (command, action.dest)

IMPERATIVE = {'Check', 'Fetch', 'Find', 'Copy', 'List', 'Measure', 'Plot', 'Print', 'Put', 'Render',
              'Test', 'Time', 'Train', 'Write'}
# help texts of flags say what a value is, or what a switch does; these comments lean on the name
LEAN = {'size', 'weight_decay', 'seed', 'dropout', 'momentum', 'precision', 'workers', 'crop_size'}


def test_help_speaks_in_one_voice():
    for name, (about, _) in ARGUMENTS.items():
        assert about.split()[0] in IMPERATIVE, name
    for name in ('check', 'prepare'):
        with pytest.raises(SystemExit), redirect_stdout(io.StringIO()) as text:
            parser('data').parse_args(['data', name, '--help'])
        assert IMPERATIVE & set(text.getvalue().split())
    leaning = {action.dest for _, action in every_argument() if action.dest not in LEAN
               and re.match(r'(of|that|what|whose|its|before|or|as|for|whether) ', action.help)}
    assert not leaning


def every_argument():
    "(command, flag) of all commands and actions."
    def walk(p):
        for action in p._actions:
            if hasattr(action, '_name_parser_map'):
                for inner in action.choices.values():
                    yield from walk(inner)
            else:
                yield p.prog, action
    return list(walk(parser()))


@pytest.mark.parametrize('words', [[], ['train'], ['evaluate'], ['data', 'prepare']])
def test_help_loads_nothing_heavy(words):
    code = ("import sys\nfrom video_convs.cli import main\n"
            f"try: main([*{words}, '--help'])\nexcept SystemExit: pass\n"
            "print([m for m in ('torch', 'numpy', 'yaml') if m in sys.modules])")
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert said.stdout.strip().splitlines()[-1] == '[]'


def test_tables_of_words():
    assert constant_of('train.recipes', 'CHOICES') == CHOICES
    assert constant_of('data.transforms', 'CROPS') == CROPS


MADE_UP = '''
class Made:
    "A class."
    # a heading
    needed: int # behind it
    # above it,
    # on two lines
    first: str = 'a'
    second: tuple[int, ...] = (1,
                               2) # on the last line; None: no 100 %
    def method(self): pass

    third: float = 1/2

def function(
    one: int, # first of all
    /,
    two: bool = False, # second
    *,
    three: str | None = None, # third
): pass
'''


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    (tmp_path/'made.py').write_text(MADE_UP)
    monkeypatch.setattr(source, 'files', lambda package: tmp_path)
    yield
    fields_of.cache_clear()
    source._module.cache_clear()


def test_where_comments_stand(made_up):
    fields = fields_of('made', 'Made')
    assert {name: field.help for name, field in fields.items()} == {
        'needed': 'behind it', 'first': 'above it, on two lines',
        'second': 'on the last line; left out: no 100 %', 'third': ''}
    assert [field.value for field in fields.values()] == [None, 'a', (1, 2), None]
    assert fields['third'].default == '1 / 2' and fields['needed'].default is None


def test_parameters_of_a_function(made_up):
    assert list(fields_of('made', 'function').values()) == [
        Field('one', 'int', None, 'first of all'), Field('two', 'bool', 'False', 'second'),
        Field('three', 'str | None', 'None', 'third')]


def test_a_comment_with_a_per_cent_sign(made_up, capsys):
    c = parser('')
    add_field(c, fields_of('made', 'Made')['second'], limit='epochs')
    with pytest.raises(SystemExit):
        c.parse_args(['--help'])
    assert 'no 100 %' in ' '.join(capsys.readouterr().out.split())


def test_fields_are_read_from_a_zip(tmp_path):
    "There is a text of each module wherever Python finds the package."
    with zipfile.ZipFile(tmp_path/'wheel.zip', 'w') as archive:
        for path in PACKAGE.rglob('*.py'):
            archive.write(path, path.relative_to(PACKAGE.parent))
    code = ("import sys\nsys.path.insert(0, 'wheel.zip')\n"
            "from video_convs.cli.fields import fields_of\nimport video_convs\n"
            "print([video_convs.__file__, fields_of('train.recipes', 'Recipe')['lr'].help])")
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          cwd=tmp_path, check=True).stdout
    where, help = ast.literal_eval(said)
    assert 'wheel.zip' in where and help == 'peak learning rate'


PAGES = sorted((PACKAGE.parent/'nbs/cli').glob('*.ipynb'))


@pytest.mark.parametrize('page', PAGES, ids=lambda path: path.stem)
def test_cells_are_short(page):
    cells = json.loads(page.read_text(encoding='utf-8'))['cells']
    lengths = [len(''.join(cell['source']).splitlines()) for cell in cells
               if cell['cell_type'] == 'code' and '#| export' in ''.join(cell['source'])]
    assert lengths and max(lengths) <= 45
