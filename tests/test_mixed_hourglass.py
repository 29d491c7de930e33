"Several slopes at once: each channel has its own, and the whole is one depthwise kernel."
import pytest
import torch
import torch.nn.functional as F

from video_convs import create_model
from video_convs.nets.video_net import load
from video_convs.ops.hourglass import HgC
from video_convs.ops.mixed_hourglass import MixedHgC, slope_sizes
from video_convs.testing import randomised


@pytest.mark.parametrize('channels, slopes', [(4, (0, 2, 4, 8)), (7, (2, 8)), (64, (0, 2, 4, 8))])
def test_every_channel_has_a_slope_and_every_slope_a_channel(channels, slopes):
    sizes = slope_sizes(channels, slopes)
    assert sum(sizes) == channels and min(sizes) > 0 and max(sizes) - min(sizes) <= 1


def test_one_slope_is_the_hourglass():
    mixed, hgc = randomised(MixedHgC(6, slopes=(4,))), HgC(6, slope=4)
    hgc.load_state_dict(mixed.parts[0].state_dict())
    x = torch.randn(2, 6, 5, 8, 7)
    torch.testing.assert_close(mixed(x), hgc(x))


def test_a_trained_operator_folds_into_one_kernel():
    op, x = randomised(MixedHgC(9).double()), torch.randn(2, 9, 4, 11, 10, dtype=torch.float64)
    kernel = op.kernel()
    assert kernel.shape == (9, 1, 3, 9, 9)
    assert (F.conv3d(x, kernel, padding=(1, 4, 4), groups=9) - op(x)).abs().max() < 1e-10


@pytest.mark.parametrize('slopes, words', [((), '0 slopes for 3 channels: give from 1 to 3'),
                                           ((0, 2, 4, 8), '4 slopes for 3 channels'),
                                           ((2, 3), 'slope must be even'),
                                           ((2., 4.), 'slope must be even .* got 2.0; choose'),
                                           (2, 'slopes are a list .* got 2'), ('24', "got '2'")])
def test_wrong_slopes_are_named(slopes, words):
    with pytest.raises(ValueError, match=words):
        MixedHgC(3, slopes=slopes)


def test_a_network_takes_several_slopes_and_keeps_them(tmp_path):
    net = create_model('hgc_tiny', num_classes=2, slope=[0, 2, 4, 8]).eval()
    assert {op.slopes for op in net.modules() if isinstance(op, MixedHgC)} == {(0, 2, 4, 8)}
    net.save_pretrained(tmp_path)
    again, x = load(tmp_path), torch.randn(1, 3, 4, 32, 32)
    assert torch.equal(again(x), net(x))


@pytest.mark.parametrize('slope, words', [
    ('2', "got '2'"), (2., 'got 2.0'), (True, 'got True'), (None, 'got None'),
    ({0, 2}, 'got {0, 2}'),
    ([], '0 slopes'), ([[2]], 'got .2.'), ([10**9], 'slope of hgc_tiny must be a number'),
    ([-2], 'slope of hgc_tiny must be a number')])
def test_a_network_names_a_wrong_slope(slope, words):
    with pytest.raises(ValueError, match=words):
        create_model('hgc_tiny', num_classes=2, slope=slope)


@pytest.mark.parametrize('slopes', [(0, 2), range(0, 4, 2)])
def test_slopes_are_a_list_as_in_a_checkpoint(tmp_path, slopes):
    net = create_model('hgc_tiny', num_classes=2, slope=slopes)
    net.save_pretrained(tmp_path)
    assert net.variant == load(tmp_path).variant and net.variant['slope'] == [0, 2]
