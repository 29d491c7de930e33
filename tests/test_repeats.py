"Several clips of a video from one decoding."
from dataclasses import replace

import pytest
import torch
from test_loop import SPEC, fresh, run, videos  # noqa: F401, a fixture

from video_convs.data import decoding
from video_convs.data.clip_dataset import Broken, Clips
from video_convs.data.loader import collate_clips
from video_convs.data.transforms import Augment
from video_convs.train.recipes import Recipe
from video_convs.train.run_folder import read_log

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.mark.parametrize('cache', [False, True])
def test_a_copy_is_the_clip_of_an_epoch(videos, cache):  # noqa: F811
    clips = Clips(videos, SPEC, train=True, augment=Augment(), seed=5, cache=cache)
    clips.set_epoch(2)
    copies, labels, indices = clips.copies(3, 2)
    assert labels.tolist() == [videos.labels[3]]*2 and indices.tolist() == [3, 3]
    for k in range(2):
        clips.set_epoch(2*2 + k)
        assert torch.equal(copies[k], clips[3][0])
    assert not torch.equal(*copies)

def test_a_video_is_decoded_once_for_all_copies(videos, monkeypatch):  # noqa: F811
    opened, frames = [], []
    collect = decoding.collect_frames
    monkeypatch.setattr(decoding, 'collect_frames', lambda info, wanted, *rest: (
        opened.append(info.path), frames.extend(wanted), collect(info, wanted, *rest))[-1])
    clips = Clips(videos, SPEC, train=True)
    copies, *_ = clips.copies(0, 6)
    assert copies.shape == (6, 3, 4, 32, 32)
    assert len(opened) == 1 and len(frames) == len(set(frames)) <= 12  # all frames of the video

def test_labels_follow_the_flips_of_each_copy(videos):  # noqa: F811
    other = {k: (k + 4) % 8 for k in range(8)}
    clips = Clips(replace(videos, flip_map={'hflip': other}), SPEC, train=True,
                  augment=replace(Augment.none(), hflip=True))
    batch = collate_clips([clips.copies(0, 8), clips.copies(1, 8)])
    assert batch.clips.shape == (16, 3, 4, 32, 32) and batch.indices.tolist() == [0]*8 + [1]*8
    for index in (0, 1):
        own = videos.labels[index]
        assert set(batch.labels[8*index:8*index + 8].tolist()) == {own, other[own]}

def test_a_broken_video_is_one_failure(videos, tmp_path):  # noqa: F811
    (tmp_path/'a.mp4').write_text('no video')
    clips = Clips(replace(videos, paths=(str(tmp_path/'a.mp4'), *videos.paths[1:])), SPEC,
                  train=True)
    assert isinstance(clips.copies(0, 3)[0], Broken)
    batch = collate_clips([clips.copies(0, 3), clips.copies(1, 3)])
    assert len(batch.labels) == 3 and len(batch.failed) == 1

def test_an_epoch_shows_each_video_so_often(videos, tmp_path):  # noqa: F811
    seen = []
    model = fresh(videos)
    model.register_forward_hook(lambda net, given, out: seen.append(
        (len(given[0]), given[0].is_meta)))
    run(videos, tmp_path/'a', Recipe(epochs=2, batch_size=16, repeats=4), model)
    assert {n for n, _ in seen} == {16}  # the check of the norms knows the size of a step, too
    assert sum(not meta for _, meta in seen) == 6*2  # 24 videos, four of them in a step
    assert [entry['epoch'] for entry in read_log(tmp_path/'a')] == [1, 2]

@pytest.mark.parametrize('values, says', [
    (dict(batch_size=16, repeats=3), 'a batch of 16 clips cannot hold 3 of each video'),
    (dict(repeats=0), 'recipe: repeats must be a whole number from 1')])
def test_what_cannot_be_repeated(values, says):
    with pytest.raises(ValueError, match=says):
        Recipe(**values)
