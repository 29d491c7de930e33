"A decoder that crashes or hangs in training, and processes that somebody ends."
import multiprocessing
import os
import pickle
import signal
import time

import numpy as np
import psutil
import pytest
import torch

import children
from video_convs.cli import main
from video_convs.data import dataset, loader as data_loader
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import folder_dataset
from video_convs.data.loader import loader
from video_convs.data.video import write_video
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.train.loop import train
from video_convs.train.run_folder import read_log
from video_convs.train.recipes import Recipe

pytestmark = [pytest.mark.usefixtures('one_thread'),
              pytest.mark.skipif(not hasattr(os, 'fork'), reason='processes are not forked here')]

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp('survival'), np.random.default_rng(0)
    for name in 'ab':
        (root/'train'/name).mkdir(parents=True)
        for k in range(5):
            write_video(root/'train'/name/f'{k}.mp4',
                        rng.integers(0, 255, (6, 24, 24, 3)).astype(np.uint8))
    return root

def blow(monkeypatch, name, what):
    "Reading the file of that name does something to its process."
    real = dataset.read_frames
    def read(path, *args):
        if str(path).endswith(name):
            what()
        return real(path, *args)
    monkeypatch.setattr(dataset, 'read_frames', read)

def batches(root, workers=2):
    clips = Clips(folder_dataset(root), InputSpec(frames=4, size=24), train=False)
    read = list(loader(clips, 2, workers=workers))
    return ([i for b in read for i in b.indices.tolist()],
            {k: v for b in read for k, v in b.failed.items()})

def test_a_crash_is_named_and_the_others_go_on(root, monkeypatch):
    blow(monkeypatch, 'a/3.mp4', lambda: os.kill(os.getpid(), signal.SIGSEGV))
    read, failed = batches(root)
    assert read == [0, 1, 2, 4, 5, 6, 7, 8, 9] and list(failed) == [str(root/'train/a/3.mp4')]
    assert 'a/3.mp4 crashed the process that read it' in failed[str(root/'train/a/3.mp4')]

def test_a_hang_is_named_and_the_others_go_on(root, monkeypatch):
    monkeypatch.setattr(data_loader, '_PATIENCE', 1.)
    blow(monkeypatch, 'b/1.mp4', lambda: os.kill(os.getpid(), signal.SIGSTOP))
    read, failed = batches(root)
    assert len(read) == 9 and 'b/1.mp4 was not read within 1 s' in failed[str(root/'train/b/1.mp4')]
    assert not [p for p in psutil.Process().children() if p.status() == psutil.STATUS_STOPPED]

def test_a_slow_disk_is_no_hang(root, monkeypatch):
    monkeypatch.setattr(data_loader, '_PATIENCE', 2.)
    blow(monkeypatch, ('a/0.mp4', 'a/1.mp4'), lambda: time.sleep(1.2))  # one batch, longer together
    assert batches(root) == (list(range(10)), {})

def test_an_error_in_a_process_is_that_error(root, monkeypatch):
    def fail():
        raise RuntimeError('a mistake in the code')
    blow(monkeypatch, 'b/1.mp4', fail)
    with pytest.raises(RuntimeError, match='a mistake in the code'):
        batches(root)

def test_training_outlives_a_process_that_somebody_kills(root, tmp_path, monkeypatch):
    "Nothing is skipped, and the losses are those of an undisturbed run."
    logs = []
    for k, name in enumerate(('undisturbed', 'disturbed')):
        killed = tmp_path/'killed'
        def once():
            if k and not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        with monkeypatch.context() as patch:
            blow(patch, 'a/2.mp4', once)
            torch.manual_seed(0)
            model = create_model('tsn_tiny', num_classes=2, classes=['a', 'b'],
                                 input_spec=dict(frames=4, size=24))
            data = Clips(folder_dataset(root), model.input_spec, train=True)
            logs.append(train(model, data, Recipe(epochs=1, batch_size=4, lr=1e-9), tmp_path/name,
                              workers=2, progress=False))
    (calm, hit), = zip(*logs)
    assert killed.exists() and calm['skipped'] == hit['skipped'] == {}
    assert calm["loss"] == pytest.approx(hit["loss"], rel=1e-4)

def test_the_command_skips_a_file_that_crashes(root, tmp_path, monkeypatch, capsys):
    blow(monkeypatch, 'a/3.mp4',
         lambda: os.kill(os.getpid(), signal.SIGSEGV) if os.getpid() != parent else None)
    parent, command = os.getpid(), ['train', '--data', str(root), '--model', 'tsn_tiny', '--frames',
                                    '4', '--size', '24', '--epochs', '1', '--test-split', 'none',
                                    '--batch-size', '4', '--out', str(tmp_path/'run')]
    assert main(command) == 2  # one of ten videos is more than 5 %
    said = capsys.readouterr().err
    assert ('a/3.mp4 crashed the process that read it' in said and 'Traceback' not in said
            and len(said.splitlines()) == 1)
    assert main([*command, '--max-skipped', '.2']) == 0
    assert list(read_log(tmp_path/'run')[0]['skipped']) == [str(root/'train/a/3.mp4')]

def test_processes_that_always_end_are_one_sentence(root, monkeypatch):
    monkeypatch.setattr(data_loader._Watched, '__getitem__',
                        lambda self, index: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(ValueError, match='were ended 6 times in a row'):
        batches(root)

def read_for_ever(root, method):
    multiprocessing.set_start_method(method, force=True)
    clips = Clips(folder_dataset(root), InputSpec(frames=4, size=24), train=False)
    while True:
        list(loader(clips, 2, workers=2))

@pytest.mark.parametrize('method', ['fork', 'forkserver'])
def test_no_reader_outlives_the_process_that_it_reads_for(root, method):
    child = children.start(read_for_ever, root, method)
    started, deadline = psutil.Process(child.pid), time.monotonic() + 60
    while len(readers := started.children(recursive=True)) < 2:
        assert time.monotonic() < deadline and child.is_alive()
        time.sleep(.05)
    child.kill()
    child.join()
    assert not psutil.wait_procs(readers, timeout=10)[1]

@pytest.mark.parametrize('train', [True, False], ids=['train', 'test'])
def test_clips_can_be_handed_to_a_new_process(root, train):
    "Where processes are no forks, as by default from Python 3.14 on, their data are pickled."
    clips = Clips(folder_dataset(root), InputSpec(frames=4, size=24), train=train)
    twin = pickle.loads(pickle.dumps(clips))
    assert torch.equal(twin[0][0], clips[0][0])
