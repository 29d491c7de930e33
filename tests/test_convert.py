"Other people's weights: each release, rewritten in releases.py, against our network."
import collections
import csv
import functools
import http.server
import os
import shutil
import sys
import threading
import time
import types
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import pytest
import releases
import torch
from torchvision.models import resnet50

from video_convs.weights import create, public
from video_convs.checkpoint import read_config, save
from video_convs.weight_files import file_sha256
from video_convs.weights.convert import from_official, key_list, read_checkpoint, to_official
from video_convs.weights.create import pretrained_model
from video_convs.weights.families import backwards, network_of, plain_spelling, recognise, rename
from video_convs.weights.public import list_pretrained
from video_convs.nets.registry import list_models
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')
BESIDE = Path(__file__).parents[2]/'shared'
WEIGHTS = Path(os.environ.get('WEIGHTS', BESIDE/'weights'))
ANNOTATIONS = Path(os.environ.get('ANNOTATIONS', BESIDE/'data/annotations'))

def clip_for(release, frames=4, size=None):
    size = size or (64 if isinstance(release, releases.BNInception) else 32)
    frames *= 5 if isinstance(release, releases.H2CN) else 1
    return torch.randn(2, 3, frames, size, size, dtype=torch.float64,
                       generator=torch.Generator().manual_seed(1))

@functools.lru_cache(3)
def drawn(kind):
    "A release, its clip and its scores: the weights exist once it has run."
    release = getattr(releases, kind)()
    clip = clip_for(release)
    with torch.no_grad():
        return release, clip, release(clip)

def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return from_official(*args, **kwargs)

# --- the same function

RELEASES = [  # class of releases.py, our name, what shapes tell
    ('ResNet', 'tsn_resnet50', {}), ('MMAction2', 'tsn_resnet50', {}), ('TSM', 'tsm_resnet50', {}),
    ('DeepMMTSM', 'tsm_resnet101', {}), ('GST', 'gst_resnet50', {}),
    ('GSTLarge', 'gst_large_resnet50', {}),
    ('TIN', 'tin_resnet50', {'frames': 4}), ('TAM', 'tam_resnet50', {'frames': 4}),
    ('TANet', 'tam_resnet50', {'frames': 4}),
    ('TEA', 'tea_res2net50', {}), ('H2CN', 'h2cn_resnet50', {}),
    ('BNInception', 'tsn_bninception', {}),
    ('TRN', 'trn_bninception', {'frames': 4}), ('SingleTRN', 'trn_bninception', {'frames': 4}),
    ('MMTRN', 'trn_resnet50', {'frames': 4}), ('C2D', 'c2d_resnet50', {}),
    ('ECOLite', 'eco_lite', {}),
]

@pytest.mark.parametrize('kind, name, told', RELEASES)
def test_computes_the_same(kind, name, told):
    release, clip, want = drawn(kind)
    net = quietly(release.w, name if kind == 'C2D' else None)
    assert net.name == name and net.num_classes == 7 and not net.training
    assert all(net.input_spec.frames == T for T in told.values())
    with torch.no_grad():
        if 'TRN' in kind and release.scales == 'multi':
            release.tuples = {chosen.shape[1]: chosen.tolist() for chosen in net.head.tuples()}
            want = release(clip)
        got = net(clip)
    assert want.std() > .1 and (got - want).abs().max() <= 1e-9

def test_another_spelling_of_h2cn():
    "The shifted convolution has its plain name, and all convolutions have a bias."
    release = releases.H2CN()
    release.net, release.biases, clip = False, (0, 1, 2, 3), clip_for(release)
    with torch.no_grad():
        want = release(clip)
    with pytest.warns(UserWarning, match='not used: optimizer, conv1_temp.weight, conv1_temp.bias'):
        net = from_official({'state_dict': release.w, 'optimizer': {}})
    assert net.input_spec.per_segment == 5
    with torch.no_grad():
        assert (net(clip) - want).abs().max() <= 1e-9
        release.w = to_official(net, like=release.w)
        assert (release(clip) - want).abs().max() <= 1e-9

