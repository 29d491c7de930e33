"A run as a YAML file: what is read, what is refused, and the way back."
import json
import random
from dataclasses import replace

import pytest
import yaml

from video_convs.cli import learning, main, parser
from video_convs.cli.run_file import LARGEST_RUN_FILE, read_run_file, run_text
from video_convs.data.transforms import Augment
from video_convs.train.recipes import Recipe, find_recipe
from video_convs.train.scale_out import TrainConfig


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    "Run `train` on a text as its file, without training: (exit code, what it was asked, message)."
    monkeypatch.chdir(tmp_path)
    runs = []
    monkeypatch.setattr(learning, 'run_training', lambda config, extra: runs.append(config))
    monkeypatch.setattr(learning, '_next', lambda args: '')
    def ask(text='', *typed):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path/'run.yaml').write_bytes(content)
        (tmp_path/'r').mkdir(exist_ok=True)
        runs.clear()
        try:
            code = main(['train', '--config', 'run.yaml', *typed])
        except SystemExit as stop:
            code = stop.code
        return code, runs[0] if runs else None, capsys.readouterr().err.strip()
    return ask


def config(asked, text, *typed):
    code, made, said = asked('data: d\nout: r\n' + text, *typed)
    assert code == 0, said
    return made


def recipe(asked, text, *typed):
    made = config(asked, text, *typed)
    return made.own_recipe()


def test_the_settings_of_a_run(asked):
    made = config(asked, 'model: hgc_tiny\nframes: 4\nmax_skipped: .2\nset:\n  slope: 4\n  p: .5\n'
                         '  word: "4"\noption: {fold: 1, partial: true}\nfold: 2/3\ncache: true\n'
                         'test-resize: 240x320\ntasks: [verb, noun]\nsave-every: 1000\n')
    assert made == TrainConfig(
        'd', 'r', model='hgc_tiny', frames=4, max_skipped=.2, options={'fold': 1, 'partial': True},
        variant={'slope': 4, 'p': .5, 'word': '4'}, fold=(2, 3), cache=True, save_every=1000,
        test_resize=(240, 320), tasks=('verb', 'noun'))


@pytest.mark.parametrize('text', [
    'lr: 1e-3\nbatch_size: 8\nschedule: step\nmilestones: [3, 6]\naugment:\n  hflip: true\n',
    'recipe:\n  lr: 0.001\n  batch-size: 8\n  schedule: step\n  milestones: [3, 6]\n'
    '  augment: {hflip: True}\n',
    '{"lr": 1e-3, "batch_size": 8, "schedule": "step", "milestones": [3, 6], "hflip": true,'
    ' "data": "d", "out": "r"}'])
def test_the_values_of_a_recipe(asked, text):
    code, made, said = asked(text if text.startswith('{') else 'data: d\nout: r\n' + text)
    assert code == 0, said
    assert made.own_recipe() == Recipe(lr=1e-3, batch_size=8, schedule='step',
                                       milestones=(3, 6), augment=Augment(hflip=True))


@pytest.mark.parametrize('text, typed, expected', [
    ('lr: .1', ['--lr', '.2'], dict(lr=.2)),
    ('compile: true', ['--no-compile'], dict(compile=False)),
    ('schedule: step\nmilestones: [3, 6]', ['--milestones', '4'], dict(milestones=(4,))),
    ('lr-scale: {a: 2, b: 2}', ['--lr-scale', 'b=3'], dict(lr_scale={'a': 2, 'b': 3})),
    ('augment: {jitter: .5, hflip: true}', ['--jitter', '.1'],
     dict(augment=Augment(jitter=.1, hflip=True))),
    ('augment: {jitter: .5}', ['--no-augment'], dict(augment=Augment.none())),
    ('augment: {scale: .5}', [], dict(augment=Augment(scale=(.5, 1)))),
    ('augment: {crop: corners, scale: [1]}', [], dict(augment=Augment(crop='corners', scale=(1,)))),
    ('lr: .1', ['--with', 'lr=.3'], dict(lr=.3)),
])
def test_what_is_typed_wins(asked, text, typed, expected):
    made = recipe(asked, text, *typed)
    assert {name: getattr(made, name) for name in expected} == expected


