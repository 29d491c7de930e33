"torchvision's video networks by name: the same numbers, the same commands, clear refusals."
import pytest
import torch
import torchvision

from video_convs import create_model
from video_convs.nets.torchvision_networks import KNOWN
from video_convs.nets.video_net import load

pytestmark = pytest.mark.usefixtures('one_thread')

def test_all_of_torchvision_are_known():
    there = {name for name in torchvision.models.list_models(module=torchvision.models.video)}
    assert there == set(KNOWN)

def test_saved_and_loaded(tmp_path):
    net = create_model('torchvision:r2plus1d_18', num_classes=3, classes=['a', 'b', 'c']).eval()
    net.save_pretrained(tmp_path)
    again, clip = load(tmp_path), torch.randn(2, 3, 4, 32, 32)
    assert again.name == net.name and again.classes == ['a', 'b', 'c']
    assert torch.equal(net(clip), again(clip))
    assert [m.shape[1] for m in net.maps(clip, find_stages(net))] == [64, 128, 256, 512]
    maps = net.forward_features(clip)
    torch.testing.assert_close(net.forward_head(maps), net(clip))

def find_stages(net):
    from video_convs.nets.registry import find_model
    return find_model(net.name).card.stages

def test_other_channels():
    net = create_model('torchvision:s3d', num_classes=2, in_chans=2).eval()
    assert net(torch.randn(1, 2, 8, 64, 64)).shape == (1, 2)

def test_weights_of_kinetics(monkeypatch):
    "The weights go into the trunk, all of them, and the classifier stays out."
    theirs = torchvision.models.get_model('s3d')
    kind = torchvision.models.get_model_weights('s3d')
    monkeypatch.setattr(kind, 'get_state_dict', lambda self, **_: theirs.state_dict())
    net = create_model('torchvision:s3d', 'kinetics400', num_classes=2)
    for key, value in net.trunk.clip.op.net.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[key])

@pytest.mark.parametrize('call, says', [
    (lambda: create_model('torchvision:r2plus1d_19', num_classes=2), 'near matches: r2plus1d_18'),
    (lambda: create_model('hgc_torchvision:s3d', num_classes=2), 'no operator has a place in'),
    (lambda: create_model('torchvision:s3d', 'imagenet', num_classes=2),
     "learned from kinetics400, not from imagenet: take pretrained='kinetics400'"),
    (lambda: create_model('tsn_resnet18', 'kinetics400', num_classes=2),
     "learned from imagenet, not from kinetics400"),
    (lambda: create_model('torchvision:mvit_v2_s', num_classes=2)(torch.zeros(1, 3, 8, 64, 64)),
     'takes clips of 16 frames of 224×224 only, got 8 of 64×64'),
    (lambda: create_model('torchvision:s3d', num_classes=2).eval().stream(),
     'cannot be run frame by frame'),
])
def test_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
