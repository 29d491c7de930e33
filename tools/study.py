"""Shared by the tools that train many small networks: results as lines of JSON, shares of the work,
and the rule that ends a training."""
import json
import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from video_convs.train.recipes import Recipe

root = Path(__file__).resolve().parent.parent

def read_lines(file):
    "The lines of a file of results; none if there is no file yet."
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

def write_line(file, line):
    "Add a run and its versions to a file of results."
    versions = dict(torch=torch.__version__, python=platform.python_version())
    with open(file, 'a') as f:
        f.write(json.dumps(line | versions) + '\n')

def share_of(argv):
    "The arguments without `--share K/N`, and a function that keeps this share of a list."
    names, k, n = list(argv), 1, 1
    if '--share' in names:
        at = names.index('--share')
        k, n = map(int, names[at + 1].split('/'))
        del names[at:at + 2]
    return names, lambda items: items[k - 1::n]

def option_of(names, option, default):
    "The arguments without `option N`, and N."
    if option not in names:
        return names, default
    at = names.index(option)
    return [*names[:at], *names[at + 2:]], int(names[at + 1])

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
        self.ended, self.left, self.steps, self.since, self.best = 'limit', None, 0, 0, float('inf')
        self.windows = []
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
        loss, accuracy = self.windows[-1]
        gained = loss < .98 * self.best
        self.since = 0 if gained else self.since + 1
        if gained:
            self.best = loss
        if accuracy >= self.learned:
            self.ended, self.left = 'learned', self.last
        elif self.since >= self.patience:
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
