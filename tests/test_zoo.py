"Every network of the registry goes through the same tests, at a size that a CPU can afford."
import copy
import json
import logging
import warnings
from dataclasses import asdict

import pytest
import torch
from torch import nn

from video_convs.clips import Clipwise
from video_convs.nets.backbones import BACKBONES
from video_convs.nets.zoo import InputSpec, VideoNet, create_model, list_models, register, variants

SIZE = 32  # leaves one pixel at the end of a ResNet: the smallest map, where layouts are easily mistaken

def awake(name, **options):
    "A network with random temporal taps, so that time matters (HgC and TemporalConv start as the identity)."
    torch.manual_seed(0)
    net = create_model(name, 5, **options)
    for key, p in net.named_parameters():
        if key.endswith('taps'): nn.init.normal_(p, std=0.5)
    return net.eval()

@pytest.fixture(scope='module', params=list_models())
def net(request): return awake(request.param)  # built once, then through all tests that ask for `net`

@pytest.fixture(scope='module')
def clip(): return torch.randn(2, 3, 8, SIZE, SIZE, generator=torch.Generator().manual_seed(0))

@pytest.fixture(autouse=True)
def calm():
    "One thread: at this size more of them only get into each other's way."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger('torch.__trace').propagate = False  # or pytest formats thousands of lines
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the compiler notes that announcing the clip length is a side effect
        yield
    torch.set_num_threads(threads)

def test_runs(net, clip):
    with torch.no_grad():
        for T in (1, 3, 8): assert net(clip[:, :, :T]).shape == (2, 5)
        per_frame, features = net(clip, per_frame=True), net.forward_features(clip)
        assert per_frame.shape == (2, 8, 5) and features.shape == (2, 8, net.features)
        torch.testing.assert_close(per_frame.mean(1), net(clip), atol=1e-5, rtol=1e-5)
        alone = torch.cat([net(clip[:1]), net(clip[1:])])
        torch.testing.assert_close(net(clip), alone, atol=1e-5, rtol=1e-5)

def test_every_parameter_learns(net, clip):
    net = copy.deepcopy(net).train()
    nn.functional.cross_entropy(net(clip[:, :, :3]), torch.tensor([0, 1])).backward()
    idle = [key for key, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle, f'{idle} get no gradient'

def test_time_matters_where_it_should(net, clip):
    with torch.no_grad():  # means over time of the features: the head's bias would hide a change
        features, shuffled = (net.forward_features(x).mean(1) for x in (clip, clip[:, :, [3, 1, 4, 0, 5, 7, 2, 6]]))
    change = ((features - shuffled).abs().max() / features.std()).item()
    assert change < 1e-4 if net.name.startswith('tsn_') else change > 1e-3

def test_compiles_and_exports(net, clip):
    torch._dynamo.reset()
    with torch.no_grad():
        want = net(clip[:, :, :3])
        compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
        torch.testing.assert_close(compiled(clip[:, :, :3]), want, atol=1e-5, rtol=1e-5)
        exported = torch.export.export(net, (clip[:, :, :3],)).module()
        torch.testing.assert_close(exported(clip[:, :, :3]), want, atol=1e-5, rtol=1e-5)

def test_rebuilt_from_json_in_silence(net, clip, capfd):
    twin = VideoNet(**json.loads(json.dumps(net.config())))
    assert capfd.readouterr() == ('', ''), 'building a network prints something'
    assert twin.config() == net.config()
    twin.load_state_dict(net.state_dict())
    with torch.no_grad(): assert torch.equal(twin.eval()(clip), net(clip))

def test_everything_is_in_the_json():
    options = dict(classes=list('abcde'), input_spec=InputSpec(frames=4, size=SIZE), dropout=0.2, slope=4)
    twin = VideoNet(**json.loads(json.dumps(create_model('hgc_tiny', 5, **options).config())))
    assert twin.classes == options['classes'] and twin.input_spec == options['input_spec']
    assert twin.head.dropout.p == 0.2 and twin.variant['slope'] == 4

def test_tsn_is_its_image_network(net, clip):
    if not net.name.startswith('tsn_'): return  # the others look at other frames, on purpose
    with torch.no_grad():
        alone = torch.stack([net.head(net.trunk(clip[:, :, t])) for t in range(8)], 1)
        torch.testing.assert_close(net(clip, per_frame=True), alone, atol=1e-5, rtol=1e-5)

@pytest.mark.parametrize('backbone', BACKBONES)
def test_same_seed_same_start(backbone, clip):
    def build(op): torch.manual_seed(3); return create_model(f'{op}_{backbone}', 5).eval()
    base, seen = build('tsn').state_dict(), []
    for op in ('tsm', 'r2plus1d', 'hgc'):
        net = build(op)
        shared = {k.replace('.host.', '.'): v for k, v in net.state_dict().items() if '.before.' not in k}
        assert shared.keys() == base.keys() and all(torch.equal(v, base[key]) for key, v in shared.items())
        with torch.no_grad(): seen.append(net(clip))
    torch.testing.assert_close(seen[1], seen[2])  # both start as the identity

@pytest.mark.parametrize('variant', [
    dict(kernel_size=5), dict(slope=4), dict(slope=0), dict(aggregate='avg', slope=6)])
def test_variants_of_hgc(variant, clip):
    net = awake('hgc_tiny', **variant)
    ops = [m.op for m in net.modules() if isinstance(m, Clipwise)]
    assert len(ops) == 6 and all(getattr(op, key) == value for op in ops for key, value in variant.items())
    assert net.variant == {**variants('hgc_tiny'), **variant}
    with torch.no_grad(): assert net(clip).isfinite().all()

def test_two_lengths_in_one_graph(clip):
    net = awake('hgc_tiny').train(False)
    def grads(loss): return torch.autograd.grad(loss, list(net.parameters()))
    def loss(x): return net(x).square().sum()
    long, short = clip, clip[:, :, :3]
    for a, b, c in zip(grads(loss(long) + loss(short)), grads(loss(long)), grads(loss(short))):
        torch.testing.assert_close(a, b + c)

@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
def test_other_float_types_and_layouts(clip, dtype):
    net, tolerance = awake('hgc_tiny'), 1e-5 if dtype == torch.float64 else 1e-2
    with torch.no_grad():
        want = net(clip)
        for x in (clip, clip.contiguous(memory_format=torch.channels_last_3d), clip.flip(-1).flip(-1)):
            torch.testing.assert_close(net(x.to(dtype)), want, atol=tolerance, rtol=tolerance)

@pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 47)])
def test_odd_sizes(size):
    for name in ('tsm_tiny', 'hgc_resnet18', 'hgc_mobilenet_v2'):
        with torch.no_grad(): assert awake(name)(torch.randn(1, 3, 2, *size)).shape == (1, 5)

