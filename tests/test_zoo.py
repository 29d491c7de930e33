"Every network of the registry goes through the same tests, at a size that a CPU can afford."
import copy
import json
import logging
import shutil
import warnings
from dataclasses import asdict

import pytest
import torch
from torch import nn

from video_convs.clips import Clipwise
from video_convs.data.transforms import normalise
from video_convs.checkpoint import save
from video_convs.nets.video_net import load
from video_convs.nets.registry import ENTRIES
from video_convs.nets.ensemble import Ensemble
from video_convs.nets.feature_maps import FeatureMaps
from video_convs.nets.registry import find_model, list_models, register, variants
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import VideoNet
from video_convs.testing import stirred
from video_convs.weights.create import create_model
from video_convs.ops.tin import TIN
from video_convs.use.export_forms import runtime_forms

# 32 pixels leave one at the end of a ResNet: the smallest map, where layouts are easily mistaken
SIZE, T = 32, 4
WHOLE = ('trn_', 'gru_', 'eco_', 'hf_trn_', 'hf_eco_')  # score the clip as a whole

def awake(name, **options):
    "A network with noise on its operators' weights, so that time matters (many are the identity)."
    torch.manual_seed(0)
    net = create_model(name, num_classes=5, **{'frames': T, **options})
    for module in net.modules():
        if isinstance(module, Clipwise):
            # with 0.5 TEA's scores pass 1000, and float32 has no digits left for the bounds below
            for p in module.op.parameters():
                p.data += torch.randn_like(p) * 0.3 / p[0].numel()**0.5
    return net.eval()

def clip_for(net, T=T, B=2, size=SIZE):
    "A clip of T points in time, as the network takes it."
    spec, g = net.input_spec, torch.Generator().manual_seed(0)
    return torch.randn(B, spec.channels, T * spec.per_segment, size, size, generator=g)

def same(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)

def representatives():
    "The first network with each operator and head in the registry, and one for each kind of place."
    first = {}
    for name in ENTRIES:
        first.setdefault((find_model(name).build, find_model(name).head), name)
    return {*first.values(), 'hgc_resnet18', 'sth_mobilenet_v2'}

QUICK = representatives()
# every operator is compiled alone, in its notebook; STH, at the place of STC, is in test_export
COMPILED = {'tsm_tiny', 'h2cn_tiny', 'hf_tsn_tiny', 'stc_tiny'}

def each(names=QUICK):
    "All networks, those that are not named with --slow."
    return [pytest.param(name, marks=() if name in names else pytest.mark.slow)
            for name in list_models()]

@pytest.fixture(scope='module', params=each())
def net(request):  # built once, then through all tests that ask for `net`
    return awake(request.param)

def check_fused(net):
    "Fused, it has the same scores and only those norms that follow no linear layer directly."
    x, fused = clip_for(net, B=1).to(next(net.parameters()).dtype), net.fused()
    with torch.no_grad():
        check_scores(fused(x), net(x))
    check_norms(net, fused)

def check_scores(scores, wanted):
    assert (scores - wanted).abs().max() < 1e-5 * wanted.abs().max()

def check_norms(net, fused):
    left = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in fused.modules())
    assert left == (6 if 'eco' in net.name else 2 if 'h2cn' in net.name else 0)

@pytest.mark.parametrize('name', sorted({*list_models()} - QUICK))
def test_the_others_run_and_can_be_fused(name):
    net = stirred(create_model(name, num_classes=5, frames=T))
    x, fused = clip_for(net), net.fused()
    with torch.no_grad():
        scores = net(x)
        assert scores.isfinite().all()
        check_scores(fused(x[:1]), scores[:1])
    check_norms(net, fused)

def test_a_fused_network_has_the_same_scores(net):
    # in float64: the noise of `awake` amplifies the roundings of HF's many gates
    check_fused(stirred(copy.deepcopy(net).double()))

@pytest.fixture(scope='module')
def clip():
    return torch.randn(2, 3, 8, SIZE, SIZE, generator=torch.Generator().manual_seed(0))

