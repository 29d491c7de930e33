"Surgery, backbones, cost and checkpoints: what their notebooks do not show already."
import copy
import json
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import mobilenet_v2, resnet18, resnet50, vgg16

from video_convs.clips import Clipwise, clip_length, fold, unfold
from video_convs.nets.backbones import BACKBONES, adapt_first_conv, find_backbone, tiny, trunk
from video_convs.nets.bninception import BNInception, ECOLite, to_caffe
from video_convs.checkpoint import load_weights, read_config, save
from video_convs.nets.video_net import load
from video_convs.utils import write_atomic
from video_convs.nets.complexity import complexity, human
from video_convs.nets.res2net import res2net50
from video_convs.nets.surgery import insert_after, insert_before, match, replace
from video_convs.utils import suggest
from video_convs.weights.create import create_model
from video_convs.ops.hourglass import HgC
from video_convs.ops.tam import TAM
from video_convs.ops.tin import TIN
from video_convs.ops.shift import TemporalShift
from video_convs.ops.temporal import TemporalConv

def toy():
    b = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU())
    return nn.Sequential(OrderedDict(a=nn.Conv2d(3, 4, 1), b=b, b2=nn.Conv2d(6, 2, 1)))

# --- surgery

@pytest.mark.parametrize('pattern, paths', [
    ('a', ['a']), ('?', ['a', 'b']), ('*', ['a', 'b', 'b2']), ('b.*', ['b.0', 'b.1']),
    ('b?', ['b2']), ('b*', ['b', 'b2']),
    ('**', ['a', 'b', 'b.0', 'b.1', 'b2']), ('**0', ['b.0']),
    (['b2', 'a', 'b2'], ['a', 'b2']), (('b.?', 'a'), ['a', 'b.0', 'b.1']),
])
def test_match(pattern, paths):
    assert match(toy(), pattern) == paths

