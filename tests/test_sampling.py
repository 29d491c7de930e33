"Which frames are taken: for every length of video and clip, not only the ones in the notebook."
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from video_convs.data import decoding, frames, video
from video_convs.data.frames import write_frames
from video_convs.data.sampling import (
    MICRO, RULES, clip_indices, dense, micro_clips, moments, sample_rng, segments)
from video_convs.nets.spec import InputSpec

lengths, clips, seeds = st.integers(1, 100_000), st.integers(1, 64), st.integers(0, 2**32)
short = st.integers(1, 12) | lengths
specs = st.builds(InputSpec, frames=clips, per_segment=st.integers(1, 7))
options = st.fixed_dictionaries(dict(rule=st.sampled_from(RULES), clips=st.integers(1, 12),
                                     micro=st.sampled_from(MICRO), official=st.booleans()))

@given(lengths, clips, st.none() | seeds)
def test_one_frame_from_each_segment(N, T, seed):
    i = segments(N, T, None if seed is None else np.random.default_rng(seed))
    assert i.shape == (T,) and i.dtype.kind == 'i'
    assert i.min() >= 0 and i.max() < N and (np.diff(i) >= 0).all()
    for k in range(T): # frame i is on screen from i to i + 1, segment k lasts from kN/T to (k+1)N/T
        assert i[k]*T < (k + 1)*N and (i[k] + 1)*T >= k*N

@given(lengths, clips)
def test_middle_frames(N, T):
    i = segments(N, T)
    assert i.tolist() == [int(Fraction(N, T)*(k + Fraction(1, 2))) for k in range(T)]
    if N >= T:
        assert (np.diff(i) > 0).all()
    else:
        assert np.bincount(i, minlength=N).max() - np.bincount(i, minlength=N).min() <= 1

@given(short, clips, st.floats(0, 1, exclude_max=True))
def test_any_moment(N, T, at):
    i = segments(N, T, at=at)
    assert i.min() >= 0 and i.max() < N and (np.diff(i) >= 0).all()
    assert abs(i - np.minimum(N/T*(np.arange(T) + at), N - 1)).max() <= 1 + N/T*1e-4

@given(lengths, clips, st.integers(1, 30))
def test_even_moments_hold_the_one_and_the_two_clip_rule(N, T, C):
    u = moments(C)
    assert u[0] == Fraction(1, 2) and sorted(u) == [sorted(u)[0] + Fraction(c, C) for c in range(C)]
    spec, k, tick = InputSpec(frames=T), np.arange(T), Fraction(N, T)
    assert (clip_indices(N, spec, clips=C)[0] == segments(N, T)).all()
    middle, first = clip_indices(N, spec, clips=2).tolist()
    assert middle == [int(tick/2 + tick*int(j)) for j in k]
    assert first == [int(tick*int(j)) for j in k]

@given(short, specs, options, st.none() | seeds)
def test_any_video_and_any_option(N, spec, options, seed):
    i = clip_indices(N, spec, rng=None if seed is None else np.random.default_rng(seed), **options)
    T, L = spec.frames, spec.per_segment
    assert i.shape == (options['clips'], T*L)
    assert i.dtype.kind == 'i'
    assert i.min() >= 0
    assert i.max() < N
    micro = i.reshape(-1, T, L)
    assert (np.diff(micro) >= 0).all() and (np.diff(micro) <= 1).all()  # neighbours, in order
    if options['micro'] == 'start' and N >= L:
        assert (np.diff(micro) == 1).all()
    if not (options['official'] and options['rule'] == 'dense'):  # no way back
        assert (np.diff(micro, axis=1) >= 0).all()
    if seed is None:
        assert (i == clip_indices(N, spec, **options)).all()
    else:
        assert (i == clip_indices(N, spec, rng=np.random.default_rng(seed), **options)).all()

@given(short, clips, st.integers(1, 12), st.none() | seeds, st.integers(1, 100))
def test_dense_windows(N, T, C, seed, window):
    i = dense(N, T, C, None if seed is None else np.random.default_rng(seed), window)
    assert i.shape == (C, T) and i.min() >= 0 and i.max() < N and (np.diff(i) >= 0).all()
    # one pattern, shifted
    assert (i[:, -1] - i[:, 0] < window).all() and (np.diff(i - i[:, :1], axis=0) == 0).all()
    if seed is None and C > 1:
        assert i[0, 0] == 0 and i[-1, 0] == max(N - window, 0)

