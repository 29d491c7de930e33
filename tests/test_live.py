"A network that watches a camera, an address or a running file."
import signal
import sys
import threading
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watched import network, write_six_seconds
from video_convs import create_model
from video_convs.cli import main
from video_convs.data.video import probe, write_video
from video_convs.data.video_info import VideoError
from video_convs.use import camera as cameras
from video_convs.use import live as module
from video_convs.use.camera import Newest, Sampler, frames_of, is_file, source_name
from video_convs.use.live import LiveSession, Moment, draw_moment, no_window
from video_convs.use.timeline import moments, timeline

pytestmark = pytest.mark.usefixtures('one_thread')
BLACK = np.zeros((24, 24, 3), np.uint8)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_six_seconds(tmp_path_factory.mktemp('live')/'v.mp4')


def test_frames_of_a_file_are_those_of_any_reader(video):
    from video_convs.data.video import read_frames
    times, frames = zip(*frames_of(video))
    assert np.allclose(times, np.arange(60) / 10)
    assert np.array_equal(np.stack(frames),
                          read_frames(video, range(60)).permute(1, 2, 3, 0).numpy())


class Lockstep:
    "A clock that lets the reader put a frame whenever the last one has been shown."
    def __init__(self):
        self.free = threading.Semaphore(1)

    def __call__(self, seconds):
        assert self.free.acquire(timeout=60)


def watched(session, clock):
    "The moments, in step with the clock."
    for moment in session:
        yield moment
        clock.free.release()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(.01, 2), min_size=1, max_size=40), st.floats(.05, 3), st.integers(1, 5))
def test_samples_are_those_of_a_timeline(steps, apart, neighbours):
    times = np.cumsum([0., *steps[1:]])
    sampler, points = Sampler(apart, neighbours), []
    for n, seconds in enumerate(times):
        points += sampler.step(seconds, n)
    assert points + sampler.finish() == moments(times, apart, neighbours).tolist()


def test_only_the_newest_is_kept():
    newest = Newest(Sampler(1.), most=2)
    for k in range(10):  # nobody takes for ten frames, in which ten points become complete
        assert newest.put(k * 1., np.full((1, 1, 3), k, np.uint8))
    (seconds, frame), points, _ = newest.take(1)
    assert seconds == 9 and frame.max() == 9 and [p[0].max() for p in points] == [8]
    assert (newest.read, newest.taken, newest.sampled, newest.dropped) == (10, 1, 9, 8)
    newest.put(14., BLACK)  # a pause: the points in it show the same frame
    assert [p[0].max() for p in newest.take(1)[1]] == [9, 9] and newest.dropped == 8 + 3
    newest.end()
    assert newest.take(1) is None
    newest.close()
    assert not newest.put(15., BLACK)


def test_memory_over_ten_thousand_frames():
    import tracemalloc
    newest, sizes = Newest(Sampler(.3, 5), most=4), []
    tracemalloc.start()
    for k in range(10_000):
        newest.put(k / 25, np.zeros((8, 8, 3), np.uint8))
        if k % 3 == 0:
            newest.take(1)
        if k % 1000 == 999:
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(sizes) - min(sizes[1:]) < 5_000


@pytest.mark.parametrize('name', ['hgc_tiny', 'h2cn_tiny', 'tam_tiny'])
@pytest.mark.parametrize('method', ['auto', 'clips'])
def test_a_session_scores_as_a_timeline(name, method, video):
    net, clock = network(name), Lockstep()
    session = LiveSession(video, net, span=2., smooth=0, method=method, pace=clock)
    rows = [row for moment in watched(session, clock) for row in moment.scored]
    wanted = timeline(video, net, span=2., smooth=0, method=method, progress=False)
    assert np.array_equal(np.stack(rows), wanted.probabilities)
    assert session.newest.read == session.newest.taken == 60 and not session.newest.dropped


