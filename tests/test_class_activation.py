"Class activation: bad input, modes that stay, and every kind of trunk."
import pytest
import torch

from video_convs import create_model
from video_convs.explain.class_activation import class_activation, occlusion
from video_convs.nets.registry import find_model


@pytest.fixture(scope='module')
def tsn():
    return create_model('tsn_tiny', num_classes=3, input_spec=dict(frames=4, size=24)).train()


def clip(frames=4, size=24):
    return torch.randn(3, frames, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize('stage', [3, -4])
def test_a_stage_that_is_not_there_is_named(tsn, stage):
    with pytest.raises(ValueError, match=f'tsn_tiny has 3 stages.*got {stage}'):
        class_activation(tsn, clip(), 0, stage)


@pytest.mark.parametrize('patch', [0, 25])
def test_a_square_fits_into_a_frame(tsn, patch):
    with pytest.raises(ValueError, match=f'patch={patch}: choose from 1 to 24 pixels'):
        occlusion(tsn, clip(), 0, patch)


@pytest.mark.parametrize('name, frames', [('tsn_tiny', 4), ('hgc_tiny', 4), ('h2cn_tiny', 20),
                                          ('stc_tiny', 4), ('hf_tsn_tiny', 4)])
def test_maps_have_a_picture_for_each_point_in_time_and_nothing_is_left_behind(name, frames):
    model = create_model(name, num_classes=3, input_spec=dict(frames=4, size=24)).train()
    x = clip(frames)
    with torch.inference_mode():  # as a classifier calls it
        heat, fall = class_activation(model, x, 1, 0), occlusion(model, x, 1, 10)
    assert heat.shape == fall.shape == (4, 24, 24)
    assert heat.min() >= 0 and heat.isfinite().all() and fall.isfinite().all()
    assert model.training and all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_a_map_of_five_dimensions_has_time_inside():
    model = create_model('eco_lite', num_classes=2, input_spec=dict(frames=8, size=64)).eval()
    heat = class_activation(model, clip(8, 64), 1)
    maps, = model.maps(clip(8, 64)[None], find_model('eco_lite').card.stages[-1:])
    assert maps.ndim == 5 and heat.shape == (maps.shape[2], 64, 64)
