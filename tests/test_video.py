"Reading and writing video files: every kind of bad file, and both readers against each other."
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from video_convs.data import decoding
from video_convs.data.decoder import Decoder
from video_convs.data.video import check_video, probe, read_frames, write_video
from video_convs.data.video_info import VideoError

pytestmark = pytest.mark.usefixtures('one_thread')
av = pytest.importorskip('av')
try:
    import decord
except ImportError:
    decord = None
READERS = ['auto', 'pyav'] + (['decord'] if decord else [])
CLIPS = Path(os.environ.get('CLIPS', Path(__file__).parents[2]/'shared/data/clips'))

def film(T=40, H=48, W=64):
    "Frame k says which one it is: k of T columns are white in its last rows."
    y, x, t = *np.mgrid[:H, :W], np.arange(T)[:, None, None]
    frames = np.stack([(x*3 + t*5) % 200, (y*4 + t*3) % 200,
                       np.broadcast_to((x + y) % 150, (T, H, W))], -1).astype(np.uint8)
    frames[np.broadcast_to((y >= H - 8) & (x < (t + 1)*W/T), (T, H, W))] = 255
    frames[np.broadcast_to((y >= H - 8) & (x >= (t + 1)*W/T), (T, H, W))] = 0
    return frames

def cut(source, target, share=1/3):
    data = source.read_bytes()
    target.write_bytes(data[:int(len(data)*share)])
    return target

def copy(source, target, rotation=0, **options):
    with av.open(str(source)) as a, av.open(str(target), 'w', options=options) as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        if rotation:
            stream.set_display_rotation(rotation)
        for packet in a.demux(video=0):
            if packet.size:
                packet.stream = stream
                b.mux(packet)
    return target

def encode_live(path):
    with av.open(str(path), 'w', format='webm', options={'live': '1'}) as out:
        stream = out.add_stream('libvpx', rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        for f in film():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(f, 'rgb24')))
        out.mux(stream.encode())
    return path

def encode(path, frames, codec, pix_fmt='yuv420p', **options):
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        stream.options = options
        for f in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(f, 'rgb24')))
        out.mux(stream.encode())
    return path

@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video')/'film.mp4', film())

def every(n):
    return range(n)

# writing

def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path/'a.mp4'
    write_video(target, film(4))
    before = target.read_bytes()
    def fail(*_):
        raise OSError('disk full')
    monkeypatch.setattr(av.VideoFrame, 'from_ndarray', fail)
    with pytest.raises(OSError, match='disk full'):
        write_video(target, film(8))
    assert target.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ['a.mp4']

def test_same_frames_give_the_same_bytes(tmp_path):
    first = write_video(tmp_path/'a.mp4', film(20)).read_bytes()
    for _ in range(30):
        assert write_video(tmp_path/'b.mp4', film(20)).read_bytes() == first

@pytest.mark.parametrize('frames, message', [
    (np.zeros((3, 49, 64, 3), np.uint8), '49×64'),
    (np.zeros((3, 48, 64, 3), np.float32), 'float32'),
    (np.zeros((48, 64, 3), np.uint8), r'\(T, H, W, 3\)'),
    (np.zeros((0, 48, 64, 3), np.uint8), r'\(0, 48'),
    (np.zeros((3, 3, 48, 64), np.uint8), r'\(T, H, W, 3\)')])
def test_what_cannot_be_written(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path/'a.mp4', frames)
    assert not list(tmp_path.iterdir())

def test_torch_frames_and_containers(tmp_path, video):
    want = read_frames(video, every)
    for suffix in ('.mp4', '.mov', '.mkv'):
        path = write_video(tmp_path/f'film{suffix}', torch.from_numpy(film()))
        assert torch.equal(read_frames(path, every), want)
    with pytest.raises(ValueError, match="not '.avi'"):
        write_video(tmp_path/'film.avi', film())

# reading