def test_answers_wait_for_a_whole_clip_and_are_averaged():
    net, clock = network(), Lockstep()
    frames = ((k / 10, BLACK) for k in range(60))
    session = LiveSession(frames, net, span=2., smooth=1., threshold=0, method='clips', pace=clock)
    found = [m for m in watched(session, clock) if m.scored]
    assert [m.names is None for m in found[:5]] == [True] * 3 + [False] * 2
    rows = np.concatenate([m.scored for m in found])
    assert found[7].score == pytest.approx(rows[5:8].mean(0).max())  # at most a second old
    assert session.introduction().startswith('hgc_tiny watches pictures on the last 4 points')
    assert 'too slow' not in session.summary()
    session.newest.dropped = session.newest.sampled
    assert 'too slow for a point every 0.5 s' in session.summary()


def test_a_network_that_is_no_stream_says_why(monkeypatch):
    def refuse(model):
        raise ValueError('it looks at the whole clip')
    monkeypatch.setattr('video_convs.use.timeline.Stream', refuse)
    said = LiveSession([(0., BLACK)], network()).introduction()
    assert 'on the last 4 points again and again, because it looks at the whole clip: a' in said
    with pytest.raises(ValueError, match='the whole clip'):
        LiveSession([(0., BLACK)], network(), method='stream')


