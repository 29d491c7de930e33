"Input at the edge: numbers that are not finite, one frame, one class, no video, no names."
from dataclasses import replace

import pytest
import torch

from video_convs import create_model
from video_convs.checkpoint import save
from video_convs.cli.entry import main
from video_convs.clips import check_finite
from video_convs.data.clip_dataset import Clips
from video_convs.data.dataset import VideoDataset
from video_convs.data.video import write_video
from video_convs.explain.class_activation import class_activation, occlusion
from video_convs.explain.internals import internals
from video_convs.explain.margins import Margins, correlation
from video_convs.explain.page import explain_video
from video_convs.explain.probes import CHANGES, probe, time_probes, verdict
from video_convs.explain.saliency import saliency
from video_convs.train.scores import Scores
from video_convs.use.classifier import predict
from video_convs.use.timeline import timeline

pytestmark = pytest.mark.usefixtures('one_thread')


CLASSES = '0', '1', '2'


def network(name='hgc_tiny', classes=CLASSES):
    torch.manual_seed(0)
    return create_model(name, num_classes=3, classes=classes,
                        input_spec=dict(frames=4, size=24)).eval()


def clip(value=0.):
    x = torch.randn(3, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    x[0, 1, 2, 3] = value
    return x


@pytest.fixture(scope='module')
def still(tmp_path_factory):
    "A video of one frame."
    path = tmp_path_factory.mktemp('still')/'one.mp4'
    pixels = torch.randint(256, (1, 24, 24, 3), generator=torch.Generator().manual_seed(0))
    return write_video(path, pixels.byte().numpy())


def labelled(path):
    return VideoDataset('toy', CLASSES, (str(path),), (0,), split='test')


def probed(model, path):
    return probe(model, Clips(labelled(path), model.input_spec, train=False), progress=False)


# ---- not finite

CLIPS = {
    'internals': internals, 'class_activation': lambda net, x: class_activation(net, x, 0),
    'occlusion': lambda net, x: occlusion(net, x, 0, 12), 'saliency': lambda net, x: saliency(
        net, x, 0), 'stream': lambda net, x: [net.stream().step(f[None]) for f in x.unbind(1)]}
FILES = {'explain': lambda net, path: explain_video(path, net), 'probe': probed,
         'predict': lambda net, path: predict(path, net),
         'timeline': lambda net, path: timeline(path, net, progress=False),
         'timeline in clips': lambda net, path: timeline(path, net, method='clips',
                                                         progress=False)}


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('how', CLIPS)
def test_a_clip_that_is_not_finite_is_named(how, value):
    net = network().train() if how != 'stream' else network()
    with pytest.raises(ValueError, match='^1 of [0-9]+ numbers of the clip are NaN or infinite'):
        CLIPS[how](net, clip(value))
    assert net.training == (how != 'stream')


@pytest.mark.parametrize('how', [*CLIPS, *FILES])
@pytest.mark.parametrize('name', ['trunk.layer2.0.conv2.weight', 'trunk.bn1.running_mean'])
def test_a_weight_that_is_not_finite_is_named(how, name, still):
    net = network()
    weight = net.state_dict()[name]
    weight[(0,) * (weight.ndim - 1)][:2] = float('inf')  # which a ReLU may hide
    with pytest.raises(ValueError, match=f"2 of [0-9]+ numbers of hgc_tiny's {name} are NaN or"):
        CLIPS[how](net, clip()) if how in CLIPS else FILES[how](net, still)


def test_finite_numbers_of_any_type_pass():
    for dtype in (torch.uint8, torch.float16, torch.bfloat16, torch.float64):
        check_finite(torch.ones(2, dtype=dtype), network().to(torch.bfloat16))
    check_finite(torch.full((9,), 6e4, dtype=torch.float16))  # their sum is infinite
    check_finite()


# ---- one frame: a still picture, which every command takes

@pytest.mark.parametrize('name', ['hgc_tiny', 'h2cn_tiny', 'tam_tiny'])
def test_a_video_of_one_frame_is_a_still_picture(name, still):
    net = network(name)
    shown = explain_video(still, net, progress=False)
    assert torch.equal(shown.frames, shown.frames[:1].expand_as(shown.frames))
    assert len(shown.spans) == 1 and shown.moments.tolist() == [0.] * 4
    found = probed(net, still)
    assert all(torch.equal(s.logits, found['in order'].logits) for s in found.values())
    wanted = shown.probabilities.sort(descending=True).values
    torch.testing.assert_close(torch.tensor([p for _, p in predict(still, net)]), wanted)
    if not net.input_spec.fixed:  # which needs whole clips, see tests/test_timeline.py
        assert len(timeline(still, net, progress=False).times) == 1


def test_commands_take_one_frame_and_a_checkpoint_without_names(still, tmp_path, capsys):
    run, page = str(save(network(classes=None), tmp_path/'run')), str(tmp_path/'page.html')
    for typed in (['predict', run, str(still)], ['timeline', run, str(still), '--threshold', '0'],
                  ['explain', run, str(still), '--out', page]):
        assert main(typed) == 0
        said = capsys.readouterr().out
        assert {*CLASSES} & {*said.split()}, said
    with pytest.raises(ValueError, match='does not know the names of its classes: make it with'):
        probed(network(classes=None), still)  # labels are compared by name


# ---- sets of videos

def scores(labels):
    logits = torch.eye(3)[torch.tensor(labels, dtype=torch.long)]
    one = Scores(logits, logits, torch.tensor(labels, dtype=torch.long),
                 tuple(map(str, range(len(labels)))), ('a', 'b', 'c'))
    return dict.fromkeys(CHANGES, one)


def test_an_empty_set_is_refused(still):
    with pytest.raises(ValueError, match='a probe needs one video or more, got none'):
        time_probes(scores([]))
    with pytest.raises(ValueError, match="toy has no videos in the split 'test'"):
        Clips(replace(labelled(still), paths=(), labels=()), network().input_spec, train=False)


def test_a_set_of_one_class_tells_nothing_about_single_frames():
    labels = torch.ones(9, dtype=torch.long)
    network, data = verdict(time_probes(scores([1] * 9)), labels).split('\n')
    assert data.startswith('All videos are of one class') and 'two classes or more' in data
    assert 'cannot be told from 9 videos' in network


@pytest.mark.parametrize('labels', [[0, 1, 0, 1], [0, 0, 0]])
def test_gains_that_do_not_vary_have_no_correlation(labels):
    right = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])[:, :len(labels)].double()
    found = Margins(('tsn', 'tsm', 'hgc'), ('a', 'b')[:max(labels) + 1], torch.tensor(labels),
                    right)
    with pytest.raises(ValueError, match='the gain of tsm is the same in all classes'):
        correlation(found)


def test_a_traced_pass_looks_at_no_numbers():
    def doubled(x):
        check_finite(x)
        return 2 * x
    traced = torch.jit.trace(doubled, torch.full((2,), float('nan')), check_trace=False)
    assert traced(torch.ones(2)).tolist() == [2, 2]
