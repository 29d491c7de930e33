"A contact sheet shows what the network sees: the same pixels, numbers, times and labels."
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use('agg')
import matplotlib.pyplot as plt

from figures import check_texts
from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.show import clip_pixels, clip_sheet, clip_strips, some_videos
from video_convs.data.transforms import Augment, normalise
from video_convs.data.video import write_video
from video_convs.data.views import Views
from video_convs.nets.spec import InputSpec
from video_convs.train.preview import shown_clips
from video_convs.train.scale_out import TrainConfig

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=4, size=32)

@pytest.fixture(autouse=True)
def close():
    yield
    plt.close('all')

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    "Two classes of two videos; frame k is k grey levels brighter at its left half."
    root = tmp_path_factory.mktemp('show')
    for number, name in enumerate(('left', 'right')):
        (root/'set/train'/name).mkdir(parents=True)
        for k in range(2):
            film = np.full((20, 32, 48, 3), 40 + 60*number, np.uint8)
            film[:, :, :24] += np.arange(20, dtype=np.uint8)[:, None, None, None]*5
            write_video(root/f'set/train/{name}/{k}.mp4', film, fps=10, crf=0, gop=4)
    return root

@pytest.fixture(scope='module')
def videos(folder):
    return replace(open_data(folder/'set', 'train'), flip_map={'hflip': {0: 1, 1: 0}})

def test_numbers_and_times_are_those_of_the_pixels(videos):
    clips = Clips(videos, SPEC, train=True, augment=Augment.none(), seed=3)
    for index, (strip,) in clip_strips(clips).items():
        frames = videos.read(index, strip.numbers)[..., 8:40].permute(1, 2, 3, 0).numpy()
        assert abs(strip.pixels.astype(int) - frames).max() <= 1
        assert strip.times == pytest.approx(strip.numbers/10)
        assert strip.target == videos.labels[index] and strip.training

def test_evaluation_shows_each_view(videos):
    views = Views(clips=3, crops=3, resize=40)
    clips = Clips(videos, SPEC, train=True, augment=Augment.none())
    test = Clips(videos, SPEC, train=False, views=views)
    _, *seen = next(iter(clip_strips(clips, test, per_class=1, classes=1).values()))
    assert [s.note for s in seen] == [f'evaluation, view {v} of 9' for v in (1, 5, 9)]
    wanted = views.indices(np.arange(20)/10, SPEC).reshape(3, 4)
    assert [s.numbers.tolist() for s in seen] == wanted.tolist()
    whole, _, _ = test[0]
    assert (seen[1].pixels == clip_pixels(whole[4], SPEC)).all()

def test_a_flipped_clip_says_what_it_was(videos):
    mirrored = Augment(scale=(1, 1), ratio=1, jitter=0, hflip=True)
    clips = Clips(videos, SPEC, train=True, augment=mirrored)
    strips = [(i, s) for i, group in clip_strips(clips, draws=4).items() for s in group]
    turned = [(i, s) for i, s in strips if 'flipped' in s.note]
    assert 0 < len(turned) < len(strips)
    for index, strip in strips:
        brighter = strip.pixels[-1][:, :4].mean() > strip.pixels[-1][:, -4:].mean()
        assert brighter == ((index, strip) not in turned)
        flipped = 1 - videos.labels[index]
        assert strip.target == (videos.labels[index] if brighter else flipped)
        assert brighter or f'was {videos.classes[videos.labels[index]]}' in strip.note

def test_mixtures_show_their_shares(videos):
    clips = Clips(videos, SPEC, train=True, augment=Augment.none())
    def half(x, labels):
        targets = torch.nn.functional.one_hot(labels, 2).float()
        return (x + x.flip(0))/2, (targets + targets.flip(0))/2
    groups = clip_strips(clips, per_class=1, mix=half)
    plain = clip_strips(clips, per_class=1)
    both = np.mean([s.pixels.astype(float) for (s,) in plain.values()], axis=0)
    for (strip,) in groups.values():
        assert strip.target.tolist() == [.5, .5]
        assert abs(strip.pixels - both).max() <= 1

@pytest.mark.parametrize('spec', [
    SPEC, InputSpec(frames=4, size=32, channel_order='bgr', value_range=255, mean=(104, 117, 128),
                    std=(1,)),
    InputSpec(frames=4, size=32, in_chans=1, mean=(.5,), std=(.2,))])
