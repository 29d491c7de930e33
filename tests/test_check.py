"Checking and preparing data sets: what is named, what is resumed, what survives a broken decoder."
import json
import os
import shutil
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from video_convs.cli import main
from video_convs.data import check, prepare
from video_convs.data.catalogue import open_dataset
from video_convs.data.check import check_dataset
from video_convs.data.prepare import prepare_dataset
from video_convs.data.frames import FrameFolders, write_frames
from video_convs.data.decoder import Decoder
from video_convs.data.video import check_video, copy_video, probe, read_frames, write_video
from video_convs.data.video_info import VideoError

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp('source')
    for n, name in enumerate('ab'):
        (root/name).mkdir()
        for k in range(2):
            film = np.random.default_rng(2*n + k).integers(0, 255, (10, 6, 9, 3))
            film = film.repeat(8, 1).repeat(8, 2).astype(np.uint8)
            write_video(root/name/f'{k}.mp4', film)
    return root

@pytest.fixture
def root(tmp_path, source):
    return Path(shutil.copytree(source, tmp_path/'set'))

@pytest.fixture
def here(monkeypatch):
    "Decode in this process, counting what is asked: starting another process takes seconds."
    asked = []
    class Here:
        def close(self):
            pass

        def check(self, path, deep=False):
            asked.append(Path(path).name)
            return check_video(path, deep)

        def probe(self, path):
            return probe(path)

        def read(self, path, indices, **options):
            return read_frames(path, indices, reader='pyav', **options)

        def copy(self, path, target, **options):
            return copy_video(path, target, **options)
    monkeypatch.setattr(check, 'Decoder', Here)
    return asked

def test_the_splits_of_a_folder_are_counted_one_by_one(root, tmp_path):
    top = tmp_path/'splits'
    for split, name in (('train', '0.mp4'), ('test', '1.mp4')):
        for kind in 'ab':
            (top/split/kind).mkdir(parents=True)
            shutil.copy(root/kind/name, top/split/kind)
    (top/'test/a/1.mp4').write_bytes(b'no video')
    counts = check_dataset('folder', top, tmp_path/'report.jsonl', workers=1)
    assert {split: (row['fine'], row['broken']) for split, row in counts.items()} == {
        'train': (2, 0), 'test': (1, 1)}
    alone = check_dataset('folder', top/'train', tmp_path/'alone.jsonl', workers=1)
    assert list(alone) == ['all'] and alone['all']['fine'] == 2

def test_a_file_that_hangs_the_decoder_is_named_and_the_others_go_on(root, tmp_path, monkeypatch):
    real, hung = Decoder.check, str(root/'a/1.mp4')
    def with_a_hang(self, path, deep=False):
        if str(path) != hung:
            return real(self, path, deep)
        self.timeout = .1
        os.kill(self._started().pid, 19)  # stopped: it will not answer
        return real(self, path, deep)
    monkeypatch.setattr(Decoder, 'check', with_a_hang)
    report = tmp_path/'report.jsonl'
    assert (check_dataset('folder', root, report, deep=True, workers=1)['all']
            == dict(listed=4, fine=3, missing=0, broken=1))
    broken = [r for r in map(json.loads, report.read_text().splitlines()) if r['state'] == 'broken']
    assert [r['path'] for r in broken] == [hung]
    assert 'no answer from the decoder' in broken[0]['why']

def test_a_check_that_is_stopped_blames_no_file(root, tmp_path, monkeypatch):
    taken = threading.Event()
    class Interrupted:
        def close(self):
            taken.set()

        def check(self, path, deep=False):
            if path == str(root/'a/0.mp4'):
                raise KeyboardInterrupt
            taken.wait(20)
            raise VideoError(f'{path}: the decoder crashed on it')
    monkeypatch.setattr(check, 'Decoder', Interrupted)
    with pytest.raises(KeyboardInterrupt):
        check_dataset('folder', root, tmp_path/'report.jsonl', workers=2)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and 'ThreadPool' in thread.name:
            thread.join(5)
    assert (tmp_path/'report.jsonl').read_text() == ''

def test_a_check_is_gone_on_with(root, tmp_path, here):
    report = tmp_path/'runs/report.jsonl'
    counts = check_dataset('folder', root, report)['all']
    assert counts == dict(listed=4, fine=4, missing=0, broken=0)
    check_dataset('folder', root, report)
    assert len(here) == 4
    (root/'a/0.mp4').write_bytes((root/'a/0.mp4').read_bytes()[:-700])
    assert check_dataset('folder', root, report)['all']['broken'] == 1
    check_dataset('folder', root, report, deep=True)  # looks at all again, closer
    lines = report.read_text().splitlines()
    report.write_text('\n'.join(lines[:-1]) + '\n' + lines[-1][:20])  # the machine went down
    check_dataset('folder', root, report, deep=True)
    assert len(here) == 4 + 1 + 4 + 1
    states = {Path(r['path']).relative_to(root).as_posix(): r['state']
              for r in map(json.loads, report.read_text().splitlines())}
    assert states == {'a/0.mp4': 'broken', 'a/1.mp4': 'fine', 'b/0.mp4': 'fine', 'b/1.mp4': 'fine'}

