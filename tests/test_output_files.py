"A file that a command writes at the end: its folder is made, and a wrong place is named first."
import json

import pytest
import torch

from video_convs.cli.entry import main
from video_convs.cli.values import check_place
from video_convs.train.scores import Scores, save_scores

LOG = dict(epoch=1, loss=1., top1=.5, test_top1=.5)


@pytest.fixture
def place(tmp_path, monkeypatch):
    "A folder with a run, a file of scores, a folder where a file is wanted, and the reverse."
    monkeypatch.chdir(tmp_path)
    (tmp_path/'run').mkdir()
    (tmp_path/'run/log.jsonl').write_text(json.dumps(LOG) + '\n')
    logits = torch.eye(2)
    save_scores(Scores(logits, logits.softmax(1), torch.tensor([0, 1]), ('v', 'w'), ('a', 'b'),
                       about={'views': dict(clips=1, crops=1)}), tmp_path/'s.safetensors')
    for name in ('dir.png', 'dir.csv', 'dir.json', 'dir.jsonl'):
        (tmp_path/name).mkdir()
    (tmp_path/'file').touch()
    return tmp_path


COMMANDS = {
    'plot': (['plot', 'run'], 'png'),
    'submit': (['submit', 's.safetensors', '--server', 'jester'], 'csv'),
    'ensemble': (['ensemble', 's.safetensors', 's.safetensors'], 'json'),
    'bench': (['bench', 'ops', '--only', 'TemporalShift', '--rounds', '1'], 'json'),
    'data check': (['data', 'check', 'folder', 'none'], 'jsonl'),
}


@pytest.mark.parametrize('typed, ending', COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize('out, says', [('dir.{}', 'is a folder: name a file in it'),
                                       ('file/new.{}', 'cannot be written')])
def test_a_wrong_place_is_named(place, capsys, typed, ending, out, says):
    out = out.format(ending)
    assert main([*typed, '--out', out]) == 2
    said = capsys.readouterr()
    assert f'--out {out} {says}' in said.err and not said.out
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize('command', ['plot', 'submit', 'ensemble'])
def test_a_new_folder_is_made(place, command):
    typed, ending = COMMANDS[command]
    assert main([*typed, '--out', f'new/deep/file.{ending}']) == 0
    assert (place/f'new/deep/file.{ending}').stat().st_size > 0


def test_a_picture_has_the_ending_of_one(place, capsys):
    assert main(['plot', 'run', '--out', 'runs.doc']) == 2
    assert "--out names a picture (.png, .svg, .pdf), got 'runs.doc'" in capsys.readouterr().err


def test_any_ending_is_fine_where_none_is_asked_for(tmp_path):
    check_place(tmp_path/'new/file.anything')
    assert (tmp_path/'new').is_dir() and not list((tmp_path/'new').iterdir())
