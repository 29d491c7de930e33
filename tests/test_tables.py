"Splits that stay, lists as other tools write them, and what a network has learned from."
import json
import os
import shutil
import unicodedata
import warnings
from functools import partial

import numpy as np
import pytest

from video_convs.cli import main
from video_convs.data.catalogue import open_dataset
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import csv_dataset, folder_dataset, open_data, split_names
from video_convs.data.dataset import VideoDataset
from video_convs.data.lists import list_text
from video_convs.data.paths import name_hash, video_name
from video_convs.data.splits import holdout
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.video import read_frames
from video_convs.messages import show_messages
from video_convs.nets.video_net import load
from video_convs.train.evaluation import report
from video_convs.train.scores import score
from video_convs.train.run_folder import trained_on
from video_convs.train.scale_out import run_training

pytestmark = pytest.mark.usefixtures('one_thread')
NFC, NFD = partial(unicodedata.normalize, 'NFC'), partial(unicodedata.normalize, 'NFD')


def put(root, *names):
    "Files that differ; no table opens them."
    for name in names:
        path = root/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


# splits

def sides(root):
    return {p: s for s in ('train', 'test') for p in folder_dataset(root, s).paths}

def test_a_video_keeps_its_side(tmp_path):
    names = [f'{c}/{k:02d}.mp4' for c in 'ab' for k in range(25)]
    root = put(tmp_path/'set', *names)
    before = sides(root)
    for name in names[:6] + names[25:31]:
        (root/name).unlink()
        after = sides(root)
        assert after == {p: s for p, s in before.items() if p != str(root/name)}
        put(root, name)
    put(root, 'a/new.mp4', 'b/00.5.mp4', 'c/0.mp4', 'c/1.mp4')
    after = sides(root)
    assert all(after[p] == s for p, s in before.items())

def test_a_side_follows_from_the_name_alone(tmp_path):
    names = [f'{c}/film é {k}.avi' for c in 'ab' for k in range(30)]
    one = put(tmp_path/'one', *map(NFC, names))
    two = put(tmp_path/'elsewhere/two', *(NFD(n)[:-4] + '.MP4' for n in names))
    def side(root, path):
        return video_name(path, root)
    a, b = ({side(root, p): s for p, s in sides(root).items()} for root in (one, two))
    assert a == b and 5 < list(a.values()).count('test') < 20
    assert folder_dataset(one, 'test', seed=1).paths != folder_dataset(one, 'test').paths

def test_the_split_of_this_version_is_that_of_the_next():
    assert name_hash('a/0', 'split 0') == 'dfc0be60fe057012'
    assert sorted(holdout([f'wave/{k}' for k in range(12)], 0)) == ['wave/10']

@pytest.mark.parametrize('n', range(1, 8))
def test_no_class_lacks_a_side(n):
    for k in range(40):
        names = [f'{k}/{i}' for i in range(n)]
        held = holdout(names, 0)
        assert len(held) < n and (held or n == 1)
        if n > 1:  # a new one takes no other to the test side without need
            more = holdout([*names, f'{k}/new'], 0)
            drawn = {x for x in names if int(name_hash(x, 'split 0'), 16) < .2*2**64}
            assert more - held - {f'{k}/new'} <= drawn


# endings

CONTAINERS = { # ending → muxer, encoder
    '.m4v': ('mp4', 'mpeg4'), '.mpg': ('mpeg', 'mpeg1video'), '.mpeg': ('mpeg', 'mpeg2video'),
    '.gif': ('gif', 'gif'), '.wmv': ('asf', 'wmv2'), '.ts': ('mpegts', 'mpeg2video'),
    '.3gp': ('3gp', 'mpeg4'), '.flv': ('flv', 'flv'), '.m2ts': ('mpegts', 'mpeg2video'),
    '.vob': ('vob', 'mpeg2video'), '.y4m': ('yuv4mpegpipe', 'rawvideo'),
    '.mjpeg': ('mjpeg', 'mjpeg'), '.ogv': ('ogg', 'libvpx'), '.nut': ('nut', 'mpeg4'),
    '.MTS': ('mpegts', 'mpeg1video')}

def encode(path, muxer, encoder, grey, side=32, frames=8):
    import av
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), 'w', format=muxer) as out:
        stream = out.add_stream(encoder, rate=25)
        stream.width = stream.height = side
        stream.pix_fmt = dict(gif='rgb8', mjpeg='yuvj420p').get(encoder, 'yuv420p')
        for t in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 20*t + grey, np.uint8))
            out.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        out.mux(stream.encode())