def test_pixels_come_back(spec):
    clip = torch.randint(0, 256, (spec.channels, 4, 5, 6), dtype=torch.uint8)
    back = torch.from_numpy(clip_pixels(normalise(clip, spec), spec)).permute(3, 0, 1, 2)
    assert (back.int() - clip.expand(3, -1, -1, -1)).abs().max() <= 1

def test_a_broken_video_and_long_names_fit_into_the_picture(videos, tmp_path):
    (tmp_path/'broken.mp4').write_text('no video')
    paths = (str(tmp_path/'broken.mp4'), *videos.paths[1:])
    data = replace(videos, paths=paths, classes=('moving something very far away ' * 3, 'b'))
    clips = Clips(data, SPEC, train=True, augment=Augment.none())
    sheet = clip_sheet(clips, Clips(data, SPEC, train=False), per_class=2)
    texts = [t.get_text() for t in sheet.texts]
    assert texts.count('cannot be read') == 2
    check_texts(sheet)

def test_of_many_frames_some_are_drawn(videos):
    clips = Clips(videos, replace(SPEC, frames=16), train=True, augment=Augment.none())
    sheet = clip_sheet(clips, per_class=1, classes=1)
    assert '12 of 16 frames are drawn' in [t.get_text() for t in sheet.texts]
    numbers = [t.get_text() for t in sheet.axes[0].texts]
    (strip,) = clip_strips(clips, per_class=1, classes=1).popitem()[1]
    drawn = np.linspace(0, 15, 12).astype(int)
    assert numbers == [f'{strip.numbers[k]} · {strip.times[k]:.2f} s' for k in drawn]
    check_texts(sheet)

def test_the_first_videos_of_the_first_classes(videos):
    data = replace(videos, labels=(2, 0, 2, 0), classes=('a', 'b', 'c'))
    assert some_videos(data, 1, 5) == [1, 0] and some_videos(data, 5, 1) == [1, 3]
    with pytest.raises(ValueError, match='per_class must be a whole number from 1'):
        some_videos(data, 0)

def test_the_clips_of_a_run(folder):
    config = TrainConfig(folder/'set', 'out', 'tsn_tiny', frames=4, size=32, seconds=.5,
                         changes={'cutmix': 1., 'seed': 7, 'augment.jitter': 0.})
    clips, tested, mix = shown_clips(config)
    assert (clips.spec.frames, clips.spec.seconds, clips.seed) == (4, .5, 7)
    assert not tested.train and tested.dataset.paths == clips.dataset.paths
    _, targets = mix(torch.zeros(4, 3, 4, 32, 32), torch.tensor([0, 0, 1, 1]))
    assert targets.sum(1).tolist() == pytest.approx([1]*4)
    for strips in clip_strips(clips).values():  # half a second of ten frames a second
        assert np.ptp(strips[0].times) < .5

def test_the_command(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    shared = ['--model', 'tsn_tiny', '--frames', '4', '--size', '32']
    assert main(['data', 'show', 'set', *shared, '--mixup', '1', '--out', 'new/a.png']) == 0
    assert capsys.readouterr().out == '4 videos of 2 classes for training\nWritten to new/a.png\n'
    assert (folder/'new/a.png').stat().st_size > 5000
    (folder/'run.yaml').write_text('data: set\nout: runs/x\nmodel: tsn_tiny\nframes: 4\nsize: 32\n')
    assert main(['data', 'show', '--config', 'run.yaml']) == 0
    assert (folder/'clips.png').is_file()

@pytest.mark.parametrize('words, says', [
    (['set', '--out', 'a.txt'], "--out names a picture (.png, .svg, .pdf), got 'a.txt'"),
    ([], 'name one set: a folder of classes'), (['a', '--data', 'b'], 'name one set'),
    (['nowhere'], 'nowhere does not exist'),
    (['set', '--views', '3'], 'views are written CLIPSxCROPS'),
    (['set', '--reverse'], "'reverse'"), (['set', '--per-class', '0'], 'from 1 to')])
def test_what_cannot_be_shown(folder, monkeypatch, capsys, words, says):
    monkeypatch.chdir(folder)
    assert main(['data', 'show', *words]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1, said

def test_the_reader_of_the_run_reads(folder):
    config = TrainConfig(folder/'set', folder/'run', 'tsn_tiny', frames=4, size=32)
    clips, *_ = shown_clips(replace(config, reader='pyav'))
    assert clips.dataset.reader.by == 'auto'
    with pytest.raises(ValueError, match="no reader 'film'"):
        shown_clips(replace(config, reader='film'))
