"The motion data: every task and knob, the proof's premises, the files, and what bad requests say."
import json
import numpy as np
import pytest, torch
from hypothesis import given, settings, strategies as st
from video_convs.data import motion_files
from video_convs.data.motion import TASKS, MotionConfig, render, render_batch, sample_params
from video_convs.data.motion_files import render_task
from video_convs.data.video import read_frames

SMALL = MotionConfig(size=32, frames=12)

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.mark.parametrize('task', TASKS)
def test_a_task_is_balanced_and_reproducible(task):
    n = len(TASKS[task].classes)
    clips, labels = render_batch(task, range(2*n), config=SMALL)
    assert labels.tolist() == [i % n for i in range(2*n)] and clips.dtype == torch.uint8
    assert torch.equal(clips, render_batch(task, range(2*n), config=SMALL)[0])
    order = list(reversed(range(2*n)))
    assert torch.equal(clips[order], render_batch(task, order, config=SMALL)[0])
    assert not torch.equal(clips, render_batch(task, range(2*n), 'test', config=SMALL)[0])
    assert not torch.equal(clips, render_batch(task, range(2*n), config=SMALL, seed=1)[0])

def test_the_definition_stays():
    "The same numbers on every machine and version: change `_VERSION` when this must change."
    scene = sample_params('reversal', 'train', 0)
    np.testing.assert_allclose(scene.poses[-1, 0, :2],
                               [39.178773005927255, 30.190761770856874], rtol=1e-12)
    assert abs(render([scene]).float().mean().item() - 73.6) < 0.5

@pytest.mark.parametrize('scale', ['macro', 'micro'])
@settings(max_examples=10, deadline=None)
@given(index=st.integers(0, 10**9), seed=st.integers(0, 10**9))
def test_twins_have_the_same_frames(scale, index, seed):
    config = MotionConfig(size=16, frames=8, time_scale=scale, displacement=1.)
    for a, b in ((0, 1), (2, 3), (4, 5), (6, 7)):
        one, two = (render([sample_params('reversal', 'test', index, config, seed, label=l)])
                    for l in (a, b))
        assert torch.equal(one, two.flip(2))
    clips = [render([sample_params('order', 'x', index, config, seed, label=l)])[0]
             for l in range(6)]
    sets = [sorted(frame.numpy().tobytes() for frame in clip.unbind(1)) for clip in clips]
    assert all(s == sets[0] for s in sets)

def test_an_event_is_seen_equally_often_wherever_it_stands():
    "The centred sample of 8 out of 24 frames meets each of the three events equally often."
    for index in range(40):
        poses = sample_params('order', 'train', index).poses
        counts = (poses[-3:, 1::3, 4] > 0).sum(1)
        assert counts[0] == counts[1] == counts[2] == 2

def test_each_motion_does_what_its_name_says():
    config = MotionConfig(distractors=0, jitter=0)
    def poses(label):
        return sample_params('reversal', 'train', 3, config, label=label).poses
    assert np.allclose(np.diff(poses(0)[0, :, 0]), -1)
    assert np.allclose(np.diff(poses(1)[0, :, 0]), 1)
    assert (np.diff(poses(2)[:, :, 3]) > 0).all() and (np.diff(poses(3)[:, :, 3]) < 0).all()
    assert (np.diff(poses(4)[0, :, 2]) > 0).all() and (np.diff(poses(5)[0, :, 2]) < 0).all()
    spread = poses(6)[:, :, :2].std(0).sum(-1)
    assert (np.diff(spread) < 0).all()
    way = [np.diff(sample_params('direction', 'train', 3, config,
                                 label=l).poses[0, :, :2], axis=0)[0] for l in range(8)]
    assert np.allclose(way, [(np.cos(a), np.sin(a)) for a in np.arange(8)*np.pi/4])
    steps = [np.hypot(*np.diff(sample_params('speed', 'train', 3, config,
                                             label=l).poses[0, :, :2], axis=0).T) for l in (0, 1)]
    assert np.allclose(steps[0], 0.5) and np.allclose(steps[1], 1)
    steps = [np.hypot(*np.diff(sample_params('micro', 'train', 3, config,
                                             label=l).poses[0, :, :2], axis=0).T) for l in (0, 1)]
    assert np.allclose(steps[0], 0) and np.allclose(steps[1], 1)

