"A network of one channel, for grey, thermal and depth videos, through the commands."
import json

import numpy as np
import pytest
import torch

from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.transforms import Augment, eval_transform, train_transform
from video_convs.data.video import write_video
from video_convs.explain.page import explain_video
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import VideoNet, load
from video_convs.use.classifier import Classifier
from video_convs.use.timeline import timeline

pytestmark = pytest.mark.usefixtures('one_thread')
PLAIN = InputSpec(size=32, in_chans=1, mean=(0,), std=(1,), value_range=255)


@pytest.fixture(scope='module')
def root(tmp_path_factory, one_thread):
    "Eight grey films of a bright or a dark square, and a network of one channel about them."
    root = tmp_path_factory.mktemp('grey')
    for k in range(8):
        frames = np.full((6, 40, 40, 3), 120, np.uint8)
        for t in range(6):
            frames[t, 4*k:4*k + 8, 4*t:4*t + 8] = 240 if k % 2 else 10
        folder = root/'videos'/('train' if k < 6 else 'test')/('bright' if k % 2 else 'dark')
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder/f'{k}.mp4', frames)
    assert run(root, 'net', '--model', 'tsn_tiny', '--frames', 2, '--size', 32, '--grey') == 0
    return root


def run(root, out, *more):
    return main(list(map(str, ('train', '--data', root/'videos', '--out', root/out, '--epochs', 1,
                               '--batch-size', 3, '--workers', 0, '--cache', *more))))


def test_the_network_reads_one_channel_and_says_so(root):
    net, config = load(root/'net'), json.loads((root/'net/config.json').read_text())
    assert net.input_spec.channels == config['input_spec']['in_chans'] == 1
    assert next(p for p in net.trunk.parameters() if p.ndim == 4).shape[1] == 1


def test_every_use_of_it(root):
    net, film = load(root/'net'), root/'videos/test/dark/6.mp4'
    assert Classifier(net).clips(film).shape == (1, 1, 2, 32, 32)
    assert len(timeline(film, net, span=.2, progress=False).classes) == 2
    seen = explain_video(film, net, progress=False).frames
    assert seen.shape == (2, 32, 32, 3) and (seen == seen[..., :1]).all()
    for words in (('evaluate', root/'net', '--data', root/'videos', '--workers', 0),
                  ('export', root/'net', '--format', 'torchscript', '--out', root/'net.pt'),
                  ('live', root/'net', '--video', film, '--span', '.2', '--no-window')):
        assert main(list(map(str, words))) == 0
    page = json.loads((root/'net.json').read_text())
    assert page['input']['channels'] == [0] and page['input']['usual_shape'][1] == 1


def test_training_goes_on_from_it_and_refuses_to_make_colours_grey(root, capsys):
    assert run(root, 'again', '--pretrained', root/'net') == 0
    assert load(root/'again').input_spec.channels == 1
    VideoNet('tsn_tiny', 2, frames=2, input_spec=dict(size=32)).save_pretrained(root/'colours')
    assert run(root, 'wrong', '--pretrained', root/'colours', '--grey') == 2
    assert 'reads 3 channels and takes a grey video as it is: leave grey' in capsys.readouterr().err
    assert not (root/'wrong').exists()


def test_a_grey_frame_keeps_its_values_and_a_colour_is_as_bright_as_it_looks():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    levels = levels.repeat(3, 8, 2, 2)
    assert torch.equal(eval_transform(PLAIN)(levels), levels[:1].float())
    green = torch.zeros(3, 8, 32, 32, dtype=torch.uint8)
    green[1] = 200
    assert torch.equal(eval_transform(PLAIN)(green), torch.full((1, 8, 32, 32), 117.))


def test_augmentation_sees_colours_and_the_network_does_not(root):
    data = open_data(root/'videos', 'train')
    clips = Clips(data, PLAIN, train=True, augment=Augment(randaugment=2, erasing=1.))
    assert clips[0][0].shape == (1, 8, 32, 32)
    with pytest.raises(ValueError, match=r'decoded frames \(1, T, H, W\)'):
        train_transform(PLAIN)(torch.zeros(2, 8, 32, 32, dtype=torch.uint8),
                               np.random.default_rng(0), 0)