@pytest.fixture(autouse=True)
def calm():
    "One thread: at this size more of them only get into each other's way."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger('torch.__trace').propagate = False  # or pytest formats thousands of lines
    with warnings.catch_warnings():
        # the compiler notes that announcing the clip length is a side effect
        warnings.simplefilter('ignore')
        yield
    torch.set_num_threads(threads)

def test_runs(net):
    lengths = [T] if net.input_spec.fixed else [2, T, 6]
    with torch.no_grad():
        for length in lengths:
            for size in (SIZE, 48):
                assert net(clip_for(net, length, size=size)).shape == (2, 5)
        x = clip_for(net)
        features, scores = net.frame_features(x), net(x)
        assert features.shape[::2] == (2, net.features) and scores.isfinite().all()
        if net.name.startswith((*WHOLE, 'c2d_')):
            with pytest.raises(ValueError, match='there are none per frame'):
                net(x, per_frame=True)
        else:
            per_frame = net(x, per_frame=True)
            assert per_frame.shape == (2, T, 5)
            same(per_frame.mean(1), scores)
        same(scores, torch.cat([net(x[:1]), net(x[1:])]))

ONE_PER_TRUNK = {'h2cn_tiny', 'hgc_resnet18', 'sth_mobilenet_v2', 'trn_bninception',
                 'tea_res2net50', 'eco_lite'}

@pytest.mark.parametrize('net', each(ONE_PER_TRUNK), indirect=True)
def test_maps_and_what_is_made_of_them(net):
    x = clip_for(net, size=64)
    with torch.no_grad():
        maps, scores = net.forward_features(x), net(x)
        same(net.forward_head(maps), scores)
        same(net.forward_head(maps, pre_logits=True), net.frame_features(x).mean(1))
        every = FeatureMaps(net)
        sizes = [tuple(m.shape) for m in every(x)]
        last, = FeatureMaps(net, [-1])(x)
    assert maps.ndim == 5 and torch.equal(last, maps) and not net.training
    assert [size[:2] for size in sizes] == [(2, stage['num_chs']) for stage in every.feature_info]
    assert [stage['reduction'] for stage in every.feature_info] == [64 // size[4] for size in sizes]

def test_wrong_clips(net):
    spec, x = net.input_spec, clip_for(net, B=1)
    with pytest.raises(ValueError, match=f'expected {spec.channels} channels'):
        net(x[:, :1])
    if spec.fixed:
        with pytest.raises(ValueError, match=f'needs clips of {T} frames'):
            net(x[:, :, :T - 1])
    if spec.per_segment > 1:
        with pytest.raises(ValueError, match=f'a multiple of {spec.per_segment} frames, got'):
            net(x[:, :, 1:])

def test_every_parameter_learns(net):
    net = copy.deepcopy(net).train()
    for module in net.modules():  # its T hidden units may all be silent for two clips
        if isinstance(module, TIN):
            module.offset[1].bias.data += 1
    before = {key: p.clone() for key, p in net.named_parameters()}
    nn.functional.cross_entropy(net(clip_for(net, size=64)), torch.tensor([0, 1])).backward()
    idle = [key for key, p in net.named_parameters() if p.grad is None
            or not p.grad.abs().sum() > 0]
    assert not idle, f'{idle} get no gradient'
    torch.optim.SGD(net.parameters(), lr=1.).step()
    still = [key for key, p in net.named_parameters() if torch.equal(p, before[key])]
    # a step may be below the last digit
    assert not still or all(before[key].abs().max() > 0 for key in still)

@pytest.mark.parametrize('net', each({name for name in QUICK if name.endswith('tiny')}),
                         indirect=True)
def test_recomputed_gradients(net):
    "Activation checkpointing, with two clip lengths in one graph where the network takes them."
    if net.name.endswith('vgg16'):  # has no blocks
        return
    lengths = [T, T] if net.input_spec.fixed else [T, 2]
    def gradients(again):
        twin = copy.deepcopy(net).double().train().set_grad_checkpointing(again)
        for module in twin.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.
        torch.manual_seed(1)  # TRN draws its tuples
        sum(twin(clip_for(twin, length).double()).square().sum() for length in lengths).backward()
        return {**{key: p.grad for key, p in twin.named_parameters()}, **dict(twin.named_buffers())}
    want = gradients(False)
    for key, value in gradients(True).items():
        same(value, want[key], 1e-8)

def test_time_matters_where_it_should(net):
    x = clip_for(net).unflatten(2, (T, -1))
    # before the head, whose bias would hide a change, but for heads that see time
    with torch.no_grad():
        seen = net if net.name.startswith(WHOLE) else lambda x: net.frame_features(x).mean(1)
        straight, shuffled = seen(x.flatten(2, 3)), seen(x[:, :, [2, 0, 3, 1]].flatten(2, 3))
    change = ((straight - shuffled).abs().max() / straight.std()).item()
    assert change < 1e-4 if net.name.startswith('tsn_') else change > 1e-4

@pytest.mark.parametrize('net', each(COMPILED), indirect=True)
def test_compiles(net):
    torch._dynamo.reset()
    x = clip_for(net)
    with torch.no_grad():
        same(torch.compile(net, backend='aot_eager', fullgraph=True)(x), net(x))

@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which('g++') or shutil.which('clang++')),
                    reason='inductor needs a C++ compiler')
