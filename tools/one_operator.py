"""Train the networks with one operator of the page `play`:

    .venv/bin/python tools/one_operator.py [NAME …]

Squares of 3 to 5 pixels with a little texture and noise move over a torus of 32 pixels, in each
step of training at four speeds below what the network can see. About a minute for each network."""
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from study import refuse_unknown
from torch.optim.lr_scheduler import LambdaLR

from site_play import ONE, SIDE, SIZE, WEIGHTS, WIDTH, WINDOW
from video_convs.data.drift import Drift, drift_clips
from video_convs.nets.single_operator import SingleOperatorNet, reach
from video_convs.utils import project_file

STEPS, BATCH, SPEEDS = 800, 32, 4  # clips in a step, and their speeds
RATE = 1e-2  # of Adam; three times as much for the operator


def clips_of(labels, fastest, draw):
    "New clips, a speed and a size of the square for each quarter of the labels."
    parts = []
    for part in labels.chunk(SPEEDS):
        speed = float(torch.randint(1, fastest + 1, (), generator=draw))
        side = int(torch.randint(SIDE - 1, SIDE + 2, (), generator=draw))
        config = Drift(speed, side=side, size=SIZE, frames=WINDOW, texture=.2)
        parts.append(drift_clips(config, part, draw))
    return torch.cat(parts)


def train(name):
    "A network whose learning rate falls to zero in the last 30 % of the steps."
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    net = SingleOperatorNet(name, 1, width=WIDTH)
    operator = list(net.op.parameters())
    others = [p for key, p in net.named_parameters() if not key.startswith('op.')]
    groups = [dict(params=others, lr=RATE), dict(params=operator, lr=3 * RATE)]
    optimizer = torch.optim.Adam(groups[:1 + bool(operator)])
    schedule = LambdaLR(optimizer, lambda k: min(1, (STEPS - k) / (.3 * STEPS)))
    fastest = max(reach(name, SIDE, 1) - 1, 6)
    for step in range(STEPS):
        labels = torch.randint(4, (BATCH,), generator=draw)
        loss = F.cross_entropy(net(clips_of(labels, fastest, draw)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f'{name}: step {step + 1}, loss {loss:.3f}', flush=True)
    return net.eval()


def main(names):
    refuse_unknown(names, ONE, 'network')
    stored = load_file(project_file(WEIGHTS))
    for name in names or ONE:
        stored |= {f'{name}/{key}': value for key, value in train(name).state_dict().items()}
        save_file(stored, project_file(WEIGHTS))


if __name__ == '__main__':
    torch.set_num_threads(1)
    main(sys.argv[1:])