def test_every_container_is_found_and_read(tmp_path):
    for k, (ending, about) in enumerate(CONTAINERS.items()):
        for c in 'ab':
            encode(tmp_path/f'{c}/x{ending}', *about, 2*k + (c == 'b'))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        data = folder_dataset(tmp_path)
    assert len(data) == 2*len(CONTAINERS)
    for path in data.paths[:len(CONTAINERS)]:
        assert read_frames(path, [0, 5]).shape == (3, 2, 32, 32), path

def said(call, *args):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        call(*args)
    return [str(w.message) for w in found]

def test_what_is_left_out_is_counted(tmp_path):
    root = put(tmp_path, *(f'{c}/{k}.mp4' for c in 'ab' for k in range(3)))
    put(root, 'a/x.txt', 'a/y.txt', 'b/z.jpg', 'loose.mp4')
    one, two = said(folder_dataset, root)
    assert '3 in all (2 .txt, 1 .jpg); the first is a/x.txt' in one
    assert '1 in all; the first is loose.mp4' in two
    for s in ('train', 'test'):
        shutil.copytree(root/'a', root/f'new/{s}/{s}')
    (root/'new/test/test/0.mp4').write_text('other')
    put(root/'new', 'train/train/deeper/1.mp4', 'train/b/1.mp4', 'test/b/2.mp4')
    for k in (1, 2):
        (root/f'new/test/test/{k}.mp4').unlink()
    one, = said(folder_dataset, root/'new')
    assert '5 in all (4 .txt, 1 folders)' in one

def test_it_is_said_once(tmp_path, capsys):
    put(tmp_path, *(f'{c}/{k}.mp4' for c in 'ab' for k in range(5)), 'a/x.txt')
    command = ['train', '--data', str(tmp_path), '--out', str(tmp_path/'run'), '--device', 'cpu']
    assert main([*command, '--model', 'tsn_tiny']) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if 'left out' in line] == [lines[0]]
    assert lines[0].startswith('video_convs train: ')

@pytest.mark.parametrize('a, b', [
    ('wave', 'Wave'), ('brush hair', 'brush_hair'), ('brush hair', 'brushhair')])
def test_classes_that_are_alike(tmp_path, a, b):
    put(tmp_path, f'{a}/0.mp4', f'{b}/1.mp4', 'c/2.mp4')
    message, = said(folder_dataset, tmp_path)
    assert repr(a) in message and repr(b) in message and 'differ only in case or blanks' in message
    assert not said(folder_dataset, put(tmp_path/'other', 'wave/0.mp4', 'waves/1.mp4'))

def test_class_names_are_composed(tmp_path):
    put(tmp_path, NFD('é/0.mp4'), 'b/1.mp4')
    (tmp_path/'classes.txt').write_text(NFC('é\nb\n'), encoding='utf-8')
    assert folder_dataset(tmp_path).classes == (NFC('é'), 'b')


# lists

NAMES = 'a/0.mp4', 'a/one two.mp4', 'b/2.avi', 'b/x, y.mp4'

@pytest.fixture
def root(tmp_path):
    return put(tmp_path/'set', *NAMES)

def rows_of(file, **kw):
    data = csv_dataset(file, **kw)
    names = [os.path.relpath(p, data.root) for p in data.paths]
    return [(name, data.classes[k]) for name, k in zip(names, data.labels)]

@pytest.mark.parametrize('separator', [',', ';', '\t', ' ', ', ', ' ; '])
@pytest.mark.parametrize('header', [True, False])
def test_separators(root, separator, header):
    lines = [f'"{n}"{separator}{n[0]}' + f'{separator}train'*header for n in NAMES]
    file = root/'train.csv'
    file.write_text('\n'.join([separator.join(('path', 'label', 'split'))]*header + lines))
    assert rows_of(file) == [(n, n[0]) for n in NAMES] and split_names(file) == ['train']

def test_a_path_with_blanks_without_quotes(root):
    (root/'val.txt').write_text('a/0.mp4 a\na/one two.mp4 a\nb/2.avi b\nb/x, y.mp4 b\n')
    assert rows_of(root/'val.txt') == [(n, n[0]) for n in NAMES]
    (root/'val.txt').write_text('a/0.mp4 120 a\na/one two.mp4 7 a\nb/2.avi 3 b c\n')
    assert rows_of(root/'val.txt') == [('a/0.mp4', 'a'), ('a/one two.mp4', 'a'), ('b/2.avi', 'b c')]