def test_a_network_is_filled():
    release, clip, want = drawn('SmallTSM')
    net = create_model('tsm_resnet18', num_classes=7,
                       input_spec=InputSpec(frames=16)).double().train()
    assert from_official(release.w, net) is net and net.input_spec.frames == 16 and not net.training
    with torch.no_grad():
        assert (net(clip) - want).abs().max() <= 1e-9

def test_flow():
    "A first convolution of ten channels reads five flow fields."
    w = drawn('SmallTSM')[0].w
    net = from_official(
        w | {'module.base_model.conv1.weight': torch.randn(64, 10, 7, 7, dtype=torch.float64)})
    assert net.input_spec.modality == 'flow' and net(torch.randn(1, 10, 3, 32, 32)).shape == (1, 7)

def test_a_public_file_is_known_by_its_name(tmp_path):
    release, clip, want = drawn('C2D')
    row = next(row for row in list_pretrained('c2d_*'))
    torch.save({'meta': {}, 'state_dict': {key: value.float() for key, value in release.w.items()}},
               file := tmp_path/row.url.rpartition('/')[2])
    assert quietly(file).name == 'c2d_resnet50' and quietly(release.w).name == 'tsn_resnet50'

def test_half_precision_becomes_single():
    net = from_official({key: value.half() for key, value in drawn('SmallTSM')[0].w.items()})
    assert {p.dtype for p in net.parameters()} == {torch.float32}

def test_old_files():
    "Norms of Caffe are rows [1, C]; before torch 0.4 there was no num_batches_tracked."
    release, clip, want = drawn('BNInception')
    w = {key: value[None] if '_bn.' in key else value
         for key, value in release.w.items() if 'batches' not in key}
    with torch.no_grad():
        assert (from_official(w)(clip) - want).abs().max() <= 1e-9

def test_key_list():
    assert key_list(['layer1.0.a', 'layer2.11.a', 'conv1.w', 'fc']) == 'layer*.*.a (2), conv1.w, fc'
    assert key_list(['layer1.0.a']) == 'layer1.0.a'
    assert key_list(map(chr, range(97, 120))).endswith('t and 3 more kinds')

# --- the other way

@pytest.mark.parametrize('name', ['tsm_resnet18', 'h2cn_resnet50'])
def test_round_trip_is_exact(name):
    net = create_model(name, num_classes=5).double()
    for key, t in net.state_dict().items():
        if t.is_floating_point():
            t.normal_()
        if key.endswith('running_var'):
            t.abs_()
    file = to_official(net)
    back = quietly({f'module.{key}': value for key, value in file.items()})
    assert back.name == name
    assert all(torch.equal(a, b)
               for a, b in zip(net.state_dict().values(), back.state_dict().values(), strict=True))

@pytest.mark.parametrize('kind', ['TSM', 'H2CN'])
def test_their_names_and_shapes(kind):
    release, clip, want = drawn(kind)
    net = quietly(release.w)
    file = to_official(net, like=release.w)
    assert ({key: value.shape for key, value in file.items()}
            == {key: value.shape for key, value in release.w.items()})
    bare = [key.removeprefix('module.').replace('conv1.net.', 'conv1.')
            for key in release.w if 'temp' not in key]
    assert list(to_official(net, like=bare)) == bare
    twin = getattr(releases, kind)()  # their network computes with what we wrote
    twin.w = file
    with torch.no_grad():
        assert (twin(clip) - want).abs().max() <= 1e-9

def test_only_what_has_their_names_is_written():
    for name in ('tsn_resnet18', 'tsn_tiny'):
        with pytest.raises(ValueError, match=f'not {name}'):
            to_official(create_model(name, num_classes=2))
    with pytest.raises(ValueError, match='do not belong together: .*conv2'):
        net = create_model('tsm_resnet18', num_classes=2)
        to_official(net, like=[key for key in to_official(net) if 'layer1.0.conv2' not in key])