def test_flags_win_on_either_side_of_the_file(asked, tmp_path, capsys):
    (tmp_path/'s').mkdir()
    made = config(asked, 'keep: 3\nseconds: null\n', '--keep', '1', '--out', 's')
    assert (made.keep, made.seconds, made.out, made.data) == (1, None, 's', 'd')
    assert main(['train', '--print-config', '--keep', '1', '--conf=run.yaml']) == 0
    assert yaml.safe_load(capsys.readouterr().out)['keep'] == 1
    assert config(asked, 'set: {a: 1, b: 1}\n', '--set', 'b=2').variant == {'a': 1, 'b': 2}


def test_null_is_none(asked):
    assert (recipe(asked, 'recipe: sth.hmdb51\nlr-batch: null\naugment: {resize: null}\n')
            == replace(
                find_recipe('sth.hmdb51').recipe, lr_batch=None,
                augment=replace(find_recipe('sth.hmdb51').recipe.augment, resize=None)))


def test_a_byte_order_mark_and_comments(asked):
    assert asked('\ufeff# a run\ndata: d # here\nout: r\n')[0] == 0


AT = 'run.yaml, line 1: '
BOMB = '\n'.join(['set:', '  a0: &a0 [x, x]',
                  *(f'  a{k}: &a{k} [*a{k-1}, *a{k-1}]' for k in range(1, 40))])