def test_inductor(net):
    torch._dynamo.reset()
    x = clip_for(net)
    with torch.no_grad():
        same(torch.compile(net, fullgraph=True)(x), net(x), 1e-4)

@pytest.mark.slow
def test_onnx(net, tmp_path):
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    runtime = pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    x = clip_for(net)
    free = {0: torch.export.Dim('B', min=1, max=64)}
    torch.onnx.export(net, (x,), str(tmp_path/'net.onnx'), dynamo=True, dynamic_shapes=(free,),
                      verbose=False)
    session = runtime.InferenceSession(str(tmp_path/'net.onnx'), providers=['CPUExecutionProvider'])
    for clip in (x, x[:1]):
        y, = session.run(None, {session.get_inputs()[0].name: clip.contiguous().numpy()})
        with torch.no_grad():
            same(torch.from_numpy(y), net(clip), 1e-4)

def test_rebuilt_and_reloaded_in_silence(net, tmp_path, capfd):
    folder, x = save(net, tmp_path/'checkpoint'), clip_for(net)
    capfd.readouterr()
    again = load(folder)  # built from the JSON of its configuration
    assert capfd.readouterr() == ('', ''), 'building a network prints something'
    assert again.config() == net.config()
    assert again.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(v, again.state_dict()[key]) for key, v in net.state_dict().items())
    with torch.no_grad():
        assert torch.equal(again(x), net(x))

def test_summary(net):
    assert '\n' not in (line := find_model(net.name).summary) and line.endswith('.')

def test_everything_is_in_the_json():
    options = dict(classes=list('abcde'), input_spec=dict(frames=4, size=SIZE),
                   dropout=0.2, slope=4)
    twin = VideoNet(
        **json.loads(json.dumps(create_model('hgc_tiny', num_classes=5, **options).config())))
    assert twin.classes == options['classes'] and twin.input_spec == InputSpec(frames=4, size=SIZE)
    assert twin.head.dropout.p == 0.2 and twin.variant['slope'] == 4

@pytest.mark.parametrize('name', list_models('tsn_*'))
def test_tsn_is_its_image_network(name):
    net = awake(name)
    x = clip_for(net)
    with torch.no_grad():
        alone = torch.stack([net.head(net.trunk(x[:, :, t]).unsqueeze(1)).squeeze(1)
                             for t in range(T)], 1)
        same(net(x, per_frame=True), alone)