@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_encodings(root, encoding, end):
    put(root, 'c/é.mp4')
    text = end.join(['path;label;split', 'c/é.mp4;é;train', 'a/0.mp4;a;train'])
    (root/'list.txt').write_bytes(text.encode(encoding))
    (root/'classes.txt').write_bytes(end.join(['é', 'a']).encode(encoding))
    assert rows_of(root/'list.txt') == [('c/é.mp4', 'é'), ('a/0.mp4', 'a')]

@pytest.mark.parametrize('data, says', [
    ('path,label\na,b'.encode('utf-16-le'),
     'looks like UTF-16 without a byte order mark.*iconv -f UTF-16LE -t UTF-8'),
    ('path,label\na,b'.encode('utf-16-be'), 'iconv -f UTF-16BE'),
    ('path,label\né,b'.encode('cp1252'), 'line 2: is no UTF-8 text.*iconv -f WINDOWS-1252'),
    ('path,label\na,b'.encode('utf-16')[:-1], 'is no UTF-16 text')])
def test_other_encodings(tmp_path, data, says):
    (tmp_path/'list.csv').write_bytes(data)
    with pytest.raises(ValueError, match=says):
        list_text(tmp_path/'list.csv')

def test_lists_side_by_side(root):
    (root/'k_train_list.txt').write_text('a/0.mp4 10\nb/2.avi 2\n')
    (root/'k_val_list.txt').write_text('a/one two.mp4 10\n')
    (root/'k_test_list.txt').write_text('b/x, y.mp4\n')  # no labels: nobody asked for it
    for file in ('k_train_list.txt', 'k_val_list.txt'):
        assert split_names(root/file) == ['train', 'val']
        assert csv_dataset(root/file).name == 'set/k_list'
    train, val = (open_data(root/'k_val_list.txt', s) for s in ('train', 'val'))
    assert train.classes == val.classes == ('2', '10')
    assert (train.labels, val.labels) == ((1, 0), (1,))
    with pytest.raises(ValueError, match='k_test_list.txt, line 1: must be a path and a label'):
        csv_dataset(root/'k_test_list.txt')
    (root/'mine.txt').write_text('a/0.mp4 x\nb/2.avi y\n')
    assert split_names(root/'mine.txt') == ['mine']

def test_numbers_of_classes_that_have_names(root):
    (root/'classes.txt').write_text('wave\nclap\njump\n')
    (root/'train.txt').write_text('a/0.mp4 2\nb/2.avi 0\n')
    assert rows_of(root/'train.txt') == [('a/0.mp4', 'jump'), ('b/2.avi', 'wave')]
    (root/'train.txt').write_text('a/0.mp4 1\nb/2.avi 3\n')
    with pytest.raises(ValueError, match='line 2: the class 3 is not among the 3 .*counted from 0'):
        csv_dataset(root/'train.txt')

@pytest.mark.parametrize('text, says', [
    ('file,class\na/0.mp4,a\nb/2.avi,b\n', "lacks the column 'path'"),
    ('a/0.mp4\nb/2.avi\n', 'line 1: must be a path and a label'),
    ('a/0.mp4,a,b,c\nb/2.avi,b\n', 'line 1: must be a path and a label'),
    ('a/0.mp4 a\n"b/2.avi b\n', 'line 2: cannot be read'),
    ('a/0.mp4,a\na/0.mp4,a\nb/2.avi,b\n', 'lists a/0.mp4 twice')])
def test_lists_that_are_refused(root, text, says):
    (root/'list.txt').write_text(text)
    with pytest.raises(ValueError, match=says):
        csv_dataset(root/'list.txt')


# paths

def listed(folder, *names, header=True):
    lines = ['path,label,split'] + [f'"{n}",{"ab"[k % 2]},train' for k, n in enumerate(names)]
    folder.mkdir(exist_ok=True)
    (folder/'list.csv').write_text('\n'.join(lines), encoding='utf-8')
    return folder/'list.csv'

def test_absolute_paths_anywhere(root, tmp_path):
    other = put(tmp_path/'disk 2', 'v/9.mp4')
    file = listed(tmp_path/'lists', str(root/'a/0.mp4'), str(other/'v/9.mp4'))
    assert csv_dataset(file).paths == (str(root/'a/0.mp4'), str(other/'v/9.mp4'))
    assert csv_dataset(file, root=root).paths == csv_dataset(file).paths

