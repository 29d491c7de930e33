"Strange names, strange files, damage: what a reader must not do with them."
import json
import threading
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from test_video import READERS, av, copy, cut, encode, every, film, uneven

from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.sampling import clip_indices, segments
from video_convs.data.transforms import Augment
from video_convs.data.views import Views
from video_convs.data.decoder import Decoder
from video_convs.data.video import check_video, probe, read_frames, write_video
from video_convs.data.video_info import VideoError
from video_convs.checkpoint import save
from video_convs.nets.video_net import load
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('reading')/'film.mp4', film())

@pytest.fixture(scope='module')
def decoder():
    with Decoder(timeout=30) as d:
        yield d

# a path is a path

@pytest.fixture
def server():
    "A web server of this machine, and what it was asked for."
    asked = []
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass
    with HTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={'poll_interval': .01})
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()

@pytest.mark.parametrize('reader', READERS)
def test_a_folder_named_like_a_protocol(tmp_path, video, monkeypatch, server, reader):
    port, asked = server
    monkeypatch.chdir(tmp_path)
    folder = tmp_path/'http:'/f'127.0.0.1:{port}'
    folder.mkdir(parents=True)
    (folder/'a.mp4').write_bytes(video.read_bytes())
    for name in (f'http:/127.0.0.1:{port}/a.mp4', f'http://127.0.0.1:{port}/a.mp4'):
        assert torch.equal(read_frames(name, [3], reader=reader), read_frames(video, [3]))
    with pytest.raises(VideoError, match='does not exist'):
        probe(f'http://127.0.0.1:{port}/b.mp4')
    assert not asked

@pytest.mark.parametrize('name', ['a:b.mp4', 'file:a.mp4', 'concat:a.mp4|b.mp4', '-i.mp4',
                                  'pipe:0.mp4', '%03d.mp4', 'a?b=c#d.mp4'])
def test_honest_names(tmp_path, video, monkeypatch, decoder, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path/name).write_bytes(video.read_bytes())
    assert probe(name).frames == decoder.probe(tmp_path/name).frames == 40
    for reader in READERS:
        assert read_frames(name, [3], reader=reader).shape == (3, 1, 48, 64)
    again = write_video(f'x{name}', film(2))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, again.name])

def test_a_name_does_not_lead_elsewhere(tmp_path, video, monkeypatch):
    inside = tmp_path/'inside'
    inside.mkdir()
    monkeypatch.chdir(inside)
    (tmp_path/'outside.mp4').write_bytes(video.read_bytes())
    for name in (f'file:{tmp_path}/outside.mp4', 'file:../outside.mp4', 'concat:../outside.mp4',
                 'subfile:,,start,0,end,0,,:../outside.mp4'):
        with pytest.raises(VideoError, match='does not exist'):
            probe(name)

PLAYLISTS = {
    'm3u8': '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n',
    'ffconcat': 'ffconcat version 1.0\nfile {0}\n',
    'sdp': 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP '
           '96\na=rtpmap:96 H264/90000\n',
    'mpd':
        '<?xml version="1.0"?>\n<MPD type="static"><Period><BaseURL>{0}</BaseURL></Period></MPD>\n'}

@pytest.mark.parametrize('kind', PLAYLISTS)
def test_a_playlist_opens_no_other_file(tmp_path, video, decoder, kind):
    (tmp_path/'film.mp4').write_bytes(video.read_bytes())
    for name in ('list.mp4', f'list.{kind}'):
        (tmp_path/name).write_text(PLAYLISTS[kind].format('film.mp4'))
        for call in (probe, decoder.probe, lambda path: read_frames(path, every)):
            with pytest.raises(VideoError, match='is a list that names other files'):
                call(tmp_path/name)

def test_a_numbered_picture_is_no_video(tmp_path):
    for k in range(3):
        av.VideoFrame.from_ndarray(film(1)[0], 'rgb24').to_image().save(tmp_path/f'{k}.jpg')
    for name in ('%d.jpg', '0.jpg'):
        with pytest.raises(VideoError):
            probe(tmp_path/name)

def test_cut_before_its_index_is_said_of_such_files_only(tmp_path, video):
    with pytest.raises(VideoError, match='cut before its index'):
        probe(cut(video, tmp_path/'cut.mp4'))
    data, at = bytearray(video.read_bytes()), video.read_bytes().index(b'trak')
    data[at:at + 4] = b'\xff'*4
    data[data.index(b'mvhd') - 4:data.index(b'mvhd')] = b'\x00\x00\x00\x02'
    (tmp_path/'damaged.mp4').write_bytes(data)
    with pytest.raises(VideoError) as error:
        probe(tmp_path/'damaged.mp4')
    assert 'cut before' not in str(error.value)

