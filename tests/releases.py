"""The released networks once more, for tests: a tensor has the name that it has in their files and
is drawn when it is first asked for; what a network computes is written down with torch's functions
alone, nothing of video_convs is used."""
import itertools
import math

import torch
import torch.nn.functional as F

NOISE = torch.randn(8_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

class ResNet:
    "TSN as its authors store it."
    depths, wide, root, classifier = (3, 4, 6, 3), True, 'module.base_model.', 'module.new_fc'

    def __init__(self, T=4, classes=7):
        self.T, self.classes, self.w = T, classes, {}

    def draw(self, key, *shape, mean=0., std=None):
        if key not in self.w:
            n = math.prod(shape)
            at = 7919 * len(self.w) % (len(NOISE) - n)
            std = (2 / math.prod(shape[1:]))**.5 if std is None else std
            self.w[key] = mean + std * NOISE[at:at + n].view(shape)
        return self.w[key]

    def linear(self, x, key, out, std=None):
        return F.linear(x, self.draw(f'{key}.weight', out, x.shape[-1], std=std),
                        self.draw(f'{key}.bias', out, std=.1))

    def conv(self, x, key, out, k=1, stride=1, groups=1, bias=False):
        bias = self.draw(f'{key}.bias', out, std=.1) if bias else None
        return F.conv2d(x, self.draw(f'{key}.weight', out, x.shape[1] // groups, k, k), bias,
                        stride, k // 2, groups=groups)

    def bn(self, x, key):
        # what is added to the shortcut stays small
        gain = .3 if key.endswith(('bn3', 'conv3.bn')) else 1
        means = dict(weight=gain, bias=0, running_mean=0, running_var=1)
        weight, shift, mean, var = (self.draw(f'{key}.{name}', x.shape[1], mean=mean, std=.1)
                                    for name, mean in means.items())
        self.w[f'{key}.num_batches_tracked'] = torch.tensor(3)
        return F.batch_norm(x, mean, var, weight, shift, eps=1e-5)

    def clip(self, x):  # (B·T, …) → (B, T, …)
        return x.unflatten(0, (-1, self.T))

    def names(self, path, n):  # of a convolution and its norm; 0 is the one of the shortcut
        return ((f'{path}downsample.0', f'{path}downsample.1') if n == 0
                else (f'{path}conv{n}', f'{path}bn{n}'))

    def unit(self, x, path, n, out, k=1, stride=1):
        conv, bn = self.names(path, n)
        return self.bn(self.conv(x, conv, out, k, stride), bn)

    def stem(self, x):
        return F.max_pool2d(F.relu(self.unit(x, self.root, 1, 64, 7, 2)), 3, 2, 1)

    def before(self, x, path):  # in front of a block's first convolution
        return x

    def middle(self, y, path, width, stride, first):
        return F.relu(self.unit(y, path, 2, width, 3, stride))

    def stage(self, stage):
        return f'{self.root}layer{stage}.'

    def after(self, x, stage):  # behind a stage
        return x

    def block(self, x, path, width, stride, first):
        if self.wide:
            y = F.relu(self.unit(self.before(x, path), path, 1, width))
            y = self.unit(self.middle(y, path, width, stride, first), path, 3, 4 * width)
        else:
            y = F.relu(self.unit(self.before(x, path), path, 1, width, 3, stride))
            y = self.unit(y, path, 2, width, 3)
        return F.relu(y
                      + (self.unit(x, path, 0, y.shape[1], 1, stride) if y.shape != x.shape else x))

    def features(self, x):
        x = self.stem(x)
        for stage, depth in enumerate(self.depths, 1):
            for i in range(depth):
                x = self.block(x, f'{self.stage(stage)}{i}.', 32 << stage,
                               2 if stage > 1 and i == 0 else 1, i == 0)
            x = self.after(x, stage)
        return x.mean((2, 3))

    def head(self, x):
        return self.clip(self.linear(x, self.classifier, self.classes, std=.1)).mean(1)

    def __call__(self, clip):  # (B, C, T, H, W) → (B, classes)
        return self.head(self.features(clip.movedim(1, 2).flatten(0, 1)))

class TSM(ResNet):
    def names(self, path, n):
        conv, bn = super().names(path, n)
        return (f'{conv}.net' if n == 1 and self.shifted(path) else conv), bn

    def shifted(self, path):
        return 'layer' in path

    def before(self, x, path):
        if not self.shifted(path):
            return x
        x, n = self.clip(x), x.shape[1] // 8
        ahead = F.pad(x[:, 1:, :n], (0, 0) * 3 + (0, 1))
        behind = F.pad(x[:, :-1, n:2 * n], (0, 0) * 3 + (1, 0))
        return torch.cat([ahead, behind, x[:, :, 2 * n:]], 2).flatten(0, 1)

class DeepTSM(TSM):
    "On ResNet-101 every second block is shifted."
    depths = (3, 4, 23, 3)

    def shifted(self, path):
        return 'layer' in path and int(path.split('.')[-2]) % 2 == 0

class SmallTSM(TSM):  # ResNet-18
    depths, wide = (2, 2, 2, 2), False

class GST(ResNet):
    "All convolutions are 3D ones, most of them of one frame."
    beta = 2

    def conv(self, x, key, out, k=1, stride=1):
        weight = self.draw(f'{key}.weight', out, x.shape[1], 1, k, k)
        return F.conv3d(x[:, :, None], weight, None, (1, stride, stride),
                        (0, k // 2, k // 2))[:, :, 0]

    def middle(self, y, path, width, stride, first):
        y = self.clip(y).movedim(1, 2)  # (B, C, T, H, W)
        left, right = (y, y) if self.beta == 1 else y.chunk(2, 1)
        c, s = left.shape[1], (1, stride, stride)
        left = F.conv3d(left, self.draw(f'{path}conv2.weight', width * 3 // 4, c, 1, 3, 3),
                        None, s, (0, 1, 1))
        right = F.conv3d(right, self.draw(f'{path}Tconv.weight', width // 4, c, 3, 3, 3),
                         None, s, (1, 1, 1))
        return F.relu(self.bn(torch.cat([left, right], 1).movedim(2, 1).flatten(0, 1),
                              f'{path}bn2'))

class GSTLarge(GST):
    beta = 1

class TIN(ResNet):
    def names(self, path, n):
        conv, bn = super().names(path, n)
        return (f'{conv}.net2' if n == 1 and 'layer' in path else conv), bn

    def conv1d(self, m, key, out):
        return F.conv1d(m, self.draw(f'{key}.weight', out, m.shape[1], 3),
                        self.draw(f'{key}.bias', out, std=.1), padding=1)

    def before(self, x, path):
        x, n, T = self.clip(x), x.shape[1] // 4, self.T
        moved, net = x[:, :, :n], f'{path}conv1.net1.'
        m = moved.mean((3, 4)).transpose(1, 2)  # (B, n, T)
        o = self.linear(self.conv1d(m, f'{net}biasnet.net.conv', 1),
                        f'{net}biasnet.net.fc', T).relu()
        # (B, 2)
        o = 4 * (self.linear(o, f'{net}biasnet.net.lastlayer', 2).squeeze(1).sigmoid() - .5)
        w = 2 * self.conv1d(m, f'{net}weightnet.net.lastlayer', 2).sigmoid()  # (B, 2, T)
        y = torch.zeros_like(moved)
        for b, g, t in itertools.product(range(len(x)), range(4), range(T)):
            group = slice(g * n // 4, (g + 1) * n // 4)
            offset = o[b, g % 2].item() * (1 if g < 2 else -1)
            low = math.floor(offset)
            for shift, share in ((low, 1 - (offset - low)), (low + 1, offset - low)):
                if 0 <= t + shift < T:
                    y[b, t + shift, group] += share * moved[b, t, group]
        y = y * w.repeat(1, 2, 1).repeat_interleave(n // 4, 1).transpose(1, 2)[..., None, None]
        return torch.cat([y, x[:, :, n:]], 2).flatten(0, 1)

class TAM(ResNet):
    net = 'net.'

    def names(self, path, n):
        return super().names(path + self.net if 'layer' in path else path, n)

    def middle(self, y, path, width, stride, first):
        y, tam, T = self.clip(y), f'{path}tam.', self.T
        m = y.mean((3, 4)).transpose(1, 2)  # (B, C, T)
        g = F.linear(m.flatten(0, 1), self.draw(f'{tam}G.0.weight', 2 * T, T))
        g = F.linear(self.bn(g, f'{tam}G.1').relu(),
                     self.draw(f'{tam}G.3.weight', 3, 2 * T)).softmax(-1)
        l = F.conv1d(m, self.draw(f'{tam}L.0.weight', width // 4, width, 3), padding=1)
        l = F.conv1d(self.bn(l, f'{tam}L.1').relu(),
                     self.draw(f'{tam}L.3.weight', width, width // 4, 1)).sigmoid()
        z = F.pad(y * l.transpose(1, 2)[..., None, None], (0, 0) * 3 + (1, 1))
        g = g.unflatten(0, m.shape[:2])  # (B, C, 3)
        y = sum(z[:, k:k + T] * g[:, None, :, k, None, None] for k in range(3))
        return super().middle(y.flatten(0, 1), path, width, stride, first)

class TEA(ResNet):
    "Res2Net-50: four parts of 26 channels; the first block of a stage does not chain them."
    def unit(self, x, path, n, out, k=1, stride=1):
        return super().unit(x, path, n,
                            out * 104 // 64 if n == 1 and 'layer' in path else out, k, stride)

    def excite(self, x, path):
        C, n = x.shape[1], x.shape[1] // 16
        z = self.bn(self.conv(x, f'{path}conv1', n), f'{path}bn1')
        following = self.clip(self.conv(z, f'{path}conv2', n, 3, groups=n))
        d = F.pad(following[:, 1:] - self.clip(z)[:, :-1],
                  (0, 0) * 3 + (0, 1)).flatten(0, 1).mean((2, 3), keepdim=True)
        return x + x * (self.bn(self.conv(d, f'{path}conv3', C), f'{path}bn3').sigmoid() - .5)

    def over_time(self, x, key):
        B, c = len(x) // self.T, x.shape[1]
        rows = self.clip(x).permute(0, 3, 4, 2, 1).flatten(0, 2)  # (B·H·W, c, T)
        y = F.conv1d(rows, self.draw(f'{key}.weight', c, 1, 3), padding=1, groups=c)
        return y.unflatten(0, (B, *x.shape[2:])).permute(0, 4, 3, 1, 2).flatten(0, 1)

    def middle(self, y, path, width, stride, first):
        *parts, last = self.excite(y, f'{path}me.').chunk(4, 1)
        done = []
        for i, part in enumerate(parts):
            part = self.over_time(part if first or i == 0 else part + done[-1],
                                  f'{path}shifts.{i}.conv')
            y = self.conv(part, f'{path}convs.{i}', part.shape[1], 3, stride)
            done.append(F.relu(self.bn(y, f'{path}bns.{i}')))
        last = self.over_time(last, f'{path}shifts.3.conv')
        return torch.cat([*done, F.avg_pool2d(last, 3, stride, 1) if first else last], 1)

class H2CN(TSM):
    "Convolutions of stem and shortcuts with bias, motion blocks beside the stem and inside blocks."
    # is the shifted convolution stored as conv1.net? which convolutions of a block have a bias?
    net, biases = True, (0,)

    def stage(self, stage):
        return f'{self.root}layer{stage}_bak.'

    def names(self, path, n):
        return super().names(path, n) if self.net else ResNet.names(self, path, n)

    def unit(self, x, path, n, out, k=1, stride=1):
        conv, bn = self.names(path, n)
        return self.bn(self.conv(x, conv, out, k, stride,
                                 bias=n in self.biases or path == self.root), bn)

    def hourglass(self, x, key, expand):  # (B, C, F, H, W) → (B, C·expand, F − 2, H, W)
        C, triples = x.shape[1], []
        spread = F.conv3d(x, self.draw(f'{key}.spaAgg.weight', C, 1, 3, 3)[:, :, None], None, 1,
                          (0, 2, 2), (1, 2, 2), C)
        for t in range(1, x.shape[2] - 1):
            triples += [spread[:, :, t - 1], x[:, :, t], spread[:, :, t + 1]]
        taps = self.draw(f'{key}.convt.weight', C * expand, 1, 3, 1, 1)
        return F.conv3d(torch.stack(triples, 2), taps, stride=(3, 1, 1), groups=C)

    def stem(self, x):  # (B·5T, 3, H, W)
        five = x.unflatten(0, (-1, 5))
        self.draw(f'{self.root}conv1_temp.weight', 64, 3, 7, 7)
        self.draw(f'{self.root}conv1_temp.bias', 64)
        y = F.avg_pool2d(x, 2).unflatten(0, (-1, 5)).movedim(1, 2)  # (B·T, 3, 5, H/2, W/2)
        for n, expand in ((1, 1), (2, 3)):
            y = self.hourglass(y, f'{self.root}fhgc{n}.0', expand)
            y = F.relu(self.bn(y.movedim(2, 1).flatten(0, 1), f'{self.root}fhgc{n}.1'))
            y = y.unflatten(0, (len(five), -1)).movedim(1, 2)
        y = F.relu(self.bn(self.conv(y[:, :, 0], f'{self.root}conv_fhgc.0', 64, 7, 2),
                           f'{self.root}conv_fhgc.1'))
        x = super().stem(five[:, 2])
        return .5 * x + .5 * F.interpolate(F.max_pool2d(y, 3, 2, 1), x.shape[2:])

    def middle(self, y, path, width, stride, first):
        block, n = f'{path}mtdin.', width // 16
        z = self.clip(self.bn(self.conv(y, f'{block}conv1', n), f'{block}bn1'))  # (B, T, n, h, w)
        spread = self.clip(self.conv(z.flatten(0, 1), f'{block}conv2', n, 3, groups=n))
        a = self.draw(f'{block}convt.weight', n, 1, 3, 1, 1).view(n, 3, 1, 1).unbind(1)
        spread = F.pad(spread, (0, 0) * 3 + (1, 1))
        z = a[0] * spread[:, :-2] + a[1] * z + a[2] * spread[:, 2:]
        gate = self.bn(self.conv(z.flatten(0, 1).mean((2, 3), keepdim=True), f'{block}conv3',
                                 width), f'{block}bn3').sigmoid()
        return super().middle(y * gate, path, width, stride, first)

class MMAction2(ResNet):
    "A convolution and its norm are one module there; the classifier works on the mean features."
    root, classifier = 'backbone.', 'cls_head.fc_cls'
    def names(self, path, n):
        unit = f'{path}downsample' if n == 0 else f'{path}conv{n}'
        return f'{unit}.conv', f'{unit}.bn'

    def head(self, x):
        return self.linear(self.clip(x).mean(1), self.classifier, self.classes, std=.1)

class MMTSM(TSM, MMAction2):
    def names(self, path, n):
        conv, bn = MMAction2.names(self, path, n)
        return (f'{conv}.net' if n == 1 and self.shifted(path) else conv), bn

class DeepMMTSM(DeepTSM, MMTSM):
    pass

class SmallMMTSM(SmallTSM, MMTSM):
    pass

class TANet(TAM, MMAction2):
    net = 'block.'

class C2D(MMAction2):
    "The frames are halved, by the larger of two, behind the first stage."

    def after(self, x, stage):
        return x if stage > 1 else self.clip(x).unflatten(1, (-1, 2)).amax(2).flatten(0, 1)

    def head(self, x):
        return self.linear(x.unflatten(0, (-1, self.T // 2)).mean(1), self.classifier,
                           self.classes, std=.1)

class Relations:
    "The head of TRN. Which tuples of frames are related is drawn there; here it is told."
    consensus, scales, tuples = 'module.consensus.', 'multi', None

    def relate(self, x, key, hidden):
        return self.linear(self.linear(x.relu(), f'{key}.1', hidden).relu(),
                           f'{key}.3', self.classes)

    def head(self, x):
        x, T = self.clip(self.linear(x, self.classifier, 256)), self.T
        if self.scales == 'single':
            return self.relate(x.flatten(1), f'{self.consensus}classifier', 512)
        y = self.relate(x.flatten(1), f'{self.consensus}fc_fusion_scales.0', 256)
        for i, k in enumerate(range(T - 1, 1, -1), 1):
            for chosen in (self.tuples or {}).get(k, [range(k)] * 3):
                y = y + self.relate(x[:, list(chosen)].flatten(1),
                                    f'{self.consensus}fc_fusion_scales.{i}', 256)
        return y

class MMTRN(Relations, MMAction2):
    consensus = 'cls_head.consensus.'

class BNInception(ResNet):
    "BN-Inception: every convolution has a bias, every pool rounds up."
    #        1×1  3×3: reduced, out  two 3×3: reduced, out  behind the pool
    blocks = {'3a': (64, 64, 64, 64, 96, 32), '3b': (64, 64, 96, 64, 96, 64),
              '3c': (0, 128, 160, 64, 96, 0),
              '4a': (224, 64, 96, 96, 128, 128), '4b': (192, 96, 128, 96, 128, 128),
              '4c': (160, 128, 160, 128, 160, 128),
              '4d': (96, 128, 192, 160, 192, 128), '4e': (0, 128, 192, 192, 256, 0),
              '5a': (352, 192, 320, 160, 224, 128),
              '5b': (352, 192, 320, 192, 224, 128)}

    def layer(self, x, name, out, k=1, stride=1):
        return F.relu(self.bn(self.conv(x, self.root + name, out, k, stride, bias=True),
                              f'{self.root}{name}_bn'))

    def inception(self, x, name, one, r3, c3, rd, cd, proj):
        name, s = f'inception_{name}_', 1 if one else 2
        paths = [self.layer(x, f'{name}1x1', one)] if one else []
        paths.append(self.layer(self.layer(x, f'{name}3x3_reduce', r3), f'{name}3x3', c3, 3, s))
        y = self.layer(self.layer(x, f'{name}double_3x3_reduce', rd), f'{name}double_3x3_1', cd, 3)
        paths.append(self.layer(y, f'{name}double_3x3_2', cd, 3, s))
        if not one:
            return torch.cat([*paths, F.max_pool2d(x, 3, 2, ceil_mode=True)], 1)
        if '5b' in name:
            y = F.max_pool2d(x, 3, 1, 1)
        else:
            y = F.avg_pool2d(x, 3, 1, 1, ceil_mode=True, count_include_pad=True)
        return torch.cat([*paths, self.layer(y, f'{name}pool_proj', proj)], 1)

    def stem(self, x):
        x = F.max_pool2d(self.layer(x, 'conv1_7x7_s2', 64, 7, 2), 3, 2, ceil_mode=True)
        x = self.layer(self.layer(x, 'conv2_3x3_reduce', 64), 'conv2_3x3', 192, 3)
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def features(self, x):
        x = self.stem(x)
        for name, widths in self.blocks.items():
            x = self.inception(x, name, *widths)
        return x.mean((2, 3))

class TRN(Relations, BNInception):
    pass

class SingleTRN(TRN):
    scales = 'single'

class ECOLite(BNInception):
    "BN-Inception up to the second 3×3 of block 3c, then a 3D ResNet that normalises behind sums."
    def layer3d(self, x, name, out, stride=1):
        key = self.root + name
        return F.conv3d(x, self.draw(f'{key}.weight', out, x.shape[1], 3, 3, 3),
                        self.draw(f'{key}.bias', out, std=.1), stride, 1)

    def features(self, x):
        x = self.stem(x)
        for name in ('3a', '3b'):
            x = self.inception(x, name, *self.blocks[name])
        x = self.layer(self.layer(x, 'inception_3c_double_3x3_reduce', 64),
                       'inception_3c_double_3x3_1', 96, 3)
        act = lambda z, name: F.relu(self.bn(z, f'{self.root}{name}_bn'))
        z = self.layer3d(self.clip(x).movedim(1, 2), 'res3a_2', 128)
        for name, out in (('3b', 128), ('4a', 256), ('4b', 256), ('5a', 512), ('5b', 512)):
            y = act(z, f"res{name[0]}a" if name[1] == 'b' else f'res{int(name[0]) - 1}b')
            stride = 2 if name[1] == 'a' else 1
            branch = act(self.layer3d(y, f'res{name}_1', out, stride), f'res{name}_1')
            branch = self.layer3d(branch, f'res{name}_2', out)
            z = branch + (self.layer3d(y, f'res{name}_down', out, 2) if name[1] == 'a' else z)
        return act(z, 'res5b').mean((2, 3, 4))

    def head(self, x):
        return self.linear(x, self.classifier, self.classes, std=.1)
