"The heads against their literal forms on generated sizes, and what they promise besides."
import copy, io, itertools, math, warnings

import pytest, torch
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from proofs import equal
from video_convs.nets.complexity import complexity
from video_convs.nets.heads import (
    FrameHead, GRUHead, TRNHead, VerbNounHead, draw_numbers, frame_tuples)
from video_convs.ops.literal import literal_gru, literal_trn
from video_convs.testing import randomised

EPIC = {'verb': 3, 'noun': 4, 'action': 6}
HEADS = {
    'frame': lambda **o: FrameHead(12, 5, **o), 'gru': lambda **o: GRUHead(12, 5, hidden=7, **o),
    'verb-noun': lambda **o: VerbNounHead(12, EPIC, **o),
    'trn': lambda **o: TRNHead(12, 5, frames=6, **o),
    'trn, single': lambda **o: TRNHead(12, 5, frames=6, scales='single', **o),
    'trn, two frames': lambda **o: TRNHead(12, 5, frames=2, **o),
}
sizes = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 5))  # B, T, D
some = settings(max_examples=30, deadline=None, derandomize=True)
every_head = pytest.mark.parametrize('name', HEADS)
pytestmark = pytest.mark.usefixtures('one_thread')


def tensors(y):
    return list(y.values()) if isinstance(y, dict) else [y]

def made(name, **options):
    "A head with torch's start, in eval mode, and features of three clips."
    torch.manual_seed(0)
    head = HEADS[name](**options)
    head.reset_parameters()
    return head.eval(), torch.randn(3, head.frames or 6, 12)

def same(a, b, tolerance=1e-5):
    for p, q in zip(tensors(a), tensors(b), strict=True):
        equal(p.double(), q.double(), tolerance)


# --- relations

@some
@given(sizes, st.integers(1, 4), st.integers(1, 4), st.sampled_from(('multi', 'single')),
       st.booleans())
def test_trn_is_its_literal_form(size, bottleneck, hidden, scales, training):
    (B, T, D), T = size, size[1] + 1
    head = randomised(TRNHead(D, 3, 0., T, scales, bottleneck, hidden).double()).train(training)
    x = torch.randn(B, T, D, dtype=torch.float64)
    weights = [(R[1].weight, R[1].bias, R[3].weight, R[3].bias) for R in head.relations]
    torch.manual_seed(T)
    y = head(x)
    torch.manual_seed(T)
    tuples = [[tuple(range(T))], *(S.tolist() for S in head.tuples())]
    equal(y[:, 0], literal_trn(x, (head.fc.weight, head.fc.bias), weights, tuples))

@given(st.integers(1, 9), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_tuples_by_number_are_those_of_the_list(T, data):
    k = data.draw(st.integers(1, T))
    listed = torch.tensor(list(itertools.combinations(range(T), k)))
    numbers = torch.arange(len(listed))
    found = frame_tuples(numbers, torch.full_like(numbers, k), T)
    assert torch.equal(found[:, :k], listed) and (found[:, k:] == T).all()

def test_tuples_of_48_frames():
    count = torch.tensor([math.comb(48, 24)])
    first, last = frame_tuples(torch.stack([0 * count, count - 1], 0), torch.tensor([[24], [24]]),
                               48)[:, 0, :24]
    assert first.tolist() == list(range(24)) and last.tolist() == list(range(24, 48))

@pytest.mark.parametrize('n', [3, 4, 10, math.comb(48, 24)])
def test_drawn_numbers_differ_and_are_uniform(n):
    torch.manual_seed(0)
    drawn = draw_numbers(torch.full((6000, 1), n))
    assert 0 <= drawn.min() and drawn.max() < n
    assert all((drawn[:, i] != drawn[:, j]).all() for i, j in ((0, 1), (0, 2), (1, 2)))
    means, spread = drawn.double().mean() / n, (n**2 - 1)**.5 / 12**.5 / n
    assert abs(means - (n - 1) / (2 * n)) < 5 * spread / 18000**.5 + 1e-9

def test_evaluation_repeats_itself_and_training_follows_the_seed():
    head, x = made('trn', dropout=0.)
    random = torch.get_rng_state()
    assert torch.equal(head(x), head(x)) and torch.equal(random, torch.get_rng_state())
    again, _ = made('trn', dropout=0.)
    assert torch.equal(again(x), head(x))  # the fixed tuples are no matter of chance
    head.train()
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(head(x))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])