# damaged pictures

def outcome(call, path):
    "What reading gives: frames, or None where the file is refused."
    try:
        return call(path)
    except VideoError:
        return None

@pytest.fixture(scope='module')
def flipped(tmp_path_factory, video):
    "Films with a bit flipped inside a compressed picture of H.264: path, number of the frame."
    folder, rng = tmp_path_factory.mktemp('flipped'), np.random.default_rng(0)
    with av.open(str(video)) as a:
        packets = [(p.pos, p.size) for p in a.demux(video=0) if p.size]
    films = []
    for k in range(24):
        data, (pos, size) = bytearray(video.read_bytes()), packets[rng.integers(len(packets))]
        data[pos + 8 + rng.integers(size - 8)] ^= 1 << rng.integers(8)
        (folder/f'{k}.mp4').write_bytes(data)
        films.append(folder/f'{k}.mp4')
    return films

def test_readers_agree_on_what_is_readable(flipped, video, decoder):
    asked = list(range(0, 40, 5))
    ways = [lambda p, k=k, r=r: read_frames(p, [k], reader=r) for k in asked
            for r in ('auto', 'pyav')]
    refused = 0
    for path in flipped:
        deep = outcome(lambda p: check_video(p, deep=True), path)
        every_frame = outcome(lambda p: read_frames(p, every), path)
        assert (deep is None) == (every_frame is None)
        refused += deep is None
        alone = [outcome(way, path) for way in ways]
        for a, b in zip(alone[::2], alone[1::2]):
            assert (a is None) == (b is None) and (a is None or torch.equal(a, b))
        if every_frame is None:
            continue
        for k, frame in zip(asked, alone[::2]):
            assert torch.equal(frame, every_frame[:, k:k + 1])
        if 'decord' in READERS:
            assert torch.equal(read_frames(path, asked, reader='decord'), every_frame[:, asked])
    assert refused > len(flipped)/2

@pytest.mark.skipif('decord' not in READERS, reason='decord is not installed')
def test_decord_gives_no_frame_of_a_damaged_film(flipped):
    for path in flipped:
        if outcome(lambda p: check_video(p, deep=True), path) is None:
            with pytest.raises(VideoError, match='does not decode'):
                read_frames(path, [0], reader='decord')

def test_no_frame_is_built_on_a_patched_one(flipped, video):
    "A frame that is given out is what it was, or the whole film shows no trace of its damage."
    truth = read_frames(video, every)
    for path in flipped:
        if outcome(lambda p: check_video(p, deep=True), path) is not None:
            continue  # leaves no trace in any decoder
        for k in range(0, 40, 2):
            frame = outcome(lambda p: read_frames(p, [k]), path)
            assert frame is None or torch.equal(frame, truth[:, k:k + 1]), (path.name, k)

# files that are odd, and whole

def negative_stamps(path, frames=10):
    "A film that starts 0.2 s before time zero, as `avoid_negative_ts=disabled` leaves it."
    with av.open(str(path), 'w', options={'avoid_negative_ts': 'disabled'}) as out:
        stream = out.add_stream('libx264', rate=25, options={'bf': '0'})
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        packets = [p for f in film(frames)
                   for p in stream.encode(av.VideoFrame.from_ndarray(f, 'rgb24'))]
        for packet in [*packets, *stream.encode()]:
            packet.pts, packet.dts = packet.pts - 5, packet.dts - 5
            out.mux(packet)
    return path

@pytest.mark.parametrize('name', ['negative.mkv', 'raw.h264', 'raw.m4v'])
def test_probe_does_not_call_a_readable_file_broken(tmp_path, decoder, name):
    path = tmp_path/name
    if name == 'negative.mkv':
        negative_stamps(path)
    else:
        encode(path, film(10), 'libx264' if name == 'raw.h264' else 'mpeg4')
    assert (probe(path).frames == check_video(path, deep=True).frames
            == decoder.probe(path).frames == 10)
    frames = read_frames(path, every)
    assert frames.shape == (3, 10, 48, 64) and torch.equal(frames[:, 7:8], read_frames(path, [7]))

def encode_with(path, frames, pix_fmt='yuv420p', options={}, **header):
    "H.264 with things said in its header."
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        for key, value in header.items():
            setattr(stream.codec_context, key, value)
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        out.mux(stream.encode())
    return path

