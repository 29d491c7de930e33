"The demonstration from rendering to pictures, with few videos; its notebook tests what it shows."
import json
from dataclasses import replace

import pytest
import torch

from video_convs import InputSpec, create_model
from video_convs.data.custom import open_data
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.demo import DEMO_RECIPE, clips_both_ways, demo_table, run_demo

pytestmark = pytest.mark.usefixtures('one_thread')

def test_demo_in_small(tmp_path):
    results = run_demo(tmp_path, train_videos=32, test_videos=16,
                       recipe=replace(DEMO_RECIPE, epochs=1, batch_size=8), progress=False)
    assert list(results) == ['tsn_tiny', 'hgc_tiny']
    assert json.loads((tmp_path/'results.json').read_text())
    assert all(r['top1']['videos'] == 16 and r['pair']['accuracy'] >= r['top1']['accuracy']
               for r in results.values())
    assert 'hgc_tiny' in demo_table(results)
    made = ['confusion.png', 'contact_sheet.png', 'curves.png', 'data', 'hgc_tiny',
            'results.json', 'tsn_tiny']
    assert sorted(p.name for p in tmp_path.iterdir()) == made

def test_the_contact_sheet_shows_each_video_and_its_reversal(tmp_path):
    render_task('reversal', tmp_path, 8, 8, MotionConfig(size=48, frames=8), progress=False)
    videos, spec = open_data(tmp_path, 'test'), InputSpec(frames=8, size=48)
    shown = clips_both_ways(videos, spec)
    assert [name for _, name in shown] == [name for pair in videos.pairs for name in pair]
    frames = create_model('tsn_tiny', num_classes=8, input_spec=spec).eval()
    with torch.no_grad():
        for (clip, _), (reversal, _) in zip(shown[::2], shown[1::2]):
            assert torch.equal(clip.flip(1), reversal)
            torch.testing.assert_close(frames(clip[None]), frames(reversal[None]))
