"The Space's app in a browser; skipped without gradio, selenium, and Chromium with its driver."
import os
import shutil
import subprocess
import sys
import time
from urllib.request import urlopen

import numpy as np
import pytest
from hub_server import WRITER, Hub
from huggingface_hub import HfApi

from video_convs.data.video import write_video
from video_convs.use.publish import push
from video_convs.use.space import write_space
from video_convs.checkpoint import save
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model

pytest.importorskip('gradio')
webdriver = pytest.importorskip('selenium.webdriver')
PORT = 7871

@pytest.fixture(scope='module')
def page(tmp_path_factory):
    "A browser that shows the app, which has pulled its network from a Hub on loopback."
    # a browser is no Python package: it cannot be among the project's requirements
    if not (chromium := shutil.which('chromium')) or not (driver := shutil.which('chromedriver')):
        pytest.skip('the app is looked at in chromium, driven by chromedriver: install both '
                    'to run this')
    tmp = tmp_path_factory.mktemp('space')
    model = create_model('hgc_tiny', num_classes=3, classes=['left', 'right', 'still'],
                         input_spec=InputSpec(frames=4, size=32))
    run = save(model, tmp/'run')
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage',
                 '--window-size=1100,1300', '--use-fake-device-for-media-stream',
                 '--use-fake-ui-for-media-stream'):
        options.add_argument(flag)
    with Hub() as hub:
        push(run, 'user/clips', api=HfApi(endpoint=hub.url, token=WRITER))
        env = {**os.environ, 'HF_ENDPOINT': hub.url, 'HF_HOME': str(tmp/'home'),
               'GRADIO_SERVER_PORT': str(PORT), 'GRADIO_ANALYTICS_ENABLED': 'False',
               'PYTHONPATH': os.pathsep.join(sys.path)}
        app = subprocess.Popen([sys.executable, 'app.py'],
                               cwd=write_space(run, 'user/clips'), env=env)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            for _ in range(120):
                try:
                    urlopen(f'http://127.0.0.1:{PORT}').read()
                    break
                except OSError:
                    time.sleep(1)
            yield browser
        finally:
            browser.quit()
            app.terminate()
            app.wait()

def until(browser, found, seconds=60):
    end = time.time() + seconds
    while not (value := found()) and time.time() < end:
        time.sleep(.2)
    assert value, browser.find_element('tag name', 'body').text
    return value

def click(browser, selector, text=''):
    until(browser, lambda: [b for b in browser.find_elements('css selector', selector)
                            if text in b.text and b.is_displayed()])[0].click()

def fresh(browser):
    browser.get(f'http://127.0.0.1:{PORT}')
    until(browser, lambda: browser.find_elements('css selector', 'input[type=file]'))

def look_into_the_answer(browser):
    "The page about the video: its pictures and the names of the classes."
    frame, = until(browser, lambda: browser.find_elements('css selector', 'iframe[srcdoc]'))
    browser.switch_to.frame(frame)
    assert len(until(browser, lambda: browser.find_elements('css selector', 'figure'))) == 4
    text = browser.find_element('tag name', 'body').text
    browser.switch_to.default_content()
    assert 'says hgc_tiny' in text and all(name in text for name in ('left', 'right', 'still'))

def test_nothing_to_classify(page):
    fresh(page)
    click(page, 'button', 'Classify')
    until(page, lambda: 'Upload or record a clip first' in page.page_source)

def test_upload(page, tmp_path):
    fresh(page)
    clip = write_video(tmp_path/'clip.mp4',
                       np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8))
    page.find_elements('css selector', 'input[type=file]')[0].send_keys(str(clip))
    until(page, lambda: page.find_elements('css selector', 'video'))
    click(page, 'button', 'Classify')
    look_into_the_answer(page)

def test_record(page):
    "Chromium has a camera for tests: a green picture with a moving disc."
    fresh(page)
    click(page,
          '[aria-label="Capture from camera"], [aria-label*="ebcam"], [data-testid*="webcam"]')
    click(page, 'button', 'Click to Access Webcam')
    click(page, 'button', 'Record')
    time.sleep(3)
    click(page, 'button', 'Stop')
    time.sleep(3)
    click(page, 'button', 'Classify')
    look_into_the_answer(page)