@pytest.mark.parametrize('reader', READERS)
def test_the_frames_asked_for(video, reader):
    asked = [39, 0, 7, 7, 20, 3]
    frames = read_frames(video, asked, reader=reader)
    assert frames.shape == (3, 6, 48, 64) and frames.dtype == torch.uint8
    white = (frames[:, :, -4].float().mean(0) > 128).float().sum(-1)
    assert (white/64*40 - 1 - torch.tensor(asked)).abs().max() <= 1.5

@pytest.mark.skipif(decord is None, reason='decord is not installed')
@pytest.mark.parametrize('kind', ['gop1', 'gop1000', 'mkv', 'webm', 'avi', 'mpeg4', 'hevc', 'open',
                                  'turned', 'upside', '48', '6', '72', '2', '444', 'odd', 'grey',
                                  'full', 'mjpeg'])
def test_both_readers_agree(tmp_path, kind):
    frames, path = film(30), tmp_path/'a.mp4'
    if kind.startswith('gop'):
        write_video(path, frames, gop=int(kind[3:]))
    elif kind == 'mkv':
        path = write_video(tmp_path/'a.mkv', frames)
    elif kind == 'webm':
        path = encode(tmp_path/'a.webm', frames, 'libvpx-vp9')
    elif kind == 'avi':
        path = encode(tmp_path/'a.avi', frames, 'mpeg4', bf='2')
    elif kind == 'mpeg4':
        encode(path, frames, 'mpeg4', bf='2')
    elif kind == 'hevc':
        encode(path, frames, 'libx265',
               **{'x265-params': 'log-level=none:keyint=8:open-gop=1:bframes=3'})
    elif kind == 'open':
        encode(path, frames, 'libx264',
               **{'x264-params': 'open-gop=1:keyint=8:bframes=3:scenecut=0'})
    elif kind in ('turned', 'upside'):
        copy(write_video(tmp_path/'b.mp4', frames), path,
             rotation={'turned': 90, 'upside': 180}[kind])
    elif kind.isdigit() and len(kind) < 3:
        write_video(path, frames[:, :, :int(kind)] if int(kind) <= 64 else film(30, 48, int(kind)))
    elif kind == '444':
        write_video(path, frames, pix_fmt='yuv444p')
    elif kind == 'odd':
        write_video(path, frames[:, :47, :63], pix_fmt='yuv444p')
    elif kind == 'grey':
        encode(path, frames, 'libx264', 'gray')
    elif kind == 'full':
        encode(path, frames, 'libx264', 'yuvj420p')
    elif kind == 'mjpeg':
        path = encode(tmp_path/'a.avi', frames, 'mjpeg', 'yuvj420p')
    truth, rng = read_frames(path, every, reader='pyav'), np.random.default_rng(0)
    info = probe(path)
    assert truth.shape == (3, 30, info.height, info.width)
    for asked in [np.arange(30)] + [rng.integers(0, 30, 5) for _ in range(5)]:
        for reader in READERS if info.orderly else ['auto']:
            assert torch.equal(read_frames(path, asked, reader=reader), truth[:, asked]), reader
    assert info.orderly == (kind not in ('avi', 'mpeg4', 'open', 'hevc'))

def test_deep_colour_goes_to_pyav(tmp_path):
    path = encode(tmp_path/'a.mp4', film(8), 'libx264', 'yuv420p10le')
    assert torch.equal(read_frames(path, every), read_frames(path, every, reader='pyav'))

def test_hidden_packets_are_no_frames(tmp_path, video):
    with av.open(str(video)) as a, av.open(str(tmp_path/'a.mp4'), 'w') as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        for packet in a.demux(video=0):
            if not packet.size:
                continue
            packet.stream = stream
            packet.pts -= 5*512
            packet.dts -= 5*512
            b.mux(packet)
    info = probe(tmp_path/'a.mp4')
    assert 30 < info.frames == info.promised < 40
    frames = read_frames(tmp_path/'a.mp4', every)
    assert frames.shape[1] == info.frames
    assert torch.equal(frames, read_frames(tmp_path/'a.mp4', every, reader='pyav'))

def test_resized_while_reading(video):
    assert read_frames(video, every, size=24).shape == (3, 40, 24, 32)
    assert read_frames(video, [1], size=(10, 20)).shape == (3, 1, 10, 20)

