"Data sets from folders and tables: what they give, and what they refuse."
import json
import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from video_convs.data.clip_dataset import Broken, Clips
from video_convs.data.custom import csv_dataset, folder_dataset, open_data, split_names
from video_convs.data.dataset import VideoDataset
from video_convs.data.loader import collate_clips, loader
from video_convs.data.transforms import FLIPS, Augment
from video_convs.data.views import Views
from video_convs.data.video import write_video
from video_convs.nets.spec import InputSpec

GESTURES = Path(os.environ.get('GESTURES', Path(__file__).parents[2]/'shared/data/gestures'))

Spec = partial(InputSpec, frames=4, size=24, mean=(.5, .4, .3), std=(.2, .25, .3))

def video(path, seed, T=10, H=32, W=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 255, (H//8, W//8, 3)).repeat(8, 0).repeat(8, 1)
    noise = rng.integers(0, 9, (T, 1, 1, 3))
    return write_video(path, np.stack([np.roll(still, t, 1) for t in range(T)]).clip(0, 240)
                       .astype(np.uint8) + noise.astype(np.uint8))

@pytest.fixture(scope='module')
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp('source')
    for c, name in enumerate(('a', 'b', 'c')):
        for k in range(5):
            video(root/name/f'{k}.mp4', 100*c + k)
    return root

@pytest.fixture
def root(tmp_path, source):
    return Path(shutil.copytree(source, tmp_path/'set'))

def split_folders(root, test=(0,)):
    for name in 'abc':
        for k in range(5):
            to = root/('test' if k in test else 'train')/name
            to.mkdir(parents=True, exist_ok=True)
            shutil.move(root/name/f'{k}.mp4', to/f'{k}.mp4')
        (root/name).rmdir()
    return root

def table(root, change=lambda lines: lines, encoding='utf-8', end='\n'):
    lines = ['path,label,split,group'] + [f'{c}/{k}.mp4,{c},{"test" if k == 0 else "train"},g{k}'
                                          for c in 'abc' for k in range(5)]
    (root/'clips.csv').write_bytes(end.join(change(lines) + ['']).encode(encoding))
    return root/'clips.csv'

# what is read

def test_three_ways_to_write_the_same_data(root):
    by_table = open_data(table(root), 'train')
    assert len(by_table) == 12
    assert by_table.classes == ('a', 'b', 'c')
    assert set(by_table.groups) == {'g1', 'g2', 'g3', 'g4'}
    assert open_data(root, 'train') == by_table  # the folder has a clips.csv
    (root/'clips.csv').unlink()
    at_random = open_data(root, 'train')
    assert len(at_random) == 12 and 'at random' in at_random.description and not at_random.groups
    by_folder = open_data(split_folders(root), 'train')
    assert [Path(p).name for p in by_folder.paths] == [Path(p).name for p in by_table.paths]
    assert by_folder.labels == by_table.labels
    assert split_names(root) == ['test', 'train'] and len(open_data(root)) == 15

def test_the_drawn_split_is_stratified_and_stays(root):
    train, test = folder_dataset(root, 'train'), folder_dataset(root, 'test')
    assert sorted(test.labels) == [0, 1, 2] and not set(train.paths) & set(test.paths)
    assert test == folder_dataset(root, 'test') and split_names(root) == ['test', 'train']
    shutil.rmtree(root/'b')  # other classes keep their split
    assert set(folder_dataset(root, 'test').paths) == {p for p in test.paths if '/b/' not in p}
    assert any(folder_dataset(root, 'test', seed=s).paths != folder_dataset(root, 'test').paths
               for s in range(1, 9))

def test_other_containers_and_hidden_files(root):
    for k, suffix in enumerate(('.mkv', '.mov', '.MP4')):
        shutil.copy(video(root/'x.mp4', 900 + k), root/'a'/f'v{suffix}')
    (root/'x.mp4').unlink()
    (root/'a/.v.part.mp4').touch()
    (root/'.ipynb_checkpoints').mkdir()
    (root/'a/notes.txt').touch()
    assert sum(l == 0 for l in folder_dataset(root).labels) == 8

def test_dataset_json_speaks_for_the_data(root):
    page = dict(name='mine', classes=['c', 'a', 'b', 'never'], label_preserving=['reverse'],
                pairs=[['a', 'b']])
    (root/'dataset.json').write_text(json.dumps(page))
    for data in (folder_dataset(root, 'train'), csv_dataset(table(root), 'train')):
        assert ((data.name, data.classes, data.label_preserving, data.pairs)
                == ('mine', ('c', 'a', 'b', 'never'), {'reverse'}, (('a', 'b'),)))
        assert [data.classes[l] for l in data.labels] == [Path(p).parent.name for p in data.paths]

def test_classes_txt_gives_the_order(root):
    (root/'classes.txt').write_text('b\r\nc\r\na\r\n')
    assert csv_dataset(table(root)).classes == folder_dataset(root).classes == ('b', 'c', 'a')

@pytest.mark.parametrize('encoding, end', [('utf-8-sig', '\r\n'), ('utf-8', '\r\n'),
                                           ('utf-8-sig', '\n'), ('utf-16', '\r\n')])
def test_tables_from_other_programs(root, encoding, end):
    file = table(root,
                 lambda lines: [l.replace(',', ' , ') if i else l for i, l in enumerate(lines)]
                 + [''], encoding, end)
    assert len(csv_dataset(file)) == 15

def test_paths_relative_to_another_folder(root, tmp_path):
    file = shutil.move(table(root), tmp_path/'list.csv')
    assert len(csv_dataset(file, root=root)) == 15
    with pytest.raises(ValueError, match='15 of 15 videos are not there.*give root'):
        csv_dataset(file)

def test_subset(root):
    data = csv_dataset(table(root))
    some = data.subset([14, 0, 3])
    assert some.paths == (data.paths[14], data.paths[0], data.paths[3]) and some.labels == (2, 0, 0)
    assert some.groups == ('g4', 'g0', 'g3') and some.classes == data.classes

# what is refused

@pytest.mark.parametrize('make, message', [
    (lambda r: r/'nowhere', 'nowhere does not exist'),
    (lambda r: r/'a/0.mp4', 'neither a folder nor a .csv'),
    (lambda r: (r/'empty').mkdir() or r/'empty', 'holds no videos'),
    (lambda r: r/'a', '5 videos lie in it without a class'),
    (lambda r: shutil.copytree(r/'a', r/'one/a').parent, r"one class only \('a'\)"),
    (lambda r: (r/'d').mkdir() or r, "class folder 'd' holds no videos"),
    (lambda r: shutil.copytree(r/'a', r/'train/a').parent.parent, 'mixes two layouts'),
    (lambda r: (r/'dataset.json').write_text('{') and r, 'is no valid JSON'),
    (lambda r: (r/'dataset.json').write_text('[]') and r, 'must hold a JSON object'),
    (lambda r: (r/'dataset.json').write_text('{"label_preserving": ["mirror"]}') and r,
     "'mirror', which is none of hflip"),
    (lambda r: (r/'dataset.json').write_text('{"label_preserving": "hflip"}') and r,
     'must be a list of names'),
    (lambda r: (r/'dataset.json').write_text('{"classes": ["a", "b"]}') and r,
     "class 'c', not among the 2 classes"),
    (lambda r: (r/'classes.txt').write_text('a\nb\nc\nb\n') and r, "'b' is listed twice"),
    (lambda r: table(r, lambda l: ['path,split'] + l[1:]), "lacks the column 'label'"),
    (lambda r: table(r, lambda l: []), "lacks the column 'path'"),
    (lambda r: table(r, lambda l: l[:1]), 'lists no videos'),
    (lambda r: table(r, lambda l: l[:6]), "one class only"),
    (lambda r: table(r, lambda l: l + ['a/7.mp4,a,train,', 'a/8.mp4,a,train,']),
     r'2 of 17 videos are not there, the first: .*a/7.mp4, .*a/8.mp4'),
    (lambda r: table(r, lambda l: l[:3] + ['a/0.mp4,,test,x'] + l[3:]),
     'line 4: path, label and split must all be given'),
    (lambda r: table(r, lambda l: l + [l[4]]), "lists a/3.mp4 twice in the split 'train'"),
    (lambda r: table(r, encoding='utf-16-le'), 'looks like UTF-16 without a byte order mark'),
])
def test_refused(root, make, message):
    with pytest.raises(ValueError, match=message) as error:
        open_data(make(root))
    assert '\n' not in str(error.value)

def test_unknown_split(root):
    for path in (root, table(root), split_folders(root)):
        with pytest.raises(ValueError, match="no split 'val'.*'test', 'train'"):
            open_data(path, 'val')

def test_the_same_video_in_two_splits(root):
    with pytest.raises(ValueError, match='same video is in two splits'):
        csv_dataset(table(root, lambda l: l + ['a/../a/1.mp4,a,test,g9']), 'train')
    with pytest.raises(ValueError, match='same video is in two splits'):
        csv_dataset(table(root, lambda l: l + ['b/1.mp4,b,test,g9']), 'test')
    (root/'clips.csv').unlink()
    folders = split_folders(root)
    (folders/'test/a/linked.mp4').symlink_to(folders/'train/a/2.mp4')
    with pytest.raises(ValueError, match='same video is in two splits'):
        open_data(folders, 'train')
    (folders/'test/a/linked.mp4').unlink()
    shutil.copy(folders/'train/a/2.mp4', folders/'test/c/renamed.mp4')
    with pytest.raises(ValueError, match='renamed.mp4'):
        open_data(folders, 'train')
    (folders/'test/c/renamed.mp4').write_bytes(b'')  # empty files are all alike, and no videos
    (folders/'train/c/empty.mp4').write_bytes(b'')
    assert len(open_data(folders, 'train')) == 13

# clips

def items(clips, epoch=0, **kw):
    clips.set_epoch(epoch)
    return list(loader(clips, 5, seed=1, epoch=epoch, **kw))

def equal(a, b):
    return len(a) == len(b) and all(torch.equal(x.clips, y.clips)
                                    and torch.equal(x.indices, y.indices) for x, y in zip(a, b))

@pytest.mark.parametrize('cache', [False, True])
def test_the_same_clips_for_any_number_of_workers(root, cache):
    data = folder_dataset(root)
    clips = Clips(data, Spec(), train=True, seed=1, cache=cache)
    first, second = items(clips, shuffle=True), items(clips, 1, shuffle=True)
    assert equal(first, items(clips, shuffle=True, workers=2))
    assert equal(second, items(clips, 1, shuffle=True, workers=1))
    assert not equal(first, second)
    assert not equal(first,
                     items(Clips(data, Spec(), train=True, seed=2, cache=cache), shuffle=True))
    assert sorted(torch.cat([b.indices for b in first]).tolist()) == list(range(15))
    assert all(b.clips.is_contiguous(memory_format=torch.channels_last_3d) for b in first)

def test_reading_leaves_the_callers_random_numbers_alone(root):
    clips = Clips(folder_dataset(root), Spec(), train=True)
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    items(clips, shuffle=True)
    items(clips, workers=1)
    assert torch.equal(torch.rand(3), want)

@pytest.mark.parametrize('fit', ['crop', 'squash'])
def test_testing_is_fixed_and_the_cache_changes_nothing(root, fit):
    data, spec = folder_dataset(root), Spec(fit=fit)
    plain, cached = Clips(data, spec, train=False), Clips(data, spec, train=False, cache=True)
    assert equal(items(plain), items(plain, 5))
    assert equal(items(plain), items(cached))
    assert equal(items(cached), items(cached, 7))

def test_a_single_frame_and_a_single_pixel(root):
    one = video(root/'a/one.mp4', 1, T=1)
    pixel = write_video(root/'a/pixel.mp4', np.full((3, 1, 1, 3), 90, np.uint8), pix_fmt='yuv444p')
    data = VideoDataset('odd', ('x', 'y'), (str(one), str(pixel)), (0, 1))
    for train in (True, False):
        for cache in (True, False):
            batch, = loader(Clips(data, Spec(), train=train, cache=cache), 2)
            assert batch.clips.shape == (2, 3, 4, 24, 24) and not batch.failed
            assert (batch.clips == batch.clips[:, :, :1]).all()

@pytest.mark.parametrize('cache', [False, True])
@pytest.mark.parametrize('workers', [0, 2])
def test_broken_videos_reach_the_caller(root, cache, workers):
    data = folder_dataset(root)
    Path(data.paths[0]).write_text('no video')
    Path(data.paths[7]).unlink()
    whole = Path(data.paths[9])
    whole.write_bytes(whole.read_bytes()[:600])
    for train in (True, False):
        batches = items(Clips(data, Spec(), train=train, cache=cache), shuffle=train,
                        workers=workers)
        failed = {p: why for b in batches for p, why in b.failed.items()}
        assert set(failed) == {data.paths[k] for k in (0, 7, 9)}
        assert all(p in why for p, why in failed.items())
        assert sum(len(b.labels) for b in batches) == 12
    only = collate_clips([Clips(data, Spec(), train=False)[0]])
    assert len(only.labels) == len(only.clips) == 0
    assert isinstance(Clips(data, Spec(), train=False)[0][0], Broken)

def test_the_cache_knows_its_size(root):
    clips = Clips(folder_dataset(root), Spec(), train=True, cache=True)
    estimate = clips.cache_bytes()
    kept = sum(k.numel() for k in clips.fill_cache()._kept.values())
    assert abs(estimate - kept) < .1*kept
    with pytest.raises(ValueError, match='more than cache_gb'):
        Clips(folder_dataset(root), Spec(), train=True, cache=True, cache_gb=1e-6)

@pytest.mark.parametrize('kw, message', [
    (dict(T=0), 'T ≥ 1'), (dict(augment=Augment(hflip=True)), "does not say that 'hflip'")])
def test_clips_refuse(root, kw, message):
    with pytest.raises(ValueError, match=message):
        Clips(folder_dataset(root), Spec(), train=True, **kw)

def test_no_videos_no_clips(root):
    with pytest.raises(ValueError, match='has no videos'):
        Clips(folder_dataset(root).subset([]), Spec(), train=False)
    with pytest.raises(ValueError, match='batch_size = 0'):
        loader(Clips(folder_dataset(root), Spec(), train=False), 0)

# views, and labels that a flip changes

@pytest.mark.parametrize('cache', [False, True])
def test_views(root, cache):
    data, views = folder_dataset(root), Views(3, 3, random=True)
    clips = Clips(data, Spec(per_segment=3), train=False, views=views, seed=4, cache=cache)
    batches = items(clips)
    assert [b.clips.shape for b in batches] == [(5*9, 3, 12, 24, 24)]*3
    assert [len(b.labels) for b in batches] == [5]*3
    assert all(b.clips.is_contiguous(memory_format=torch.channels_last_3d) for b in batches)
    assert equal(batches, items(clips, 7)) and equal(batches, items(clips, workers=2))
    assert not equal(batches,
                     items(Clips(data, Spec(per_segment=3), train=False, views=views, seed=5)))
    one = Clips(data, Spec(per_segment=3), train=False,
                views=replace(views, clips=1, crops=1, random=False))
    even = Clips(data, Spec(per_segment=3), train=False, views=Views(2, 3))
    assert torch.equal(even[3][0][1], one[3][0])  # the middle crop of the middle clip

def test_views_of_a_video_that_cannot_be_read(root):
    data = folder_dataset(root)
    Path(data.paths[1]).write_text('no video')
    batch = items(Clips(data, Spec(), train=False, views=Views(2, 3)))[0]
    assert batch.indices.tolist() == [0, 2, 3, 4]
    assert len(batch.clips) == 4*6
    assert set(batch.failed) == {data.paths[1]}

@pytest.mark.parametrize('cache', [False, True])
def test_a_flip_takes_its_label_along(root, cache):
    data = replace(folder_dataset(root), flip_map={'hflip': {0: 2, 2: 0}})
    flipped, plain = (Clips(data, Spec(), train=True, augment=replace(Augment.none(), hflip=on),
                            cache=cache) for on in (True, False))
    assert equal(items(flipped, shuffle=True), items(flipped, shuffle=True, workers=2))
    labels = []
    for k, true in enumerate(data.labels):
        clip, label, _ = flipped[k]
        mirrored = torch.equal(clip, plain[k][0].flip(-1))
        assert mirrored or torch.equal(clip, plain[k][0])
        assert label == ({0: 2, 2: 0}.get(true, true) if mirrored else true)
        labels.append(label)
    assert tuple(labels) != data.labels

@pytest.mark.parametrize('kw, message', [
    (dict(train=True, views=Views(2)), 'one clip and one crop'),
    (dict(train=True, views=Views(resize=256)), 'one clip and one crop'),
    (dict(train=True, views=Views(rule='two')), "no rule 'two'"),
    (dict(train=True, views=Views(micro='end')), "not 'end'"),
    (dict(train=False, views=Views(resize=20)),
     'a crop of 24 pixels does not fit into a frame of 20×20'),
    (dict(train=True, spec=Spec(modality='flow', mean=(.5,), std=(.2,))),
     '3 channels, but the weights expect 10')])
def test_clips_refuse_views(root, kw, message):
    with pytest.raises(ValueError, match=message):
        Clips(folder_dataset(root), **{'spec': Spec(), **kw})

# real data

@pytest.mark.skipif(not (GESTURES/'clips.csv').is_file(), reason='no folder of gestures (GESTURES)')
def test_gestures():
    sizes = {split: len(open_data(GESTURES/'clips.csv', split)) for split in split_names(GESTURES)}
    assert sizes == {'train': 224, 'val': 20, 'test': 56}
    train = open_data(GESTURES, 'train')
    assert train.classes[:2] == ('up', 'down')
    assert len(train.classes) == 10
    assert not train.label_preserving
    assert not set(train.groups) & set(open_data(GESTURES, 'test').groups)
    batch, = loader(Clips(train.subset(range(0, 224, 28)), Spec(), train=True), 8)
    assert batch.clips.shape == (8, 3, 4, 24, 24) and not batch.failed
    for flip in FLIPS:
        with pytest.raises(ValueError, match=flip):
            Clips(train, Spec(), train=True, augment=Augment(**{flip: True}))

def test_many_classes_are_read_in_linear_time(tmp_path):
    "A table of 20,000 classes; comparing each row with each class would take half a minute."
    import time
    from video_convs.data.custom import _dataset
    from video_convs.data.splits import match_classes
    names = [f'c{i}' for i in range(20_000)]
    items = [(f'{name}.mp4', name, '', '') for name in names for _ in range(3)]
    start = time.monotonic()
    data = _dataset('big', {'classes': names}, items, None, '', 'here', tmp_path)
    assert data.labels[-1] == 19_999 and match_classes(names[::-1], names)[0] == 19_999
    with pytest.raises(ValueError, match='class 19999 of the data'):
        match_classes(names, [*names[:-1], 'other'])
    assert time.monotonic() - start < 5