def test_of_three_frames_all_pairs_are_taken():
    head = TRNHead(4, 2, 0., frames=3)
    for mode in (True, False):
        assert sorted(head.train(mode).tuples()[0].tolist()) == [[0, 1], [0, 2], [1, 2]]

def test_names_of_other_programs_are_one_rule_away():
    keys = {f'fc.{p}' for p in ('weight', 'bias')}
    keys |= {f'relations.{i}.{j}.{p}' for i in range(5) for j in (1, 3) for p in ('weight', 'bias')}
    head = HEADS['trn']()
    assert set(head.state_dict()) == keys  # no tuples among them
    shapes = [tuple(R[1].weight.shape) for R in head.relations]
    assert shapes == [(256, 256 * k) for k in (6, 5, 4, 3, 2)]
    assert tuple(HEADS['trn, single']().relations[0][1].weight.shape) == (512, 256 * 6)

# --- state by state

@some
@given(sizes, st.integers(1, 4))
def test_gru_is_its_literal_form(size, hidden):
    B, T, D = size
    head = randomised(GRUHead(D, 3, hidden=hidden).double())
    x = torch.randn(B, T, D, dtype=torch.float64)
    last = literal_gru(x, head.input.weight, head.input.bias, head.state.weight, head.state.bias)
    equal(head(x)[:, 0], head.fc(last))

def test_gru_gradients_are_those_of_torch():
    head, theirs = GRUHead(5, 3, hidden=4).double().eval(), nn.GRU(5, 4, batch_first=True).double()
    ours = (head.input.weight, head.state.weight, head.input.bias, head.state.bias)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours)))
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    got = torch.autograd.grad(head(x).square().sum(), ours)
    want = torch.autograd.grad(head.fc(theirs(x)[1][0]).square().sum(), list(theirs.parameters()))
    for a, b in zip(got, want):
        equal(a, b)

# --- verb, noun and action

def test_bias_of_action_scores():
    head, x = randomised(VerbNounHead(5, EPIC).double()), torch.randn(2, 3, 5, dtype=torch.float64)
    y = head(x)
    assert list(y) == list(EPIC)
    assert [y[task].shape for task in y] == [(2, 3, n) for n in EPIC.values()]
    for task in ('verb', 'noun'):
        equal(y[task], head.fc[task](x)
              + torch.einsum('ij,btj->bti', head.from_action[task].weight, y['action']))
    equal(y['action'], head.fc['action'](x))

@pytest.mark.parametrize('std', [None, .001])
def test_at_the_start_the_tasks_are_apart_and_learn_to_be_coupled(std):
    head, x = VerbNounHead(5, EPIC, dropout=0.), torch.randn(2, 3, 5)
    head.reset_parameters(std)
    y = head(x)
    for task in EPIC:
        assert torch.equal(y[task], head.fc[task](x))
    y['verb'].square().sum().backward()
    assert head.from_action['verb'].weight.grad.any() and not head.fc['action'].weight.grad.any()

def test_any_tasks_with_an_action():
    y = VerbNounHead(5, {'action': 7, 'hand': 2})(torch.randn(1, 2, 5))
    assert {task: z.shape[-1] for task, z in y.items()} == {'action': 7, 'hand': 2}

# --- what all heads promise

