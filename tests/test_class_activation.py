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


BOTH = pytest.mark.parametrize('explain', [class_activation, occlusion])


@BOTH
@pytest.mark.parametrize('label', [3, -1, 1., 'a', None, True])
def test_a_class_that_is_not_there_is_named(tsn, explain, label):
    with pytest.raises(ValueError, match=f'tsn_tiny have numbers from 0 to 2, got label={label!r}'):
        explain(tsn, clip(), label)


@BOTH
@pytest.mark.parametrize('wrong, words', [
    (clip()[None], r'expected one clip \(C, T, H, W\), got \(1, 3, 4, 24, 24\)'),
    (clip()[0], r'got \(4, 24, 24\)'), (clip().numpy(), 'expected one clip'),
    (clip()[:, :0], 'the clip is empty'), (clip()[:1], 'expected 3 channels')])
def test_what_is_not_one_clip_is_refused_and_the_mode_stays(tsn, explain, wrong, words):
    with pytest.raises(ValueError, match=words):
        explain(tsn, wrong, 0)
    assert tsn.training


@BOTH
def test_several_tasks_are_refused(explain):
    model = create_model('tsn_tiny', num_classes=dict(action=3, noun=2),
                         input_spec=dict(frames=4, size=24))
    with pytest.raises(ValueError, match=r'several tasks \(action, noun\)'):
        explain(model, clip(), 0)


@BOTH
def test_fewer_frames_than_one_point_in_time_are_refused(explain):
    model = create_model('h2cn_tiny', num_classes=3, input_spec=dict(frames=4, size=24))
    with pytest.raises(ValueError, match='multiple of 5 frames, got 4'):
        explain(model, clip(4), 0)


@pytest.mark.parametrize('patch', [1.5, True, 'a'])
def test_a_square_has_a_whole_side(tsn, patch):
    with pytest.raises(ValueError, match=f'patch={patch}'):
        occlusion(tsn, clip(), 0, patch)


def test_frozen_weights_give_the_same_map():
    model = create_model('hgc_tiny', num_classes=3, input_spec=dict(frames=4, size=24))
    before = class_activation(model, clip(), 1, 0)
    after = class_activation(model.requires_grad_(False), clip(), 1, 0)
    torch.testing.assert_close(after, before)


def test_a_network_of_inference_mode_is_named():
    with torch.inference_mode():
        model = create_model('tsn_tiny', num_classes=3, input_spec=dict(frames=4, size=24))
    with pytest.raises(ValueError, match='made inside torch.inference_mode'):
        class_activation(model, clip(), 0)
