"Rows of a table that are parts of longer videos: which frames, which names, what is refused."
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from video_convs.cli import main
from video_convs.data.check import check_dataset
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import csv_dataset
from video_convs.data.dataset import SpanError
from video_convs.data.lists import table_rows
from video_convs.data.splits import refuse_overlap
from video_convs.data.transforms import Augment
from video_convs.data.video import write_video
from video_convs.nets.spec import InputSpec
from video_convs.train.evaluation import seen_videos
from video_convs.train.run_folder import learned_page, videos_checksum
from video_convs.train.scores import _video_names

pytestmark = pytest.mark.usefixtures('one_thread')

HEADER = 'path,start_frame,end_frame,label,split'
STEP = 6  # of brightness, from one frame to the next

@pytest.fixture(scope='module')
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp('films')
    for shift, name in enumerate('ab'):
        grey = np.arange(40)[:, None, None, None]*STEP + shift
        frames = np.broadcast_to(grey, (40, 16, 16, 3)).astype(np.uint8)
        write_video(root/f'{name}.mp4', frames, fps=20, crf=0, pix_fmt='yuv444p')
    return root

@pytest.fixture
def table(films, tmp_path):
    "Writes a table of the films."
    shutil.copytree(films, tmp_path/'films')
    def write(*lines, header=HEADER):
        file = tmp_path/'films/parts.csv'
        file.write_text('\n'.join([header, *lines]) + '\n')
        return file
    return write

HALVES = 'a.mp4,0,20,up,train', 'a.mp4,20,40,down,test', 'b.mp4,0,20,down,train', \
    'b.mp4,20,40,up,test'

def numbers(clip):
    "The frames that a clip (…, C, F, H, W) of the films holds."
    return ((clip.float().mean((-4, -2, -1)))/STEP).round().int().flatten().tolist()

@pytest.mark.parametrize('start, end, span', [
    ('3', '9', (3, 9)), ('0', '1', (0, 1)), ('23.75', '29.5', (24, 29)), ('29.5', '34.0', (29, 34)),
    ('.5', '2.49', (0, 2)), ('4.6', '5.3', (4, 5)), ('5.6', '5.9', (5, 6)), ('0', '.2', (0, 1)),
    ('1e1', ' 20 ', (10, 20)), ('', '', None)])
def test_a_frame_belongs_to_the_range_that_holds_its_middle(table, start, end, span):
    rows, _ = table_rows(table(f'a.mp4,{start},{end},up,train'))
    assert rows[0]['span'] == span

def test_neighbours_share_no_frame_and_lose_none(table):
    cuts = np.sort(np.random.default_rng(0).uniform(0, 40, 8)).round(2)
    cuts = [0, *cuts[np.diff(cuts, prepend=0) > 1], 40]
    rows, _ = table_rows(table(*(f'a.mp4,{a},{b},up,train' for a, b in zip(cuts, cuts[1:]))))
    assert [k for row in rows for k in range(*row['span'])] == list(range(40))

@pytest.mark.parametrize('start, end, message', [
    ('-1', '5', '0 ≤ start_frame < end_frame'), ('5', '5', "got '5' and '5'"),
    ('9', '5', "got '9' and '5'"), ('x', '5', 'must be numbers'), ('1', 'nan', 'must be numbers'),
    ('1', 'inf', 'must be numbers'), ('1', '', 'must both be given'),
    ('', '5', 'must both be given')])
def test_wrong_values_are_refused_with_file_and_line(table, start, end, message):
    file = table(HALVES[0], f'b.mp4,{start},{end},down,train')
    with pytest.raises(ValueError, match=message) as error:
        csv_dataset(file)
    assert str(error.value).startswith(f'{file}, line 3: ') and '\n' not in str(error.value)

def test_one_column_alone_is_refused(table):
    with pytest.raises(ValueError, match='line 2: .* must both be given'):
        csv_dataset(table('a.mp4,3,up,train', header='path,start_frame,label,split'))

def test_the_same_frames_are_listed_once(table):
    with pytest.raises(ValueError, match="lists b.mp4, frames 20 to 40, twice in the split 'test'"):
        csv_dataset(table(*HALVES, 'b.mp4,20.2,40.1,up,test'))

@pytest.mark.parametrize('span', ['39,60', '40,41', '60,70'])
def test_beyond_the_video(table, span):
    file = table(HALVES[0], f'b.mp4,{span},down,train')
    data = csv_dataset(file)
    wrong = f'{file}, line 3: .*b.mp4 has 40 frames, too few for the span'
    for act in (lambda: data.read(1, range), lambda: data.subset([1]).probe(0)):
        with pytest.raises(SpanError, match=wrong):
            act()
    broken, _, _ = Clips(data, InputSpec(frames=2, size=16), train=False)[1]
    assert broken.reason.startswith(f'{file}, line 3: ')

