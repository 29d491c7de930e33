"Another reader gives the same frames and the same errors as PyAV, or is refused in a sentence."
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from test_video import encode, film

from video_convs.data import decoding, readers
from video_convs.data.custom import open_data
from video_convs.data.decoding import torchcodec_decoders
from video_convs.data.frames import FrameFolders, write_frames
from video_convs.data.readers import decode_on_card, fastest_reader, installed_readers, read_by
from video_convs.data.video import read_frames, write_video
from video_convs.data.video_info import VideoError

pytestmark = pytest.mark.usefixtures('one_thread')
OTHERS = [pytest.param(name, marks=pytest.mark.skipif(
    name not in installed_readers(), reason=f'{name} is not installed, or finds no FFmpeg'))
    for name in ('decord', 'torchcodec')]

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('readers')
    for name in 'ab':
        (root/name).mkdir()
        write_video(root/name/'0.mp4', film(20), gop=5)
    encode(root/'a/ten.mp4', film(20), 'libx264', 'yuv420p10le')
    (root/'b/broken.mp4').write_text('no video')
    return root

@pytest.fixture(scope='module')
def videos(folder):
    return open_data(folder)

def stand_in(monkeypatch, seen=None):
    "A torchcodec that decodes by PyAV, and notes how it was called."
    class VideoDecoder:
        def __init__(self, path, **options):
            (seen if seen is not None else []).append(options)
            self.frames = read_frames(path.removeprefix('file:'), range, reader='pyav')

        def __len__(self):
            return self.frames.shape[1]

        def get_frames_at(self, numbers):
            return SimpleNamespace(data=self.frames[:, numbers].permute(1, 2, 3, 0))
    package = ModuleType('torchcodec')
    package.decoders = SimpleNamespace(VideoDecoder=VideoDecoder)
    monkeypatch.setitem(sys.modules, 'torchcodec', package)
    monkeypatch.setitem(sys.modules, 'torchcodec.decoders', package.decoders)

@pytest.mark.parametrize('reader', OTHERS)
def test_a_set_reads_the_same_whoever_decodes(videos, reader):
    other = read_by(videos, reader)
    assert other.reader.by == (reader, 'pyav') and repr(other.reader) == repr(videos.reader)
    for index, path in enumerate(videos.paths):
        if 'broken' in path:
            for data in (videos, other):
                with pytest.raises(VideoError, match='is no video that FFmpeg can open'):
                    data.read(index, [0])
        else:
            assert torch.equal(other.read(index, [19, 3, 3]), videos.read(index, [19, 3, 3]))

@pytest.mark.parametrize('reader', OTHERS)
@pytest.mark.parametrize('options, says', [
    (dict(pix_fmt='yuv420p10le'), 'its yuv420p10le'),
    ({'x264-params': 'interlaced=1'}, 'is interlaced')])
def test_what_would_differ_is_refused(tmp_path, reader, options, says):
    path = encode(tmp_path/'a.mkv', film(8), 'libx264', **options)
    with pytest.raises(VideoError, match=says):
        read_frames(path, [0], reader=reader)
    assert torch.equal(read_frames(path, [0, 7], reader=(reader, 'pyav')),
                       read_frames(path, [0, 7]))

def test_torchcodec_by_its_stand_in(videos, folder, monkeypatch):
    seen = []
    stand_in(monkeypatch, seen)
    assert 'torchcodec' in installed_readers()
    first = videos.paths.index(str(folder/'a/0.mp4'))
    data = read_by(videos, 'torchcodec')
    assert torch.equal(data.read(first, [4, 2]), videos.read(first, [4, 2]))
    assert seen == [dict(dimension_order='NHWC', device='cpu', num_ffmpeg_threads=1)]
    with pytest.raises(VideoError, match='torchcodec does not read its avi'):
        read_frames(encode(folder/'a.avi', film(4), 'mpeg4'), [0], reader='torchcodec')