@given(short, clips, st.integers(1, 9))
def test_two_kinds_of_micro_clips(N, T, L):
    assume(N >= L)
    start, centre = (micro_clips(N, T, L, micro=m).reshape(T, L) for m in MICRO)
    assert (centre[:, L//2] == segments(N, T)).all()
    assert abs(start[:, L//2] - centre[:, L//2]).max() <= L//2 + 1
    inside = (segments(N, T) >= L//2) & (segments(N, T) + L - L//2 <= N)
    assert (np.diff(centre[inside]) == 1).all()

@pytest.mark.parametrize('T', [4, 8, 16, 32])
def test_the_released_test_frames_are_ours(T):
    spec = InputSpec(frames=T, per_segment=5)
    for N in range(T + 5, 500):
        tick = (N - 4)/T
        assert (clip_indices(N, spec, official=True)[0, ::5].tolist()
                == [int(tick/2 + tick*k) for k in range(T)])
        assert (clip_indices(N, spec) == clip_indices(N, spec, official=True)).all()
    for N in range(64, 500):
        starts = np.linspace(0, N - 64, 10, dtype=int)
        want = (starts[:, None] + np.arange(T)*(64//T)) % N
        assert (clip_indices(N, replace(spec, per_segment=1), 'dense', 10, official=True)
                == want).all()
        assert (clip_indices(N, replace(spec, per_segment=1), 'dense', 10) == want).all()

def test_the_released_draws_leave_out_the_end():
    spec, rng = InputSpec(frames=8, per_segment=5), np.random.default_rng(0)
    seen = np.unique([clip_indices(51, spec, rng=rng, official=True) for _ in range(500)])
    assert seen.max() == 43
    assert np.unique([clip_indices(51, spec, rng=rng) for _ in range(500)]).max() == 50
    # 8 frames, 8 segments: the first
    assert (clip_indices(8, spec, rng=rng, official=True)[0] == np.tile(range(5), 8)).all()
    starts = clip_indices(9, spec, rng=rng, official=True)[0, ::5]
    assert (np.diff(starts) >= 0).all() and starts.max() < 5  # one more frame: sorted draws

@given(st.integers(0, 2**40), st.integers(0, 10_000), st.integers(0, 2**40))
def test_draws_depend_on_seed_epoch_and_index_only(seed, epoch, index):
    a, b = sample_rng(seed, epoch, index), sample_rng(seed, epoch, index)
    assert (segments(1000, 8, a) == segments(1000, 8, b)).all()
    assert sample_rng(seed, epoch, index).random() != sample_rng(seed, epoch + 1, index).random()

def test_each_frame_is_decoded_once(tmp_path, monkeypatch):
    film = np.arange(30,
                     dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)*8
    file, asked = video.write_video(tmp_path/'steps.mp4', film), []
    collect = decoding.collect_frames
    monkeypatch.setattr(decoding, 'collect_frames', lambda info, wanted, *rest: asked.append(wanted)
                        or collect(info, wanted, *rest))
    for options in (dict(clips=10), dict(clips=2, micro='centre'), dict(clips=3, rule='dense')):
        i = clip_indices(30, InputSpec(frames=8, per_segment=5), **options).ravel()
        frames = video.read_frames(file, i)
        assert asked.pop() == np.unique(i).tolist() and not asked
        assert frames.shape[1] == len(i)
        assert abs(frames.float().mean((0, 2, 3)).numpy() - i*8).max() < 4

def test_each_picture_is_decoded_once(tmp_path, monkeypatch):
    film = np.arange(30,
                     dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)*8
    folder, opened, decode = write_frames(tmp_path/'steps', film), [], frames._picture
    monkeypatch.setattr(frames, '_picture',
                        lambda path, *rest: opened.append(Path(path).stem) or decode(path, *rest))
    i = clip_indices(30, InputSpec(frames=8, per_segment=5), clips=10).ravel()
    clip = frames.FrameFolders().read(str(folder), lambda n: i)
    assert sorted(opened) == [f'{n + 1:05d}' for n in np.unique(i)]
    assert abs(clip.float().mean((0, 2, 3)).numpy() - i*8).max() < 2

@pytest.mark.parametrize('call, message', [
    (lambda: segments(0, 8), 'cannot be sampled'), (lambda: segments(-1, 8), 'cannot be sampled'),
    (lambda: segments(8, 0), 'cannot take T = 0'), (lambda: segments(8, 4, at=1), '0 ≤ at < 1'),
    (lambda: moments(0), '0 clips'), (lambda: dense(8, 4, 0), 'clips and window ≥ 1'),
    (lambda: dense(0, 4), 'leave it out'),
    (lambda: micro_clips(8, 4, 0), 'L ≥ 1'), (lambda: micro_clips(8, 4, micro='key'), "not 'key'"),
    (lambda: clip_indices(8, InputSpec(), 'two'), "no rule 'two'"),
    (lambda: clip_indices(0, InputSpec()), 'leave it out'),
    (lambda: clip_indices(8, InputSpec(), clips=0), '0 clips'),
    (lambda: sample_rng(0, -1, 0), 'must not be negative')])
def test_refused(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert '\n' not in str(error.value)
