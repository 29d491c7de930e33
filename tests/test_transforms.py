"What is cut out of a frame, turned round and normalised, for every size and option."
import json
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torchvision.transforms.v2 import functional as F

from video_convs.data.motion import MotionConfig, render_batch
from video_convs.data.transforms import (CROPS, FLIPS, PLACES, Augment, area_box, check_flips,
                                         corner_box, eval_transform, flip, normalise, relabel,
                                         train_transform)
from video_convs.data.views import Views, crop_resize, eval_box, parse_views, resize
from video_convs.nets.spec import InputSpec

pytestmark = pytest.mark.usefixtures('one_thread')

Spec = partial(InputSpec, frames=4, size=24, mean=(.5, .4, .3), std=(.2, .25, .3))
FLOW = Spec(modality='flow', mean=(.5,), std=(.226,))
CAFFE = Spec(mean=(104, 117, 128), std=(1,), channel_order='bgr', value_range=255)
sides, seeds = st.integers(1, 400), st.integers(0, 2**32)
ALL = [Augment(scale=(.3, 1), jitter=.5, hflip=True, vflip=True, reverse=True),
       Augment.corners(hflip=True, resize=(30, 40)), Augment.area(jitter=.3, vflip=True),
       Augment.none()]

def frames(T=6, H=40, W=60, C=3, seed=0):
    "Bytes in the decoder's memory order: (C, T, H, W)."
    return torch.randint(0, 256, (T, H, W, C), dtype=torch.uint8,
                         generator=torch.Generator().manual_seed(seed)).permute(3, 0, 1, 2)

# boxes

def inside(box, H, W):
    return (box[0] >= 0 and box[1] >= 0 and min(box[2:]) >= 1 and box[0] + box[2] <= H
            and box[1] + box[3] <= W)

@given(sides, sides, seeds, st.sampled_from(['crop', 'squash']), st.sampled_from(CROPS),
       st.floats(.01, 1), st.floats(1, 5))
def test_boxes_stay_inside(H, W, seed, fit, crop, smallest, ratio):
    scale = (smallest, 1.) if crop != 'corners' else (1, .875, smallest)
    box = Augment(scale=scale, ratio=ratio, crop=crop).box(H, W, np.random.default_rng(seed), fit)
    assert inside(box, H, W) and all(type(n) is int for n in box)