@pytest.mark.parametrize('backbone', ['tiny', 'resnet18', 'mobilenet_v2'])
def test_same_seed_same_start(backbone, clip):
    def build(op):
        torch.manual_seed(3)
        return create_model(f'{op}_{backbone}', num_classes=5).eval()
    base, seen = build('tsn').state_dict(), []
    for op in ('tsm', 'r2plus1d', 'hgc'):
        net = build(op)
        shared = {k.replace('.host.', '.').replace('.op.', '.'): v
                  for k, v in net.state_dict().items() if '.before.' not in k}
        assert shared.keys() == base.keys()
        assert all(torch.equal(v, base[key]) for key, v in shared.items())
        with torch.no_grad():
            seen.append(net(clip))
    torch.testing.assert_close(seen[1], seen[2])  # both start as the identity

@pytest.mark.parametrize('name, variant', [
    ('hgc_tiny', dict(kernel_size=5)), ('hgc_tiny', dict(slope=4)), ('hgc_tiny', dict(slope=0)),
    ('hgc_tiny', dict(aggregate='avg', slope=6)),
    ('r2plus1d_resnet18', dict(arrangement='sequential')),
    ('r2plus1d_resnet18', dict(arrangement='parallel')),
    ('p3d_tiny', dict(variant='B')), ('gst_tiny', dict(alpha=2)),
    *[('h2cn_resnet18', dict(shift=shift, fmcb=fmcb, cmcb=cmcb)) for shift in (True, False)
      for fmcb in ('hgc', 'conv1d', None) for cmcb in ('hgc', 'conv1d', None)],
    ('h2cn_tiny', dict(fmcb_slope=6, cmcb_slope=4)),
    *[('sth_resnet18', dict(p=p)) for p in (0, 1/8, 1/4, 1/2)],
    ('sth_resnet18', dict(arrangement='merge')), ('sth_resnet18', dict(attention='softmax')),
    ('sth_resnet18', dict(attention='sigmoid', dilated=True)), ('sth_mobilenet_v2', dict(p=1/8)),
    *[('hf_tsn_bninception', dict(modules=m, conservative=c)) for m in (0, 1, 5, 10)
      for c in (True, False)],
    ('hf_trn_bninception', dict(modules=5, scales='single')),
    ('trn_bninception', dict(scales='single')),
    *[('stc_tiny', dict(alpha=a)) for a in (0, 1/4, 1/2, 1)],
    *[('stc_tiny', dict(tr=tr, sr=sr, shift=s)) for tr in (True, False) for sr in (True, False)
      for s in (True, False)],
    *[('stc_light_tiny', dict(reduction=r)) for r in (2, 4, 8, 16)],
    ('stc_equal_tiny', dict(alpha=1/2)),
])
def test_variants(name, variant):
    net = awake(name, **variant).train()
    assert net.variant == {**variants(name), **variant}
    net(clip_for(net)).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())

def test_the_slopes_of_h2cn_arrive():
    net = create_model('h2cn_tiny', num_classes=2, fmcb_slope=6, cmcb_slope=4)
    assert net.trunk.conv1.fmcb.slope == 6
    assert {m.op.slope for m in net.modules() if isinstance(m, Clipwise)
            and hasattr(m.op, 'slope')} == {4}

def test_dilation_goes_round():
    net = create_model('sth_resnet50', num_classes=2, dilated=True)
    reach = [m.op.dilation for m in net.modules() if isinstance(m, Clipwise)]
    assert reach == [1, 2, 3] * 5 + [1]

def test_ensemble():
    torch.manual_seed(0)
    a, b = awake('stc_tiny'), awake('stc_tiny', frames=8)
    flow = awake('sth_tiny', input_spec=dict(modality='flow', mean=(.5,), std=(.2,)))
    clips = clip_for(a), clip_for(b, 8), clip_for(flow)
    with torch.no_grad():
        scores = [m(x) for m, x in zip((a, b, flow), clips)]
        same(Ensemble(a, b, flow)(*clips), sum(scores) / 3)
        together = Ensemble(a, b, flow, weights=(2, 1, 1), average='probabilities')(*clips)
        same(together,
             (2 * scores[0].softmax(-1) + scores[1].softmax(-1) + scores[2].softmax(-1)) / 4)