def test_frames_may_change_their_size(video):
    sizes = [(24, 24), (48, 40), (30, 60)]
    frames = [(k / 10, np.zeros((*sizes[k // 10], 3), np.uint8)) for k in range(30)]
    clock = Lockstep()
    session = LiveSession(frames, network('h2cn_tiny'), span=1., pace=clock)
    shapes = {m.frame.shape[:2] for m in watched(session, clock)}
    assert shapes == {*sizes}
    first = draw_moment(Moment(0., frames[0][1], ('a',), .5, ()))
    other = draw_moment(Moment(1., frames[-1][1], None, 0., ()), like=first.shape)
    assert first.shape == other.shape and not any(side % 2 for side in first.shape[:2])


def broken(n):
    for k in range(n):
        yield k / 10, BLACK
    raise VideoError('camera 7 has stopped')


def test_a_camera_that_stops_ends_the_session():
    clock = Lockstep()
    session = LiveSession(broken(3), network(), pace=clock)
    assert len(list(watched(session, clock))) == 3
    assert session.stopped == 'pictures: camera 7 has stopped'
    with pytest.raises(VideoError, match='camera 7 has stopped'):
        list(LiveSession(broken(0), network()))


def test_a_camera_that_hangs_ends_the_session():
    held = threading.Event()
    def hanging():
        yield 0., BLACK
        held.wait(20)
    session = LiveSession(hanging(), network(), timeout=.2)
    assert len(list(session)) == 1
    held.set()
    assert session.stopped == 'pictures: no frame has come for 0.2 seconds'


def test_the_reader_ends_with_its_session(video):
    clock = Lockstep()
    session = LiveSession(video, network(), pace=clock)
    moments_of = watched(session, clock)
    next(moments_of)
    session.stop()
    assert list(moments_of) == [] and session.newest.closed
    assert not [t for t in threading.enumerate() if '(read)' in t.name and t.is_alive()]


def test_sources_have_names_without_passwords():
    assert source_name(2) == 'camera 2' and source_name('a/b.mp4') == 'a/b.mp4'
    assert source_name('rtsp://me:secret@door:554/low?key=1') == 'rtsp://door:554/low'
    assert is_file('C:/a.mp4') and is_file('a:b') and not is_file('rtsp://x') and not is_file(0)


@pytest.mark.parametrize('options, words', [
    (dict(span=0), 'span'), (dict(smooth=-1), 'smooth'), (dict(threshold=2), 'threshold'),
    (dict(timeout=0), 'timeout'), (dict(method='x'), "not 'x'"), (dict(task='verb'), 'single')])
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        LiveSession(0, network(), **options)


def test_networks_that_cannot_watch():
    with pytest.raises(ValueError, match='does not know the names of its classes'):
        LiveSession(0, network(classes=None))
    flow = create_model('tsn_tiny', num_classes=2, classes=['a', 'b'],
                        input_spec=dict(frames=4, size=24, modality='flow'))
    with pytest.raises(ValueError, match='wants flow of 10 channels'):
        LiveSession(0, flow)


def test_words_of_an_answer():
    def text(names):
        return Moment(0., BLACK, names, .5, ()).text
    assert [text(n) for n in (None, (), ('a',), ('a', 'b'))] == ['…', 'none of these', 'a',
                                                                  'a or b']


def test_a_picture_shows_the_answer():
    clear, sure = (draw_moment(Moment(0., BLACK, names, .5, ())) for names in (None, ('a',)))
    assert clear.shape == sure.shape == (264, 240, 3)
    blue = (sure == (0, 114, 178)).all(2)
    assert blue[250, :115].mean() > .8 and not blue[:, 125:].any() and not blue[:240].any()
    assert (clear == (0, 114, 178)).all(2).sum() == 0


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return network().save_pretrained(tmp_path_factory.mktemp('run'))


@pytest.fixture
def fast(monkeypatch):
    "Files are played one frame after the other, however slow this machine is."
    plain = LiveSession.__iter__
    monkeypatch.setattr(module, 'Pace', Lockstep)
    monkeypatch.setattr(LiveSession, '__iter__',
                        lambda self: watched(plain(self), self._pace or Lockstep()))
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)


def test_the_command(checkpoint, video, tmp_path, capsys, fast):
    out = tmp_path/'new/out.mp4'
    assert main(['live', str(checkpoint), '--video', str(video), '--span', '2', '--threshold', '0',
                 '--out', str(out)]) == 0
    said = capsys.readouterr()
    first, *answers, written, last = said.out.splitlines()
    assert 'frame by frame: a point every 0.5 s' in first and 'comes 3 s late' in first
    assert answers and all(line.split()[-1] in 'abc' for line in answers)
    assert written == f'Written to {out}' and '60 frames read' in last and '0 dropped' in last
    if sys.platform == 'linux':
        assert said.err == 'no window: there is no display\n'
    info = probe(out)
    assert info.frames == 60 and (info.height, info.width) == (264, 240)
    assert info.times[-1] == pytest.approx(5.9, abs=.01)


def test_ctrl_c_keeps_the_video(checkpoint, video, tmp_path, capsys, fast, monkeypatch):
    def interrupted(moment, **options):
        if moment.seconds > 2:
            signal.raise_signal(signal.SIGINT)
        return draw_moment(moment, **options)
    monkeypatch.setattr('video_convs.cli.using.draw_moment', interrupted)
    out, before = tmp_path/'out.mkv', signal.getsignal(signal.SIGINT)
    assert main(['live', str(checkpoint), '--video', str(video), '--out', str(out)]) == 0
    assert probe(out).frames == 22 and signal.getsignal(signal.SIGINT) is before
    assert ' frames read (' in capsys.readouterr().out


def window(monkeypatch, keys=(), visible=1.):
    "An OpenCV that has windows but no screen."
    cv2, shown, keys = types.ModuleType('cv2'), [], iter(keys)
    cv2.error, cv2.WND_PROP_VISIBLE = type('error', (Exception,), {}), 4
    cv2.namedWindow = lambda name: None
    cv2.imshow = lambda name, picture: shown.append(picture)
    cv2.waitKey = lambda milliseconds: next(keys, -1)
    cv2.getWindowProperty = lambda name, what: visible
    monkeypatch.setitem(sys.modules, 'cv2', cv2)
    monkeypatch.setenv('DISPLAY', ':0')
    return cv2, shown


def test_a_window_and_its_keys(checkpoint, video, capsys, fast, monkeypatch):
    _, shown = window(monkeypatch, keys=[-1, -1, ord('x'), ord('q')])
    assert main(['live', str(checkpoint), '--video', str(video)]) == 0
    assert len(shown) == 4 and shown[0].shape == (264, 240, 3)
    _, shown = window(monkeypatch, visible=0.)
    assert main(['live', str(checkpoint), '--video', str(video)]) == 0 and len(shown) == 1
    assert main(['live', str(checkpoint), '--video', str(video), '--no-window']) == 0
    assert len(shown) == 1


def test_why_there_is_no_window(monkeypatch):
    cv2, _ = window(monkeypatch)
    assert no_window() == ''
    def refuse(name):
        raise cv2.error
    cv2.namedWindow = refuse
    assert 'headless' in no_window()
    monkeypatch.setitem(sys.modules, 'cv2', None)
    assert no_window() == "OpenCV is not installed: pip install opencv-python"


def test_a_stopped_camera_is_said(checkpoint, capsys, fast, monkeypatch):
    monkeypatch.setattr(module, 'frames_of', lambda source, timeout: broken(3))
    assert main(['live', str(checkpoint), '--camera', '7', '--no-window']) == 1
    said = capsys.readouterr()
    assert said.err == 'video_convs live: camera 7 has stopped\n' and 'frames read' in said.out


@pytest.mark.parametrize('extra, words', [
    (['--camera', '0', '--video', 'x'], 'not allowed with argument --camera'),
    (['--camera', '999'], 'camera 999 does not open'), (['--video', 'nowhere.mp4'], 'not exist'),
    (['--video', 'rtsp://a:b@127.0.0.1:1/x', '--timeout', '2'], 'rtsp://127.0.0.1:1/x does not'),
    (['--video', '.'], 'is a folder'), (['--out', 'x.avi'], 'a video (.mp4'),
    (['--video', 'same.mp4', '--out', './same.mp4'], 'is the video that is read'),
    (['--task', 'verb'], 'single task'), (['--span', '0'], 'span')])
def test_the_command_refuses_in_one_line(extra, words, checkpoint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_exit = '--camera' in extra and '--video' in extra
    if with_exit:
        with pytest.raises(SystemExit) as end:
            main(['live', str(checkpoint), *extra])
        assert end.value.code == 2
    else:
        assert main(['live', str(checkpoint), '--no-window', *extra]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]


def test_a_checkpoint_without_classes(tmp_path, capsys):
    folder = network(classes=None).save_pretrained(tmp_path/'run')
    assert main(['live', str(folder)]) == 2
    assert 'does not know the names of its classes' in capsys.readouterr().err


def test_cameras_by_system(monkeypatch):
    import av
    asked, device = [], types.ModuleType('av.device')
    device.enumerate_input_devices = lambda kind: [
        types.SimpleNamespace(name=f'{k}{n}', media_types=[k]) for n in range(5)
        for k in ('audio', 'video')]
    monkeypatch.setitem(sys.modules, 'av.device', device)
    def refuse(**options):
        asked.append(options)
        raise ValueError('no such format')
    monkeypatch.setattr(av, 'open', refuse)
    for system, kind, place in (('linux', 'v4l2', '/dev/video3'),
                                ('win32', 'dshow', 'video=video3'),
                                ('darwin', 'avfoundation', '3:none')):
        monkeypatch.setattr(cameras.sys, 'platform', system)
        with pytest.raises(VideoError, match='camera 3 does not open .*choose another number'):
            next(frames_of(3))
        assert (asked[-1]['format'], asked[-1]['file']) == (kind, place)


def test_a_camera_of_test_pictures(monkeypatch):
    "PyAV's own pictures are read as a camera is: by their kind, at the time at which they come."
    import av
    if 'lavfi' not in av.formats_available:
        pytest.skip('this PyAV draws no test pictures')
    monkeypatch.setitem(cameras._CAMERAS, sys.platform,
                        ('lavfi', 'testsrc=size=32x24:rate=25:duration=0.4'))
    clock = Lockstep()
    session = LiveSession(0, network(), span=1., pace=clock)
    seen = list(watched(session, clock))
    assert len({m.seconds for m in seen}) == 10
    assert seen[0].frame.shape == (24, 32, 3) and seen[0].frame.std() > 50
    assert session.stopped == 'camera 0 has stopped after 10 frames'
    assert [m.seconds for m in seen] == sorted(m.seconds for m in seen)


def test_an_address(tmp_path):
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    write_video(tmp_path/'v.mkv', np.zeros((20, 24, 24, 3), np.uint8), fps=10)
    handler = type('Quiet', (SimpleHTTPRequestHandler,), dict(log_message=lambda *a: None))
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_port}/v.mkv'
        clock = Lockstep()
        session = LiveSession(address, network(), span=2., pace=clock)
        assert len({m.seconds for m in watched(session, clock)}) == 20
        assert session.stopped == f'{address} has stopped after 20 frames'
        with pytest.raises(VideoError, match='nothing.mkv does not open'):
            next(frames_of(address.replace('v.mkv', 'nothing.mkv')))
        server.shutdown()