@pytest.mark.parametrize('text, says', [
    ('epocs: 3', AT + "there is no 'epocs'; near matches: epochs"),
    ('augment: {jiter: .3}', AT + "there is no 'jiter'; near matches: jitter"),
    ('augment:\n  epochs: 3', "line 2: there is no 'epochs'"),
    ('augment: 3', AT + 'augment takes names with values'),
    ('recipe: {data: x}', AT + "there is no 'data'"), ('Epochs: 3', AT + "there is no 'Epochs'"),
    ('changes: {lr: 1}', "there is no 'changes'"), ('no-augment: true', "there is no 'no-augment'"),
    ('config: a.yaml', "there is no 'config'"), ('help: true', "there is no 'help'"),
    ('<<: {lr: 1}', "there is no '<<'"),
    ('epochs: three', AT + "epochs must be a whole number from 1 to 1,000,000, or"
     " 'auto', got 'three'"),
    ('epochs: .nan', AT + "epochs must be a whole number"), ('epochs: 0', "got '0'"),
    ('epochs: 3.5', "got '3.5'"), ('epochs: true', "got 'true'"),
    ('lr: .inf', AT + "lr must be a number above 0 to 1,000,000, got '.inf'"),
    ('lr: nan', 'lr must be'), ('augment: {jitter: 2}', AT + 'jitter must be a number'),
    ('max-skipped: 1.5', AT + 'max-skipped must be a number from 0 to 1'),
    ('milestones: [1, two]', AT + 'milestones must be'),
    ('epochs: [3, 4]', AT + 'epochs takes one value'), ('epochs: {a: 1}', 'epochs takes one value'),
    ('out: [a, b]', AT + 'out takes one value'), ('tasks: {a: b}', 'tasks takes a list of values'),
    ('tasks: [[a]]', 'tasks takes a list of values'),
    ('cache: maybe', AT + 'cache is true or false'), ('hflip: 1', 'hflip is true or false'),
    ('hflip: [true]', 'hflip is true or false'),
    ('rule: sparse', AT + "rule is one of segments, dense, not 'sparse'"),
    ('bn: none', AT + "bn is one of full, partial, frozen, not 'none'"),
    ('augment: {crop: middle}', "crop is one of sides, corners, area, not 'middle'"),
    ('fold: 3', AT + "fold takes K/N, such as 2/3, got '3'"),
    ('test_resize: big', AT + 'test-resize is the short side'),
    ('augment: {resize: [1, 2, 3]}', AT + 'resize is the short side'),
    ('set: 3', AT + 'set takes names with values'), ('set: [a=1]', 'set takes names with values'),
    ('set: {p: .nan}', AT + 'set p must be finite, got nan'),
    ('set: {p: [1, 1e999]}', 'set p must be finite'),
    ('option: {split: train}', AT + "option has no 'split'"),
    ('epochs:', AT + 'epochs has no value'), ('rule: null', 'rule has no value'),
    ('lr: 1\nlr: 2', "run.yaml, line 2: 'lr' stands here twice"),
    ('set:\n  p: 1\n  p: 2', "run.yaml, line 3: 'p' stands here twice"),
    ('batch-size: 3\nbatch_size: 4', 'line 2: batch-size stands here twice'),
    ('lr: 1\nrecipe: {lr: 2}', 'line 2: lr stands here twice'),
    ('jitter: .1\naugment: {jitter: .2}', 'line 2: jitter stands here twice'),
    ('- lr', 'run.yaml must hold lines of the form key: value'), ('lr', 'must hold lines'),
    ('', 'must hold lines'), (b'\xff\xfe\x00', 'run.yaml is no text in UTF-8'),
    ('data: a\x07b', 'run.yaml holds a character that YAML does not take'),
    ('milestones: &m [1]\nfreeze: *m', 'run.yaml, line 1: aliases are not read'),
    (BOMB, 'aliases are not read'), ('data: !!python/name:os.system', AT + 'tags are not read'),
    ('set: !mine {a: 1}', AT + 'tags are not read'),
    ('set: ' + '['*500, 'run.yaml is nested too deep'),
    ('set: ' + '{a: '*500, 'run.yaml is nested too deep'),
    ('#'*(LARGEST_RUN_FILE + 1), 'run.yaml is larger than 100,000 bytes'),
    ('data: a\n\tout: b', 'run.yaml, line 2: '), ('data: "a', 'run.yaml, line 1: '),
    ('lr: 1\n---\nlr: 2', 'run.yaml, line 2: '), ('? [a]\n: 1', AT + 'a key is a word'),
    ('data: ""', 'data is empty: name a file or a folder'),
    ('recipe: h2cn.hmdb51', "there is no recipe 'h2cn.hmdb51'"),
    ('epochs: 4\nschedule: step\nmilestones: [5]', 'recipe: milestones must be rising numbers'),
])
def test_what_is_refused(asked, text, says):
    code, made, said = asked(text,
                             *([] if says.startswith('data is') else ['--data', 'd']), '--out', 'r')
    assert code == 2 and made is None, said
    assert says in said and len(said.splitlines()) == 1, said
    assert said.startswith('video_convs train: ')


@pytest.mark.parametrize('name, says', [
    ('nowhere.yaml', '--config nowhere.yaml does not exist'), ('', '--config is empty'),
    ('.', '--config . is no file'), ('/dev/zero', '--config /dev/zero is no file')])