def test_a_root_for_relative_paths_and_for_those_of_another_machine(root, tmp_path):
    for names in (('a/0.mp4', 'b/2.avi'), ('/films/k/a/0.mp4', '/films/k/b/2.avi'),
                  ('D:\\films\\a\\0.mp4', 'D:\\films\\b\\2.avi'),
                  ('\\\\server\\a\\0.mp4', '\\\\server\\b\\2.avi')):
        data = csv_dataset(listed(tmp_path/'lists', *names), root=root)
        assert data.paths == (str(root/'a/0.mp4'), str(root/'b/2.avi')), names
    with pytest.raises(ValueError, match='leads out of'):
        csv_dataset(listed(root/'a', '../b/2.avi', '0.mp4'))
    with pytest.raises(ValueError, match='nowhere is no folder'):
        csv_dataset(listed(root, 'a/0.mp4'), root=root/'nowhere')
    with pytest.raises(ValueError, match='a folder of classes: root is for'):
        open_data(root, root=root)

def test_backslashes_and_accents(tmp_path):
    root = put(tmp_path/'set', NFD('é/ü 0.mp4'), NFC('ö/ä 1.mp4'))
    data = csv_dataset(listed(root, NFC('é\\ü 0.mp4'), NFD('ö/ä 1.mp4')))
    assert data.paths == (str(root/NFD('é/ü 0.mp4')), str(root/NFC('ö/ä 1.mp4')))

@pytest.mark.parametrize('name, says', [
    ('A/0.MP4', 'on the disk it is .*/set/a/0.mp4'), ('a/0', 'on the disk it is .*/set/a/0.mp4'),
    ('b/2.mp4', 'on the disk it is .*/set/b/2.avi'), ('a', 'is a folder, perhaps of frames'),
    ('a/linked.mp4', 'is a link to nothing.mp4, which is not there'),
    ('set/b/2.avi', r'there is .*/set/b/2.avi: give root \(--root\)'),
    ('/mnt/k400/b/2.avi', r'there is .*/set/b/2.avi: give root \(--root\) .*/set$'),
    ('C:\\v\\9.mp4', 'a path of a Windows machine: give root'),
    ('/mnt/k400/9.mp4', "holds no '(mnt|k400)': correct the paths or give root"),
    ('c/9.mp4', "/set holds no 'c'")])
def test_likely_causes(root, name, says):
    (root/'a/linked.mp4').symlink_to('nothing.mp4')
    with pytest.raises(ValueError, match='1 of 2 videos are not there.*' + says) as error:
        csv_dataset(listed(root, 'b/2.avi', name))
    assert '\n' not in str(error.value)
    assert len(csv_dataset(listed(root, 'b/2.avi', 'b/x, y.mp4', name), allow_missing=True)) == 2

def test_the_list_of_another_folder_of_the_catalogue(root, tmp_path):
    assert len(open_dataset('csv', listed(tmp_path/'lists', 'a/0.mp4', 'b/2.avi'), root=root)) == 2

def test_lists_of_the_catalogue(tmp_path):
    put(tmp_path, 'train/' + NFD('é1_000000_000010.mp4'), 'train/b_000000_000010.mp4')
    table = 'label;youtube_id;time_start;time_end;split\nwave;é1;0;10;train\nclap;b;0;10;train\n'
    (tmp_path/'kinetics_train.csv').write_bytes(NFC(table).encode('utf-16'))
    data = open_dataset('kinetics400', tmp_path, 'train', partial=True)
    clips = NFC('é1_000000_000010'), 'b_000000_000010'
    assert len(data) == 2 and data.names() == [f'kinetics400:{clip}' for clip in clips]


# what a network has learned from

@pytest.fixture(scope='module')
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp('films')
    config = MotionConfig(size=32, frames=4)
    return render_task('reversal', root, train=8, test=8, config=config, progress=False)

def learn(data, out, model='tsn_tiny', frames=2, **more):
    changes = dict(epochs=1, batch_size=4)
    run_training(data, out, model, changes=changes, frames=frames, device='cpu', progress=False,
                 **more)

@pytest.fixture(scope='module')
def run(films, tmp_path_factory):
    out = tmp_path_factory.mktemp('runs')/'run'
    learn(films, out, size=32, keep=2)
    return out

def test_what_a_run_has_learned_from(films, run):
    names = open_data(films, 'train').names()
    assert names[0].startswith('train/') and trained_on(run) == set(map(name_hash, names))
    for folder in (run/'best', run/'epoch_0001'):
        assert trained_on(folder) == trained_on(run)
    lines = (run/'trained_on.txt').read_text().splitlines()
    assert lines == sorted(lines) and {len(line) for line in lines} == {16}