# --- names

def test_a_key_goes_there_and_back():
    rules = ('layer*_bak.**', 'layer*.**'), ('layer*.*.conv1.net.*', 'layer*.*.conv1.host.*')
    ours = rename('layer3_bak.5.conv1.net.weight', rules)
    assert ours == 'layer3.5.conv1.host.weight'
    assert rename('layer3_bak.5.bn2.bias', rules) == 'layer3.5.bn2.bias'
    assert rename(ours, backwards(rules)) == 'layer3_bak.5.conv1.net.weight'

@pytest.mark.parametrize('theirs, plain', [
    ('module.base_model.layer1.0.conv1.net.weight', 'layer1.0.conv1.net.weight'),
    ('backbone.layer1.0.conv1.conv.net.weight', 'layer1.0.conv1.net.weight'),
    *((key, 'new_fc.bias') for key in ('module.new_fc.bias', 'base_model.fc.bias', 'fc.bias'))])
def test_spellings(theirs, plain):
    assert plain_spelling([theirs])[theirs] == plain

BLOCKS = [f'backbone.layer{stage + 1}.{i}.conv3.conv.weight'
          for stage, n in enumerate((3, 4, 23, 3)) for i in range(n)]

def test_networks_are_recognised():
    def of(*keys):
        family, trunk = recognise(plain_spelling(keys).values())
        return family.operator, trunk
    assert of(*BLOCKS) == ('tsn', 'resnet101')
    assert of(*BLOCKS, 'backbone.layer1.0.conv1.conv.net.weight') == ('tsm', 'resnet101')
    with pytest.raises(ValueError, match='none of the networks known here'):
        of('backbone.patch_embed.proj.weight')
    with pytest.raises(ValueError, match='none of the networks known here'):
        of(*(key for key in BLOCKS if 'layer4' not in key))

def test_ten_channels_are_flow():
    w = dict.fromkeys(plain_spelling(BLOCKS).values(), torch.empty(0))
    w['conv1.weight'] = torch.empty(64, 10, 7, 7)
    for asked, name in ((None, 'tsn_resnet101'), ('c2d_resnet101', 'c2d_resnet101')):
        found, _, trunk, told = network_of(w, asked)
        assert (found, trunk) == (name, 'resnet101')
        assert told == {'input_spec': {'modality': 'flow'}}

# --- files

@pytest.mark.parametrize('zipped', [True, False])  # since torch 1.6 a file is a zip archive
def test_reading_runs_nothing(tmp_path, zipped):
    class Malice:
        def __reduce__(self):
            return os.system, (f'touch {tmp_path}/stolen',)
    engine = types.ModuleType('mmengine.logging.history_buffer')
    engine.HistoryBuffer = type('HistoryBuffer', (),
                                {'__module__': engine.__name__,
                                 '__init__': lambda self: setattr(self, 'a', 1)})
    write = functools.partial(torch.save, _use_new_zipfile_serialization=zipped)
    write({'state_dict': {'a': torch.ones(2)}, 'x': Malice()}, tmp_path/'a.pth')
    with mock.patch.dict(sys.modules,
                         {'mmengine': types.ModuleType('mmengine'), engine.__name__: engine}):
        write({'state_dict': {'a': torch.ones(2)},
               'log': collections.OrderedDict(a=engine.HistoryBuffer())}, tmp_path/'b.pth')
    with pytest.raises(ValueError, match='asks for posix.system, which could run any program'):
        read_checkpoint(tmp_path/'a.pth')
    assert torch.equal(read_checkpoint(tmp_path/'b.pth')['state_dict']['a'], torch.ones(2))
    assert not (tmp_path/'stolen').exists()

