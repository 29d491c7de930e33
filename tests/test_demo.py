"The demonstration from rendering to pictures, with few videos; its notebook tests what it shows."
import json
from dataclasses import replace

import pytest

from video_convs.demo import DEMO_RECIPE, demo_table, run_demo

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