def test_check_names_the_line(table, tmp_path, capsys):
    file = table(*HALVES, 'b.mp4,38,70,up,test')
    assert main(['data', 'check', 'csv', str(file), '--out', str(tmp_path/'r.jsonl')]) == 1
    assert f'{file}, line 6: ' in capsys.readouterr().out
    table(*HALVES)
    counts = check_dataset('csv', file, tmp_path/'r.jsonl', workers=1)
    assert counts['all'] == dict(listed=4, fine=4, missing=0, broken=0)

def test_names_are_unique_wherever_they_are_compared(table):
    one_split = [line.replace('test', 'train') for line in HALVES]
    data = csv_dataset(table(*one_split, 'a.mp4,,,up,train'))
    assert data.names() == ['a, 0 to 20', 'a, 20 to 40', 'b, 0 to 20', 'b, 20 to 40', 'a']
    assert len(set(_video_names(data))) == len({*map(data.where, range(5))}) == 5
    learned = set(learned_page(data.subset([0, 3])).decode().split())
    assert seen_videos(data, learned) == ['a, 0 to 20', 'b, 20 to 40']
    moved = replace(data, spans=((1, 21), *data.spans[1:]))
    assert videos_checksum(data) != videos_checksum(moved)

def test_absent_parts_are_counted_one_by_one(table):
    file = table(*HALVES, 'gone.mp4,0,9,up,test', 'gone.mp4,9,20,up,test')
    data = csv_dataset(file, 'test', allow_missing=True)
    assert len(data) == 2 and len(set(data.absent)) == 2
    assert [place.rpartition(' ')[2] for place in data.places] == ['3', '5']

@pytest.mark.parametrize('row, refused', [
    ('a.mp4,30,40,up,train', True), ('a.mp4,18,20.4,up,train', False), ('a.mp4,,,up,test', True),
    ('copy.mp4,5,25,up,test', True), ('copy.mp4,20,40,up,test', False)])
def test_two_splits_share_no_frame(table, row, refused):
    file = table(*HALVES, row)
    shutil.copy(file.parent/'a.mp4', file.parent/'copy.mp4')
    if not refused:
        assert len(csv_dataset(file)) == 5
        return
    with pytest.raises(ValueError, match='the same video is in two splits, .*frames'):
        csv_dataset(file)

def test_overlap_is_found_behind_a_long_part(films):
    path = str(films/'a.mp4')
    parts = (path, 'x', (0, 30)), (path, 'x', (1, 2)), (path, 'y', (40, 50)), (path, 'y', (29, 31))
    refuse_overlap(parts[:3], 'films')
    with pytest.raises(ValueError, match="0 to 30, in 'x' and .*29 to 31, in 'y'"):
        refuse_overlap(parts, 'films')

@pytest.mark.parametrize('cache', [False, True])
@pytest.mark.parametrize('about, distance', [({}, None), ({'stride': 3}, 3), ({'seconds': .6}, 3)])
def test_sampling_stays_within_the_range(table, cache, about, distance):
    data = csv_dataset(table('a.mp4,10,30,up,train', 'b.mp4,5.2,6.1,down,train'))
    spec = InputSpec(frames=4, size=16, mean=(0.,)*3, std=(1/255,)*3, **about)
    for train in (False, True):
        clips = Clips(data, spec, train, Augment(jitter=0), cache=cache)
        for epoch in range(4):
            clips.set_epoch(epoch)
            long, short = (numbers(clips[i][0]) for i in (0, 1))
            assert 10 <= min(long) <= max(long) < 30 and short == [5]*4
            if distance:
                assert np.diff(long).tolist() == [distance]*3
    whole = numbers(Clips(data, replace(spec, frames=20, stride=None, seconds=None), False)[0][0])
    assert whole == list(range(10, 30))

def test_train_and_evaluate(table, tmp_path, capsys):
    file, run = table(*HALVES), tmp_path/'run'
    shape = ['--frames', '2', '--size', '16', '--epochs', '1', '--batch-size', '2']
    assert main(['train', '--data', str(file), '--model', 'tsn_tiny', *shape, '--out',
                 str(run)]) in (0, None)
    assert main(['evaluate', str(run), '--data', str(file), '--split', 'test',
                 '--workers', '0']) in (0, None)
    report = json.loads((run/'evaluate_test.json').read_text())
    assert report['ids'] == ['a.mp4, frames 20 to 40', 'b.mp4, frames 20 to 40']
    assert main(['evaluate', str(run), '--data', str(file), '--split', 'train']) == 2
    assert 'a, 0 to 20, b, 0 to 20' in capsys.readouterr().err