@given(st.text('ab.*?[](+1', min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_pattern_matches_or_says_why(pattern):
    net = toy()
    try:
        paths = match(net, pattern)
    except ValueError as error:
        assert repr(pattern) in str(error)
    else:
        assert paths and all(net.get_submodule(path) for path in paths)

def test_each_pattern_of_a_list_must_match():
    with pytest.raises(ValueError, match="'nothing'"):
        match(toy(), ['a', 'nothing'])

def test_suggest_without_anything_near():
    assert suggest('zzzz', ['conv1', 'bn1']) == 'there are conv1, bn1'

@pytest.mark.parametrize('verb', [insert_before, insert_after, replace])
def test_an_error_leaves_the_network_whole(verb):
    net, calls = toy(), []
    def make(_):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError('the second one fails')
        return nn.Identity()
    before = str(net)
    with pytest.raises(RuntimeError, match='second'):
        verb(net, ['a', 'b2'], make)
    assert str(net) == before and not any(m._forward_hooks for m in net.modules())

def test_dry_run_leaves_no_trace():
    net = resnet18()
    net.layer1.eval()
    net.conv1.weight.requires_grad_(False)
    flags = [m.training for m in net.modules()]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.get_rng_state()
    insert_before(net, 'layer?.0.conv1', lambda C: nn.Identity())
    old = {k.replace('.host.', '.'): v for k, v in net.state_dict().items()}
    assert torch.equal(random, torch.get_rng_state()) and old.keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in old.items())
    assert all(p.grad is None for p in net.parameters()) and not net.conv1.weight.requires_grad
    changed = ('.conv1', '.before', '.op', '.host')
    outside = [m.training for p, m in net.named_modules() if not p.endswith(changed)]
    assert outside == [f for f, (p, _) in zip(flags, resnet18().named_modules())
                       if not p.endswith(changed)]

def test_a_failing_dry_run_restores_modes():
    net = nn.Sequential(nn.Conv2d(5, 2, 1), nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match='pass frame='):
        insert_before(net, '1', TemporalConv)
    assert net.training and net[1].training and not net[1]._forward_hooks
    insert_before(net, '1', TemporalConv, frame=(5, 4, 4))
    assert net[1].before.op.channels == 2

def test_modules_that_cannot_take_an_operator():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.add, self.idle, self.flat = Add(), nn.ReLU(), nn.Linear(3, 3)

        def forward(self, x):
            return self.flat(self.add(x, y=x).mean((2, 3)))
    class Add(nn.Module):
        def forward(self, x, y):
            return x + y
    for path, message in [('add', 'one tensor of'), ('idle', 'does not run'),
                          ('flat', 'one tensor of')]:
        with pytest.raises(ValueError, match=message):
            insert_before(Net(), path, TemporalConv)
    assert insert_after(Net(), 'add', TemporalConv).add.after.op.channels == 3

def test_a_shared_module_gets_an_operator_at_each_place():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    net = insert_before(nn.Sequential(conv, nn.ReLU(), conv), ['0', '2'], HgC)
    assert net[0].host is net[2].host is conv and net[0].before is not net[2].before

def test_surgery_after_surgery_and_gradients():
    net = insert_before(mobilenet_v2(), 'features.*.conv.1.0', HgC)
    insert_after(net, 'features.18', TemporalConv).train()
    with clip_length(3):
        net(torch.randn(6, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert net.features[18].after.op.channels == 1280

def test_lists_and_generators_of_patterns():
    net = insert_before(resnet18(), (f'layer{i}.0.conv1' for i in (1, 3)), TemporalShift)
    sites = [path for path, m in net.named_modules() if isinstance(m, Clipwise)]
    assert sites == ['layer1.0.conv1.before', 'layer3.0.conv1.before']

class Framewise(nn.Module):
    "The old module on each frame: what `replace` may put in its place without changing anything."
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return unfold(self.module(fold(x)), x.shape[2])

def from_timm_hub(name):
    timm = pytest.importorskip('timm', reason='timm is a development dependency')
    return timm.create_model(name, num_classes=10)

def vgg16_convolutions():
    "VGG-16 without its classifier, whose 124 million weights no operator touches."
    with torch.device('meta'):
        net = vgg16(init_weights=False)
    net.classifier = nn.Identity()
    net.to_empty(device='cpu')
    for conv in net.features:
        if isinstance(conv, nn.Conv2d):
            conv.reset_parameters()
    return net

PATIENTS = {  # network: how it is built, where operators go
    'resnet18': (resnet18, 'layer?.*.conv1'), 'resnet50': (resnet50, 'layer?.*.conv2'),
    'mobilenet_v2': (mobilenet_v2, 'features.*.conv.1.0'),
    'vgg16': (vgg16_convolutions, BACKBONES['vgg16'].conv3x3),
    'bninception': (BNInception, 'inception_*.3x3.conv'),
    'bninception blocks': (BNInception, 'inception_*'),
    'res2net50': (res2net50, 'layer?.*.scales'),
    'timm regnetx_002': (lambda: from_timm_hub('regnetx_002'), 's?.*.conv2.conv'),
    'timm mobilenetv3_small_050': (lambda: from_timm_hub('mobilenetv3_small_050'),
                                   'blocks.*.*.conv_dw'),
    'timm convnext_atto': (lambda: from_timm_hub('convnext_atto'), 'stages.*.blocks.*.conv_dw'),
}

@pytest.mark.parametrize('name', PATIENTS)
def test_three_verbs(name):
    "Weights survive; with the identity as operator, a batch of frames gives each frame's output."
    torch.manual_seed(0)
    build, pattern = PATIENTS[name]
    net, frames = build().eval(), torch.randn(4, 3, 48, 64)
    with torch.no_grad():
        want = torch.cat([net(frame[None]) for frame in frames])
    sites = len(match(net, pattern))
    for verb, make in ((insert_before, HgC), (insert_after, TemporalConv), (replace, Framewise)):
        twin = copy.deepcopy(net)
        old = {id(p): p.clone() for p in twin.parameters()}
        verb(twin, pattern, make)
        with torch.no_grad(), clip_length(2):
            got = twin(frames)
        torch.testing.assert_close(got / want.abs().max(), want / want.abs().max(),
                                   rtol=1e-5, atol=1e-5)
        kept = [p for p in twin.parameters() if id(p) in old]
        assert len(kept) == len(old) and all(torch.equal(p, old[id(p)]) for p in kept)
        assert sum(isinstance(m, Clipwise) for m in twin.modules()) == sites > 0

@pytest.mark.parametrize('make', [lambda C: TIN(C, 4), lambda C: TAM(C, 4)])
def test_dry_run_with_an_operator_of_fixed_length(make):
    net = insert_before(resnet18(), 'layer2.*.conv1', make)
    insert_before(net, 'layer3.*.conv1', HgC)
    insert_after(net, 'layer4.1', TemporalConv).eval()
    with clip_length(4):
        assert net(torch.randn(8, 3, 32, 32)).shape == (8, 1000)
    assert net.layer4[1].after.op.channels == 512
    insert_before(net, 'layer4.*.conv1', lambda C: TAM(C, 8))
    with pytest.raises(ValueError, match=r'ResNet holds operators for clips of \[4, 8\] frames'):
        insert_before(net, 'conv1', HgC)

# --- backbones

def test_tiny_takes_other_widths():
    net = tiny((8, 16, 24)).eval()
    assert [net.get_submodule(f'layer{i}.0.conv1').out_channels for i in (1, 2, 3)] == [8, 16, 24]
    assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 1000)

def test_unknown_backbone():
    with pytest.raises(ValueError, match='near matches: resnet50, resnet34'):
        find_backbone('resnet35')

@pytest.mark.parametrize('name', BACKBONES)
def test_trunk_has_no_classifier(name):
    card = BACKBONES[name]
    with torch.device('meta'):
        net, whole = trunk(name), card.build()
    assert isinstance(net.get_submodule(card.classifier), nn.Identity)
    assert match(net, card.conv3x3) and match(net, card.block_output)
    assert all(match(net, pattern) for pattern in card.block_input)
    last = [m for m in whole.modules() if isinstance(m, nn.Linear)][-1]
    assert last.in_features == card.features
    assert not [k for k in net.state_dict() if k not in whole.state_dict()]

@pytest.mark.parametrize('name', BACKBONES)
def test_hf_fits_behind_the_blocks(name):
    card = BACKBONES[name]
    with torch.device('meta'), clip_length(2):
        net = insert_after(trunk(name), card.block_output, TemporalConv).eval()
        clips = 2 if name == 'eco_lite' else 4
        assert net(torch.zeros(4, 3, 64, 64)).shape == (clips, card.features)

def test_input_of_caffe_networks():
    for name, card in BACKBONES.items():
        caffe = name in ('bninception', 'eco_lite')
        assert card.input == (dict(channel_order='bgr', value_range=255., mean=(104., 117., 128.),
                                   std=(1., 1., 1.)) if caffe else {})
        assert hash(card) and bool(card.weights) == (caffe or name == 'res2net50')

def test_eco_from_a_wrapped_checkpoint_and_from_image_weights(tmp_path):
    eco, image = ECOLite(7), BNInception(7)
    torch.save({'epoch': 1, 'arch': 'ECO', 'state_dict':
                    {f'module.base_model.{k}': v for k, v in to_caffe(eco.state_dict()).items()}},
               tmp_path/'eco.pth.tar')
    torch.save(to_caffe(image.state_dict()), tmp_path/'image.pth')
    whole, half = trunk('eco_lite', tmp_path/'eco.pth.tar'), trunk('eco_lite', tmp_path/'image.pth')
    for key, value in whole.state_dict().items():
        assert torch.equal(value, eco.state_dict()[key])
        if not key.startswith('eco3d.'):
            assert torch.equal(half.state_dict()[key], image.state_dict()[key])
    broken = {k: v for k, v in to_caffe(eco.state_dict()).items() if not k.startswith('res4a_down')}
    torch.save(broken, tmp_path/'broken.pth')
    with pytest.raises(ValueError, match='not those of eco_lite: Missing key.*res4a_down'):
        trunk('eco_lite', tmp_path/'broken.pth')

def test_one_sentence_even_for_hundreds_of_missing_keys(tmp_path):
    torch.save(resnet18().state_dict(), tmp_path/'w.pth')
    with pytest.raises(ValueError, match='are not those of resnet50') as error:
        trunk('resnet50', tmp_path/'w.pth')
    assert len(str(error.value)) < 500 and '\n' not in str(error.value)

@pytest.mark.parametrize('error', [OSError('no network'), RuntimeError('invalid hash value')])
def test_what_to_fetch_and_where_to_put_it(error, tmp_path, monkeypatch):
    def download(*_, **__):
        raise error
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    for name, file in [('vgg16', 'vgg16-397923af.pth'), ('eco_lite', 'bn_inception-52deb4733.pth'),
                       ('res2net50', '-06e79181.pth')]:
        with pytest.raises(ValueError) as caught:
            trunk(name, 'imagenet')
        message = str(caught.value)
        assert f'{error}' in message
        assert file in message
        assert message.endswith(str(tmp_path/'checkpoints'))

def test_first_conv_for_flow():
    net = trunk('tiny').requires_grad_(False)
    rgb = net.conv1.weight.clone()
    assert adapt_first_conv(net, 10) is net and net.conv1.in_channels == 10
    assert not net.conv1.weight.requires_grad
    assert net.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    for c in range(10):
        torch.testing.assert_close(net.conv1.weight[:, c], rgb.mean(1))
    insert_before(net, 'layer?.*.conv1', HgC, frame=(10, 64, 64))
    with clip_length(2):
        assert net(torch.randn(4, 10, 32, 32)).shape == (4, 96)
    with pytest.raises(ValueError, match='groups=4; only one that reads all'):
        adapt_first_conv(nn.Conv2d(4, 4, 3, groups=4), 10)
    with pytest.raises(ValueError, match='Linear has no convolution'):
        adapt_first_conv(nn.Linear(4, 4), 10)
    with pytest.raises(ValueError, match='channels must be at least 1'):
        adapt_first_conv(trunk('tiny'), 0)

def test_weights_from_a_file(tmp_path):
    full = BACKBONES['resnet18'].build()
    torch.save(full.state_dict(), tmp_path/'w.pth')
    net = create_model('hgc_resnet18', num_classes=5, pretrained=tmp_path/'w.pth')
    assert torch.equal(net.trunk.layer2[0].conv1.host.weight, full.layer2[0].conv1.weight)
    assert 'pretrained' not in net.config()

def test_pickled_code_is_refused(tmp_path):
    torch.save(tiny(), tmp_path/'whole.pth')  # a whole module needs code to be read
    with pytest.raises(ValueError, match='holds more than weights'):
        trunk('tiny', pretrained=tmp_path/'whole.pth')

WEIGHTS = os.environ.get('WEIGHTS', Path(__file__).parents[2]/'shared'/'weights')
MOBILENET = Path(WEIGHTS, 'mobilenet_v2_imagenet.pth')

@pytest.mark.skipif(not MOBILENET.exists(),
                    reason='no mobilenet_v2_imagenet.pth: set WEIGHTS to its folder')
@pytest.mark.parametrize('op', ['tsn', 'tsm', 'r2plus1d', 'hgc'])
def test_imagenet_mobilenet_loads(op):
    net = create_model(f'{op}_mobilenet_v2', num_classes=5, pretrained=MOBILENET)
    state = torch.load(MOBILENET, weights_only=True)
    shared = {re.sub(r'\.(host|op)\.', '.', k): v
              for k, v in net.trunk.state_dict().items() if '.before.' not in k}
    assert len(shared) == 312 and all(torch.equal(v, state[k]) for k, v in shared.items())

# --- cost

@pytest.mark.parametrize('name, params, gmacs', [
    ('tsn_resnet50', 23.865, 32.700), ('tsm_resnet50', 23.865, 32.700),
    ('hgc_resnet50', 23.910, 32.883), ('r2plus1d_resnet50', 23.876, 32.746),
])
def test_printed_costs(name, params, gmacs):
    cost = complexity(create_model(name, num_classes=174), (3, 8, 224, 224))
    assert f'{cost.params / 1e6:.3f}' == f'{params:.3f}'
    assert f'{cost.macs / 1e9:.3f}' == f'{gmacs:.3f}'

@given(st.integers(1, 3), st.integers(1, 5), st.integers(9, 40))
@settings(max_examples=5, deadline=None)
def test_cost_is_linear_in_clips_and_frames(B, T, S):
    net = create_model('hgc_tiny', num_classes=4).to('meta')
    assert complexity(net, (B, 3, T, S, S)).macs == B * T * complexity(net, (3, 1, S, S)).macs

def test_operators_are_one_layer():
    cost = complexity(create_model('hgc_tiny', num_classes=4, aggregate='avg'), (3, 4, 32, 32))
    assert [x.kind for x in cost.layers].count('HgC') == 6 and cost.within('trunk.layer1') > 0
    assert cost.macs == sum(x.macs for x in cost.layers) and 'GMAC' not in str(cost)

@pytest.mark.parametrize('n, text', [
    (0, '0'), (999, '999'), (1000, '1.00 k'), (12345, '12.3 k'), (999_999, '1.00 M'),
    (1.5e12, '1.50 T')])
def test_human(n, text):
    assert human(n) == text

# --- checkpoints

@pytest.fixture
def folder(tmp_path):
    return save(create_model('hgc_tiny', num_classes=3, classes=['a', 'b', 'c']),
                tmp_path/'deep'/'run', seed=1)

def test_extras_come_back(folder):
    assert read_config(folder)['seed'] == 1 and load(folder).classes == ['a', 'b', 'c']
    assert not load(folder).training

@given(cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=25, deadline=None)
def test_any_truncation_is_noticed(tmp_path_factory, cut):
    folder = save(create_model('tsn_tiny', num_classes=2), tmp_path_factory.mktemp('run'))
    whole = (folder/'model.safetensors').read_bytes()
    (folder/'model.safetensors').write_bytes(whole[:int(cut * len(whole))])
    with pytest.raises(ValueError, match='damaged or cut short'):
        load(folder)

@pytest.mark.parametrize('page, message', [
    (b'', 'not JSON'), (b'[]', 'lacks format'), (b'\xff\xfe', 'not JSON'),
    (b'null', 'lacks format'),
    (dict(format=2), 'has format 2'), (dict(name='hgc_tin'), 'near matches: hgc_tiny'),
    (dict(num_classes=4, classes=None), 'config.json is of another checkpoint'),
    (dict(classes=['a']), '1 names'),
    (dict(name='hgc_resnet18'), 'another network than hgc_resnet18'),
    (dict(variant=dict(slope=0)), 'which the network does not have'),
    (dict(variant=dict(kernel_size=7)), 'in the file,'),
    (dict(input_spec=dict(fps=3)), 'cannot be built'), (dict(variant=None), 'cannot be built'),
])
def test_every_wrong_page_has_a_sentence(folder, page, message):
    own = json.loads((folder/'config.json').read_bytes())
    if isinstance(page, dict):
        page = json.dumps({**own, **page}).encode()
    (folder/'config.json').write_bytes(page)
    with pytest.raises(ValueError) as error:
        load(folder)
    assert message in str(error.value) and '\n' not in str(error.value)

def test_a_file_is_no_checkpoint(folder):
    with pytest.raises(ValueError, match='no folder'):
        load(folder/'config.json')
    with pytest.raises(ValueError, match='no model.safetensors'):
        load_weights(create_model('tsn_tiny', num_classes=2), folder.parent)

def test_overwriting_is_atomic_for_readers(tmp_path):
    "A reader that looks all the time sees whole files only."
    path, done, seen = write_atomic(tmp_path/'x', b'0' * 100_000), threading.Event(), set()
    def read():
        while not done.is_set():
            seen.add(path.read_bytes())
    reader = threading.Thread(target=read)
    reader.start()
    for digit in range(1, 30):
        write_atomic(path, str(digit % 10).encode() * 100_000)
    done.set()
    reader.join()
    assert all(len(content) == 100_000 and len(set(content)) == 1 for content in seen)
    assert os.listdir(tmp_path) == ['x']

def test_write_atomic_needs_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path/'no'/'x', b'')

def test_channels_last_survives(tmp_path):
    net = create_model('hgc_tiny', num_classes=2)
    twin = load(save(net, tmp_path/'run'))
    for a, b in zip(net.state_dict().values(), twin.state_dict().values()):
        assert a.stride() == b.stride()
    assert twin.trunk.conv1.weight.is_contiguous(memory_format=torch.channels_last)
