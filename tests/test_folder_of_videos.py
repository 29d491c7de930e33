"`predict` on folders and on a chosen device, and the picture of `evaluate`."
import csv
import io

import numpy as np
import pytest
import torch
from PIL import Image

from video_convs.checkpoint import save
from video_convs.cli.entry import main
from video_convs.cli.scoring import print_report
from video_convs.data.paths import video_files
from video_convs.data.video import write_video
from video_convs.train.device import find_device
from video_convs.train.evaluation import report, wilson_interval
from video_convs.train.scores import Scores
from video_convs.weights.create import create_model


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    "A random network of two classes, and two videos of each, one of them deeper in its folder."
    home = tmp_path_factory.mktemp('folder')
    torch.manual_seed(0)
    save(create_model('tsn_tiny', num_classes=2, classes=['a', 'b'],
                      input_spec=dict(size=16, frames=2)).eval(), home/'run')
    for name in ('test/a/0.mp4', 'test/a/1.MP4', 'test/b/0.mp4', 'test/b/1.mp4'):
        file = home/'data'/name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_video(file.with_suffix('.mp4'), np.zeros((3, 16, 16, 3), np.uint8), fps=4)
    (home/'data/test/a/1.mp4').rename(home/'data/test/a/1.MP4')
    (home/'data/notes.txt').write_text('no video')
    (home/'empty').mkdir()
    return home


def test_a_folder_stands_for_its_videos(home):
    found = video_files([home/'data/test/b', 'none.mp4', home/'data/test/a/0.mp4'])
    assert found == [str(home/'data/test/b/0.mp4'), str(home/'data/test/b/1.mp4'), 'none.mp4',
                     str(home/'data/test/a/0.mp4')]
    with pytest.raises(ValueError, match='there are no videos in .*empty'):
        video_files([home/'empty'])


def test_predict_reads_a_folder(home, capsys):
    assert main(['predict', str(home/'run'), str(home/'data'), '--csv', '--topk', '1',
                 '--device', 'cpu']) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row['video'] for row in rows] == video_files([home/'data'])
    assert len(rows) == 4 and '1.MP4' in rows[1]['video']
    assert main(['predict', str(home/'run'), str(home/'empty')]) == 2
    assert 'there are no videos in' in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU is there')
def test_predict_says_that_a_device_is_absent(home, capsys):
    assert main(['predict', str(home/'run'), str(home/'data'), '--device', 'cuda']) == 2
    assert "device 'cuda' was asked for" in capsys.readouterr().err


def test_evaluate_draws_the_confusion(home, tmp_path, capsys):
    typed = ['evaluate', str(home/'run'), '--data', str(home/'data'), '--workers', '0']
    assert main([*typed, '--confusion', str(tmp_path/'new/who.png')]) == 0
    assert f"Written to {tmp_path/'new/who.png'}" in capsys.readouterr().out
    with Image.open(tmp_path/'new/who.png') as picture:
        assert len(picture.convert('L').getcolors()) > 10
    assert main([*typed, '--confusion', 'who.txt']) == 2
    refused = capsys.readouterr()
    assert '--confusion names a picture (.png, .svg, .pdf)' in refused.err and not refused.out


@pytest.mark.parametrize('name', ['mps', 'xpu', 'meta'])
def test_a_device_that_is_not_here_is_a_sentence(name, monkeypatch):
    monkeypatch.setattr(torch.accelerator, 'current_accelerator', lambda **how: None)
    with pytest.raises(ValueError, match=f"this machine has no device '{name}'"):
        find_device(name)


def test_an_accelerator_of_another_kind_is_let_through(monkeypatch):
    monkeypatch.setattr(torch.accelerator, 'current_accelerator',
                        lambda **how: torch.device('mps'))
    assert find_device('mps').type == 'mps'


@pytest.mark.parametrize('right, says', [(5, 'all are right'), (0, 'none are right')])
def test_a_report_of_equal_answers_is_not_certain(right, says, capsys):
    "Five of five videos leave room for much; a bootstrap of them has an interval of length 0."
    labels = torch.tensor([0, 0, 1, 1, 1])
    answers = labels if right else 1 - labels
    z = torch.eye(2)[answers]
    print_report(report(Scores(z, z, labels, tuple('abcde'), ('left', 'right'))))
    said = {line[:24].strip(): line[24:] for line in capsys.readouterr().out.splitlines()}
    low, high = (100 * end for end in wilson_interval(right, 5))
    assert f'{low:.1f}% to {high:5.1f}% (Wilson)' in said['top-1']
    assert f'no interval: {says}' in said['mean over classes']
