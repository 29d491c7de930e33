"What torch.hub finds in this repository."
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from video_convs import list_models

root = Path(__file__).parent.parent


def test_every_network_is_an_entry():
    spec = spec_from_file_location('hubconf', root/'hubconf.py')
    spec.loader.exec_module(module := module_from_spec(spec))
    shown = [name for name, value in vars(module).items() if callable(value) and name[0] != '_']
    assert sorted(shown) == list_models()
    assert module.hgc_tiny.__doc__.startswith('Hourglass convolution before')


def test_a_network_from_torch_hub():
    net = torch.hub.load(str(root), 'hgc_tiny', source='local', num_classes=3, slope=4)
    assert net.name == 'hgc_tiny' and net.num_classes == 3 and net.variant['slope'] == 4
    with pytest.raises(RuntimeError, match='Cannot find callable'):
        torch.hub.load(str(root), 'hgc_tinny', source='local')