@pytest.mark.parametrize('indices, message',
                         [([40], 'frame 40 was asked for'), ([-1], 'frame -1 was asked for'),
                          ([], 'at least one'), ([.5], 'whole frame number')])
def test_frames_that_are_not_there(video, indices, message):
    with pytest.raises(ValueError, match=message):
        read_frames(video, indices)

def test_unknown_reader(video):
    with pytest.raises(ValueError, match='opencv'):
        read_frames(video, [0], reader='opencv')

def test_without_decord(video, monkeypatch):
    want = read_frames(video, every)
    monkeypatch.setitem(sys.modules, 'decord', None)
    assert torch.equal(read_frames(video, every), want)
    with pytest.raises(ValueError, match='decord is not installed'):
        read_frames(video, [0], reader='decord')

def uneven(path, frames, times, sizes=((48, 64),)):
    "Streams of several sizes, with every frame at its time (ticks of 1/25 s)."
    with av.open(str(path), 'w') as out:
        streams = [out.add_stream('libx264', rate=25, options={'preset': 'ultrafast'})
                   for _ in sizes]
        for stream, (h, w) in zip(streams, sizes):
            stream.height, stream.width, stream.pix_fmt = h, w, 'yuv420p'
        for t, frame in zip(times, frames):
            for stream, (h, w) in zip(streams, sizes):
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:h, :w]), 'rgb24')
                picture.pts, picture.time_base = int(t), Fraction(1, 25)
                out.mux(stream.encode(picture))
        for stream in streams:
            out.mux(stream.encode())
    return path

@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_frames_that_come_at_uneven_times(tmp_path, suffix):
    path = uneven(tmp_path/f'a{suffix}', film(),
                  np.cumsum(np.random.default_rng(0).integers(1, 9, 40)))
    info, truth = probe(path), read_frames(path, every, reader='pyav')
    assert info.frames == truth.shape[1] == 40 and info.promised in (40, None)
    white = (truth[:, :, -4].float().mean(0) > 128).float().sum(-1)
    assert (white/64*40 - 1 - torch.arange(40)).abs().max() <= 1.5
    for reader in READERS:
        assert torch.equal(read_frames(path, [33, 2, 20], reader=reader), truth[:, [33, 2, 20]])

def test_of_several_streams_both_readers_take_the_same(tmp_path):
    path = uneven(tmp_path/'a.mp4', film(), range(40), ((48, 64), (24, 32)))
    assert (probe(path).height, probe(path).frames) == (48, 40)
    truth = read_frames(path, every, reader='pyav')
    for reader in READERS:
        assert torch.equal(read_frames(path, [33, 2, 20], reader=reader), truth[:, [33, 2, 20]])

@pytest.mark.parametrize('suffix, codec',
                         [('.mpg', 'mpeg2video'), ('.ts', 'mpeg2video'), ('.ts', 'libx264'),
                          ('.flv', 'flv'), ('.wmv', 'wmv2'), ('.avi', 'libx264'), ('.avi', 'mpeg4'),
                          ('.mkv', 'mpeg4')])
def test_what_decord_might_read_otherwise_goes_to_pyav(tmp_path, suffix, codec):
    path = encode(tmp_path/f'a{suffix}', film(), codec)
    truth = read_frames(path, every, reader='pyav')
    for k in (0, 11, 12, 24, 39):
        assert torch.equal(read_frames(path, [k]), truth[:, k:k + 1]), k

def test_a_film_that_changes_its_size_is_refused(tmp_path):
    small, large = film(4)[:, :24, :32], film(4)
    parts = [encode(tmp_path/f'{k}.mpg', frames, 'mpeg2video')
             for k, frames in enumerate((small, large))]
    (tmp_path/'both.mpg').write_bytes(b''.join(p.read_bytes() for p in parts))
    with pytest.raises(VideoError):
        read_frames(tmp_path/'both.mpg', every)