def test_turning_the_numbers_into_a_batch_changes_no_pixel():
    from video_convs.data.motion import _render
    scenes = [sample_params('reversal', 'train', i) for i in range(8)]
    together = (_render(scenes, 'cpu', False)[0]*255).round()
    assert (together - render(scenes)).abs().max() <= 1

def test_flow_of_a_box_is_its_step():
    config = MotionConfig(jitter=0, noise=0, distractors=0, texture=0, displacement=1.)
    clip, _, flow = render_batch('direction', range(8), config=config, flow=True)
    for k, f in enumerate(flow):
        moving = f[:, 0].abs().sum(0) > 0
        assert moving.any() and not moving.all()
        step = torch.tensor([np.cos(k*np.pi/4), np.sin(k*np.pi/4)], dtype=torch.float32)
        assert torch.allclose(f[:, 0][:, moving], step[:, None], atol=1e-4)

def test_files(tmp_path):
    root = render_task('reversal', tmp_path/'m', train=16, test=8, config=SMALL, progress=False)
    about = json.loads((root/'dataset.json').read_text())
    assert about['classes'] == list(TASKS['reversal'].classes)
    assert about['counts'] == dict(train=16, test=8)
    assert about['pairs'][0] == ['left', 'right'] and about['ceiling_without_time'] == 0.5
    assert about['label_preserving'] == [] and about['config']['size'] == 32
    clips, labels = render_batch('reversal', range(8), 'test', SMALL)
    for i, (clip, label) in enumerate(zip(clips, labels)):
        back = read_frames(root/'test'/about['classes'][label]/f'{i:05d}.mp4', range(12))
        assert (back.float() - clip).abs().mean() < 5
    assert not list(root.rglob('*.part'))
    first = {p: p.stat().st_mtime_ns for p in root.rglob('*.mp4')}
    render_task('reversal', root, train=16, test=8, config=SMALL, progress=False)
    assert first == {p: p.stat().st_mtime_ns for p in root.rglob('*.mp4')} and len(first) == 24
    with pytest.raises(ValueError, match='another data set'):
        render_task('reversal', root, train=16, test=8, config=SMALL, seed=1, progress=False)
    with pytest.raises(ValueError, match='no motion data set'):
        render_task('order', root/'train', progress=False)

def test_a_run_that_was_stopped_goes_on(tmp_path, monkeypatch):
    write, calls = motion_files.write_video, []
    def stops(path, *args, **kwargs):
        calls.append(path)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return write(path, *args, **kwargs)
    monkeypatch.setattr(motion_files, 'write_video', stops)
    ask = dict(train=16, test=0, config=SMALL, progress=False, workers=1)
    with pytest.raises(KeyboardInterrupt):
        render_task('reversal', tmp_path/'m', **ask)
    assert not (tmp_path/'m'/'dataset.json').exists()
    there = len(list((tmp_path/'m').rglob('*.mp4')))
    assert there < 16
    calls[:] = range(10)
    render_task('reversal', tmp_path/'m', **ask)
    assert len(calls) - 10 == 16 - there and (tmp_path/'m'/'dataset.json').exists()

@pytest.mark.parametrize('bad, word', [
    (dict(size=8), '16 px'), (dict(frames=0), '1 frame'), (dict(displacement=9), 'at most'),
    (dict(jitter=-1), 'jitter=-1'),
    (dict(time_scale='meso'), 'meso')])
def test_bad_knobs(bad, word):
    with pytest.raises(ValueError, match=word):
        MotionConfig(**bad)

def test_bad_requests(tmp_path):
    with pytest.raises(ValueError, match='choose one of reversal'):
        render_batch('reverse', [0])
    with pytest.raises(ValueError, match='at least one index'):
        render_batch('reversal', [])
    with pytest.raises(ValueError, match='4 frames'):
        render_batch('order', [0], config=MotionConfig(frames=3))
    with pytest.raises(ValueError, match='even'):
        render_task('reversal', tmp_path/'odd', train=1, test=0,
                    config=MotionConfig(size=33, frames=4), progress=False)


def test_drift_names_the_function_that_writes_it(tmp_path):
    with pytest.raises(ValueError, match=r'write it with render_drift\(root, Drift'):
        render_task('drift', tmp_path/'drift')
    assert not (tmp_path/'drift').exists()
