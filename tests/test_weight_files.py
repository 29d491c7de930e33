"Files of weights from strangers: their size, what lies beside and around the weights."
import argparse
import collections
import datetime
import pathlib
import sys
import types
import zipfile

import pytest
import torch

from video_convs import weight_files
from video_convs.nets.backbones import BACKBONES, trunk
from video_convs.weight_files import (check_https, check_numbers, file_sha256, pin,
                                      read_checkpoint, unwrap, without_prefix)
from video_convs.weights.convert import from_official, plain_spelling, to_official
from video_convs.weights.create import create_model
from safetensors.torch import save_file

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture(scope='module')
def theirs():
    torch.manual_seed(0)
    net = create_model('tsm_resnet18', num_classes=3)
    return net, {key.removeprefix('base_model.'): value for key, value in to_official(net).items()}

def foreign(module, name, base=dict):
    "A class of a library that is not installed here."
    kind = type(name, (base,), {'__module__': module})
    parts = module.split('.')
    for n in range(1, len(parts) + 1):
        sys.modules.setdefault('.'.join(parts[:n]), types.ModuleType('.'.join(parts[:n])))
    setattr(sys.modules[module], name, kind)
    return kind

# --- size

def test_a_packed_file_is_not_unpacked(tmp_path):
    torch.save({'a': torch.zeros(2_000_000)}, tmp_path/'a.pth')
    with (zipfile.ZipFile(tmp_path/'a.pth') as whole,
          zipfile.ZipFile(tmp_path/'packed.pth', 'w', zipfile.ZIP_DEFLATED) as packed):
        for item in whole.infolist():
            packed.writestr(item.filename, whole.read(item))
    assert (tmp_path/'packed.pth').stat().st_size < 20_000
    # torch itself unpacks it
    assert len(torch.load(tmp_path/'packed.pth', weights_only=True)['a']) == 2_000_000
    for read in (read_checkpoint, lambda path: trunk('resnet18', path), from_official):
        with pytest.raises(ValueError, match='bytes and would unpack to 8,00'):
            read(tmp_path/'packed.pth')
    assert read_checkpoint(tmp_path/'a.pth')['a'].sum() == 0

def test_a_file_beyond_the_bound(tmp_path, monkeypatch):
    torch.save({'a': torch.zeros(1000)}, tmp_path/'a.pth')
    monkeypatch.setattr(weight_files, 'LARGEST_FILE', 3000)
    with pytest.raises(ValueError, match='more than the 3,000 that are read'):
        read_checkpoint(tmp_path/'a.pth')

@pytest.mark.parametrize('zipped', [True, False])
def test_a_tensor_that_claims_more_than_is_there(tmp_path, zipped):
    "Forty bytes of a file, seen as four terabytes."
    torch.save({'conv1.weight': torch.zeros(1).expand(10**6, 10**6)}, tmp_path/'a.pth',
               _use_new_zipfile_serialization=zipped)
    w = read_checkpoint(tmp_path/'a.pth')
    with pytest.raises(ValueError, match='is larger than what the file holds'):
        check_numbers(w, w, 'x')

# --- what lies beside the weights

BESIDE = {
    'namespace': argparse.Namespace(lr=.1, out=pathlib.Path('runs'), sub=argparse.Namespace(a=[1])),
    'simple': types.SimpleNamespace(a=1),
    'easydict': foreign('easydict', 'EasyDict')(a=1, b={'c': 2}),
    'yacs': foreign('yacs.config', 'CfgNode')(a=1),
    'mmengine': foreign('mmengine.config.config', 'ConfigDict')(a=1),
    'omegaconf': foreign('omegaconf.dictconfig', 'DictConfig', object)(),
    'addict': foreign('addict.addict', 'Dict')(a=1),
    'lightning': foreign('pytorch_lightning.utilities.parsing', 'AttributeDict')(a=1),
    'defaultdict': collections.defaultdict(list, a=[1]), 'counter': collections.Counter('ab'),
    'time': datetime.datetime(2020, 1, 1),
    'path': pathlib.PurePosixPath('/data/x'), 'set': {1, 2}, 'nothing': None}

@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('kind', BESIDE)
def test_objects_beside_the_weights(tmp_path, kind, zipped):
    torch.save({'args': BESIDE[kind], 'state_dict': {'a': torch.ones(2)}, 'cfg': [BESIDE[kind]]},
               tmp_path/'a.pth', _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_checkpoint(tmp_path/'a.pth')['state_dict']['a'], torch.ones(2))

def test_classes_of_the_training_script_itself_are_named(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(2)},
                'cfg': foreign('my_project.options', 'Options', object)()}, tmp_path/'a.pth')
    with pytest.raises(ValueError,
                       match=r'asks for my_project.options.Options, .* save its state_dict\(\)'):
        read_checkpoint(tmp_path/'a.pth')

def test_a_whole_network_is_refused_with_advice(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path/'a.pth')
    with pytest.raises(ValueError, match=r'asks for torch.nn.modules.linear.Linear.*load it with '
                                         r'its own code and save its state_dict\(\)'):
        read_checkpoint(tmp_path/'a.pth')

# --- wrappers

@pytest.mark.parametrize('prefix', ['', 'module.', '_orig_mod.', 'model.', '_orig_mod.module.',
                                    'module.model._orig_mod.net.', 'student.encoder.'])