@pytest.mark.parametrize('content, message', [
    (b'<html>404</html>', 'is a web page'), (b'\n <!DOCTYPE html>', 'is a web page'),
    (b'', 'damaged, cut short'),
    (b'PK\x03\x04 cut', 'damaged, cut short'), (b'\x00' * 300, 'damaged, cut short'),
    (None, 'there is no file')])
def test_files_that_are_none(tmp_path, content, message):
    if content is not None:
        (tmp_path/'x.pth').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        from_official(tmp_path/'x.pth')

def test_a_list_is_no_state_dict(tmp_path):
    torch.save([1, 2], tmp_path/'x.pth')
    with pytest.raises(ValueError, match='holds a list, not a state dict'):
        read_checkpoint(tmp_path/'x.pth')

def test_a_file_that_is_cut(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1000)}}, tmp_path/'x.pth')
    whole = (tmp_path/'x.pth').read_bytes()
    for n in range(1, len(whole), 211):
        (tmp_path/'x.pth').write_bytes(whole[:n])
        with pytest.raises(ValueError, match='download it again'):
            read_checkpoint(tmp_path/'x.pth')

# --- what does not fit is said

def without(w, part):
    return {key: value for key, value in w.items() if part not in key}

@pytest.mark.parametrize('change, message', [
    (lambda w: without(w, 'layer4.1.bn2.weight'), 'it lacks trunk.layer4.1.bn2.weight'),
    (lambda w: without(w, '.bn2.bias'), r'it lacks trunk.layer\*.\*.bn2.bias \(8\)'),
    (lambda w: w | {'module.base_model.layer2.0.nl.g.weight': torch.ones(1)},
     'no trunk.layer2.0.nl.g.weight'),
    (lambda w: w | {f'module.base_model.layer3.{i}.nl.g.weight': torch.ones(1) for i in (0, 1)},
     r'no trunk.layer\*.\*.nl.g.weight \(2\)'),
    (lambda w: w | {'module.base_model.conv1.weight': torch.ones(64, 6, 7, 7)},
     r'trunk.conv1.weight \(64, 6, 7, 7\) for \(64, 3, 7, 7\)'),
    (lambda w: without(w, 'layer4'), 'belong to none of the networks known here'),
    (lambda w: without(w, 'new_fc'), 'no classifier'),
    (lambda w: w | {'layer1.0.Tconv.weight': torch.ones(1)},
     'look like weights of gst, but not all are there'),
    (lambda w: {}, "or holds one as 'state_dict', .*; this one has nothing"),
    (lambda w: {'state_dict': {'a': 3}}, "or holds one as 'state_dict'"),
    (lambda w: {'epoch': 3}, "or holds one as 'state_dict', .*; this one has epoch"),
])
def test_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        quietly(change(drawn('SmallTSM')[0].w))

def test_another_network_or_class_count():
    w = drawn('SmallTSM')[0].w
    with pytest.raises(ValueError, match='weights of tsm_resnet18, not of tsn_resnet18'):
        from_official(w, 'tsn_resnet18')
    with pytest.raises(ValueError, match='weights of tsm_resnet18, not of tsm_resnet34'):
        from_official(w, create_model('tsm_resnet34', num_classes=7))
    with pytest.raises(ValueError, match=r'has 7 classes, the network 9: .* model.swap_head\(9\)'):
        from_official(w, create_model('tsm_resnet18', num_classes=9))

# --- the table of public weights

def test_the_table():
    rows = list_pretrained()
    done = [row for row in rows if row.converter != 'none']
    assert len({(row.model, row.weights) for row in done}) == len(done) == 23
    assert all(row.url.startswith('https://') for row in rows)
    for row in rows:
        assert bool(row.model) == bool(row.weights) == (not row.why_not) == (row in done)
        assert row.url.endswith(f'-{row.sha256}.pth') and len(row.sha256) == 8
    assert {row.model for row in done} <= set(list_models())
    assert {row.data for row in rows} == set(public.LABEL_MAPS)
    mobile = next(row for row in rows if row.backbone == 'MobileNetV2')
    assert 'ResNet-101' in mobile.why_not and 'r101' in mobile.url
    assert [row.model for row in list_pretrained('*resnet101/*sthv2*')] == ['tsm_resnet101']

