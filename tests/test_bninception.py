"BN-Inception and ECO-Lite against a forward pass written from their files' names, and the files."
import copy

import pytest, torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from proofs import equal
from video_convs.clips import clip_length
from video_convs.nets.bninception import (
    BNInception, ECO3D, ECOLite, Halve, Inception, from_caffe, to_caffe)
from video_convs.testing import stirred

pytestmark = pytest.mark.usefixtures('one_thread')
some = settings(max_examples=10, deadline=None, derandomize=True)


@pytest.fixture(scope='module')
def net():
    return stirred(BNInception(20))


@pytest.fixture(scope='module')
def eco():
    return stirred(ECOLite(20), seed=1)


def literal(file, x, last='5b'):
    "BN-Inception in float64 from a file's names, for maps with even sides; last='cut': ECO's half."
    file = {key: value.double() for key, value in file.items()}
    def unit(name, x, stride=1):
        weight = file[f'{name}.weight']
        scale, shift, mean, var = (file[f'{name}_bn.{k}'].view(-1, 1, 1)
                                   for k in ('weight', 'bias', 'running_mean', 'running_var'))
        y = F.conv2d(x, weight, file[f'{name}.bias'], stride, weight.shape[-1] // 2)
        return (scale * (y - mean) / (var + 1e-5).sqrt() + shift).clamp(min=0)
    def pool(x):
        return F.max_pool2d(x, 3, 2, ceil_mode=True)
    x = pool(unit('conv1_7x7_s2', x, 2))
    x = pool(unit('conv2_3x3', unit('conv2_3x3_reduce', x)))
    for block in ('3a', '3b', '3c', '4a', '4b', '4c', '4d', '4e', '5a', '5b'):
        n, s = f'inception_{block}', 2 if block in ('3c', '4e') else 1
        double = unit(f'{n}_double_3x3_1', unit(f'{n}_double_3x3_reduce', x))
        if block == '3c' and last == 'cut':
            return double
        paths = [unit(f'{n}_3x3', unit(f'{n}_3x3_reduce', x), s),
                 unit(f'{n}_double_3x3_2', double, s)]
        if s == 2:
            paths.append(pool(x))
        else:
            p = (F.max_pool2d(x, 3, 1, 1) if block == '5b'
                 else F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1))
            paths = [unit(f'{n}_1x1', x), *paths, unit(f'{n}_pool_proj', p)]
        x = torch.cat(paths, 1)
    return x.mean((2, 3)) @ file['fc.weight'].T + file['fc.bias']


def test_bninception_is_its_file(net):
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    equal(copy.deepcopy(net).double()(x), literal(to_caffe(net.state_dict()), x))


def test_eco_sees_maps_of_bninception(eco):
    seen, x = [], torch.randn(4, 3, 64, 64, dtype=torch.float64)
    twin = copy.deepcopy(eco).double()
    twin.eco3d.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    with clip_length(2):
        twin(x)
    equal(seen[0], literal(to_caffe(eco.state_dict()), x, last='cut'))


@some
@given(st.sampled_from(('fc', 'last_linear', 'fc_final')), st.booleans(), st.booleans(),
       st.booleans())
def test_files_there_and_back(net, eco, classifier, rows, counts, strays):
    for source in (net, eco):
        file = to_caffe(source.state_dict())
        assert all(value.shape[0] == 1 for key, value in file.items() if '_bn.' in key
                   and not key.startswith('res'))
        if not rows:
            file = {key: value.squeeze(0) if '_bn.' in key else value
                    for key, value in file.items()}
        if counts:
            file |= {f'{key[:-13]}.num_batches_tracked': torch.tensor(0)
                     for key in file if key.endswith('.running_mean')}
        if strays:
            file |= {'data_mean': torch.zeros(3), 'loss3.weight': torch.zeros(2, 2)}
        state = from_caffe({key.replace('fc.', classifier + '.'): value
                            for key, value in file.items()})
        with torch.device('meta'):
            twin = type(source)(20)
        twin.load_state_dict(state, assign=True)  # strict
        for key, value in source.state_dict().items():
            if 'num_batches' not in key:
                assert torch.equal(state[key], value), key


def test_what_is_no_file_of_theirs():
    with pytest.raises(ValueError,
                       match='expected names such as conv1_7x7_s2.weight, got layer1.weight, a.b'):
        from_caffe({'layer1.weight': torch.zeros(1), 'a.b': torch.zeros(1)})


@some
@given(st.integers(7, 70), st.integers(7, 70))
def test_any_size(net, H, W):
    with torch.no_grad():
        assert net(torch.randn(1, 3, H, W)).isfinite().all()


@some
@given(st.integers(1, 9), st.integers(1, 9))
def test_halve(H, W):
    x = -torch.rand(2, 3, H, W) - 1  # below zero, so that a padding of zeros would be seen
    want = [x[:, :, i:i + 3, j:j + 3].amax((2, 3)) for i in range(0, H, 2) for j in range(0, W, 2)]
    assert torch.equal(Halve()(x).flatten(2), torch.stack(want, 2))


@pytest.mark.parametrize('T', [1, 2, 3, 4, 7])
def test_eco_takes_any_length(T):
    op, x = stirred(ECO3D(4)), torch.randn(2, 4, T, 9, 6)
    with torch.no_grad():
        y, alone = op(x), torch.cat([op(clip[None]) for clip in x])
    assert y.shape == (2, 512, 1, 1, 1)
    torch.testing.assert_close(y, alone, rtol=1e-4, atol=1e-4)


def test_every_parameter_gets_a_gradient(eco):
    for net, T in ((BNInception(5), 1), (ECOLite(5), 2)):
        with clip_length(T):
            net(torch.randn(4, 3, 64, 64)).square().sum().backward()
        assert all(p.grad is not None for p in net.parameters())


def test_a_block_knows_what_it_is():
    block = Inception(8, 0, (2, 3), (2, 4), Halve())
    assert block.paths[-1] == ['pool'] and '1x1' not in block
    assert block(torch.randn(1, 8, 7, 6)).shape == (1, 3 + 4 + 8, 4, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of the exporter, about itself
def test_onnx(net, tmp_path):
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    runtime = pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    x = torch.randn(2, 3, 64, 64)
    torch.onnx.export(net, (x,), str(tmp_path/'net.onnx'), dynamo=True, verbose=False)
    session = runtime.InferenceSession(str(tmp_path/'net.onnx'), providers=['CPUExecutionProvider'])
    y, = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(y), net(x), rtol=1e-4, atol=1e-4)


def folded(T):
    "ECO-Lite on six black frames, as clips of T."
    with torch.device('meta'), clip_length(T):
        return ECOLite(2)(torch.zeros(6, 3, 32, 32))


@pytest.mark.parametrize('call, message', [
    (lambda: from_caffe({'layer1.0.conv1.weight': torch.zeros(1)}),
     r'conv1_7x7_s2.weight, got layer1.0.conv1'),
    (lambda: from_caffe({}), 'got none'),
    (lambda: ECO3D()(torch.zeros(1, 64, 4, 28, 28)), 'expected 96 channels'),
    (lambda: ECO3D()(torch.zeros(8, 96, 28, 28)), r'expected a clip \(B, C, T, H, W\)'),
    (lambda: folded(4), '6 frames are no whole number of clips of T = 4 frames')])
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_an_announced_length():
    with torch.device('meta'), pytest.raises(ValueError, match='was not told how many frames'):
        ECOLite(2)(torch.zeros(6, 3, 32, 32))