def test_damage_inside_files_and_folders_is_found(root, tmp_path, here):
    data = bytearray((root/'a/0.mp4').read_bytes())
    at = data.find(b'mdat') + 900
    data[at:at + 300] = bytes(300)
    (root/'a/0.mp4').write_bytes(data)
    assert check_dataset('folder', root, tmp_path/'r.jsonl', deep=True)['all']['broken'] == 1
    hand = tmp_path/'jester'
    for name in ('7', '9'):
        write_frames(hand/f'20bn-jester-v1/{name}',
                     np.random.default_rng(0).integers(0, 255, (4, 32, 48, 3)).astype(np.uint8))
    (hand/'jester-v1-labels.csv').write_text('Swiping Left\nSwiping Right\n')
    (hand/'jester-v1-train.csv').write_text('7;Swiping Left\n9;Swiping Right\n')
    (picture := hand/'20bn-jester-v1/9/00003.jpg').write_bytes(picture.read_bytes()[:700])
    for deep in (False, True):
        counts = check_dataset('jester', hand, tmp_path/'j.jsonl', deep=deep, partial=True)
        assert counts['train']['broken'] == deep and counts['val']['state'] == 'no list'

def test_spans_that_end_behind_their_file(tmp_path, source, here):
    (tmp_path/'s/rgb').mkdir(parents=True)
    for k in 'ab':
        shutil.copy(source/f'{k}/0.mp4', tmp_path/f's/rgb/{k}.mp4')
    (tmp_path/'s/Diving48_vocab.json').write_text('[["a"], ["b"]]')
    (tmp_path/'s/Diving48_V2_train.json').write_text(json.dumps(
        [dict(vid_name=k, label=0, start_frame=0, end_frame=n) for k, n in (('a', 10), ('b', 90))]))
    assert (check_dataset('diving48', tmp_path/'s', tmp_path/'r.jsonl', partial=True)['train']
            == dict(listed=2, fine=1, missing=0, broken=1))
    assert 'too few for the span from 0 to 90' in (tmp_path/'r.jsonl').read_text()

def test_all_folds_are_looked_at(tmp_path, source, here):
    for c in ('run', 'sit'):
        (tmp_path/'s'/c).mkdir(parents=True)
        for k in range(3):
            shutil.copy(source/'a/0.mp4', tmp_path/f's/{c}/{k}.avi')
        for fold, flags in ((1, '120'), (2, '012')):
            (tmp_path/f's/{c}_test_split{fold}.txt').write_text(
                ''.join(f'{k}.avi {f} \n' for k, f in enumerate(flags)))
    counts = check_dataset('hmdb51', tmp_path/'s', tmp_path/'r.jsonl', partial=True)
    assert {k: v['listed'] for k, v in counts.items()} == {'train, fold 1': 2, 'test, fold 1': 2,
                                                           'train, fold 2': 2, 'test, fold 2': 2,
                                                           'train, fold 3': 0, 'test, fold 3': 0}
    assert prepare_dataset('hmdb51', tmp_path/'s', tmp_path/'t', partial=True)['done'] == 6
    for fold in (1, 2):
        one, two = (open_dataset('hmdb51', tmp_path/r, 'train', fold=fold, partial=True)
                    for r in 'st')
        assert (one.ids, one.labels) == (two.ids, two.labels)
        assert all(p.endswith('.mp4') for p in two.paths)

def test_a_copy_is_gone_on_with_and_never_half(root, tmp_path, here, monkeypatch):
    (root/'a/1.mp4').write_text('not a video')
    made = prepare_dataset('folder', root, tmp_path/'out', short=32, gop=2)
    assert made['done'] == 3 and list(made['failed']) == [str(root/'a/1.mp4')]
    info = probe(tmp_path/'out/b/1.mp4')
    assert (info.height, info.width, info.frames) == (32, 48, 10) and len(info.keys) >= 5
    film = np.random.default_rng(9).integers(0, 255, (10, 48, 72, 3)).astype(np.uint8)
    write_video(root/'a/1.mp4', film)
    os.unlink(tmp_path/'out/b/1.mp4')
    real = check.Decoder.check
    def cut_short(self, path, deep=False):  # a copy that is not whole
        return replace(real(self, path, deep), frames=9)
    monkeypatch.setattr(check.Decoder, 'check', cut_short)
    assert len(prepare_dataset('folder', root, tmp_path/'out', short=32, gop=2)['failed']) == 2
    assert not list((tmp_path/'out').rglob('*new*'))
    assert not (tmp_path/'out/b/1.mp4').exists()
    with pytest.raises(ValueError, match='other settings'):
        prepare_dataset('folder', root, tmp_path/'out', short=48)