@every_head
def test_clips_of_a_batch_layouts_axes_and_types(name):
    head, x = made(name)
    y = head(x)
    alone = [tensors(head(clip[None])) for clip in x]
    for z, parts in zip(tensors(y), zip(*alone)):
        equal(torch.cat(parts), z, 1e-5)
    same(head(x.mT.contiguous().mT), y)
    same(copy.deepcopy(head).double()(x.double()), y)
    for z, one, more in zip(tensors(y), tensors(head(x[0])), tensors(head(x[None]))):
        equal(one, z[0], 1e-5)
        equal(more, z[None], 1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        same(head(x), y, .1)

@every_head
def test_every_parameter_gets_a_gradient(name):
    head, x = made(name)
    sum(z.square().sum() for z in tensors(head.train()(x))).backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())

@every_head
def test_starts(name):
    head = HEADS[name]()
    for layer in head.fc.modules():
        if isinstance(layer, nn.Linear):
            assert 2e-4 < layer.weight.std() < 2e-3 and not layer.bias.any()
    torch.manual_seed(3)
    head.reset_parameters()
    assert all(layer.weight.std() > .01 and layer.bias.any()
               for layer in head.fc.modules() if isinstance(layer, nn.Linear))
    twin = HEADS[name]()
    torch.manual_seed(3)
    twin.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), twin.parameters()))

def test_frame_head_draws_as_a_linear_layer_does():
    "A network's weights by seed do not depend on who makes its head."
    torch.manual_seed(5)
    fc = nn.Linear(6, 4)
    nn.init.normal_(fc.weight, std=.001)
    after = torch.rand(1)
    torch.manual_seed(5)
    head = FrameHead(6, 4)
    assert torch.equal(head.fc.weight, fc.weight) and torch.equal(torch.rand(1), after)

@every_head
def test_dropout_only_in_training(name):
    head, x = made(name, dropout=.5)
    same(head(x), head(x), 0)
    even = head.tuples() if isinstance(head, TRNHead) else None
    head.train().tuples = lambda: even  # so that nothing but dropout is left to chance
    assert any(not torch.equal(a, b) for a, b in zip(tensors(head(x)), tensors(head(x))))