def test_an_overlap_is_refused(films, run, tmp_path, capsys):
    shutil.copytree(films, tmp_path/'copy')  # wherever it lies, and whatever its container
    films = tmp_path/'copy'
    for path in films.rglob('*.mp4'):
        path.rename(path.with_suffix('.mov'))
    command = ['evaluate', str(run), '--data', str(films), '--device', 'cpu', '--out',
               str(tmp_path/'r.json'), '--split']
    assert main([*command, 'train']) == 2
    said = capsys.readouterr().err
    first = ', '.join(open_data(films, 'train').names()[:3])
    assert f"from 8 of the 8 videos of the split 'train' by their names ({first} …)" in said
    assert '--allow-overlap' in said
    assert main([*command, 'train', '--allow-overlap']) == 0
    assert 'has learned from 8 of these 8 videos' in capsys.readouterr().out
    assert json.loads((tmp_path/'r.json').read_text())['about']['learned from'] == 8
    assert main([*command, 'test']) == 0 and 'learned' not in capsys.readouterr().out
    assert 'learned from' not in json.loads((tmp_path/'r.json').read_text())['about']

def test_weights_that_do_not_say(films, run, tmp_path, capsys):
    command = ['evaluate', str(tmp_path/'run'), '--data', str(films), '--device', 'cpu']
    shutil.copytree(run, tmp_path/'run')
    (tmp_path/'run/trained_on.txt').write_text('0123456789abcdef\n')  # of another checkpoint
    for _ in range(2):
        assert trained_on(tmp_path/'run') is None
        assert main([*command, '--split', 'train']) == 0
        assert 'run does not record what it has learned from' in capsys.readouterr().out
        (tmp_path/'run/trained_on.txt').unlink(missing_ok=True)

def test_what_the_starting_weights_have_learned_from(films, run, tmp_path):
    splits = 'train', 'test'
    put(tmp_path/'new', *(f'{s}/{c}/{k}.txt' for s in splits for c in 'ab' for k in range(2)))
    for k, path in enumerate(sorted((tmp_path/'new').rglob('*.txt'))):
        shutil.copy(sorted(films.rglob('*.mp4'))[k], path.with_suffix('.mp4'))
        path.unlink()
    learn(tmp_path/'new', tmp_path/'run', None, None, pretrained=run)
    new = set(map(name_hash, open_data(tmp_path/'new', 'train').names()))
    assert len(new) == 4 and trained_on(tmp_path/'run') == trained_on(run) | new

def test_a_test_on_training_videos_is_said(films, tmp_path, capsys):
    with show_messages():
        learn(films, tmp_path/'run', size=32, test_split='train')
    said = capsys.readouterr().out
    assert "8 of the 8 videos of the split 'train' are also training videos" in said

def test_names_of_videos():
    def names(*paths, **about):
        return VideoDataset('k', ('a', 'b'), paths, (0, 1)[:len(paths)], **about).names()
    spans = (0, 9), (9, 20)
    assert names('/d/x.mp4', '/d/x.mp4', spans=spans, root='/d') == ['x, 0 to 9', 'x, 9 to 20']
    assert names('/d/x.mp4', ids=('7',)) == ['k:7']
    assert names('/d/x.mp4', '/e/y.frames', root='/d') == ['x', '/e/y.frames']


# some of the classes, and names that no text can hold

def test_some_of_the_classes(films, run, tmp_path, capsys):
    data = open_data(films, 'test')
    some = [(p, data.classes[k]) for p, k in zip(data.paths, data.labels) if k in (2, 5)]
    (tmp_path/'test.txt').write_text('\n'.join(f'{p} {c}' for p, c in some))
    other = next(p for p, k in zip(data.paths, data.labels) if k == 0)
    command = ['evaluate', str(run), '--data', str(tmp_path/'test.txt'), '--device', 'cpu',
               '--out', str(tmp_path/'r.json')]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "hold 2 of the network's 8 classes; an answer that is one of the others" in said
    result = json.loads((tmp_path/'r.json').read_text())
    whole = report(score(load(run), Clips(data, load(run).input_spec, train=False)))
    assert sorted(result['classes']) == sorted(whole['classes'])
    assert result['per_class'] == {c: whole['per_class'][c] for c in sorted({c for _, c in some})}
    assert set(result['about']['not in data']) == set(data.classes) - {c for _, c in some}
    (tmp_path/'test.txt').write_text('\n'.join(f'{p} {c}' for p, c in [*some, (other, 'fly')]))
    assert main(command) == 2 and "'fly', is unknown to the network" in capsys.readouterr().err