def test_commands(root, tmp_path, here, capsys):
    (root/'a/1.mp4').write_text('not a video')
    assert main(['data', 'check', 'folder', str(root), '--deep', '--out',
                 str(tmp_path/'r.jsonl')]) == 1
    assert 'broken: ' in capsys.readouterr().out
    assert main(['data', 'prepare', 'folder', str(root), str(tmp_path/'out'), '--short', '32']) == 1
    assert '3 videos are in' in capsys.readouterr().out
    assert main(['data', 'check', 'folders', str(root), '--out', str(tmp_path/'r.jsonl')]) == 2
    assert main(['data', 'check', 'folder', str(root), '--option', 'fold=2', '--out',
                 str(tmp_path/'r.jsonl')]) == 2
    for name, place, option in (('jester', 'nowhere', 'order=file'), ('ucf101', root, 'fold=4'),
                                ('ucf101', root, 'flod=1'), ('epic55', root, 'protocol=x')):
        assert main(['data', 'check', name, str(tmp_path/place), '--option', option, '--out',
                     str(tmp_path/'none.jsonl')]) == 2
    assert not (tmp_path/'none.jsonl').exists()
    (tmp_path/'thesis.txt').write_bytes(b'\xff not for the bin')
    assert main(['data', 'check', 'folder', str(root), '--out', str(tmp_path/'thesis.txt')]) == 2
    assert (tmp_path/'thesis.txt').read_bytes() == b'\xff not for the bin'
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith('video_convs data: ')

def test_two_files_with_one_target_are_refused_at_the_start(root, tmp_path, here, capsys):
    write_video(root/'a/0.mov', np.zeros((4, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match='a/0.mov and .*a/0.mp4 would both become a/0.mp4|a/0.mp4 '
                                         'and .*a/0.mov would both become a/0.mp4'):
        prepare_dataset('folder', root, tmp_path/'out')
    assert not (tmp_path/'out').exists()
    assert main(['data', 'prepare', 'folder', str(root), str(tmp_path/'out')]) == 2

def test_a_long_video_is_copied_in_constant_memory(tmp_path):
    H, W, T = 96, 128, 400
    write_video(tmp_path/'long.mp4',
                (np.full((H, W, 3), t % 250, np.uint8) for t in range(T)), gop=50)
    info = probe(tmp_path/'long.mp4')
    assert info.frames == T
    tracemalloc.start()
    copy_video(tmp_path/'long.mp4', tmp_path/'copy.mp4', size=(H, W))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # numpy's; all frames would be 400
    assert probe(tmp_path/'copy.mp4').frames == T and peak < 100*H*W*3
    frames = read_frames(tmp_path/'copy.mp4', [0, 100, 249]).float().mean((0, 2, 3))
    assert (frames - frames.new_tensor([0, 100, 249])).abs().max() < 3

def test_folders_of_frames_are_copied_a_few_at_a_time(tmp_path, monkeypatch, here):
    film = np.random.default_rng(0).integers(0, 255, (150, 4, 6, 3))
    film = film.repeat(8, 1).repeat(8, 2).astype(np.uint8)
    write_frames(tmp_path/'f', film)
    seen, read = [], FrameFolders.read
    def counted(self, path, pick, *more):
        seen.append(len(pick))
        return read(self, path, pick, *more)
    monkeypatch.setattr(FrameFolders, 'read', counted)
    job = dict(path=str(tmp_path/'f'), reader=FrameFolders(), span=(10, 150),
               target=tmp_path/'o/f.mp4', short=240, gop=8, crf=18, limit=60)
    prepare._encode(check.Decoder(), job)
    assert seen == [64, 64, 12] and probe(tmp_path/'o/f.mp4').frames == 140
    assert (read_frames(tmp_path/'o/f.mp4', [0, 139]).permute(1, 2, 3, 0).numpy().astype(int)
            - film[[10, 149]]).__abs__().mean() < 12

def test_a_copy_keeps_uneven_times(tmp_path):
    times = np.r_[np.arange(20)/20, 1 + 1.5*np.arange(4)]
    write_video(tmp_path/'a.mp4', np.zeros((24, 32, 32, 3), np.uint8), times=times)
    copy_video(tmp_path/'a.mp4', tmp_path/'b.mp4')
    for name in 'ab':
        assert np.abs(probe(tmp_path/f'{name}.mp4').times - times).max() < 1e-3

def test_what_is_unusual_is_named(root, tmp_path, here, capsys):
    write_video(root/'a/0.mp4', np.zeros((4, 32, 32, 3), np.uint8), times=[0, .1, .2, 2])
    assert main(['data', 'check', 'folder', str(root), '--out', str(tmp_path/'r.jsonl')]) == 0
    said = capsys.readouterr().out
    assert ("1 of the videos: frame rate varies: frames are chosen by time; the first is "
            f"{root/'a/0.mp4'}" in said)
