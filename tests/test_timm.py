"Networks of timm as trunks: where operators stand, that they start as the identity, and the rest."
import pytest
import torch

from video_convs import create_model
from video_convs.checkpoint import save
from video_convs.clips import Clipwise
from video_convs.nets.timm_trunks import operator_places, timm_card
from video_convs.nets.video_net import load

timm = pytest.importorskip('timm')
pytestmark = pytest.mark.usefixtures('one_thread')
PLACES = {  # network → number of places, first, last
    'resnet10t': (4, 'layer1.0.conv1', 'layer4.0.conv1'),
    'regnetx_002': (13, 's1.b1.conv2.conv', 's4.b7.conv2.conv'),
    'efficientnet_b0': (16, 'blocks.0.0.conv_dw', 'blocks.6.0.conv_dw'),
    'mobilenetv3_small_050': (11, 'blocks.0.0.conv_dw', 'blocks.4.2.conv_dw'),
    'mobilenetv4_conv_small': (14, 'blocks.0.0.conv', 'blocks.3.5.dw_mid.conv'),
    'convnext_atto': (12, 'stages.0.blocks.0.conv_dw', 'stages.3.blocks.1.conv_dw'),
    'densenet121': (58, 'features.denseblock1.denselayer1.conv2',
                    'features.denseblock4.denselayer16.conv2'),
    'resnext26ts': (8, 'stages.0.0.conv2_kxk.conv', 'stages.3.1.conv2_kxk.conv'),
    'vgg11': (7, 'features.3', 'features.18'),
    'mobilevit_xxs': (10, 'stages.0.0.conv2_kxk.conv', 'stages.4.1.conv_kxk.conv'),
    'ghostnet_100': (16, 'blocks.0.0.ghost1.cheap_operation.0',
                     'blocks.8.3.ghost1.cheap_operation.0'),
}
QUICK = 'convnext_atto', 'regnetx_002'


@pytest.mark.parametrize('name', PLACES)
def test_places(name):
    places = operator_places(timm.create_model(name, num_classes=0))
    assert (len(places), places[0], places[-1]) == PLACES[name]


def each():
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in PLACES]


@pytest.mark.parametrize('name', each())
def test_starts_as_the_identity(name):
    torch.manual_seed(0)
    net = create_model(f'hgc_timm:{name}', num_classes=3).eval()
    plain = create_model(f'tsn_timm:{name}', num_classes=3).eval()
    shared = {key.replace('.host.', '.'): v
              for key, v in net.state_dict().items() if '.before.' not in key}
    for key, value in shared.items():  # branches that start at zero would hide what stands in them
        if (value.is_floating_point() and value.ndim == 1 and 'running' not in key
                and 'bias' not in key):
            value.fill_(1.)
    plain.load_state_dict(shared)
    clip = torch.randn(2, 3, 4, 64, 64)
    with torch.no_grad():
        want = plain(clip)
        torch.testing.assert_close(net(clip), want, rtol=1e-4,
                                   atol=1e-4 * max(1., want.abs().max().item()))
        for op in (m for m in net.modules() if isinstance(m, Clipwise)):
            for p in op.op.parameters():
                p += .3 * torch.randn_like(p)
        assert (net(clip) - want).abs().max() > 1e-4 * want.abs().max()


@pytest.mark.parametrize('name', each())
def test_maps_and_checkpoints(name, tmp_path):
    net = create_model(f'tsm_timm:{name}', num_classes=3, in_chans=2).eval()
    clip = torch.randn(1, 2, 4, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net.forward_head(net.forward_features(clip)), net(clip))
        assert torch.equal(load(save(net, tmp_path))(clip), net(clip))


def test_a_tag_of_timm_stays_with_its_name():
    net = create_model('tsm_timm:convnext_atto.d2_in1k', num_classes=2)
    assert net.name == 'tsm_timm:convnext_atto.d2_in1k'
    assert len(timm_card('convnext_atto.d2_in1k').conv3x3) == 12


def test_what_is_refused():
    for name, message in [('hgc_timm:convnext_ato', 'near matches: convnext_atto'),
                          ('hgc_timm:levit_128s', 'no operator has a place'),
                          ('hgcc_timm:convnext_atto',
                           "no network begins with 'hgcc'; near matches: hgc"),
                          ('hgc_timm:hf-hub:timm/convnext_atto', 'timm has no network')]:
        with pytest.raises(ValueError, match=message):
            create_model(name, num_classes=2)


def test_without_timm(monkeypatch):
    timm_card.cache_clear()
    monkeypatch.setitem(__import__('sys').modules, 'timm', None)
    with pytest.raises(ValueError, match='needs timm: pip install timm'):
        timm_card('convnext_atto')