def test_each_frame_is_decoded_once(video, monkeypatch):
    seen, turned = [], decoding.upright
    monkeypatch.setattr(decoding, 'upright',
                        lambda frame, *a: (seen.append(frame.pts), turned(frame, *a))[1])
    frames = read_frames(video, [7, 7, 3, 30, 7, 3], reader='pyav')
    assert len(seen) == len(set(seen)) == 3 and torch.equal(frames[:, 0], frames[:, 4])

@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='threads are counted on Linux')
def test_a_picture_starts_no_threads(video):
    threads = lambda: len(os.listdir('/proc/self/task'))
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
        before = threads()
        frames[0].to_ndarray(format='rgb24', threads=3)
        assert threads() > before  # frames that are held keep their threads
        middle = threads()
        for frame in frames[1:9]:
            decoding.upright(frame)
        assert threads() == middle

@pytest.mark.parametrize('reader', ['auto', 'pyav'])
def test_memory_stays(video, reader):
    import psutil
    memory = psutil.Process().memory_info
    for _ in range(30):
        read_frames(video, [0, 20, 39], reader=reader)
    before = memory().rss
    for _ in range(150):
        read_frames(video, [0, 20, 39], reader=reader)
    assert memory().rss - before < 150 * 40e3

# bad files

def bad_files(folder, video):
    (folder/'text.mp4').write_text('This is no video.')
    (folder/'notes.txt').write_text('Neither is this.\n' * 99)
    (folder/'zero.mp4').touch()
    (folder/'folder.mp4').mkdir()
    fast = copy(video, folder/'fast.mp4', movflags='faststart')
    pieces = copy(video, folder/'pieces.mp4', movflags='frag_keyframe+empty_moov')
    avi, mkv = encode(folder/'a.avi', film(), 'mpeg4'), write_video(folder/'a.mkv', film())
    with av.open(str(folder/'sound.mp4'), 'w') as out:
        stream = out.add_stream('aac', rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp',
                                           layout='mono')
        sound.sample_rate = 16000
        out.mux(stream.encode(sound))
        out.mux(stream.encode())
    return {'missing': (folder/'missing.mp4', 'does not exist'),
            'folder': (folder/'folder.mp4', 'is a folder'),
            'text': (folder/'text.mp4', 'is no video'), 'notes': (folder/'notes.txt', 'is a text'),
            'zero': (folder/'zero.mp4', 'is empty'),
            'no index': (cut(video, folder/'no_index.mp4'), 'before its index'),
            'sound': (folder/'sound.mp4', 'only sound or subtitles: use another file'),
            'half an index': (cut(video, folder/'half_index.mp4', 1 - 600/video.stat().st_size),
                              'was cut'),
            'third of mp4': (cut(fast, folder/'third.mp4'), 'promises 40 frames but holds'),
            'third of pieces': (cut(pieces, folder/'third_pieces.mp4', .6),
                                'promises .* frames but holds'),
            'third of avi': (cut(avi, folder/'third.avi'),
                             'promises 40 frames but holds|is no video'),
            'third of mkv': (cut(mkv, folder/'third.mkv'), 'promises 40 frames but holds'),
            'header only': (cut(fast, folder/'header.mp4',
                                (fast.read_bytes().index(b'mdat') + 8)/fast.stat().st_size),
                            'cut short|not one whole frame|no frame')}

@pytest.mark.parametrize('reader', ['auto', 'pyav'])
def test_each_bad_file_is_one_sentence(tmp_path, video, reader):
    for kind, (path, message) in bad_files(tmp_path, video).items():
        with pytest.raises(VideoError, match=message) as error:
            read_frames(path, lambda n: [0], reader=reader)
        text = str(error.value)
        assert (str(path) in text and '\n' not in text and ': ' in text or ', ' in text
                or ';' in text), kind

@pytest.mark.parametrize('share', [.1, .3, .5, .7, .9, .99])
def test_any_cut_is_noticed(tmp_path, video, share):
    fast = copy(video, tmp_path/'fast.mp4', movflags='faststart')
    with pytest.raises(VideoError):
        read_frames(cut(fast, tmp_path/'cut.mp4', share), [0])

