"Networks by name: torch.hub.load('video-convs/video_convs', 'tsm_resnet50', num_classes=10)."
from functools import partial as _partial

from video_convs import create_model as _create_model, list_models as _list_models
from video_convs.nets.registry import find_model as _find_model

dependencies = ['torch', 'torchvision', 'numpy', 'safetensors', 'huggingface_hub',
                'filelock', 'tqdm']


def _entry(name):
    build = _partial(_create_model, name)
    build.__doc__ = (f"{_find_model(name).summary} Its arguments are those of "
                     "`video_convs.create_model`.")
    return build


globals().update({name: _entry(name) for name in _list_models()})