def test_the_table_says_what_the_converters_were_tested_on():
    "Each has a release in mmaction2's spelling among those above; no file of the table is here."
    claim = 'tested on random weights under the names of this file; this file was never read'
    tested = {name.split('_')[0] for kind, name, _ in RELEASES
              if getattr(releases, kind).root.startswith('backbone.')}
    for row in list_pretrained():
        assert row.converter == (claim if row.model.split('_')[0] in tested else 'none')
        assert not (WEIGHTS/row.url.rpartition('/')[2]).exists()

RESNET50 = WEIGHTS/'resnet50_rgb_torchvisionnorm_layers1-3_fp16.pth'

@pytest.mark.skipif(not RESNET50.is_file(), reason=f'no {RESNET50.name}: set WEIGHTS to its folder')
def test_real_weights_of_most_of_a_resnet50():
    "Stem and stages 1 to 3 from ImageNet, the rest random: the scores of torchvision's ResNet-50."
    theirs = resnet50().eval()
    theirs.fc = torch.nn.Linear(2048, 7)
    real = torch.load(RESNET50, weights_only=True)
    known = theirs.load_state_dict({k: v.float() for k, v in real.items()}, strict=False)
    assert not known.unexpected_keys and len(real) >= 200
    assert all(key.startswith(('layer4', 'fc')) for key in known.missing_keys)
    net = from_official({f"module.base_model.{key}".replace('base_model.fc', 'new_fc'): value
                         for key, value in theirs.state_dict().items()})
    clip = torch.randn(1, 3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = theirs(clip[0].movedim(1, 0)).mean(0)
        assert net.name == 'tsn_resnet50' and want.std() > 0
        torch.testing.assert_close(net(clip)[0], want, rtol=1e-4, atol=1e-5)

@pytest.mark.skipif(not (WEIGHTS/'public.csv').is_file(),
                    reason='the public table is not beside the checkout')
def test_the_table_is_the_public_one():
    public = list(csv.DictReader((WEIGHTS/'public.csv').read_text().splitlines()))
    for row, line in zip(list_pretrained(), public, strict=True):
        same = ('family', 'config', 'backbone', 'modality', 'flops', 'url')
        assert [asdict(row)[key] for key in same] == [line[key] for key in same]
        assert (row.top1, row.top5) == (float(line['top1']), float(line['top5']))

@pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason='the label maps are not beside the checkout')
def test_class_names():
    for data, (path, digest) in public.LABEL_MAPS.items():
        file = ANNOTATIONS/'mmaction2_label_maps'/{'kinetics400': 'k400.txt'}.get(data,
                                                                                  f'{data}.txt')
        assert public._sha256_of_names(file).startswith(digest)
        assert {len(public._names(file))} == {row.classes
                                              for row in list_pretrained() if row.data == data}

# --- from the network

SOME = list_pretrained('tsm_resnet50/*sthv2_8f')[0]
TOYS = ['ball', 'block', 'bus', 'doll', 'drum', 'kite', 'robot']

class Shop(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        if 'half' not in self.path:
            return super().do_GET()
        self.send_response(200)
        self.send_header('Content-Length', '1000')
        self.end_headers()
        self.wfile.write(b'x' * 500)

@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    "A server on this machine with one checkpoint and one list of classes."
    folder, (release, clip, want) = tmp_path_factory.mktemp('shop'), drawn('SmallMMTSM')
    torch.save({'meta': {'epoch': 1},
                'state_dict': {key: value.float() for key, value in release.w.items()}},
               folder/'x.pth')
    digest = file_sha256(folder/'x.pth')[:8]
    (folder/'x.pth').rename(folder/f'toys-{digest}.pth')
    (folder/'toys.txt').write_text('\n'.join(TOYS) + '\n')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                             functools.partial(Shop, directory=folder))
    server.asked, server.clip, server.want = [], clip, want
    server.file, server.digest = folder/f'toys-{digest}.pth', digest
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()

