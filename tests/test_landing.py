"The first screen of the landing page: what lies too low is named."
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_browser
import site_landing

PAGE = ('<!DOCTYPE html><meta name="viewport" content="width=device-width"><article><h1>v</h1>'
        '{}<table><tr><th>Learn</th><th>Use</th></tr></table></article>')


@pytest.mark.skipif(site_browser.CHROMIUM is None, reason='chromium is not installed')
def test_doors_below_the_first_screen_are_named(tmp_path):
    (tmp_path/'zh').mkdir()
    (tmp_path/'index.html').write_text(PAGE.format('<p>short</p>'))
    (tmp_path/'zh/index.html').write_text(PAGE.format('<p style="height:735px">long</p>'))
    with site_browser.Browser(tmp_path) as browser:
        found = site_landing.hidden(browser)
    assert found == ['zh/index.html: below the first screen of 390×844: th Learn',
                     'zh/index.html: below the first screen of 390×844: th Use']