def test_pixels_become_square(tmp_path):
    frames = film(4)[:, :, :48]
    for name, ratio, H, W in (('wide', Fraction(2), 48, 96), ('tall', Fraction(1, 2), 96, 48),
                              ('square', Fraction(1), 48, 48)):
        path = encode_with(tmp_path/f'{name}.mp4', frames, sample_aspect_ratio=ratio)
        info = probe(path)
        assert (info.height, info.width) == (H, W)
        assert read_frames(path, every).shape == (3, 4, H, W)
        assert ('made square' in ' '.join(info.notes)) == (name != 'square')
    turned = copy(tmp_path/'wide.mp4', tmp_path/'turned.mp4', rotation=90)
    assert ((probe(turned).height, probe(turned).width) == (96, 48)
            == tuple(read_frames(turned, [0]).shape[2:]))
    mad = encode_with(tmp_path/'mad.mp4', frames, sample_aspect_ratio=Fraction(1, 20))
    for call in (probe, lambda p: read_frames(p, [0])):
        with pytest.raises(VideoError, match='0.05 times as wide as high'):
            call(mad)

def test_of_interlaced_frames_one_moment_is_read(tmp_path):
    "A bright bar on the upper field's lines, moved in the other field: what is read has one bar."
    frames = np.full((6, 64, 64, 3), 20, np.uint8)
    frames[:, 0::2, 8:20] = 230
    frames[:, 1::2, 40:52] = 230
    path = encode_with(tmp_path/'woven.mkv', frames,
                       options={'x264-params': 'tff=1:interlaced=1', 'crf': '5'})
    assert any(note.startswith('interlaced') for note in probe(path).notes)
    picture = read_frames(path, [3])[:, 0].float().mean(0)
    assert picture.shape == (64, 64)
    assert picture[4:-4, 10:18].min() > 180
    assert picture[4:-4, 42:50].max() < 70

def test_hdr_is_named(tmp_path, decoder):
    path = encode_with(tmp_path/'pq.mp4', film(4), 'yuv420p10le', color_trc=16)
    assert 'HDR (PQ)' in ' '.join(probe(path).notes)
    for read in (read_frames, decoder.read):
        with pytest.warns(UserWarning, match='pq.mp4: HDR .PQ.*convert it to SDR'):
            read(path, [0])

def test_the_other_process_copies(tmp_path, video, decoder):
    copied = decoder.copy(video, tmp_path/'a.mp4', size=(24, 32), span=(3, 9), gop=2)
    info = probe(tmp_path/'a.mp4')
    assert copied.frames == info.frames == 6 and (info.height, info.width) == (24, 32)
    with pytest.raises(VideoError, match='does not exist'):
        decoder.copy(tmp_path/'none.mp4', tmp_path/'b.mp4')

# time, not index

# 20 frames in the first second, four in the next six
TIMES = np.r_[np.arange(20)/20, 1 + 1.5*np.arange(4)]

@pytest.fixture(scope='module')
def uneven_data(tmp_path_factory):
    "Two classes of one film with a variable frame rate."
    root = tmp_path_factory.mktemp('uneven')
    for k, name in enumerate('abab'):
        folder = root/'train'/name
        folder.mkdir(parents=True, exist_ok=True)
        uneven(folder/f'{k}.mp4', film(24) - np.uint8(k),
               np.rint(TIMES*25 + np.arange(24)*1e-3).astype(int))
    return root

def test_frames_are_chosen_by_time(uneven_data, decoder):
    path, spec = uneven_data/'train/a/0.mp4', InputSpec(frames=8)
    times = probe(path).times
    assert np.abs(times - TIMES).max() <= .021
    assert 'frame rate varies: frames are chosen by time' in probe(path).notes
    chosen = Views().indices(times, spec)
    assert (times[chosen] < 1).sum() == 1 and (times[segments(24, 8)] < 1).sum() == 7
    for read in (read_frames, decoder.read):
        assert torch.equal(read(path, Views().pick(spec)), read_frames(path, chosen))
        assert torch.equal(read(path, lambda n: Views().indices(n, spec)),
                           read_frames(path, segments(24, 8)))

