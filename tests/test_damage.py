"Which frames of a damaged video are returned, and the log that tells them apart."
from types import SimpleNamespace

import numpy as np
import pytest

from video_convs.data.damage import DamageLog
from video_convs.data.decoding import chosen, read_array, read_pyav, resize_frames
from video_convs.data.motion import MotionConfig, render_batch
from video_convs.data.video import write_video
from video_convs.data.video_info import VideoError, whole_video

pytestmark = pytest.mark.usefixtures('one_thread')
av = pytest.importorskip('av')


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "A film with a key frame every 12 frames, and the places of its packets."
    clip, _ = render_batch('direction', [0], config=MotionConfig(frames=60, displacement=.4))
    path = write_video(tmp_path_factory.mktemp('film')/'film.mp4',
                       clip[0].permute(1, 2, 3, 0).numpy())
    with av.open(str(path)) as container:
        return path, [(p.pos, p.is_keyframe) for p in container.demux(video=0) if p.size]


def refused(path):
    lost = []
    for k in range(60):
        try:
            next(read_pyav(whole_video(path), [k], 1))
        except VideoError:
            lost.append(k)
    return lost


@pytest.mark.parametrize('after, lost', [  # packets after the key frame 24
    (0, [*range(24, 36)]), (1, [*range(25, 36)]), (5, [28, 29, *range(31, 36)]), (11, [34])])
def test_what_depends_on_damage_is_refused(film, tmp_path, after, lost):
    path, packets = film
    third = [n for n, (_, key) in enumerate(packets) if key][2]
    data, at = bytearray(path.read_bytes()), packets[third + after][0] + 12
    data[at:at + 20] = bytes(20)
    (tmp_path/'hurt.mp4').write_bytes(data)
    assert refused(tmp_path/'hurt.mp4') == lost


def noted(*packets):
    log = DamageLog(SimpleNamespace(name='h264'), stamped=True, jumps=True)
    for time, key in packets:
        log.note(SimpleNamespace(pts=time, is_keyframe=key, is_discard=False))
    return log


def test_a_frame_waits_for_what_was_decoded_before_it():
    log = noted((0, True), (2, False), (1, False))
    assert log.sent == {0: (1, 1, -np.inf, 0), 2: (1, 2, 0, 0), 1: (1, 3, 2, 0)}
    log.shown = 1
    assert log.settled(log.sent[2]) and not log.settled(log.sent[1])
    log.hurt.append((2, 0))
    assert [log.sound(log.sent[time]) for time in (0, 2, 1)] == [True, False, False]


def test_a_frame_before_its_key_frame_spoils_no_later_one():
    log = noted((0, True), (3, True), (2, False), (4, False))
    assert log.sent[2] == (1, 3, 3, 2)
    log.hurt.append((3, 2))
    assert [log.sound(log.sent[time]) for time in (0, 3, 2, 4)] == [True, True, False, True]


def test_a_packet_that_is_never_shown_is_damaged():
    log = noted((0, True), (1, False), (2, False))
    log.mark_missing(1)
    assert log.hurt == [(1, 0)] and list(log.sent) == [1, 2]


def test_frames_by_numbers_and_by_times(film):
    path, _ = film
    middle = lambda times: np.flatnonzero((times >= 1) & (times < 1.2))
    middle.timed = True
    assert chosen([7, 3], 60) == [7, 3] and chosen(lambda n: [0, n - 1], 60) == [0, 59]
    assert chosen(middle, 60, times=np.arange(60) / 25).tolist() == [25, 26, 27, 28, 29]
    frames = read_array(path, [31, 0, 31])
    assert (frames.shape, frames.dtype) == ((3, 48, 48, 3), np.uint8)
    assert (frames[0] == frames[2]).all()
    assert (frames[:1] == read_array(path, lambda n: [n//2 + 1])).all()
    assert resize_frames(frames[:2], 24).shape == (2, 24, 24, 3)
    assert resize_frames(frames[:2], (30, 40)).shape == (2, 30, 40, 3)
    with pytest.raises(VideoError, match='has frames 0 … 59'):
        read_array(path, [60])
