"The tool behind the checkpoints of spoken digits, on a corpus small enough to render."
import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from video_convs.data.custom import csv_dataset
from video_convs.data.video import read_frames, write_video

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tools'))
import grid_digits


@pytest.fixture
def tool(tmp_path, monkeypatch):
    "Eight sentences of 30 frames that grow brighter, each with a colour and a digit."
    corpus, rows = tmp_path/'corpus', []
    (corpus/'clips').mkdir(parents=True)
    for k in range(8):
        film = np.broadcast_to(40 + k + 5*np.arange(30)[:, None, None, None], (30, 24, 32, 3))
        write_video(corpus/f'clips/s{k}.mp4', film.astype(np.uint8))
        rows += [f'clips/s{k}.mp4,{start},{end},{slot},{label},s{k},{k % 4}'
                 for start, end, slot, label in ((0, 6, 'colour', 'red'),
                                                 (9.25, 14.5, 'digit', 'one two'.split()[k // 4]))]
    header = 'path,start_frame,end_frame,slot,label,group,fold'
    (corpus/'words.csv').write_text('\n'.join([header, *rows]) + '\n')
    monkeypatch.setenv('GRID', str(corpus))
    for name in ('work', 'examples'):
        monkeypatch.setattr(grid_digits, name, tmp_path/name)
    return grid_digits


def test_the_table_has_each_digit_once_and_names_no_folder(tool):
    tool.write_table()
    tool.write_table()  # again, beside the link that is there
    rows = list(csv.DictReader((tool.work/'clips.csv').open()))
    assert [row['path'] for row in rows] == [f'clips/s{k}.mp4' for k in range(8)]
    assert {(row['start_frame'], row['end_frame']) for row in rows} == {('5', '18')}
    splits = {part: {row['group'] for row in rows if row['split'] == part}
              for part in ('train', 'val', 'test')}
    assert splits == {'train': {'s1', 's2', 's5', 's6'}, 'val': {'s3', 's7'}, 'test': {'s0', 's4'}}
    data = csv_dataset(tool.work/'clips.csv', 'test')
    assert data.name == 'grid-digits' and data.classes == ('one', 'two')


def test_the_example_is_the_digit_of_the_first_test_sentence(tool):
    tool.clips()
    names = sorted(file.name for file in tool.examples.iterdir())
    assert names == ['grid_one.mp4', 'grid_sentence.mp4']
    word = read_frames(tool.examples/'grid_one.mp4', lambda n: range(n))
    assert word.shape == (3, 13, 24, 32)
    sentence = read_frames(tool.examples/'grid_sentence.mp4', range(5, 18))
    assert (word.float() - sentence.float()).abs().max() <= 3
