import pytest, torch


@pytest.fixture(scope='module')
def one_thread():
    "For tests with tiny clips, where a second thread would only be waited for."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