def test_corner_boxes_are_tsns():
    assert len(PLACES) == 13 and {(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (1, 3)} < set(PLACES)
    rng, wanted = np.random.default_rng(0), [256, 224, 192, 168]
    boxes = [corner_box(256, 340, rng) for _ in range(20_000)]
    counts = {size: sum(b[2:] == size for b in boxes)/20_000 for size in {b[2:] for b in boxes}}
    assert set(counts) == {(h, w) for i, h in enumerate(wanted)
                           for j, w in enumerate(wanted) if abs(i - j) <= 1}
    assert all(abs(n - .1) < .02 for n in counts.values())
    middle = [b for b in boxes if b[2:] == (224, 224)]
    assert {b[:2] for b in middle} == {(8*a, 29*b) for a, b in PLACES}
    assert corner_box(256, 340, rng, scale=(1,), fit='squash') == (0, 0, 256, 340)

def test_area_boxes_have_the_area():
    rng = np.random.default_rng(0)
    share = np.array([np.prod(area_box(240, 320, rng, (.2, .4))[2:])/(240*320)
                      for _ in range(4000)])
    assert .19 < share.min() < .21 and .39 < share.max() < .41 and abs(share.mean() - .3) < .01
    assert area_box(3, 3000, rng, (.9, 1.)) == eval_box(3, 3000)  # nothing fits

# views

@settings(max_examples=50)
@given(st.integers(24, 70), st.integers(24, 70), st.integers(1, 3), st.sampled_from([1, 3]),
       st.sampled_from([None, 24, 30, (24, 40)]), st.booleans())
def test_views_cut_what_they_say(H, W, clips, crops, short, full):
    views, spec = Views(clips, crops, resize=short, size=24 if full else None), Spec(frames=2)
    x = frames(2*clips, H, W)
    out = views.cut(x, spec)
    assert out.shape == ((views.count, 3, 2, 24, 24) if views.count > 1 else (3, 2, 24, 24))
    scaled = x if short is None else resize(x, short)
    boxes = views.boxes(*scaled.shape[-2:], spec)
    assert len(boxes) == crops and all(inside(b, *scaled.shape[-2:]) for b in boxes)
    for v, one in enumerate(out if views.count > 1 else [out]):
        c, k = divmod(v, crops)
        assert torch.equal(one, crop_resize(scaled[:, 2*c:2*c + 2], boxes[k], 24))
    if crops == 3:  # the middle one
        assert boxes[1] == Views(resize=short).boxes(*scaled.shape[-2:], spec)[0]

def test_views_indices():
    spec, rng = Spec(per_segment=5), np.random.default_rng
    assert Views(10, 3).indices(300, spec).shape == (10*4*5,)
    drawn = Views(10, random=True)
    assert (drawn.indices(300, spec, rng(1)) == drawn.indices(300, spec, rng(1))).all()
    assert (drawn.indices(300, spec, rng(1)) != drawn.indices(300, spec, rng(2))).any()
    assert Views(rule='dense').indices(300, Spec(frames=8)).tolist() == list(range(118, 182, 8))

def test_views_are_json():
    for views in (Views(), parse_views('10x3', rule='dense', resize=(240, 320), size=224),
                  parse_views('2×1')):
        assert Views(**json.loads(json.dumps(asdict(views)))) == views
    for augment in ALL:
        assert Augment(**json.loads(json.dumps(asdict(augment)))) == augment
    assert (parse_views('10x3').clips, parse_views('10x3').crops) == (10, 3)

# values

@pytest.mark.parametrize('spec', [Spec(), CAFFE, FLOW, Spec(channel_order='bgr'),
                                  Spec(mean=(.5,), std=(.5,))])
def test_normalised_values_and_order(spec):
    clip = frames(C=spec.channels)
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (spec.mean, spec.std))
    x = clip.flip(0) if spec.channel_order == 'bgr' else clip
    out = normalise(clip, spec)
    assert torch.allclose(out, (x*(spec.value_range/255) - mean)/std, atol=1e-5*spec.value_range)
    assert out.dtype == torch.float32 and out.permute(1, 2, 3, 0).is_contiguous()

@pytest.mark.parametrize('H, W', [(24, 24), (7, 5), (1, 1), (33, 3)])
def test_jitter_in_any_size_and_order(H, W):
    clip, jitter = frames(H=H, W=W), (1.2, .8, 1.3)
    plain = Spec(mean=(0,), std=(1,), value_range=255)
    out, x = normalise(clip, plain, jitter), clip.double()
    grey = torch.tensor([.2989, .587, .114], dtype=torch.float64)/.9999
    g, m = torch.einsum('c,cthw->thw', grey, x), torch.einsum('c,cthw->thw', grey, x).mean()
    want = 1.2*(.8*(1.3*x - .3*g) + .2*m)
    assert torch.allclose(out.double(), want.clamp(0, 255), atol=1e-3)
    assert torch.equal(normalise(clip, replace(plain, channel_order='bgr'), jitter), out.flip(0))

def theirs(clip, spec, jitter=None):
    "Colours and normalisation by torchvision."
    x = F.to_dtype(clip.transpose(0, 1), torch.float32, scale=True)
    if jitter is not None:
        brightness, contrast, saturation = jitter
        x = F.adjust_contrast(F.adjust_brightness(x, brightness), contrast)
        x = F.adjust_saturation(x, saturation)
    return F.normalize(x, list(spec.mean), list(spec.std)).transpose(0, 1)