@pytest.mark.parametrize('backbone',
                         ['resnet18', 'mobilenet_v2', 'vgg16', 'bninception', 'res2net50'])
def test_flow_takes_the_place_of_colours(backbone):
    "Flow networks start with the mean of the RGB weights: a constant stack gives grey times 10/3."
    torch.manual_seed(0)
    rgb = create_model(f'tsn_{backbone}', num_classes=5)
    torch.manual_seed(0)
    flow = create_model(f'tsn_{backbone}', num_classes=5, input_spec=dict(modality='flow'))
    spec, still = flow.input_spec, torch.full((10, 1, 2, 2), 128, dtype=torch.uint8)
    # standing still is zero
    assert spec.channel_order == 'rgb' and normalise(still, spec).abs().max() < .01
    half = normalise(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), spec).flatten()
    # the fields stay in their order, although BN-Inception takes colours as BGR
    assert (half.diff() > 0).all()
    first = lambda net: next(m for m in net.modules() if isinstance(m, nn.Conv2d)).weight
    same(first(flow), first(rgb).mean(1, keepdim=True).expand(-1, 10, -1, -1))
    assert flow.eval()(torch.randn(1, 10, 2, SIZE, SIZE)).shape == (1, 5)

def test_three_tasks(tmp_path):
    net = awake('hgc_tiny', frames=8)
    net.swap_head({'verb': 4, 'noun': 3, 'action': 6},
                  {'verb': list('abcd'), 'noun': list('abc'), 'action': list('abcdef')})
    x = clip_for(net)
    with torch.no_grad():
        scores, again = net(x), load(save(net, tmp_path/'epic'))(x)
        shapes = {key: s.shape for key, s in scores.items()}
        assert shapes == {'verb': (2, 4), 'noun': (2, 3), 'action': (2, 6)}
        assert all(torch.equal(again[key], s) for key, s in scores.items())
        assert net(x, per_frame=True)['verb'].shape == (2, T, 4)

def test_two_lengths_in_one_graph(clip):
    net = awake('hgc_tiny').train(False)
    def grads(loss):
        return torch.autograd.grad(loss, list(net.parameters()))
    def loss(x):
        return net(x).square().sum()
    long, short = clip, clip[:, :, :3]
    for a, b, c in zip(grads(loss(long) + loss(short)), grads(loss(long)), grads(loss(short))):
        torch.testing.assert_close(a, b + c)

@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
def test_other_float_types_and_layouts(clip, dtype):
    net, tolerance = awake('hgc_tiny'), 1e-5 if dtype == torch.float64 else 1e-2
    with torch.no_grad():
        want = net(clip)
        for x in (clip, clip.contiguous(memory_format=torch.channels_last_3d),
                  clip.flip(-1).flip(-1)):
            torch.testing.assert_close(net(x.to(dtype)), want, atol=tolerance, rtol=tolerance)

@pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 47)])
def test_odd_sizes(size):
    for name in ('tsm_tiny', 'hgc_resnet18', 'hgc_mobilenet_v2'):
        with torch.no_grad():
            assert awake(name)(torch.randn(1, 3, 2, *size)).shape == (1, 5)

