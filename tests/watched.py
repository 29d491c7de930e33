"A network and a video for the tests of what answers moment by moment."
import torch

from video_convs import create_model
from video_convs.data.video import write_video


def network(name='hgc_tiny', classes=('a', 'b', 'c'), **spec):
    torch.manual_seed(0)
    net = create_model(name, num_classes=3, classes=classes and [*classes],
                       input_spec=dict(frames=4, size=24) | spec)
    torch.nn.init.normal_(net.head.fc.weight, std=2.)
    return net.eval()


def write_six_seconds(path):
    "A video of noise, ten frames in each of six seconds."
    frames = torch.randint(256, (60, 24, 24, 3), generator=torch.Generator().manual_seed(0))
    return write_video(path, frames.byte().numpy(), fps=10, qp=0)