@pytest.mark.parametrize('container', [(), ('state_dict',), ('model',), ('model_state',),
                                       ('model_state_dict',), ('net',), ('model', 'net')])
def test_wrappers(theirs, prefix, container):
    content = {prefix + key: value for key, value in theirs[1].items()}
    for name in reversed(container):
        content = {'epoch': 3, name: content, 'ema': {}}
    state, beside = unwrap(content)
    assert beside == ['epoch', 'ema'] * len(container)
    assert list(plain_spelling(state).values()) == list(plain_spelling(theirs[1]).values())

def test_a_wrapped_network(theirs):
    net, w = theirs
    with pytest.warns(UserWarning, match='not used: hyper_parameters'):
        twin = from_official({'state_dict': {f'model._orig_mod.{key}': value
                                             for key, value in w.items()}, 'hyper_parameters': {}})
    assert twin.name == 'tsm_resnet18' and torch.equal(twin.head.fc.weight, net.head.fc.weight)

def test_a_mean_of_the_weights_is_asked_for(theirs):
    _, w = theirs
    content = {'model': w, 'ema': {f'module.{key}': value + 1 if value.is_floating_point()
                                   else value for key, value in w.items()}}
    with pytest.warns(UserWarning, match='not used: model'):
        mean = from_official(content, part='ema')
    with pytest.warns(UserWarning, match='not used: ema'):
        plain = from_official(content)
    assert torch.equal(mean.head.fc.weight, plain.head.fc.weight + 1)
    with pytest.raises(ValueError, match="no weights called 'ema'; it has model"):
        from_official({'model': w}, part='ema')

def test_mmaction_and_headless_files_keep_their_sign():
    assert plain_spelling(
        ['module.backbone.layer1.0.conv1.conv.weight', 'module.cls_head.fc_cls.bias']) == {
            'module.backbone.layer1.0.conv1.conv.weight': 'layer1.0.conv1.weight',
            'module.cls_head.fc_cls.bias': 'new_fc.bias'}
    assert (list(without_prefix(['layer1.0.a', 'layer1.1.a']).values())
            == ['layer1.0.a', 'layer1.1.a'])
    assert list(without_prefix(['a', 'a.b']).values()) == ['a', 'a.b'] and without_prefix([]) == {}

def test_a_trunk_out_of_its_wrappers(tmp_path):
    net = BACKBONES['resnet18'].build()
    torch.save({'args': argparse.Namespace(a=1), 'model':
                    {f'_orig_mod.module.{key}': value for key, value in net.state_dict().items()}},
               tmp_path/'a.pth')
    save_file(net.state_dict(), tmp_path/'b.safetensors')
    for file in ('a.pth', 'b.safetensors'):
        got = trunk('resnet18', tmp_path/file).state_dict()
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in got.items())

@pytest.mark.parametrize('content', [{}, {'model': 3}, {'a': 1},
                                     {'optimizer': {'a': torch.ones(1)}}, {'state_dict': {'a': 3}}])
def test_no_weights_in_it(content):
    with pytest.raises(ValueError, match="or holds one as 'state_dict', 'model_state_dict'"):
        unwrap(content)

# --- numbers

@pytest.mark.parametrize('key, change, says', [
    ('conv1.weight', lambda v: v.bool(), 'is of bool'),
    ('conv1.weight', lambda v: v.int(), 'is of int32'),
    ('conv1.weight', lambda v: v.to(torch.complex64), 'is of complex64'),
    ('new_fc.bias', lambda v: v * float('inf'), 'NaN or infinite'),
    ('bn1.running_mean', lambda v: v.double() + 1e300, 'NaN or infinite'),
    ('bn1.running_var', lambda v: -v, 'holds a negative number, -1'),
    ('new_fc.weight', lambda v: v.to_sparse(), 'is sparse')])
def test_weights_that_are_none(theirs, key, change, says):
    net, w = theirs
    with pytest.raises(ValueError, match=says) as error:
        from_official({**w, key: change(w[key])})
    assert '\n' not in str(error.value)

# --- from the network

def test_over_https_only():
    assert all(card.weights is None or check_https(card.weights) for card in BACKBONES.values())
    for url in ('http://example.org/x.pth', 'ftp://example.org/x', 'HTTP://example.org',
                'http://127.0.0.1.example.org/x', 'x'):
        with pytest.raises(ValueError, match='over https only'):
            check_https(url)

def test_what_was_fetched_first_counts(tmp_path):
    file = tmp_path/'resnet18-f37072fd.pth'
    for content in (b'one', b'one'):
        file.write_bytes(content)
        pin(file, file_sha256(file))
    with pytest.raises(ValueError, match='another file than the one that was fetched first'):
        pin(file, '0' * 64)

def test_image_weights_are_pinned(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    net, file = BACKBONES['resnet18'].build(), tmp_path/'checkpoints/resnet18-f37072fd.pth'
    file.parent.mkdir()
    torch.save(net.state_dict(), file)
    for _ in range(2):
        trunk('resnet18', 'imagenet')
    torch.save(BACKBONES['resnet18'].build().state_dict(), file)
    with pytest.raises(ValueError, match='another file than the one that was fetched first'):
        trunk('resnet18', 'imagenet')