def test_a_lost_packet_never_gives_a_patched_picture(tmp_path, video):
    with av.open(str(video)) as a:
        packets = [(p.pos, p.size) for p in a.demux(video=0) if p.size]
    truth = read_frames(video, every)
    for at in (0, 5, 12, 20, 39):
        data, (pos, size) = bytearray(video.read_bytes()), packets[at]
        data[pos + 4:pos + size] = bytes(size - 4)
        (tmp_path/'damaged.mp4').write_bytes(data)
        for reader in ('auto', 'pyav'):
            read = 0
            for k in range(0, 40, 3):
                try:
                    frame = read_frames(tmp_path/'damaged.mp4', [k], reader=reader)
                except VideoError as error:
                    assert 'does not decode' in str(error)
                else:
                    read += 1
                    assert torch.equal(frame, truth[:, k:k + 1]), (at, reader, k)
            assert 0 < read < 14 or at == 39

def test_odd_but_whole(tmp_path):
    one = write_video(tmp_path/'one.mp4', film(1))
    assert probe(one).frames == 1 and read_frames(one, [0, 0, 0]).shape == (3, 3, 48, 64)
    pixel = write_video(tmp_path/'pixel.mp4', film(5)[:, :1, :1], pix_fmt='yuv444p')
    for reader in READERS:
        assert read_frames(pixel, every, reader=reader).shape == (3, 5, 1, 1)
    assert read_frames(pixel, every, size=8).shape == (3, 5, 8, 8)

def test_names_with_blanks_and_umlauts(tmp_path):
    path = write_video(tmp_path/'ein Käse, 50% #1.mp4', film(6))
    for reader in READERS:
        assert read_frames(path, every, reader=reader).shape[1] == 6

