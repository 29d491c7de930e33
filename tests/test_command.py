"Commands that messages suggest start the program that is running, from where its user stands."
import os, shlex, stat, subprocess, sys
from types import SimpleNamespace

import pytest

from video_convs.command import command_line, python_line, spelled

def program(path, says=''):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho {says} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path

def pasted(line):
    "What the shell says to a line."
    return subprocess.run(line, shell=True, capture_output=True, text=True,
                          check=True).stdout.strip()

@pytest.fixture
def place(tmp_path, monkeypatch):
    "A folder with an environment of its own that is not on the path."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PATH', os.defpath)
    monkeypatch.setattr(sys, 'argv', [str(program(tmp_path/'.venv/bin/video_convs', 'ours'))])
    return tmp_path

def test_outside_the_path(place):
    assert command_line('models') == '.venv/bin/video_convs models'
    assert pasted(command_line('models')) == 'ours models'

def test_on_the_path(place, monkeypatch):
    monkeypatch.setenv('PATH', str(place/'.venv/bin'), prepend=os.pathsep)
    assert (command_line('models') == 'video_convs models'
            and pasted(command_line('models')) == 'ours models')

def test_another_one_comes_first(place, monkeypatch):
    program(place/'other/video_convs', 'theirs')
    monkeypatch.setenv('PATH', f"{place/'other'}{os.pathsep}{place/'.venv/bin'}",
                       prepend=os.pathsep)
    assert pasted(command_line('models')) == 'ours models'

def test_an_absolute_path_where_that_is_shorter(place, monkeypatch):
    deep = place/'/'.join('abcdefghijklmnopqrstuvwxyz'*2)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert command_line() == str(place/'.venv/bin/video_convs') and pasted(command_line()) == 'ours'

def test_beside_the_program(place, monkeypatch):
    monkeypatch.chdir(place/'.venv/bin')
    assert command_line() == './video_convs' and pasted(command_line()) == 'ours'

def test_spaces_are_quoted(place, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [str(program(place/'my env/video_convs', 'ours'))])
    line = command_line('predict', 'a run', '$HOME.mp4', "it's")
    assert line.startswith("'my env/video_convs' predict 'a run' ")
    assert pasted(line) == "ours predict a run $HOME.mp4 it's"

@pytest.mark.parametrize('started', ['video_convs/__main__.py', 'pytest', ''])
def test_as_a_module_or_from_a_library(place, monkeypatch, started):
    monkeypatch.setattr(sys, 'argv', [started])
    monkeypatch.setattr(sys, 'executable', str(program(place/'.venv/bin/python', 'python')))
    assert command_line('models') == '.venv/bin/python -m video_convs models'
    assert pasted(python_line('x.py')) == 'python x.py'
    monkeypatch.setenv('PATH', str(place/'.venv/bin'), prepend=os.pathsep)
    assert command_line('models') == 'python -m video_convs models'

def test_the_python_of_an_environment_is_not_the_one_it_links_to(place, monkeypatch):
    base = program(place/'usr/bin/python')
    (place/'.venv/bin/python').symlink_to(base)
    monkeypatch.setenv('PATH', str(base.parent), prepend=os.pathsep)
    assert spelled(place/'.venv/bin/python') == '.venv/bin/python' and spelled(base) == 'python'

def test_in_a_notebook(place, monkeypatch):
    "No folder of this machine, and it works in a cell."
    monkeypatch.setitem(sys.modules, 'IPython', SimpleNamespace(get_ipython=lambda: object()))
    monkeypatch.setattr(sys, 'argv', ['ipykernel_launcher.py'])
    monkeypatch.setattr(sys, 'executable', str(place/'.venv/bin/python'))
    assert command_line('predict', 'a run') == "%run -m video_convs -- predict 'a run'"
    monkeypatch.setenv('PATH', str(place/'.venv/bin'), prepend=os.pathsep)
    assert command_line('predict', 'a run') == "!video_convs predict 'a run'"

def test_messages_take_their_commands_from_here(place, capsys):
    "What the command line prints when it gives advice."
    from video_convs.cli import main, parser
    with pytest.raises(SystemExit):
        main(['train', '--data', 'x'])
    advice = capsys.readouterr().err.strip().rpartition('; see ')[2]
    assert pasted(advice) == 'ours train --help'
    with pytest.raises(SystemExit):
        parser().parse_args(['train', '--help'])
    assert '.venv/bin/video_convs recipes' in ' '.join(capsys.readouterr().out.split())

@pytest.mark.parametrize('server, files', [('jester', ['evaluate_test.safetensors']),
                                           ('epic55', [f'evaluate_s1_{task}.safetensors'
                                                       for task in ('verb', 'noun')])])
def test_what_to_hand_in(place, server, files):
    from video_convs.cli import parser
    from video_convs.cli.scoring import submit_line
    line = submit_line([place/'a run'/file for file in files], server)
    words = shlex.split(line.partition(': ')[2])
    args = parser().parse_args(words[1:])
    assert words[0] == '.venv/bin/video_convs' and args.server == server
    assert args.out.endswith('.zip' if server == 'epic55' else '.csv')
    assert len(args.scores) == (4 if server == 'epic55' else 1)
    assert ': ' not in submit_line(files, 'my own data').replace('secret: there', '')
