"The pages on single papers: the command line understands their commands and flags."
import json
import re
import shlex
from pathlib import Path

import pytest

from video_convs.cli.entry import _parse
from video_convs.nets.registry import find_model, variants
from video_convs.train.recipes import find_recipe

root = Path(__file__).resolve().parent.parent
PAGES = sorted((root/'nbs/papers').glob('*.ipynb'))
every_page = pytest.mark.parametrize('path', PAGES, ids=lambda path: path.stem)
NEEDED = dict(train=['--data', 'DIR', '--out', 'OUT'], evaluate=['RUN', '--data', 'DIR'])


def text_of(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    return '\n\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown')


def commands(text):
    "The words behind `video_convs` of every line that is a command."
    lines = [line.strip() for line in text.replace('\\\n', ' ').splitlines()]
    found = [re.match(r'(?:torchrun .*-m )?video_convs (.*)', line) for line in lines]
    return [shlex.split(line[1]) for line in found if line]


def changes(text):
    "Flags that stand in the text, each with the command that has them."
    for flags in re.findall(r'`(--[^`]+)`', text):
        words = shlex.split(flags)
        command = 'evaluate' if words[0] in ('--split', '--views') else 'train'
        yield [command, *NEEDED[command], *words]


def model_of(args):
    return args.model or (find_recipe(args.recipe).setup['model'] if args.recipe else None)


@every_page
def test_commands_are_understood(path):
    text = text_of(path)
    words = commands(text)
    assert {'train', 'evaluate'} <= {command for command, *_ in words}
    recipes = [found[1] for found in (re.search(r'--recipe (\S+)', shlex.join(w)) for w in words)
               if found]
    for line in [*words, *changes(text)]:
        args, unknown = _parse(line)
        assert not unknown, line
        if args.command == 'train':
            name = model_of(args) or find_recipe(recipes[0]).setup['model']
            assert find_model(name)
            assert set(args.variant or {}) <= set(variants(name)), line


def test_a_wrong_command_is_found():
    text = '`--set modules=1` and `--recipe stc.diving48`\n\nvideo_convs evaluate RUN --data D'
    assert commands(text) == [['evaluate', 'RUN', '--data', 'D']]
    assert [line[-2:] for line in changes(text)] == [['--set', 'modules=1'],
                                                     ['--recipe', 'stc.diving48']]
    assert _parse(['train', '--recipies', 'x'])[1]