def test_torchvision_normalises_to_the_same_numbers():
    clip = frames()
    assert torch.allclose(normalise(clip, Spec()), theirs(clip, Spec()), atol=1e-5)

@pytest.mark.parametrize('jitter', [(1.2, 1, 1), (1, .8, 1), (1, 1, .5), (1.1, .9, 1.15)])
def test_torchvision_jitters_a_still_clip_to_the_same_colours(jitter):
    "Within 1/255; of a moving clip each frame would have a mean of its own."
    still = (frames(1)//2 + 40).expand(-1, 6, -1, -1)  # nothing is clipped at 0 or 255
    std = torch.tensor(Spec().std).view(3, 1, 1, 1)
    difference = (normalise(still, Spec(), jitter) - theirs(still, Spec(), jitter)) * std
    assert difference.abs().max() < .1/255
    assert (normalise(still, Spec(), jitter) - normalise(still, Spec())).abs().max() > .1

def test_torchvision_flips_pictures_alike():
    clip = frames()
    assert torch.equal(flip(clip, 'hflip'), F.horizontal_flip(clip))
    assert torch.equal(flip(clip, 'vflip'), F.vertical_flip(clip))

@given(sides, sides, seeds, st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_a_box_is_cut_out_and_then_resized(H, W, seed, height, width):
    clip = frames(2, H, W, seed=seed % 1000)
    top, left, h, w = area_box(H, W, np.random.default_rng(seed))
    cut = clip[..., top:top + h, left:left + w].transpose(0, 1)
    want = F.resize(cut, [height, width], antialias=True).transpose(0, 1)
    assert torch.equal(crop_resize(clip, (top, left, h, w), (height, width)), want)

def test_nothing_drawn_is_the_test_transform():
    clip = frames(5, 33, 47)
    for spec in (Spec(), Spec(fit='squash'), CAFFE):
        assert torch.equal(train_transform(spec, Augment.none())(clip, np.random.default_rng(0),
                                                                 0)[0], eval_transform(spec)(clip))

# draws

@pytest.mark.parametrize('augment', ALL)
def test_one_draw_for_all_frames(augment):
    still = frames(1).expand(-1, 20, -1, -1)  # 4 segments of 5
    transform = train_transform(Spec(per_segment=5), augment, frozenset(FLIPS))
    for seed in range(20):
        out, _ = transform(still, np.random.default_rng(seed), 0)
        assert out.shape == (3, 20, 24, 24) and (out == out[:, :1]).all()

def test_changes_of_torchvision_are_drawn_once_and_again_from_a_seed():
    still = frames(1).expand(-1, 8, -1, -1)
    plain = train_transform(Spec(), Augment.none())
    for change in (dict(randaugment=2, magnitude=15), dict(erasing=1.)):
        transform = train_transform(Spec(), replace(Augment.none(), **change))
        before = torch.get_rng_state()
        outs = [transform(still, np.random.default_rng(seed), 0)[0] for seed in (0, 0, 1, 2)]
        assert torch.equal(torch.get_rng_state(), before)
        assert all((out == out[:, :1]).all() for out in outs)
        assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    grey = outs[3] != plain(still, np.random.default_rng(2), 0)[0]
    assert .01 < grey.float().mean() < .4 and (outs[3][grey] == 0).all()  # the mean colour

@pytest.mark.parametrize('augment', ALL)
@pytest.mark.parametrize('spec', [Spec(), CAFFE])
def test_a_batch_is_its_clips(augment, spec):
    transform = train_transform(spec, augment, flip_map={f: {0: 1, 1: 0} for f in FLIPS})
    batch = torch.stack([frames(seed=s) for s in range(6)])
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    def rngs():
        return [np.random.default_rng([3, i]) for i in range(6)]
    out, new = transform(batch, rngs(), labels)
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    for k, rng in enumerate(rngs()):
        alone, label = transform(batch[k], rng, labels[k].item())
        assert torch.equal(alone, out[k]) and label == new[k]
    in_turn, _ = transform(batch, np.random.default_rng(0), labels)
    rng = np.random.default_rng(0)
    assert torch.equal(in_turn, torch.stack([transform(c, rng, 0)[0] for c in batch]))
    for views in (Views(), Views(3, 3)):
        assert torch.equal(eval_transform(spec, views)(batch),
                           torch.stack([eval_transform(spec, views)(c) for c in batch]))

@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
@pytest.mark.parametrize('augment', ALL)
@pytest.mark.parametrize('spec', [Spec(mean=(0,), std=(1,), value_range=255),
                                  replace(CAFFE, mean=(104, 117, 128))])
def test_a_gpu_gives_the_same(augment, spec):
    batch, labels = torch.stack([frames(seed=s) for s in range(4)]), torch.arange(4)
    transform = train_transform(spec, augment, frozenset(FLIPS))
    (cpu, a), (gpu, b) = (transform(batch.to(d), [np.random.default_rng(i) for i in range(4)],
                                    labels) for d in ('cpu', 'cuda'))
    # one level for each resize, times jitter
    assert gpu.is_cuda and torch.equal(a, b.cpu()) and (cpu - gpu.cpu()).abs().max() < 5
    for views in (Views(), Views(3, 3, resize=30)):
        cpu, gpu = (eval_transform(spec, views)(batch.to(d)) for d in ('cpu', 'cuda'))
        assert cpu.shape == gpu.shape and (cpu - gpu.cpu()).abs().max() < 1.01

# flips

@pytest.mark.parametrize('name', FLIPS)
def test_a_flip_needs_a_declaration(name):
    augment = replace(Augment.none(), **{name: True})
    with pytest.raises(ValueError, match=f'hands does not say that {name!r}'):
        train_transform(Spec(), augment, frozenset(), 'hands')
    assert not getattr(Augment(), name)
    clip, outs = frames(), []
    for allowed in (dict(label_preserving={name}), dict(flip_map={name: {}}),
                    dict(flip_map={name: {5: 6, 6: 5}})):
        transform = train_transform(Spec(), augment, name='hands', **allowed)
        outs.append([transform(clip, np.random.default_rng(s), 5) for s in range(20)])
    for (a, y), (b, z), (c, new) in zip(*outs):
        flipped = torch.equal(a, eval_transform(Spec())(clip).flip(FLIPS[name]))
        assert (torch.equal(a, b) and torch.equal(a, c) and y == z == 5
                and new == (6 if flipped else 5))
    assert {label for _, label in outs[2]} == {5, 6}

@given(st.lists(st.sampled_from(sorted(FLIPS)), max_size=6), st.integers(0, 9))
def test_labels_under_flips(flips, label):
    swaps = {'hflip': {0: 1, 1: 0, 4: 5, 5: 4}, 'reverse': {0: 4, 4: 0, 1: 5, 5: 1}}
    assert relabel(relabel(label, flips, swaps), flips[::-1], swaps) == label
    assert relabel(label, flips, None) == label and relabel(label, ['vflip'], swaps) == label

@pytest.mark.parametrize('name', ['hflip', 'vflip'])
def test_mirrored_flow_is_the_flow_of_the_mirrored_video(name):
    # (2, T, S, S)
    flow = render_batch('direction', [1], config=MotionConfig(size=32, frames=8), flow=True)[2][0]
    def stacked(flow):
        return torch.cat([(flow[:, k:k + 4]/4*127.5 + 127.5).round().to(torch.uint8)
                          for k in range(5)])
    mirrored = flow.flip(FLIPS[name])*torch.tensor([-1., 1.] if name == 'hflip'
                                                   else [1., -1.]).view(2, 1, 1, 1)
    assert (flip(stacked(flow), name, 'flow').int() - stacked(mirrored).int()).abs().max() <= 1
    assert torch.equal(flip(flip(stacked(flow), name, 'flow'), name, 'flow'), stacked(flow))

def test_flow_has_no_colours():
    transform = train_transform(FLOW, Augment(scale=(1, 1), ratio=1, jitter=.9))
    clip = frames(C=10)
    assert torch.equal(transform(clip, np.random.default_rng(0), 0)[0], eval_transform(FLOW)(clip))
    assert eval_transform(FLOW, Views(2, 3))(clip).shape == (6, 10, 3, 24, 24)

# refusals

@pytest.mark.parametrize('call, message', [
    (lambda: eval_transform(Spec())(frames().float()), 'of torch.float32'),
    (lambda: eval_transform(FLOW)(frames()), r'\(10, T, H, W\)'),
    (lambda: train_transform(Spec())(frames()[:, 0], None, 0), r'\(3, T, H, W\)'),
    (lambda: eval_box(2, 2, 'fill'), "not 'fill'"),
    (lambda: Augment(scale=(.5, 2)), 'smallest ≤ largest'),
    (lambda: Augment(scale=(.5, .6, .7)), 'smallest ≤ largest'),
    (lambda: Augment.corners(scale=()), '0 < scale ≤ 1'),
    (lambda: Augment(ratio=.5), 'ratio must be a number from 1 to 100, got 0.5'),
    (lambda: Augment(jitter=1), 'jitter must be a number from 0 to below 1, got 1'),
    (lambda: Augment(crop='five'), "not 'five'"),
    (lambda: Augment(randaugment=1.5), 'randaugment must be a whole number from 0 to 14, got 1.5'),
    (lambda: Augment(magnitude=31), 'magnitude must be a whole number from 0 to 30, got 31'),
    (lambda: Augment(erasing=2), 'erasing must be a number from 0 to 1, got 2'),
    (lambda: train_transform(FLOW, Augment(randaugment=1)), 'needs RGB, not 10 channels of flow'),
    (lambda: check_flips(['reverse'], FLOW, {'reverse'}), 'cannot be reversed'),
    (lambda: check_flips(['hflip'], Spec(), flip_map={'hflip': {1: 2, 2: 3, 3: 1}}),
     'list both ways'),
    (lambda: Views(resize=0), 'of 1 pixel or more, each a whole number from 1 to 16,384, got 0'),
    (lambda: Views(resize=(24, -1)), r'from 1 to 16,384, got \(24, -1\)'),
    (lambda: Views(resize='24'), "from 1 to 16,384, got '24'"),
    (lambda: Views(size=-4), 'size of a crop must be a whole number from 1 to 4,096, got -4'),
    (lambda: Augment(resize=-4), 'augment: resize .* got -4'),
    (lambda: Augment(ratio=float('nan')), 'ratio must be a number from 1 to 100, got nan'),
    (lambda: eval_transform(Spec(), Views(4))(frames()), '6 frames are not 4 clips'),
    (lambda: train_transform(Spec())(torch.stack([frames()]*2), [np.random.default_rng(0)], [0, 1]),
     '2 clips need as many labels'),
    (lambda: Views(0), 'clips of a video must be a whole number from 1 to 1,000, got 0'),
    (lambda: Views(crops=5), '1 or 3 crops, not 5'), (lambda: parse_views('ten'), 'not .ten.'),
    (lambda: Views(random=True).indices(9, Spec()), 'need an rng'),
    (lambda: Views(rule='all').indices(9, Spec()), "no rule 'all'"),
    (lambda: eval_transform(Spec(fit='squash'), Views(crops=3)), 'one crop of it'),
    (lambda: eval_transform(Spec(), Views(resize=(24, 20))),
     'a crop of 24 pixels does not fit into a frame of 24×20')])
def test_refused(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert '\n' not in str(error.value)