@pytest.fixture
def buy(shop, tmp_path, monkeypatch):
    "Ask for public weights of which the shop has a file, with an empty cache."
    address = f'http://127.0.0.1:{shop.server_port}/'
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(public, '_LABELS', address)
    monkeypatch.setattr(public, 'LABEL_MAPS', {
        'toys': ('toys.txt', public._sha256_of_names(shop.file.with_name('toys.txt'))[:16])})
    shop.asked.clear()
    def ask(file=shop.file.name, sha256=shop.digest):
        row = replace(SOME, model='tsm_resnet18', weights='shop/toys', data='toys',
                      classes=7, sha256=sha256, url=address + file, frames=16)
        monkeypatch.setattr(public, '_rows', lambda: (row,))
        return pretrained_model('shop/toys', 'tsm_resnet18')
    ask.folder, ask.file, ask.monkeypatch = tmp_path/'checkpoints', shop.file, monkeypatch
    return ask

def cached(buy):
    return sorted(p.name for p in buy.folder.glob('[!.]*'))

def test_fetched_once(buy, shop):
    net, asked = buy(), list(shop.asked)
    assert asked == ['/toys.txt', '/' + shop.file.name]
    assert net.classes == TOYS and net.input_spec.frames == 16 and not net.training
    with torch.no_grad():
        torch.testing.assert_close(net(shop.clip.float()), shop.want.float(), atol=1e-3, rtol=1e-3)
    again = create_model('tsm_resnet18', pretrained='shop/toys')
    assert shop.asked == asked, 'the second time nothing is fetched'
    assert create_model('tsm_resnet18.shop_toys', pretrained=True).classes == TOYS
    assert create_model('tsm_resnet18', num_classes=5, pretrained='shop/toys').num_classes == 5
    assert all(torch.equal(a, b)
               for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    assert cached(buy) == ['mmaction2_toys.txt', 'tsm_resnet18.shop.toys']

def test_a_damaged_cache_is_made_again(buy):
    buy()
    weights = buy.folder/'tsm_resnet18.shop.toys'/'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:1000])
    assert buy().classes == TOYS and weights.stat().st_size > 1000

@pytest.mark.parametrize('file, sha256, message', [
    ('gone.pth', None, '404.*put the file into'), ('half.pth', None, 'cut short or is another'),
    (None, '00000000', 'cut short or is another')])
def test_nothing_is_left_of_a_failure(buy, shop, file, sha256, message):
    with pytest.raises(ValueError, match=message):
        buy(file or shop.file.name, sha256 or shop.digest)
    assert cached(buy) == ['mmaction2_toys.txt']

def test_nothing_is_left_of_an_interruption(buy):
    def interrupted(url, path):
        Path(path).write_bytes(b'half')
        raise KeyboardInterrupt
    with mock.patch('torch.hub.download_url_to_file',
                    interrupted), pytest.raises(KeyboardInterrupt):
        buy()
    assert cached(buy) == []

def test_by_hand(buy, shop):
    buy.folder.mkdir()
    buy.monkeypatch.setattr(public, '_LABELS', 'http://127.0.0.1:9/')
    with pytest.raises(ValueError, match='fetch http://127.0.0.1:9/toys.txt .* put the file into '
                                         '.*as mmaction2_toys.txt'):
        buy()
    shutil.copy(shop.file.with_name('toys.txt'), buy.folder/'mmaction2_toys.txt')
    (buy.folder/shop.file.name).write_bytes(b'another file')
    with pytest.raises(ValueError, match='was deleted: try again'):
        buy()
    shutil.copy(shop.file, buy.folder)
    assert buy().classes == TOYS and shop.file.name in cached(buy)
    assert shop.asked == []

def test_the_whole_sha256_is_recorded(buy, shop):
    "Eight digits are published; what came first counts."
    buy()
    whole = file_sha256(shop.file)
    assert (buy.folder/f'.video_convs/{shop.file.name}.sha256').read_text() == whole
    assert read_config(buy.folder/'tsm_resnet18.shop.toys')['source_sha256'] == whole
    shutil.rmtree(buy.folder/'tsm_resnet18.shop.toys')
    (buy.folder/f'.video_convs/{shop.file.name}.sha256').write_text(whole[:8] + 56*'0')
    with pytest.raises(ValueError, match='another file than the one that was fetched first'):
        buy()
    assert cached(buy) == ['mmaction2_toys.txt']

def test_weights_come_over_https(buy):
    buy.monkeypatch.setattr(public, '_LABELS', 'http://example.org/')
    with pytest.raises(ValueError, match='http://example.org/toys.txt is not fetched: weights come '
                                         'over https only'):
        buy()

def test_two_processes_convert_at_once(buy, shop):
    "One converts, the other waits for it; here two threads stand for them."
    real, order, asked = create.from_official, [], []
    def slow(*args, **kw):
        order.append('start')
        time.sleep(.3)
        net = real(*args, **kw)
        order.append('end')
        return net
    with mock.patch.object(create, 'from_official', slow):
        threads = [threading.Thread(target=lambda: asked.append(buy().classes)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (asked == [TOYS, TOYS] and order == ['start', 'end']
            and cached(buy) == ['mmaction2_toys.txt', 'tsm_resnet18.shop.toys'])

def test_paths_are_no_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'mine').mkdir()
    with mock.patch('video_convs.hub.pull', side_effect=AssertionError('asked the Hub')):
        for path in ('mine/run', 'runs/x', '../x', '/x/y', '~/x'):
            with pytest.raises(ValueError, match=f"there is no folder '{path}'"):
                pretrained_model(path)
            with pytest.raises(ValueError, match=f"there is no folder '{path}'"):
                create_model('tsn_tiny', pretrained=path)

def test_the_weights_of_a_folder_stand_for_the_folder(tmp_path):
    folder = save(create_model('tsn_tiny', num_classes=3), tmp_path/'run')
    for where in (folder/'model.safetensors', str(folder/'model.safetensors'),
                  folder/'config.json'):
        assert (pretrained_model(where).num_classes
                == create_model('tsn_tiny', pretrained=where).num_classes == 3)

def test_a_folder_or_a_hub_id(tmp_path):
    save(create_model('tsn_tiny', num_classes=3), tmp_path/'run')
    assert pretrained_model(tmp_path/'run').name == 'tsn_tiny'
    with mock.patch('video_convs.hub.pull', return_value=tmp_path/'run') as pull:
        assert pretrained_model('somebody/run').num_classes == 3
    assert pull.call_args.args[0] == 'somebody/run'
    says = "'somebody/run' is not a folder here; as a name on the Hub: no network"
    with (mock.patch('video_convs.hub.pull', side_effect=ValueError('no network')),
          pytest.raises(ValueError, match=says)):
        pretrained_model('somebody/run')

def test_unknown_weights():
    with pytest.raises(ValueError, match='are weights of tsn_resnet50, .*say which with name='):
        pretrained_model('mmaction2/sthv2_8f')
    with pytest.raises(ValueError, match='near matches: mmaction2/sthv2_8f'):
        pretrained_model('mmaction2/sthv2_9f', 'tsm_resnet50')
    with pytest.raises(ValueError, match='it has none'):
        pretrained_model('mmaction2/sthv2_8f', 'tsn_tiny')