@pytest.mark.parametrize('make, message', [
    (lambda: create_model('hgc_resnet5', num_classes=2), 'near matches: hgc_resnet50'),
    (lambda: create_model('hgc_tiny', num_classes=2, slop=2),
     "no variant 'slop'; it has kernel_size, slope, aggregate"),
    (lambda: create_model('hgc_tiny', num_classes=2, slope=3), 'slope must be even'),
    (lambda: create_model('tsm_tiny', num_classes=2, slope=2), 'it has fold_div'),
    (lambda: create_model('tsn_tiny', num_classes=2, slope=4), 'it has none'),
    (lambda: create_model('tsn_tiny', num_classes=-1),
     'num_classes must be a whole number from 1 to 1,000,000, got -1'),
    (lambda: create_model('tsn_tiny', 5),
     "'imagenet', a file, a folder, a name of list_pretrained() or an id on the Hub, got 5: "
     "num_classes is given by its name"),
    (lambda: create_model('tsn_tiny.kinetics', num_classes=2),
     "tsn_tiny has no weights 'kinetics'"),
    (lambda: create_model('tsm_resnet50.mmaction2_sthv2_8', num_classes=2),
     'near matches: mmaction2_sthv2_8f'),
    (lambda: create_model('tsm_resnet50.mmaction2_sthv2_8f', 'imagenet'),
     'both name weights: leave one of them out'),
    (lambda: create_model('tsn_tiny', num_classes=2, in_chans=0),
     'in_chans must be a whole number from 1 to 4,096, got 0'),
    (lambda: create_model('h2cn_tiny', num_classes=2, in_chans=1), 'take fmcb=None'),
    (lambda: create_model('tsn_tiny', num_classes=2, classes=['a']), '1 names for num_classes=2'),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(frames=0)),
     'frames must be a whole number from 1 to 4,096, got 0'),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(frame=4)),
     "no field 'frame'; near matches: frames"),
    (lambda: create_model('tsn_tiny', num_classes=2, frames=4, input_spec=dict(frames=8)),
     'differ: say it once'),
    (lambda: create_model('tsn_tiny'), 'num_classes is missing'),
    (lambda: create_model('tsn_tiny', num_classes=2, pretrained=True),
     "there are no public weights of tsn_tiny: its trunk may start from 'imagenet'"),
    (lambda: create_model('tsn_tiny', num_classes=2, pretrained=''),
     "'imagenet', a file, a folder"),
    (lambda: create_model('tsn_tiny', num_classes=2, pretrained='nowhere.pth'),
     "there is no file 'nowhere.pth'"),
    (lambda: create_model(None, num_classes=2), "no network is called None"),
    (lambda: create_model('tsn_tiny', num_classes=2, frames='8'),
     "frames must be a whole number from 1 to 4,096, got '8'"),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec='x'),
     "an InputSpec or a dict, got 'x'"),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(mean=None)),
     'one mean for each of 3 channels'),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(std=(0,))),
     'std must be a number from 1e-06 to 100,000, got 0'),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(fixed=True)),
     'here it is False: leave it out'),
    (lambda: create_model('tsn_tiny', num_classes=2, input_spec=dict(per_segment=5)),
     'here it is 1: leave it out'),
    (lambda: create_model('h2cn_tiny', num_classes=2,
                          input_spec=dict(modality='flow', mean=(.5,), std=(.2,))),
     'take fmcb=None'),
    (lambda: create_model('tsn_tiny', num_classes=2, classes='ab'), 'classes is a list of names'),
    (lambda: create_model('tsn_tiny', num_classes={'verb': 1, 'action': 2},
                          classes={'verb': ['a']}), "of task 'action'"),
    (lambda: create_model('hf_tsn_tiny', num_classes=2, modules=1.5), 'got 1.5'),
    (lambda: create_model('c2d_resnet50', num_classes=2)(torch.zeros(1, 3, 1, 32, 32)),
     'two frames or more'),
    (lambda: create_model('tsn_vgg16', num_classes=2).set_grad_checkpointing(),
     'one row of layers'),
    (lambda: Ensemble(create_model('tsn_tiny', num_classes=2, classes=['a', 'b']),
                      create_model('tsn_tiny', num_classes=2, classes=['b', 'a'])),
     "got 'a' and 'b'"),
    (lambda: create_model('tsn_tiny', num_classes={'verb': 3}), "'action'"),
    (lambda: create_model('trn_bninception', num_classes={'verb': 3, 'action': 4}),
     'a head of its own'),
    (lambda: create_model('hf_tsn_tiny', num_classes=2, modules=9),
     'modules must be from 0 to 3, the places'),
    (lambda: create_model('r2plus1d_tiny', num_classes=2, arrangement='parallel', kernel_size=5),
     'three taps'),
    (lambda: Ensemble(create_model('tsn_tiny', num_classes=2)), 'two networks or more, got 1'),
    (lambda: Ensemble(create_model('tsn_tiny', num_classes=2),
                      create_model('tsn_tiny', num_classes=3)), 'the same num_classes'),
    (lambda: Ensemble(*[create_model('tsn_tiny', num_classes=2)] * 2, weights=[1]),
     'as many weights, none negative'),
    (lambda: Ensemble(*[create_model('tsn_tiny', num_classes=2)] * 2, average='votes'),
     "'logits' or 'probabilities'"),
    (lambda: Ensemble(*[create_model('tsn_tiny', num_classes=2)] * 2)(torch.zeros(1, 3, 2, 8, 8)),
     'needs 2 clips'),
    (lambda: create_model('tsn_tiny', num_classes=2, pretrained='imagenet'),
     'tiny has no ImageNet weights'),
    (lambda: create_model('tsn_tiny', num_classes=2)(torch.zeros(3, 2, 8, 8)), '4 axes'),
    (lambda: create_model('tsn_tiny', num_classes=2)(torch.zeros(3, 2, 8, 8)),
     'add the batch with x[None]'),
    (lambda: create_model('tsn_tiny', num_classes=2)(torch.zeros(1, 4, 2, 8, 8)),
     'expected 3 channels'),
    (lambda: create_model('tsn_tiny', num_classes=2)(torch.zeros(1, 3, 2, 8, 8).byte()),
     'normalise'),
    (lambda: create_model('tsn_tiny', num_classes=2)(torch.zeros(1, 3, 0, 8, 8)), 'empty'),
])
def test_one_clear_sentence(make, message):
    with pytest.raises(ValueError, match=None) as error:
        make()
    assert message in str(error.value) and '\n' not in str(error.value)