def test_an_installed_torchcodec_without_ffmpeg(videos, monkeypatch):
    broken = ModuleType('torchcodec')
    monkeypatch.setitem(sys.modules, 'torchcodec', broken)
    def refuse(name):
        raise RuntimeError('Could not load libtorchcodec')
    broken.__getattr__ = refuse
    assert torchcodec_decoders() is None and 'torchcodec' not in installed_readers()
    with pytest.raises(ValueError, match="not installed here, or finds no FFmpeg: use reader='py"):
        read_frames(videos.paths[0], [0], reader='torchcodec')
    with pytest.raises(ValueError, match='torchcodec cannot be used here: install it and FFmpeg'):
        read_by(videos, 'torchcodec')

def trial(monkeypatch, costs):
    "Let readers take so many seconds, by a clock that only they move."
    now = [0.]
    def read(path, pick, reader):
        if costs[reader] is None:
            raise VideoError('refused')
        now[0] += costs[reader]
    monkeypatch.setattr(readers, 'read_frames', read)
    monkeypatch.setattr(readers, 'installed_readers', lambda: list(costs))
    monkeypatch.setattr(readers, 'time', SimpleNamespace(perf_counter=lambda: now[0],
                                                         process_time=lambda: now[0]))
    readers._fastest.cache_clear()
    return now

@pytest.mark.parametrize('costs, best', [
    (dict(pyav=.1, decord=.2, torchcodec=.05), 'torchcodec'),
    (dict(pyav=.1, decord=.095), 'pyav'), (dict(pyav=.1, decord=None), 'pyav'),
    (dict(pyav=.1, decord=.08), 'decord')])
def test_the_trial_takes_the_fastest(videos, monkeypatch, costs, best):
    now = trial(monkeypatch, costs)
    few = videos.subset([0, 1])
    assert fastest_reader(few) == best
    rounds = now[0]
    assert 2 <= rounds < 4  # two seconds, a warm-up, and the round in which they end
    assert fastest_reader(few) == best and now[0] == rounds  # kept
    assert read_by(few, 'auto').reader.by == ('auto' if best == 'pyav' else (best, 'pyav'))

def test_pictures_have_no_other_reader(videos, tmp_path):
    write_frames(tmp_path/'a', np.zeros((4, 8, 8, 3), np.uint8))
    data = replace(videos, paths=(str(tmp_path/'a'),), labels=(0,), reader=FrameFolders())
    assert read_by(data, 'auto') is data
    with pytest.raises(ValueError, match='is read from pictures'):
        read_by(data, 'decord')
    with pytest.raises(ValueError, match="no reader 'opencv': choose one of pyav, decord"):
        read_by(videos, 'opencv')

def test_a_card_is_needed_and_named(videos, monkeypatch):
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='cuda is no graphics card that torch can use here'):
            decode_on_card(videos.paths[0], [0])
    with pytest.raises(ValueError, match='cpu is no graphics card'):
        decode_on_card(videos.paths[0], [0], 'cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    seen = []
    stand_in(monkeypatch, seen)
    whole = next(p for p in videos.paths if Path(p).name == '0.mp4')
    frames = decode_on_card(whole, lambda n: [n - 1, 0], 'cuda:1')
    assert torch.equal(frames, read_frames(whole, [19, 0]))
    assert seen == [dict(dimension_order='NHWC', device='cuda:1')]

def test_the_look_for_damage_happens_once(videos, monkeypatch, folder):
    stand_in(monkeypatch)
    looked, real = [], decoding.decode_frames
    path = write_video(folder/'again.mp4', film(6))
    monkeypatch.setattr(decoding, 'decode_frames',
                        lambda info, *a: (looked.append(info.path), real(info, *a))[1])
    for _ in range(3):
        decoding.refuse_inexact('torchcodec', decoding.whole_video(path))
    assert looked == [str(path)]
