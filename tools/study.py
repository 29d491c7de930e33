"""Shared by the tools that train many small networks: results as lines of JSON, shares of the work,
and the rule that ends a training."""
import json
import platform
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from video_convs.guards import read_lines as lines_of
from video_convs.train.ending import LOSS_FACTOR, stalls
from video_convs.train.recipes import Recipe
from video_convs.utils import write_atomic

root = Path(__file__).resolve().parent.parent

def read_lines(file):
    "The lines of a file of results without a last one that was cut short; none without a file."
    try:
        return lines_of(file) if file.exists() else []
    except ValueError as error:
        sys.exit(str(error))

def write_line(file, line):
    "Add a run and its versions to a file of results, in the place of a line that was cut short."
    versions = dict(torch=torch.__version__, python=platform.python_version())
    if file.exists():
        drop_cut_line(file)
    with open(file, 'a') as f:
        f.write(json.dumps(line | versions) + '\n')

def drop_cut_line(file):
    "End the last line, or remove it if it is not whole."
    content = file.read_bytes()
    whole, last = content[:content.rfind(b'\n') + 1], content[content.rfind(b'\n') + 1:]
    if not last:
        return
    try:
        json.loads(last)
        whole = content + b'\n'
    except ValueError:
        pass
    write_atomic(file, whole)

def refuse(message):
    "End with one line and the exit code of a command that is typed wrong."
    print(message, file=sys.stderr)
    sys.exit(2)

def share_of(argv):
    "The arguments without `--share K/N`, and a function that keeps this share of a list."
    names, text = _option(argv, '--share')
    if text is None:
        return names, list
    k, _, n = text.partition('/')
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        refuse(f'--share takes K/N with K from 1 to N, such as 1/2, got {text!r}')
    return names, lambda items: items[int(k) - 1::int(n)]

def option_of(names, option, default):
    "The arguments without `option N`, and N."
    names, text = _option(names, option)
    if text is None:
        return names, default
    if not text.isdecimal() or int(text) < 1:
        refuse(f'{option} takes a whole number from 1, got {text!r}')
    return names, int(text)

def _option(argv, option):
    "The arguments without an option and its value, and the value; None: it is not there."
    names = list(argv)
    if option not in names:
        return names, None
    at = names.index(option)
    text = ''.join(names[at + 1:at + 2])
    del names[at:at + 2]
    return names, text

def refuse_unknown(names, known, what):
    "End with one line if a name is not among those that there are."
    for name in names:
        if name not in known:
            refuse(f"there is no {what} {name!r}: choose among {', '.join(known)}")

def operator_recipe(net, lr, multiple):
    "A learning rate for the operator, or for the whole network if its operator has no weights."
    own = any('.op.' in name for name, _ in net.named_parameters())
    return Recipe(lr=lr if own else lr * multiple, lr_scale={'**.op.**': multiple} if own else {})

def descend(optimizer, loss, norm=None):
    "One step of the optimiser."
    optimizer.zero_grad()
    loss.backward()
    if norm is not None:
        weights = [p for group in optimizer.param_groups for p in group['params']]
        torch.nn.utils.clip_grad_norm_(weights, norm)
    optimizer.step()

class Plateau:
    """The end of a training: when the loss has not fallen by 2 % in `patience` windows of steps, or
    when a share `learned` of the answers is right. Then the learning rate falls to zero. `ended` is
    the reason, or 'limit' after `most` windows. A loss that falls slowly falls by 2 % after some
    time, so only a constant loss counts as a plateau."""
    def __init__(self, optimizer, patience, most, last, climb=0, learned=.995):
        self.optimizer, self.patience, self.most, self.last = optimizer, patience, most, last
        self.climb, self.learned = climb, learned  # climb and last are steps
        self.rates = [group['lr'] * group.get('scale', 1) for group in optimizer.param_groups]
        self.ended, self.left, self.steps, self.windows = 'limit', None, 0, []
        self._set_rates()

    @property
    def over(self):
        return self.left == 0

    def _set_rates(self):
        share = (self.left / self.last if self.left is not None
                 else min(1, (self.steps + 1) / self.climb) if self.climb else 1)
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            group['lr'] = rate * share

    def step(self):
        "Call this after each step of the optimiser."
        self.steps += 1
        if self.left is not None:
            self.left -= 1
        self._set_rates()

    def window(self, loss, accuracy):
        "Call this after each window, with its mean loss and accuracy."
        self.windows.append([round(loss, 4), round(accuracy, 4)])
        if self.left is not None:
            return
        *_, since = stalls((loss for loss, _ in self.windows), LOSS_FACTOR)
        if self.windows[-1][1] >= self.learned:
            self.ended, self.left = 'learned', self.last
        elif since >= self.patience:
            self.ended, self.left = 'plateau', self.last
        elif len(self.windows) >= self.most:
            self.left = self.last

def learn_to_plateau(net, batches, plateau, window, norm=None):
    "Train on clips and labels until the loss stops falling: (reason of the end, windows)."
    sums = torch.zeros(2)
    net.train()
    while not plateau.over:
        clips, labels = next(batches)
        scores = net(clips)
        loss = F.cross_entropy(scores, labels)
        descend(plateau.optimizer, loss, norm)
        sums += torch.stack([loss.detach(), (scores.argmax(1) == labels).float().mean()])
        plateau.step()
        if plateau.steps % window == 0:
            plateau.window(*(sums / window).tolist())
            sums.zero_()
    return plateau.ended, plateau.windows