def test_swap_head(clip):
    net = awake('hgc_tiny', classes=list('abcde')).double()
    trunk = {key: v.clone() for key, v in net.trunk.state_dict().items()}
    assert net.swap_head(3, ['x', 'y', 'z']) is net
    assert net.classes == ['x', 'y', 'z'] and net.num_classes == 3
    assert not net.head.training and net.head.fc.weight.dtype == torch.float64
    assert net(clip).shape == (2, 3)
    assert all(torch.equal(v, trunk[key]) for key, v in net.trunk.state_dict().items())

def test_a_network_of_your_own(clip):
    @register('tiny')
    def plain(net, card, width=1):
        return net
    try:
        assert list_models('plain_*') == ['plain_tiny']
        assert create_model('plain_tiny', num_classes=5, width=2).config()['width'] == 2
    finally:
        del ENTRIES['plain_tiny']

def test_a_registration_that_would_not_work():
    def late(trunk, card, width):
        return trunk
    with pytest.raises(ValueError, match='a variant needs a default'):
        register('tiny')(late)
    with pytest.raises(ValueError, match='near matches: tiny'):
        register('tinny')(lambda net, card: net)
    with pytest.raises(ValueError, match='registered already'):
        register('tiny', name='tsn_tiny')(lambda net, card: net)

def test_whole_networks(tmp_path, clip):
    net = awake('hgc_tiny', frames=8, classes=list('abcde'))
    folder = str(save(net, tmp_path/'net'))
    again = create_model('hgc_tiny', pretrained=folder)
    with torch.no_grad():
        assert torch.equal(again(clip), net(clip)) and again.classes == net.classes
    for options, message in [
            (dict(num_classes=-1),
             'num_classes must be a whole number from 1 to 1,000,000, got -1'),
            (dict(slope=4), 'with slope=2, not 4'),
            (dict(slop=4), "no option 'slop'; near matches: slope"),
            (dict(num_classes={'verb': 2}), "'action'"),
            (dict(input_spec=dict(mean=.5)), 'with mean=(0.485, 0.456, 0.406), not 0.5'),
            (dict(frames=16), 'the network runs with any number of frames'),
            (dict(input_spec=InputSpec(size=96)), 'with size=224, not 96')]:
        with pytest.raises(ValueError) as error:
            create_model('hgc_tiny', pretrained=folder, **options)
        assert message in str(error.value)
    with pytest.raises(ValueError, match='is hgc_tiny, not .tsn_tiny.'):
        create_model('tsn_tiny', pretrained=folder)