@pytest.mark.skipif(os.name == 'nt' or not hasattr(os, 'fsencode'), reason='names are text there')
def test_a_name_that_no_text_can_hold(films, run, tmp_path, capfd):
    one, odd = tmp_path/'one.mp4', os.path.join(tmp_path, os.fsdecode(b'caf\xe9.mp4'))
    for path in (one, odd):
        shutil.copy(next(films.rglob('*.mp4')), path)
    assert main(['predict', str(run), odd, str(one), '--csv', '--topk', '1']) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1].partition(',')[0].endswith('caf\\udce9.mp4')
    assert lines[2].startswith(f'{one},1,')
    named = folder_dataset(put(tmp_path/'set', os.fsdecode(b'caf\xe9/0.mp4'), 'b/1.mp4'))
    assert all(map(name_hash, named.names())) and len(named.classes) == 2

@pytest.mark.parametrize('typed', [
    ['evaluate', 'RUN', '--data', 'x', '--dataset', 'ucf101', '--option', 'split=train'],
    ['evaluate', 'RUN', '--data', 'x', '--dataset', 'ucf101', '--option', 'allow_missing=true'],
    ['train', '--data', 'x', '--dataset', 'ucf101', '--out', 'OUT', '--option', 'split=train'],
    ['data', 'check', 'ucf101', 'x', '--option', 'deep=1'],
    ['data', 'prepare', 'ucf101', 'x', 'OUT', '--option', 'root=1']])
def test_options_that_are_arguments(run, tmp_path, capsys, typed):
    known = {'RUN': str(run), 'OUT': str(tmp_path/'out')}
    assert main([known.get(word, word) for word in typed]) == 2
    said = capsys.readouterr().err
    assert 'is an argument of its own' in said and len(said.splitlines()) == 1

def test_a_list_is_checked(root, films, tmp_path, capsys):
    videos = sorted(films.rglob('*.mp4'))[:2]
    lines = [f'D:\\films\\{v.relative_to(films)} {k}' for k, v in enumerate(videos)]
    (tmp_path/'list.txt').write_text('\n'.join(lines))
    command = ['data', 'check', 'csv', str(tmp_path/'list.txt'), '--out', str(tmp_path/'r.jsonl'),
               '--workers', '1']
    assert main([*command, '--option', f'root={films}']) == 0
    assert '2        2        0        0' in capsys.readouterr().out
    assert main(command) == 2 and 'a path of a Windows machine' in capsys.readouterr().err

def test_a_root_on_the_command_line(films, run, tmp_path, capsys):
    data = open_data(films, 'test')
    names = [os.path.relpath(p, films) for p in data.paths]
    rows = [f'{n},{data.classes[k]},test' for n, k in zip(names, data.labels)]
    (tmp_path/'list.csv').write_text('\n'.join(['path,label,split', *rows]))
    command = ['evaluate', str(run), '--device', 'cpu', '--out', str(tmp_path/'r.json'),
               '--root', str(films), '--data']
    for more in ([], ['--dataset', 'csv']):
        assert main([*command, str(tmp_path/'list.csv'), *more]) == 0
    assert main([*command, str(films)]) == 2
    assert 'is a folder of classes: root' in capsys.readouterr().err
    assert main([*command, str(films), '--dataset', 'ucf101']) == 2
    assert "ucf101 has no option 'root'" in capsys.readouterr().err
    assert main(['train', '--device', 'cpu', '--root', str(films), '--data',
                 str(tmp_path/'list.csv'), '--train-split', 'test', '--test-split', 'none',
                 '--out', str(tmp_path/'new'),
                 '--model', 'tsn_tiny', '--frames', '2', '--size', '32', '--epochs', '1']) == 0
    assert main([*command[:1], str(tmp_path/'new'), *command[2:], str(tmp_path/'list.csv')]) == 2
    assert 'has learned from 8 of the 8' in capsys.readouterr().err

def test_a_copy_matters_only_where_sides_are_drawn(tmp_path):
    put(tmp_path, *(f'{c}/{k}.mp4' for c in 'ab' for k in range(9)))
    learn, test = (folder_dataset(tmp_path, split).paths[0] for split in ('train', 'test'))
    shutil.copy(learn, test)
    assert len(folder_dataset(tmp_path)) == 18
    with pytest.raises(ValueError, match='same video is in two splits'):
        folder_dataset(tmp_path, 'train')
