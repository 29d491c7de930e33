"Strange names, strange files, damage: what a reader must not do with them."
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch
from test_video import READERS, av, copy, cut, encode, every, film

from video_convs.data.video import Decoder, VideoError, check_video, probe, read_frames, write_video

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def video(tmp_path_factory): return write_video(tmp_path_factory.mktemp('reading')/'film.mp4', film())

@pytest.fixture(scope='module')
def decoder():
    with Decoder(timeout=30) as d: yield d

# a path is a path

@pytest.fixture
def server():
    "A web server of this machine, and what it was asked for."
    asked = []
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)
        def log_message(self, *_): pass
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
    with pytest.raises(VideoError, match='does not exist'): probe(f'http://127.0.0.1:{port}/b.mp4')
    assert not asked

@pytest.mark.parametrize('name', ['a:b.mp4', 'file:a.mp4', 'concat:a.mp4|b.mp4', '-i.mp4', 'pipe:0.mp4', '%03d.mp4', 'a?b=c#d.mp4'])
def test_honest_names(tmp_path, video, monkeypatch, decoder, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path/name).write_bytes(video.read_bytes())
    assert probe(name).frames == decoder.probe(tmp_path/name).frames == 40
    for reader in READERS: assert read_frames(name, [3], reader=reader).shape == (3, 1, 48, 64)
    again = write_video(f'x{name}', film(2))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, again.name])

def test_a_name_does_not_lead_elsewhere(tmp_path, video, monkeypatch):
    inside = tmp_path/'inside'
    inside.mkdir()
    monkeypatch.chdir(inside)
    (tmp_path/'outside.mp4').write_bytes(video.read_bytes())
    for name in (f'file:{tmp_path}/outside.mp4', 'file:../outside.mp4', 'concat:../outside.mp4', 'subfile:,,start,0,end,0,,:../outside.mp4'):
        with pytest.raises(VideoError, match='does not exist'): probe(name)

PLAYLISTS = {
    'm3u8': '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{0}\n#EXT-X-ENDLIST\n',
    'ffconcat': 'ffconcat version 1.0\nfile {0}\n',
    'sdp': 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    'mpd': '<?xml version="1.0"?>\n<MPD type="static"><Period><BaseURL>{0}</BaseURL></Period></MPD>\n'}

@pytest.mark.parametrize('kind', PLAYLISTS)
def test_a_playlist_opens_no_other_file(tmp_path, video, decoder, kind):
    (tmp_path/'film.mp4').write_bytes(video.read_bytes())
    for name in ('list.mp4', f'list.{kind}'):
        (tmp_path/name).write_text(PLAYLISTS[kind].format('film.mp4'))
        for call in (probe, decoder.probe, lambda path: read_frames(path, every)):
            with pytest.raises(VideoError, match='is a list that names other files'): call(tmp_path/name)

def test_a_numbered_picture_is_no_video(tmp_path):
    for k in range(3): av.VideoFrame.from_ndarray(film(1)[0], 'rgb24').to_image().save(tmp_path/f'{k}.jpg')
    for name in ('%d.jpg', '0.jpg'):
        with pytest.raises(VideoError): probe(tmp_path/name)

def test_cut_before_its_index_is_said_of_such_files_only(tmp_path, video):
    with pytest.raises(VideoError, match='cut before its index'): probe(cut(video, tmp_path/'cut.mp4'))
    data, at = bytearray(video.read_bytes()), video.read_bytes().index(b'trak')
    data[at:at + 4] = b'\xff'*4
    data[data.index(b'mvhd') - 4:data.index(b'mvhd')] = b'\x00\x00\x00\x02'
    (tmp_path/'damaged.mp4').write_bytes(data)
    with pytest.raises(VideoError) as error: probe(tmp_path/'damaged.mp4')
    assert 'cut before' not in str(error.value)
