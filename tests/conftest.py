import atexit, os, shutil, sys, tempfile

import pytest, torch

# The Hub's client reads these when it is imported: a cache and a token of its own, and HTTP
# (tests/hub_server.py) instead of Xet.
os.environ |= dict(HF_HOME=tempfile.mkdtemp(), HF_HUB_DISABLE_XET='1')
os.environ.pop('HF_TOKEN', None)
atexit.register(shutil.rmtree, os.environ['HF_HOME'], ignore_errors=True)

# jsonschema, which nbformat loads, spends seconds on a grammar of addresses: it does without, too.
sys.modules.setdefault('rfc3987_syntax', None)


@pytest.fixture(scope='module')
def one_thread():
    "For tests with tiny clips, where a second thread would only be waited for."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_addoption(parser):
    parser.addoption('--slow', action='store_true',
                     help='also run what takes minutes: every network through inductor and ONNX')


def pytest_configure(config):
    config.addinivalue_line('markers', 'slow: only with --slow')


def pytest_collection_modifyitems(config, items):
    if config.getoption('--slow'):
        return
    for item in items:
        if item.get_closest_marker('slow'):
            item.add_marker(pytest.mark.skip(reason='only with --slow'))