def test_a_new_head_on_a_trained_trunk(tmp_path, clip):
    net = awake('hgc_tiny', frames=8, classes=list('abcde'))
    folder = save(net, tmp_path/'net')
    for options, n, classes in [(dict(num_classes=7), 7, None),
                                (dict(num_classes=2, classes=['x', 'y']), 2, ['x', 'y']),
                                (dict(classes=['x', 'y', 'z']), 3, ['x', 'y', 'z']),
                                (dict(num_classes=0), 0, None)]:
        again = create_model('hgc_tiny', folder, **options).eval()
        assert (again.num_classes, again.classes) == (n, classes)
        with torch.no_grad():
            assert again(clip).shape == (2, n or again.num_features)
        states = again.trunk.state_dict(), net.trunk.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])

def test_features_instead_of_scores(tmp_path, clip):
    net = create_model('hgc_tiny', num_classes=0).eval()
    assert net.get_classifier()(torch.ones(1, 2, net.num_features)).shape == (1, 2, 96)
    again = load(save(net, tmp_path))
    with torch.no_grad():
        assert torch.equal(net(clip), net.frame_features(clip).mean(1))
        assert torch.equal(again(clip), net(clip))
        assert net.reset_classifier(4)(clip).shape == (2, 4)

@pytest.mark.parametrize('channels', [1, 2, 10])
@pytest.mark.parametrize('name', ['tsn_tiny', 'hgc_resnet18', 'stc_tiny', 'tsn_bninception'])
def test_any_number_of_channels(name, channels):
    "The first convolution starts as the mean of the RGB weights, the statistics are those of grey."
    net = create_model(name, num_classes=3, in_chans=channels).eval()
    spec = net.input_spec
    with torch.no_grad():
        assert net(torch.randn(1, channels, 4, 32, 32)).isfinite().all()
    assert spec.channels == channels and len(spec.mean) == len(spec.std) == 1
    assert net.pretrained_cfg['input_size'] == (channels, 8, 224, 224)
    assert VideoNet(**json.loads(json.dumps(net.config()))).input_spec == spec

def test_tags():
    assert list_models('tsm_resnet101*', pretrained=True) == ['tsm_resnet101.mmaction2_sthv2_8f']
    assert {name.partition('.')[0] for name in list_models(pretrained=True)} <= {*list_models()}
    assert create_model('tsm_resnet50.mmaction2_sthv2_8f', num_classes=2).name == 'tsm_resnet50'

def test_what_is_not_decayed():
    net = create_model('h2cn_tiny', num_classes=2)
    named = dict(net.named_parameters())
    assert {named[name].ndim for name in net.no_weight_decay()} == {1}
    assert 'head.fc.bias' in net.no_weight_decay()

def test_input_spec_survives_json():
    spec = InputSpec(frames=16, size=112, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert InputSpec(**json.loads(json.dumps(asdict(spec)))) == spec and hash(spec)

@pytest.mark.parametrize('name, classes', [('tsn_tiny', {'verb': 3, 'noun': 2, 'action': 4}),
                                           ('trn_resnet50', 5), ('gru_bninception', 5)])
def test_heads_of_their_own_are_saved_and_loaded(tmp_path, name, classes):
    net = create_model(name, num_classes=classes, frames=T)
    save(net, tmp_path)
    for key, value in load(tmp_path).state_dict().items():
        assert torch.equal(value, net.state_dict()[key])

def test_runtime_forms(net):
    x, other = clip_for(net), runtime_forms(copy.deepcopy(net))
    with torch.no_grad():
        same(other(x), net(x), 1e-4)