def test_what_is_no_file(tmp_path, monkeypatch, capsys, name, says):
    monkeypatch.chdir(tmp_path)
    assert main(['train', '--data', 'd', '--out', 'r', '--config', name]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize('text', ['', '--data d', 'epochs: 3'])
def test_what_is_needed(asked, text):
    typed = text.split() if text.startswith('--') else []
    code, made, said = asked('epochs: 3', *typed)
    missing = '--out' if typed else '--data, --out'
    assert code == 2 and made is None
    assert said.startswith('video_convs train: the following arguments are required: '
                           f'{missing}; see')


PATH = 'naïve: "yes" # 010\n\t'
COMMANDS = [
    [], ['--epochs', '3', '--lr', '1e-7', '--no-augment'], ['--data', PATH, '--root', 'null'],
    ['--data', '1e3', '--model', 'true', '--train-split', '~', '--test-split', '2020-01-01'],
    ['--recipe', 'sth.hmdb51', '--with', 'augment.resize=null', 'lr_batch=null', 'lr_scale={}'],
    ['--recipe', 'h2cn.something-v1', '--tasks', '--fold', '2/3', '--test-resize', '24x32'],
    ['--set', 'slope=4', 'word="4"', 'many=[1, [2.5, "x"]]', 'no=false', 'empty=null',
     '--option', 'fold=1', '--lr-scale', '**.op.*=10'],
    ['--freeze', 'trunk.**', '--bn', 'frozen', '--scale', '.5', '.9', '--cache', '--keep', '7',
     '--crop', 'area', '--resize', '40', '--seconds', '1.5', '--max-skipped', '0'],
]


@pytest.mark.parametrize('typed', COMMANDS)
def test_what_is_printed_is_read_back(typed, tmp_path, capsys):
    command = ['train', '--print-config']
    assert main([*command, '--data', 'd', '--out', str(tmp_path/'r'), *typed]) == 0
    text = capsys.readouterr().out
    assert not (tmp_path/'r').exists()
    (tmp_path/'run.yaml').write_text(text)
    assert main([*command, '--config', str(tmp_path/'run.yaml')]) == 0
    assert capsys.readouterr().out == text
    page = yaml.safe_load(text)
    given = dict(zip(typed[::2], typed[1::2]))
    assert page['data'] == given.get('--data', 'd') and page['train-split'] == given.get(
        '--train-split', 'train')
    assert {key.replace('-', '_') for key in page} >= set(Recipe().to_dict())


def test_a_file_asks_for_what_the_command_asks(asked, monkeypatch):
    "What a file gives is what it was written from, value by value and type by type."
    own = Recipe(epochs=9, schedule='step', milestones=(2, 5), lr_scale={'a': 2.}, freeze=('x',),
                 lr_batch=64, augment=Augment.corners(hflip=True, resize=(240, 320)))
    run = TrainConfig('d', 'r', model='m', variant={'p': .5, 'w': '1'}, fold=(1, 2), tasks=('v',),
                      options={'fold': 1}, test_resize=(24, 32), seconds=2.5, cache=True)
    code, made, said = asked(run_text(run, own))
    assert code == 0, said
    assert made.own_recipe() == own and replace(made, changes={}) == run
    assert type(made.seconds) is float and type(made.fold[0]) is int


def test_a_run_leaves_its_file(asked, tmp_path):
    config(asked, 'epochs: 7\nmodel: hgc_tiny\n')
    left = yaml.safe_load((tmp_path/'r/run.yaml').read_text())
    assert (left['model'], left['epochs'], left['data']) == ('hgc_tiny', 7, 'd')
    text = (tmp_path/'r/run.yaml').read_text()
    assert asked(text)[0] == 0 and (tmp_path/'r/run.yaml').read_text() == text


def test_the_recipe_of_a_checkpoint_is_read(asked):
    "As its `config.json` has it, under the key that it has there."
    own = replace(find_recipe('stc.diving48').recipe, lr_scale={'**.op.*': 10.})
    assert recipe(asked, 'recipe: ' + json.dumps(own.to_dict())) == own


WHOLE = ('data: d\nlr: 1e-3\nset:\n  slope: 4\n  a: [1, {b: "x"}]\naugment:\n  hflip: true\n'
         '  resize: 240x320\nmilestones: [3, 6]\nfold: 2/3\ntasks:\n- verb\n- noun\n')
SIGNS = [*'{}[]:,-?!&*#|>@`"\'%\n\t ~<.0aé\u2028\x00\x85', 'null', '&a ', '*a', '<<',
         '---', '\ufeff']


def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path):
    command = parser('train').parse_args(['train']).flags
    page, draw, refused = tmp_path/'run.yaml', random.Random(0), 0
    for _ in range(300):
        k, n = draw.randrange(len(WHOLE)), draw.randrange(3)
        page.write_text(WHOLE[:k] + draw.choice(SIGNS) + WHOLE[k + n:], encoding='utf-8')
        try:
            assert read_run_file(page, command)
        except ValueError as error:
            refused += 1
            assert str(page) in str(error) and len(str(error).splitlines()) == 1
    assert 50 < refused < 290
