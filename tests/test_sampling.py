"Which frames are taken: for every length of video and clip, not only the ones in the notebook."
import numpy as np
import pytest
from fractions import Fraction
from hypothesis import given, strategies as st

from video_convs.data.sampling import sample_rng, segments

lengths, clips, seeds = st.integers(1, 100_000), st.integers(1, 64), st.integers(0, 2**32)

@given(lengths, clips, st.none() | seeds)
def test_one_frame_from_each_segment(N, T, seed):
    i = segments(N, T, None if seed is None else np.random.default_rng(seed))
    assert i.shape == (T,) and i.dtype.kind == 'i'
    assert i.min() >= 0 and i.max() < N and (np.diff(i) >= 0).all()
    for k in range(T):  # frame i is on screen from i to i + 1, segment k lasts from kN/T to (k+1)N/T
        assert i[k]*T < (k + 1)*N and (i[k] + 1)*T >= k*N

@given(lengths, clips)
def test_middle_frames(N, T):
    i = segments(N, T)
    assert i.tolist() == [int(Fraction(N, T)*(k + Fraction(1, 2))) for k in range(T)]
    if N >= T: assert (np.diff(i) > 0).all()
    else: assert np.bincount(i, minlength=N).max() - np.bincount(i, minlength=N).min() <= 1

@given(st.integers(0, 2**40), st.integers(0, 10_000), st.integers(0, 2**40))
def test_draws_depend_on_seed_epoch_and_index_only(seed, epoch, index):
    a, b = sample_rng(seed, epoch, index), sample_rng(seed, epoch, index)
    assert (segments(1000, 8, a) == segments(1000, 8, b)).all()
    assert sample_rng(seed, epoch, index).random() != sample_rng(seed, epoch + 1, index).random()

@pytest.mark.parametrize('N, T', [(0, 8), (-1, 8), (8, 0)])
def test_nothing_to_take(N, T):
    with pytest.raises(ValueError, match='cannot'): segments(N, T)