@pytest.mark.parametrize('fps', [10, 25, 30000/1001, 60])
def test_a_constant_rate_gives_what_numbers_give(fps):
    stamps = np.round(np.arange(300)/fps, 3)  # as Matroska rounds them
    for options in (dict(), dict(clips=10), dict(rule='dense', clips=3), dict(micro='centre')):
        for N in (1, 2, 9, 300):
            for spec in (InputSpec(frames=8), InputSpec(frames=5, per_segment=3)):
                assert (clip_indices(stamps[:N] + 7, spec, **options)
                        == clip_indices(N, spec, **options)).all()

def test_clips_of_constant_duration():
    spec = InputSpec(frames=8, seconds=2)
    for fps in (10, 25, 60):
        times = np.arange(20*fps)/fps
        for rng in (None, np.random.default_rng(0)):
            moments = times[clip_indices(times, spec, clips=3, rng=rng)]
            assert np.allclose(np.diff(moments), .25, atol=1.01/fps)
    by_time = TIMES[clip_indices(TIMES, replace(spec, frames=4))[0]]
    assert 0 < by_time[-1] - by_time[0] <= 2
    i = clip_indices(300, InputSpec(frames=8, stride=5), clips=4, rng=np.random.default_rng(0))
    assert (np.diff(i) == 5).all() and i.max() < 300
    # shorter than the clip: spread over all of it
    assert clip_indices(5, InputSpec(frames=8, stride=5)).max() == 4
    with pytest.raises(ValueError, match='how many frames there are in a second'):
        clip_indices(300, spec)
    with pytest.raises(ValueError, match='leave out official'):
        clip_indices(300, InputSpec(stride=2), official=True)

@pytest.mark.parametrize('wrong, message',
                         [(dict(stride=0), 'stride must be a whole number from 1 to'),
                          (dict(stride=1.5), 'stride must be a whole number from 1 to'),
                          (dict(seconds=0), 'seconds must be a number above 0 to'),
                          (dict(seconds=float('nan')), 'seconds must be a number above 0 to'),
                          (dict(seconds='2'), 'seconds must be a number above 0 to'),
                          (dict(stride=2, seconds=1.), 'choose one')])
def test_a_duration_must_be_one(wrong, message):
    with pytest.raises(ValueError, match=message):
        InputSpec(**wrong)

@pytest.mark.parametrize('cache', [False, True])
def test_training_and_testing_choose_by_time(uneven_data, cache):
    data = open_data(uneven_data)
    for train in (False, True):
        plain, clips = (Clips(data, InputSpec(frames=8, size=24), train, Augment.none(), cache=c)
                        for c in (False, cache))
        # cached frames of training are resized twice
        assert (plain[0][0] - clips[0][0]).abs().mean() < .1
    seconds = Clips(data, InputSpec(frames=4, size=24, seconds=1.), False, cache=cache)
    assert seconds[0][0].shape == (3, 4, 24, 24)

def test_checkpoints_keep_the_duration(tmp_path):
    for kept in (dict(stride=3), dict(seconds=1.5), {}):
        model = create_model('tsn_tiny', num_classes=2, classes=['a', 'b'],
                             input_spec=dict(frames=4, size=24, **kept))
        page = tmp_path/str(len(kept))/'config.json'
        save(model, page.parent)
        assert load(page.parent).input_spec == model.input_spec
        old = json.loads(page.read_text())
        for key in ('stride', 'seconds'):
            del old['input_spec'][key]
        page.write_text(json.dumps(old))
        assert load(page.parent).input_spec.stride is None  # a page from before has no such fields

def test_the_command_line_takes_a_duration(uneven_data, tmp_path, capsys):
    base = ['train', '--data', str(uneven_data), '--model', 'tsn_tiny', '--frames', '4', '--size',
            '24', '--epochs', '1', '--test-split', 'none', '--train-split', 'train',
            '--batch-size', '2']
    assert main([*base, '--seconds', '1.5', '--out', str(tmp_path/'a')]) == 0
    assert load(tmp_path/'a').input_spec.seconds == 1.5
    assert main([*base, '--stride', '2', '--pretrained', str(tmp_path/'a'), '--out',
                 str(tmp_path/'b')]) == 0
    assert (load(tmp_path/'b').input_spec.stride,
            load(tmp_path/'b').input_spec.seconds) == (2, None)
    assert main(['predict', str(tmp_path/'b'), str(uneven_data/'train/a/0.mp4'), '--csv']) == 0
    assert 'a/0.mp4,1,' in capsys.readouterr().out
    assert main([*base, '--stride', '2', '--seconds', '1', '--out', str(tmp_path/'c')]) == 2
    assert 'choose one' in capsys.readouterr().err