def test_quiet_and_light(tmp_path, video):
    "Nothing reaches the screen from a decoder, and importing loads none of them."
    (tmp_path/'text.mp4').write_text('no video')
    cut(video, tmp_path/'cut.mp4')
    code = f"""
import sys
from video_convs.data.video import read_frames
from video_convs.data.video_info import VideoError
assert not {{'decord', 'av'}} & set(sys.modules)
for path in {[str(video), *(f'{tmp_path}/{name}.mp4' for name in ('text', 'none', 'cut'))]}:
    try:
        read_frames(path, [0])
    except VideoError:
        pass
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')

# a check of every frame

def test_the_deep_check_names_the_frame(tmp_path, video):
    assert check_video(video, deep=True) == check_video(video) == probe(video)
    with av.open(str(video)) as a:
        pos, size = [(p.pos, p.size) for p in a.demux(video=0) if p.size][30]
    data = bytearray(video.read_bytes())
    data[pos + 4:pos + size] = bytes(size - 4)
    (tmp_path/'damaged.mp4').write_bytes(data)
    check_video(tmp_path/'damaged.mp4')
    with pytest.raises(VideoError, match='frame (2|3).* of 40 does not decode'):
        check_video(tmp_path/'damaged.mp4', deep=True)
    with pytest.raises(VideoError, match='promises 40 frames'):
        check_video(cut(copy(video, tmp_path/'fast.mp4', movflags='faststart'), tmp_path/'cut.mp4'))

def test_a_pipe_is_no_video(tmp_path):
    # Windows has no named pipes in its file system, so nobody can hand one over there
    if not hasattr(os, 'mkfifo'):
        pytest.skip('this system has no named pipes, so there is nothing to refuse')
    os.mkfifo(tmp_path/'pipe.mp4')
    with pytest.raises(VideoError, match='is a device or a pipe|is empty'):
        probe(tmp_path/'pipe.mp4')

# another process

@pytest.fixture(scope='module')
def decoder():
    with Decoder(timeout=30) as d:
        yield d

def test_the_other_process_gives_the_same(video, decoder, tmp_path):
    assert decoder.probe(video) == decoder.check(video, deep=True) == probe(video)
    want = read_frames(video, [5, 0, 39], size=24)
    for indices in ([5, 0, 39], np.array([5, 0, 39]), lambda n: [5, 0, n - 1]):
        assert torch.equal(decoder.read(video, indices, size=24), want)
    odd = write_video(tmp_path/'ein Käse, 50% #1.mp4', film(6))
    assert decoder.read(odd, every).shape == (3, 6, 48, 64)

def test_relative_names_follow_the_working_folder(video, decoder, tmp_path, monkeypatch):
    decoder.probe(video)  # the process runs, in another folder
    for name, frames in (('a', 3), ('b', 5)):
        (tmp_path/name).mkdir()
        write_video(tmp_path/name/'x.mp4', film(frames))
        monkeypatch.chdir(tmp_path/name)
        assert decoder.probe('x.mp4').frames == frames
        decoder.copy('x.mp4', 'y.mp4')
        assert (tmp_path/name/'y.mp4').is_file()
    with pytest.raises(VideoError, match='^z.mp4'):
        decoder.probe('z.mp4')

def test_what_resizes_is_loaded_before_the_time_counts(video, monkeypatch):
    asked, real = [], Decoder._call
    def call(self, seconds, process, question, pick=None):
        asked.append((seconds, question.get('task')))
        return real(self, seconds, process, question, pick)
    monkeypatch.setattr(Decoder, '_call', call)
    with Decoder(timeout=30) as decoder:
        decoder.read(video, [0])
        decoder.read(video, [0], size=24)
    assert asked == [(120, None), (30, 'read'), (120, 'load'), (30, 'read')]

def test_errors_come_across(video, decoder, tmp_path):
    process = decoder.probe(video) and decoder._process
    for kind, (path, message) in bad_files(tmp_path, video).items():
        with pytest.raises(VideoError, match=message):
            decoder.read(path, lambda n: [0])
    with pytest.raises(VideoError, match='frame 40 was asked for'):
        decoder.read(video, [40])
    for bad, message in [(dict(reader='opencv'), 'opencv'), (dict(sice=3), 'sice')]:
        with pytest.raises(ValueError, match=message):
            decoder.read(video, [0], **bad)
    assert decoder._process is process  # none of this needs a new one

@pytest.mark.skipif(not hasattr(signal, 'SIGSTOP'), reason='no signals here')
def test_a_hang_and_a_crash_are_named_and_survived(video):
    with Decoder(timeout=1) as decoder:
        for blow, message in [(signal.SIGSTOP, 'film.mp4: no answer from the decoder after 1 s'),
                              (signal.SIGSEGV, 'film.mp4: the decoder crashed')]:
            decoder.probe(video)
            decoder._process.send_signal(blow)
            with pytest.raises(VideoError, match=message):
                decoder.read(video, [0])
        with pytest.raises(ZeroDivisionError):  # fails here, not there
            decoder.read(video, lambda n: [n//0])
        assert decoder.probe(video).frames == 40
        process = decoder._process
    assert process.poll() is not None  # the end of the block is its end

def test_threads_take_turns(video, decoder):
    wrong, want = [], read_frames(video, [3])
    def work():
        for _ in range(5):
            wrong.append(not torch.equal(decoder.read(video, [3]), want))
    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(wrong) == 15 and not any(wrong)

def test_in_a_script_without_a_guard(video):
    "What starts a process must not run the caller's script again."
    code = ("from video_convs.data.decoder import "
            f"Decoder\nprint(Decoder().probe({str(video)!r}).frames)")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, '40\n', '')

def test_the_other_process_needs_no_torch():
    "Torch takes seconds to load; a process that only decodes starts without it."
    code = ("import sys, video_convs.data.decoder; print({'torch', 'av', 'decord'} & "
            "set(sys.modules))")
    assert subprocess.run([sys.executable, '-c',
                           code], capture_output=True, text=True).stdout == 'set()\n'

def test_a_time_limit_must_be_one():
    with pytest.raises(ValueError, match='above 0'):
        Decoder(timeout=0)

# any damage

@pytest.fixture(scope='module')
def films(tmp_path_factory, video):
    folder = tmp_path_factory.mktemp('fuzz')
    paths = [copy(video, folder/'a.mp4', movflags='faststart'), write_video(folder/'a.mkv', film()),
             encode(folder/'a.webm', film(), 'libvpx'), encode(folder/'a.avi', film(), 'mpeg4')]
    return {p.suffix: (p.read_bytes(), folder/f'maimed{p.suffix}') for p in paths}

def survives(decoder, path):
    "Read from both ends and the middle of a maimed film: what it says, or None if refused."
    started = time.perf_counter()
    try:
        info = decoder.probe(path)
        frames = decoder.read(path, lambda n: [0, n//2, n - 1])
        assert frames.shape[1] == 3
    except VideoError as error:
        assert str(path) in str(error)
        assert 'crashed' not in str(error)
        assert 'no answer' not in str(error)
        info = None
    assert time.perf_counter() - started < 20
    return info

@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.webm', '.avi'])
def test_flipped_bytes(films, decoder, suffix):
    data, path = films[suffix]
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(1, 255)),
                    min_size=1, max_size=8))
    def check(flips):
        maimed = bytearray(data)
        for at, bits in flips:
            maimed[at] ^= bits
        path.write_bytes(maimed)
        info = survives(decoder, path)
        assert info is None or info.frames + info.hidden >= 40, info
    check()

@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.webm', '.avi'])
def test_lost_bytes(films, decoder, suffix):
    data, path = films[suffix]
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.integers(1, len(data) - 1), st.integers(1, len(data)))
    def check(at, length):  # the end, or a piece out of the middle
        path.write_bytes(data[:at] + data[at + length:])
        info = survives(decoder, path)
        assert info is None or info.frames + info.hidden >= 40, info
    check()

def test_a_recording_that_was_stopped(tmp_path):
    "A browser's recording has no lengths, and may end in a box's head; inside a packet it is torn."
    whole = encode_live(tmp_path/'live.webm').read_bytes()
    # of the next cluster
    path, head = tmp_path/'stopped.webm', bytes.fromhex('1f43b675 01ffffffffffffff')
    for n in range(len(head)):
        path.write_bytes(whole + head[:n])
        assert read_frames(path, range).shape[1] == 40
    for torn in (whole[:-1], whole[:-9], whole + b'\x00', whole + bytes.fromhex('a3 90'),
                 whole + bytes.fromhex('1f43b675 88')):
        path.write_bytes(torn)
        with pytest.raises(VideoError, match='stopped.webm is torn|does not decode|promises'):
            read_frames(path, range)

# real videos, the odd ones included

EXPECTED = {  # name → frames, (height, width), or the message
    'dec_corrupted.mp4': 'does not decode', 'dec_flipping_a_pancake.mkv': (310, (240, 426)),
    'dec_unordered.mov': (4, (50, 50)),
    'dec_video_0.mov': (3, (320, 568)), 'dec_video_180.mov': (3, (320, 568)),
    'dec_video_90.mov': (3, (568, 320)),
    'mma_demo.mp4': (280, (256, 427)), 'mma_part_0.mp4': (32, (256, 455)),
    'mma_test.avi': (164, (240, 320)),
    'mov_bbb_432_433.webm': (24, (720, 1280)), 'mov_bitmap.mp4': (5, (1, 1)),
    'mov_no_duration.webm': (74, (720, 1280)),
    'skv_bikes.mp4': (250, (272, 640)), 'tc_av1_video.mkv': (125, (360, 640)),
    'tc_h264_10bits.mp4': (30, (200, 200)),
    'tc_nasa_13013.mp4': (390, (270, 480))}

@pytest.mark.skipif(not CLIPS.is_dir(), reason='no folder of odd clips (CLIPS)')
@pytest.mark.parametrize('name', EXPECTED)
def test_real_clips(name):
    def spread(n):
        return [0, n//3, n - 1]
    if isinstance(EXPECTED[name], str):
        with pytest.raises(VideoError, match=EXPECTED[name]):
            read_frames(CLIPS/name, spread)
        return
    frames, (H, W) = EXPECTED[name]
    info = probe(CLIPS/name)
    assert (info.frames, info.height, info.width) == (frames, H, W)
    assert info.promised in (frames, None)
    clip = read_frames(CLIPS/name, spread)
    assert clip.shape == (3, 3, H, W)
    assert torch.equal(clip, read_frames(CLIPS/name, spread, reader='pyav'))