@pytest.mark.parametrize('make, message', [
    (lambda: create_model('hgc_resnet5', 2), 'near matches: hgc_resnet50'),
    (lambda: create_model('hgc_tiny', 2, slop=2), "no variant 'slop'; it has kernel_size, slope, aggregate"),
    (lambda: create_model('hgc_tiny', 2, slope=3), 'slope must be even'),
    (lambda: create_model('tsm_tiny', 2, slope=2), 'it has fold_div'),
    (lambda: create_model('tsn_tiny', 0), 'num_classes must be at least 1'),
    (lambda: create_model('tsn_tiny', 2, classes=['a']), '1 names for num_classes=2'),
    (lambda: create_model('tsn_tiny', 2, input_spec=dict(frames=0)), 'frames ≥ 1'),
    (lambda: create_model('tsn_tiny', 2, pretrained='imagenet'), 'tiny has no ImageNet weights'),
    (lambda: create_model('tsn_tiny', 2)(torch.zeros(3, 2, 8, 8)), '4 axes'),
    (lambda: create_model('tsn_tiny', 2)(torch.zeros(1, 4, 2, 8, 8)), 'expected 3 channels'),
    (lambda: create_model('tsn_tiny', 2)(torch.zeros(1, 3, 2, 8, 8).byte()), 'normalise'),
    (lambda: create_model('tsn_tiny', 2)(torch.zeros(1, 3, 0, 8, 8)), 'empty'),
])
def test_one_clear_sentence(make, message):
    with pytest.raises(ValueError, match=None) as error: make()
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
    def plain(net, card, width=1): return net
    try:
        assert list_models('plain_*') == ['plain_tiny']
        assert create_model('plain_tiny', 5, width=2).config()['width'] == 2
    finally:
        from video_convs.nets import zoo
        del zoo._ENTRIES['plain_tiny']

def test_input_spec_survives_json():
    spec = InputSpec(frames=16, size=112, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert InputSpec(**json.loads(json.dumps(asdict(spec)))) == spec and hash(spec)