@every_head
def test_state(name):
    (head, x), other, file = made(name), HEADS[name]().eval(), io.BytesIO()
    torch.save(head.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    same(other(x), head(x), 0)

@every_head
def test_cost(name):
    class Still(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head

        def forward(self, clip):
            return self.head(clip.mean((3, 4)).mT)
    head, x = made(name)
    T = x.shape[1]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        head(x[:1])
    assert head.clip_macs(T) == counter.get_total_flops() // 2
    assert head.clip_macs(T) == complexity(Still(), (12, T, 2, 2)).macs

@every_head
def test_compiled_and_exported(name):
    head, x = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the compiler's own deprecation notes
        torch.compiler.reset()
        same(torch.compile(head, backend='aot_eager', fullgraph=True)(x), head(x))
        free = {0: torch.export.Dim('B', min=1, max=64)}
        if name in ('frame', 'verb-noun', 'gru'):
            free[1] = torch.export.Dim('T', min=2, max=64)
        exported = torch.export.export(head, (x,), dynamic_shapes=(free,)).module()
        other = x[:1] if len(free) == 1 else x[:1, 2:]
    same(exported(other), head(other))

@pytest.mark.filterwarnings('ignore')  # of the exporter, about itself
@pytest.mark.parametrize('name', ['trn', 'gru', 'verb-noun'])
def test_onnx(name, tmp_path):
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    runtime = pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    head, x = made(name)
    free = {0: torch.export.Dim('B', min=1, max=64)}
    if name != 'trn':
        free[1] = torch.export.Dim('T', min=2, max=64)
    torch.onnx.export(head, (x,), str(tmp_path/'head.onnx'), dynamo=True, dynamic_shapes=(free,),
                      verbose=False)
    session = runtime.InferenceSession(str(tmp_path/'head.onnx'),
                                       providers=['CPUExecutionProvider'])
    for z in (x, x[:1] if name == 'trn' else x[:1, 2:].contiguous()):
        got = session.run(None, {session.get_inputs()[0].name: z.numpy()})
        for a, b in zip(got, tensors(head(z)), strict=True):
            torch.testing.assert_close(torch.from_numpy(a), b.detach(), rtol=1e-4, atol=1e-5)

@pytest.mark.parametrize('name', ['frame', 'trn', 'trn, single', 'gru'])
def test_only_the_mean_of_frames_is_blind_to_order(name):
    head, x = made(name)
    head, x = head.double(), x.double()
    for order in ([5, 4, 3, 2, 1, 0], [0, 1, 3, 2, 4, 5], [1, 2, 3, 4, 5, 0]):
        assert (((head(x[:, order]).mean(1) - head(x).mean(1)).abs().max() < 1e-12)
                == (name == 'frame'))

@pytest.mark.parametrize('make, says', [
    (lambda: FrameHead(12, 0), 'num_classes must be a whole number from 1 to 1,000,000, got 0'),
    (lambda: FrameHead(0, 5), 'features must be at least 1, got 0'),
    (lambda: FrameHead(12, 5)(torch.randn(12)),
     'FrameHead expected features (B, T, 12), got shape (12,)'),
    (lambda: FrameHead(12, 5)(torch.randn(2, 6, 11)), 'got shape (2, 6, 11)'),
    (lambda: FrameHead(12, 5)(torch.ones(2, 6, 12, dtype=torch.uint8)),
     'floating-point features, got torch.uint8'),
    (lambda: GRUHead(12, 5)(torch.randn(2, 0, 12)), 'got no frames'),
    (lambda: GRUHead(12, 5, hidden=0), 'hidden must be at least 1, got 0'),
    (lambda: TRNHead(12, 5)(torch.randn(2, 16, 12)),
     'frames = 8, got T = 16: sample 8 frames, or build and train one with frames=16'),
    (lambda: TRNHead(12, 5, frames=1), 'relates 2 to 48 frames, got frames=1'),
    (lambda: TRNHead(12, 5, frames=49), 'relates 2 to 48 frames, got frames=49'),
    (lambda: TRNHead(12, 5, scales='all'), "scales is 'multi' or 'single', got 'all'"),
    (lambda: TRNHead(12, 5, hidden=0), 'bottleneck and hidden must be at least 1, got 256 and 0'),
    (lambda: VerbNounHead(12, {'verb': 3}), "with an 'action' among the tasks"),
    (lambda: VerbNounHead(12, 5), 'for one task take FrameHead'),
    (lambda: FrameHead(12, '8'), "a whole number from 1 to 1,000,000, got '8'"),
    (lambda: FrameHead(12, True), 'a whole number from 1 to 1,000,000, got True'),
    (lambda: GRUHead(12, 8.), 'a whole number from 1 to 1,000,000, got 8.0'),
    (lambda: TRNHead(12, [8]), 'a whole number from 1 to 1,000,000, got [8]'),
    (lambda: FrameHead(12, {'verb': 3, 'noun': 4}),
     'FrameHead scores one task, got num_classes = '),
    (lambda: TRNHead(12, {'verb': 3}), 'for several take VerbNounHead'),
    (lambda: VerbNounHead(12, {'action': 3, 'values': 2}), "a module cannot be called 'values'"),
    (lambda: VerbNounHead(12, {'action': 3, 'a.b': 2}), 'take another name, without dots'),
    (lambda: VerbNounHead(12, {'action': 3, '': 2}), "a module cannot be called ''"),
    (lambda: VerbNounHead(12, {'action': 3, 7: 2}), 'a module cannot be called 7'),
    (lambda: VerbNounHead(12, {'action': 3., 'noun': 2}),
     "num_classes of 'action' must be a whole number from 1 to 1,000,000, got 3.0"),
    (lambda: VerbNounHead(12, {'action': 3, 'noun': -1}),
     "num_classes of 'noun' must be a whole number from 1 to 1,000,000, got -1"),
])
def test_wrong_input(make, says):
    with pytest.raises(ValueError) as error:
        make()
    assert says in str(error.value)
