"Checking and preparing data sets: what is named, what is gone on with, what survives a decoder that does not."
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from video_convs.cli import main
from video_convs.data import check
from video_convs.data.catalogue import open_dataset
from video_convs.data.check import Apart, all_apart, check_dataset, examine, prepare_dataset
from video_convs.data.video import probe, write_video

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp('source')
    for n, name in enumerate('ab'):
        (root/name).mkdir()
        for k in range(2):
            film = np.random.default_rng(2*n + k).integers(0, 255, (10, 6, 9, 3)).repeat(8, 1).repeat(8, 2)
            write_video(root/name/f'{k}.mp4', film.astype(np.uint8))
    return root

@pytest.fixture
def root(tmp_path, source): return Path(shutil.copytree(source, tmp_path/'set'))

@pytest.fixture
def here(monkeypatch):
    "Jobs run in this process, and are counted: starting another takes seconds."
    counts = []
    def run(target, jobs, limits, done, *_):
        counts.append(len(jobs))
        for k, job in enumerate(jobs):
            try: done(k, getattr(check, target.split(':')[1])(job), None)
            except ValueError as error: done(k, None, str(error))
    monkeypatch.setattr(check, 'all_apart', run)
    return counts

def test_a_job_that_hangs_or_crashes_is_named_and_the_others_go_on():
    answers = {}
    def done(k, value, why): answers[k] = value, why
    all_apart('signal:raise_signal', [0, 11, 0], [30]*3, done, workers=1, progress=False)
    assert answers[0] == answers[2] == (None, None) and 'crashed the decoder (signal 11)' in answers[1][1]
    all_apart('time:sleep', [0, 60, 0], [30, .3, 30], done, workers=2, progress=False)
    assert answers[0] == answers[2] == (None, None) and answers[1][1].startswith('did not finish within 0.3 s')

def test_what_libraries_print_is_no_answer():
    apart = Apart('builtins:print')
    try: assert apart('noise') == (None, None) and apart('more') == (None, None)
    finally: apart.close()

def test_a_check_is_gone_on_with(root, tmp_path, here):
    report = tmp_path/'runs/report.jsonl'
    assert check_dataset('folder', root, report)['all'] == dict(listed=4, fine=4, missing=0, broken=0)
    check_dataset('folder', root, report)
    assert here == [4, 0]
    (root/'a/0.mp4').write_bytes((root/'a/0.mp4').read_bytes()[:-700])
    assert check_dataset('folder', root, report)['all']['broken'] == 1
    check_dataset('folder', root, report, deep=True)  # looks at all again, closer
    lines = report.read_text().splitlines()
    report.write_text('\n'.join(lines[:-1]) + '\n' + lines[-1][:20])  # the machine went down
    check_dataset('folder', root, report, deep=True)
    assert here == [4, 0, 1, 4, 1]
    states = {Path(r['path']).relative_to(root).as_posix(): r['state'] for r in map(json.loads, report.read_text().splitlines())}
    assert states == {'a/0.mp4': 'broken', 'a/1.mp4': 'fine', 'b/0.mp4': 'fine', 'b/1.mp4': 'fine'}

def test_damage_inside_a_file_is_found(root):
    path = root/'a/0.mp4'
    job = dict(path=str(path), spans=[], deep=True, reader=dict(kind='VideoFiles', counted=None, decoder='auto'))
    assert examine(job) == dict(frames=10, size=[48, 72])
    with pytest.raises(ValueError, match='too few for the span from 2 to 90'): examine(dict(job, spans=[[0, 3], [2, 90]]))
    data = bytearray(path.read_bytes())
    at = data.find(b'mdat') + 900
    data[at:at + 300] = bytes(300)
    path.write_bytes(data)
    with pytest.raises(ValueError, match='does not decode'): examine(job)

def test_all_folds_are_looked_at(tmp_path, source, here):
    for c in ('run', 'sit'):
        (tmp_path/'s'/c).mkdir(parents=True)
        for k in range(3): shutil.copy(source/'a/0.mp4', tmp_path/f's/{c}/{k}.avi')
        for fold, flags in ((1, '120'), (2, '012')):
            (tmp_path/f's/{c}_test_split{fold}.txt').write_text(''.join(f'{k}.avi {f} \n' for k, f in enumerate(flags)))
    counts = check_dataset('hmdb51', tmp_path/'s', tmp_path/'r.jsonl', partial=True)
    assert {k: v['listed'] for k, v in counts.items()} == {'train, fold 1': 2, 'test, fold 1': 2, 'train, fold 2': 2, 'test, fold 2': 2, 'train, fold 3': 0, 'test, fold 3': 0}
    assert prepare_dataset('hmdb51', tmp_path/'s', tmp_path/'t', partial=True)['done'] == 6
    for fold in (1, 2):
        one, two = (open_dataset('hmdb51', tmp_path/r, 'train', fold=fold, partial=True) for r in 'st')
        assert (one.ids, one.labels) == (two.ids, two.labels) and all(p.endswith('.mp4') for p in two.paths)

def test_a_copy_is_gone_on_with_and_never_half(root, tmp_path, here, monkeypatch):
    (root/'a/1.mp4').write_text('not a video')
    made = prepare_dataset('folder', root, tmp_path/'out', short=32, gop=2)
    assert made['done'] == 3 and list(made['failed']) == [str(root/'a/1.mp4')]
    info = probe(tmp_path/'out/b/1.mp4')
    assert (info.height, info.width, info.frames) == (32, 48, 10) and len(info.keys) >= 5
    film = np.random.default_rng(9).integers(0, 255, (10, 48, 72, 3)).astype(np.uint8)
    write_video(root/'a/1.mp4', film)
    os.unlink(tmp_path/'out/b/1.mp4')
    monkeypatch.setattr(check, 'read_frames', lambda *a: np.zeros((3, 9)))  # a copy that is not whole
    assert len(prepare_dataset('folder', root, tmp_path/'out', short=32, gop=2)['failed']) == 2 and not list((tmp_path/'out').rglob('*new*'))
    assert not (tmp_path/'out/b/1.mp4').exists()
    with pytest.raises(ValueError, match='other settings'): prepare_dataset('folder', root, tmp_path/'out', short=48)

def test_commands(root, tmp_path, here, capsys):
    (root/'a/1.mp4').write_text('not a video')
    assert main(['data', 'check', 'folder', str(root), '--deep', '--out', str(tmp_path/'r.jsonl')]) == 1
    assert 'broken: ' in capsys.readouterr().out
    assert main(['data', 'prepare', 'folder', str(root), str(tmp_path/'out'), '--short', '32']) == 1
    assert '3 videos are in' in capsys.readouterr().out
    assert main(['data', 'check', 'folders', str(root), '--out', str(tmp_path/'r.jsonl')]) == 2
    assert main(['data', 'check', 'folder', str(root), '--set', 'fold=2', '--out', str(tmp_path/'r.jsonl')]) == 2
    for line in capsys.readouterr().err.splitlines(): assert line.startswith('video_convs data: ')
