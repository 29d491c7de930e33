"The papers' data sets: official lists, small trees in official layouts, lists damaged at random."
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st

from video_convs.cli import main
from video_convs.data.catalogue import DATASETS, official_list, open_dataset
from video_convs.data.official import Listing
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import csv_dataset
from video_convs.data.lists import list_json, list_lines, list_table
from video_convs.data.splits import match_classes
from video_convs.data.frames import FlowFolders, FrameFolders, write_flow, write_frames
from video_convs.data.motion import MotionConfig, render, sample_params
from video_convs.data.video import write_video
from video_convs.data.video_info import VideoError
from video_convs.nets.spec import InputSpec
from video_convs.train.evaluation import report
from video_convs.train.scores import load_scores
from video_convs.train.scale_out import open_splits

ANNOTATIONS = Path(os.environ.get('ANNOTATIONS',
                                  Path(__file__).parents[2]/'shared/data/annotations'))
real = pytest.mark.skipif(not ANNOTATIONS.is_dir(),
                          reason=f'no official lists in {ANNOTATIONS} (set ANNOTATIONS)')
pytestmark = pytest.mark.usefixtures('one_thread')

CLIP = 'OP01-R01-PastaSalad-{}-1004005-F024051-F024101'
EPIC = 'uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame'
# name → (options, split, list that is read, how many videos it names, all lists)
SETS = {
    'something-v1': ({}, 'val', 'something-something-v1-validation.csv', 3, {
        'something-something-v1-labels.csv': 'Pushing something from right to left\nHolding '
                                             'something\nPushing something from left to right\n',
        'something-something-v1-validation.csv':
            '85;Holding something\n1753;Pushing something from left to right\n'
            '7;Holding something\n',
        'something-something-v1-train.csv': '100218;Holding something\n'}),
    'something-v2': ({}, 'val', 'labels/validation.json', 2, {
        'labels/labels.json': json.dumps({'Closing something': '0', 'Opening something': '1'}),
        'labels/validation.json':
            json.dumps([dict(id=i, label='x', template='Closing [something]', placeholders=[])
                        for i in ('3', '4')], indent=1)}),
    'jester': ({}, 'train', 'jester-v1-train.csv', 2, {
        'jester-v1-labels.csv': 'Swiping Left\nSwiping Right\n',
        'jester-v1-train.csv': '7;Swiping Left\n9;Swiping Right\n'}),
    'kinetics400': ({}, 'train', 'annotations/train.csv', 2, {
        'annotations/train.csv':
            'label,youtube_id,time_start,time_end,split\nyoga,-aB_1,10,20,train\n"hurling '
            '(sport)",zz,0,10,train\n'}),
    'ucf101': ({'fold': 2}, 'train', 'ucfTrainTestlist/trainlist02.txt', 3, {
        'ucfTrainTestlist/classInd.txt': '1 Archery\n2 YoYo\n',
        'ucfTrainTestlist/trainlist02.txt':
            'Archery/v_Archery_g08_c01.avi 1\nYoYo/v_YoYo_g09_c02.avi '
            '2\nYoYo/v_YoYo_g09_c03.avi 2\n'}),
    'hmdb51': ({}, 'train', 'testTrainMulti_7030_splits/run_test_split1.txt', 3, {
        'testTrainMulti_7030_splits/run_test_split1.txt': 'a_(x)_#1.avi 1 \nb.avi 1 \n',
        'testTrainMulti_7030_splits/sit_test_split1.txt': 'c.avi 1 \nd.avi 2 \n'}),
    'diving48': ({}, 'train', 'Diving48_V2_train.json', 2, {
        'Diving48_vocab.json': json.dumps([['Back', '15som', '05Twis', 'FREE'],
                                           ['Reverse', 'Dive', 'NoTwis', 'TUCK']]),
        'Diving48_V2_train.json':
            json.dumps([dict(vid_name=f'a_{k}', label=1, start_frame=0, end_frame=6)
                        for k in (1, 2)], indent=1)}),
    'egtea': ({'fold': 3}, 'train', 'action_annotation/train_split3.txt', 2, {
        'action_annotation/action_idx.txt': 'Inspect/Read recipe 1\nOpen fridge 2\n',
        'action_annotation/train_split3.txt':
            f'{CLIP.format(1)} 2 2 1\n{CLIP.format(2)} 1 5 60 \n'}),
    'epic55': ({'task': 'verb'}, 'train', 'EPIC_train_action_labels.csv', 2, {
        'EPIC_verb_classes.csv':
            "verb_id,class_key,verbs\n0,take,\"['take', 'grab']\"\n1,put,['put']\n",
        'EPIC_noun_classes.csv': 'noun_id,class_key,nouns\n0,pan,[]\n',
        'EPIC_train_action_labels.csv': EPIC
        + ',verb_class,noun_class\n0,P01,P01_01,0:0,0:1,2,3,1,0\n7,P26,P26_02,0:0,0:1,1,4,0,0\n'}),
    'something-v2 answers': ({}, 'test', 'labels/test-answers.csv', 2, {
        'labels/labels.json': json.dumps({'Closing something': '0', 'Opening something': '1'}),
        'labels/test.json': json.dumps([dict(id='3'), dict(id='4')]),
        'labels/test-answers.csv': '3;Closing something\n4;Opening something\n'}),
    'epic55 secret': ({}, 's1', 'EPIC_test_s1_timestamps.csv', 2, {
        'EPIC_verb_classes.csv': 'verb_id,class_key\n0,take\n',
        'EPIC_noun_classes.csv': 'noun_id,class_key\n0,pan\n',
        'EPIC_train_action_labels.csv': EPIC
        + ',verb_class,noun_class\n0,P01,P01_01,0:0,0:1,2,3,0,0\n',
        'EPIC_test_s1_timestamps.csv': EPIC
        + '\n9,P01,P01_09,0:0,0:1,1,2\n11,P02,P02_01,0:0,0:1,1,2\n'}),
    'egogestar': ({}, 'train', 'table.csv', 2, {
        'table.csv':
            'original_path,label,split,group\na/1.mp4,up,train,x\na/2.mp4,down,train,x\n'}),
}

def lay(root, lists, change=lambda name, data: data):
    for name, text in lists.items():
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).write_bytes(change(name, text.encode()))
    return root

def read(name, root):
    options, split, *_ = SETS[name]
    if name == 'egogestar':
        options = {'table': root/'table.csv'}
    return official_list(name.split()[0], root, split, partial=True, **options)

@pytest.fixture(scope='module')
def film():
    small = np.random.default_rng(0).integers(0, 255, (6, 4, 6, 3))
    return small.repeat(8, 1).repeat(8, 2).astype(np.uint8)

@pytest.fixture(scope='module')
def video(tmp_path_factory, film):
    return write_video(tmp_path_factory.mktemp('video')/'v.mp4', film)

def put(video, *paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(video, path)

# the owners' lists

@real
@pytest.mark.parametrize('name, folder, split, options, videos, classes, first, last', [
    ('something-v1', 'ssv1_ECO', 'train', {}, 86017, 174,
     ('100218', 'Something falling like a feather or paper'),
     ('62090', 'Plugging something into something')),
    ('something-v1', 'ssv1_ECO', 'val', {'order': 'file'}, 11522, 174,
     ('85', "Lifting up one end of something without letting it drop down"),
     ('24413', 'Unfolding something')),
    ('something-v1', 'ssv1_ECO', 'test', {}, 10960, 174, ('105723', None), ('105050', None)),
    ('something-v2', 'ssv2', 'val', {}, 24777, 174,
     ('74225', 'Spinning something that quickly stops spinning'),
     ('36585', 'Something falling like a feather or paper')),
    ('ucf101', 'ucf101_splits', 'train', {'fold': 1}, 9537, 101,
     ('ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01', 'ApplyEyeMakeup'),
     ('YoYo/v_YoYo_g25_c05', 'YoYo')),
    ('ucf101', 'ucf101_splits', 'test', {'fold': 3}, 3696, 101,
     ('ApplyEyeMakeup/v_ApplyEyeMakeup_g15_c01', 'ApplyEyeMakeup'),
     ('YoYo/v_YoYo_g21_c06', 'YoYo')),
    ('hmdb51', 'hmdb51_splits', 'train', {'fold': 2}, 3570, 51, None, None),
    ('hmdb51', 'hmdb51_splits', 'test', {'fold': 3}, 1530, 51, None, None),
    ('epic55', 'epic55', 'train', {'task': 'verb'}, 28472, 125, ('0', 'open'), ('39236', 'close')),
    ('epic55', 'epic55', 'train', {'task': 'noun', 'protocol': 'stc'}, 23191, 352,
     ('0', 'cupboard'), None),
    ('epic55', 'epic55', 'val', {'task': 'action', 'protocol': 'stc'}, 5281, 2513, None,
     ('39236', 'close cupboard')),
])
def test_official_lists(name, folder, split, options, videos, classes, first, last):
    listing = official_list(name, ANNOTATIONS/folder, split, **options)
    assert (len(listing.videos), len(listing.classes)) == (videos, classes)
    for expected, video in ((first, listing.videos[0]), (last, listing.videos[-1])):
        assert expected is None or (video.id, video.label) == expected

@real
@pytest.mark.parametrize('split, protocol', [('train', 'official'), ('val', 'stc')])
def test_epics_many_shot_classes(split, protocol):
    listing = official_list('epic55', ANNOTATIONS/'epic55', split, protocol=protocol)
    assert ({task: len(many) for task, many in listing.many_shot.items()}
            == dict(verb=26, noun=71, action=819))  # as in its paper
    assert {'take', 'put', 'wash'} < {listing.tasks['verb'][0][k]
                                      for k in listing.many_shot['verb']}

@real
def test_orders_of_the_other_code_bases():
    maps = {f.stem: f.read_text().splitlines()
            for f in (ANNOTATIONS/'mmaction2_label_maps').iterdir()}
    by_file = official_list('something-v1', ANNOTATIONS/'ssv1_ECO', 'val', order='file').classes
    assert list(by_file) == maps['sthv1'] and by_file[30] == 'Pushing something from left to right'
    assert (official_list('something-v1', ANNOTATIONS/'ssv1_ECO', 'val').classes
            == tuple(sorted(by_file)))
    assert list(official_list('something-v2', ANNOTATIONS/'ssv2', 'val').classes) == maps['sthv2']
    assert (list(official_list('ucf101', ANNOTATIONS/'ucf101_splits', 'test').classes)
            == maps['ucf101'])
    assert (list(official_list('hmdb51', ANNOTATIONS/'hmdb51_splits', 'test').classes)
            == maps['hmdb51'])
    jester = (ANNOTATIONS/'jester/jester-v1-labels.csv').read_text().splitlines()
    assert sorted(match_classes(maps['jester'], jester)) == list(range(27))
    for name, classes in (('something-v1', by_file), ('something-v2', by_file), ('jester', jester)):
        assert all({a, b} <= set(classes) for a, b in DATASETS[name].mirrored)

# layouts

@pytest.mark.parametrize('name, paths', [
    ('something-v2', ['20bn-something-something-v2/3.webm', '20bn-something-something-v2/4.webm']),
    ('kinetics400', ['train/-aB_1_000010_000020.mp4', 'train/zz_000000_000010.mkv']),
    ('kinetics400',
     ['train/yoga/-aB_1_000010_000020.mp4', 'train/hurling_(sport)/zz_000000_000010.mp4']),
    ('kinetics400', ['yoga/-aB_1_000010_000020.mp4', 'hurling (sport)/zz_000000_000010.mp4']),
    ('ucf101', ['UCF-101/Archery/v_Archery_g08_c01.avi', 'UCF-101/YoYo/v_YoYo_g09_c02.avi',
                'UCF-101/YoYo/v_YoYo_g09_c03.avi']),
    ('hmdb51', ['hmdb51_org/run/a_(x)_#1.avi', 'hmdb51_org/run/b.avi', 'hmdb51_org/sit/c.avi']),
    ('hmdb51', ['run/a_(x)_#1.avi', 'run/b.avi', 'sit/c.avi']),
    ('diving48', ['rgb/a_1.mp4', 'rgb/a_2.mp4']),
    ('egtea', [f'cropped_clips/OP01-R01-PastaSalad/{CLIP.format(k)}.mp4' for k in (1, 2)]),
    ('epic55', ['videos/train/P01/P01_01.MP4', 'videos/train/P26/P26_02.MP4']),
    ('epic55', ['EPIC-KITCHENS/P01/videos/P01_01.MP4', 'EPIC-KITCHENS/P26/videos/P26_02.MP4']),
    ('egogestar', ['a/1.mp4', 'a/2.mp4']),
])
def test_layout_of_video_files(tmp_path, video, name, paths):
    options, split, *_, lists = SETS[name]
    put(video, *(lay(tmp_path, lists)/p for p in paths))
    if name == 'egogestar':
        options = {'table': tmp_path/'table.csv'}
    data = open_dataset(name, tmp_path, split, partial=True, **options)
    assert list(data.paths) == [str(tmp_path/p) for p in paths]
    assert len(data.ids) == len(set(data.ids))
    for i in range(len(data)):
        assert data.read(i, lambda n: [n - 1]).shape == (3, 1, 32, 48)
    (tmp_path/paths[0]).unlink()
    with pytest.raises(ValueError, match=r'1 of \d videos of the split .* are not there, the first '
                                         r'is .*(line|entry) \d') as error:
        open_dataset(name, tmp_path, split, partial=True, **options)
    assert '\n' not in str(error.value)
    assert len(open_dataset(name, tmp_path, split, partial=True, allow_missing=True,
                            **options).absent) == 1

@pytest.mark.parametrize('name, place', [
    ('something-v1', '20bn-something-something-v1/{}'), ('jester', '20bn-jester-v1/{}'),
    ('jester', '{}'), ('epic55', 'frames_rgb_flow/rgb/train/P{}'), ('epic55', 'EPIC-KITCHENS/P{}')])
def test_layout_of_frame_folders(tmp_path, film, name, place):
    options, split, *_, lists = SETS[name]
    lay(tmp_path, lists)
    folders = {'something-v1': ['85', '1753', '7'], 'jester': ['7', '9'],
               'epic55': ['01/P01_01', '26/P26_02']}[name]
    if place.startswith('EPIC-K'):
        folders = [f.replace('/', '/rgb_frames/') for f in folders]
    for f in folders:
        write_frames(tmp_path/place.format(f), film,
                     'frame_{:010d}.jpg' if name == 'epic55' else '{:05d}.jpg')
    data = open_dataset(name, tmp_path, split, partial=True, **options)
    assert isinstance(data.reader, FrameFolders) and len(data) == len(folders)
    assert data.read(0, range).shape == (3, 2 if name == 'epic55' else 6, 32, 48)

def test_flow_beside_rgb(tmp_path, film, video):
    options, split, *_, lists = SETS['ucf101']
    lay(tmp_path, lists)
    for k, name in enumerate(('Archery/v_Archery_g08_c01', 'YoYo/v_YoYo_g09_c02',
                              'YoYo/v_YoYo_g09_c03')):
        put(video, tmp_path/f'UCF-101/{name}.avi')
        write_flow(tmp_path/'flow'/name, np.full((2, 7, 32, 48), 2.*k))
    rgb, flow = (open_dataset('ucf101', tmp_path, split, partial=True, **options, **kw)
                 for kw in ({}, {'flow': tmp_path/'flow'}))
    assert (rgb.ids, rgb.labels, rgb.classes) == (flow.ids, flow.labels, flow.classes)
    assert isinstance(flow.reader, FlowFolders)
    x = flow.read(2, lambda n: [0, n - 1])
    assert x.shape == (10, 2, 32, 48) and x.unique().tolist() == [round(255*24/40)]

def test_two_streams_from_the_command_line(tmp_path, capsys):
    "Videos and their exact flow → two networks → files of scores → one answer."
    config = MotionConfig(size=32, frames=9, displacement=1.5)
    lists = {'classInd.txt': '1 left\n2 right\n'}
    for split, n in (('train', 24), ('test', 16)):
        scenes = [sample_params('reversal', split, k, config, label=k % 2) for k in range(n)]
        names = [f"{('left', 'right')[k % 2]}/v_{split}_g{k:02d}_c01" for k in range(n)]
        for name, clip, flow in zip(names, *render(scenes, flow=True)):
            (tmp_path/'UCF-101'/name).parent.mkdir(parents=True, exist_ok=True)
            write_video(tmp_path/f'UCF-101/{name}.mp4', clip.permute(1, 2, 3, 0))
            write_flow(tmp_path/'flow'/name, flow, bound=4)
        lists[f'{split}list01.txt'] = ''.join(f'{name}.avi\n' if split == 'test'
                                              else f'{name}.avi {k % 2 + 1}\n'
                                              for k, name in enumerate(names))
    lay(tmp_path, lists)
    def run(*args):
        assert main([str(a) for a in args]) == 0, capsys.readouterr().err
    for stream, options in (('rgb', ['partial=true']),
                            ('flow', ['partial=true', f'flow={tmp_path}/flow'])):
        data = ['--data', tmp_path, '--dataset', 'ucf101', '--option', *options]
        run('train', *data, '--out', tmp_path/stream, '--model', 'tsn_tiny', '--frames', 3,
            '--size', 32, '--epochs', 8, '--batch-size', 6, '--lr', 3e-3, '--dropout', 0,
            '--no-augment', '--test-split', 'none', '--device', 'cpu', '--cache')
        run('evaluate', tmp_path/stream, *data)
    files = [tmp_path/f'{stream}/evaluate_test.safetensors' for stream in ('rgb', 'flow')]
    run('ensemble', *files, '--out', tmp_path/'both.json')
    rgb, flow, both = map(load_scores, (*files, tmp_path/'both.safetensors'))
    assert rgb.about['spec']['modality'] == 'rgb' and flow.about['spec']['modality'] == 'flow'
    # half is what a network without time can reach
    assert report(rgb)['top1']['accuracy'] <= .75 < report(flow)['top1']['accuracy']
    assert torch.allclose(both.logits, (rgb.logits + flow.logits)/2)
    assert both.ids == rgb.ids == flow.ids

def test_spans_of_one_file_are_items_of_their_own(tmp_path, video):
    options, split, *_, lists = SETS['epic55']
    lay(tmp_path, {**lists, 'EPIC_train_action_labels.csv': EPIC
                   + ',verb_class,noun_class\n0,P01,P01_01,,,2,30,1,0\n1,P01,P01_01,,,31,60,0,0\n'})
    (tmp_path/'videos/train/P01').mkdir(parents=True)
    (tmp_path/'videos/train/P01/P01_01.MP4').write_text('not a video')
    data = open_dataset('epic55', tmp_path, split, partial=True, **options)
    from test_datasets import Spec
    from video_convs.data.loader import loader
    batch = next(iter(loader(Clips(data, Spec(), train=False), 2)))
    assert len(batch.failed) == 2 and data.where(0).endswith('frames 1 to 30')
    assert data.subset([1]).spans == (data.spans[1],)
    assert data.subset([1]).tasks['noun'] == (('pan',), (0,))

# what is refused

@pytest.mark.parametrize('name, options, message', [
    ('folder', {'flow': 'x'}, "folder has no option 'flow': it has seed"),
    ('csv', {'fold': 1}, "csv has no option 'fold': it has root"),
    ('ucf101', {'flow': 'nowhere'}, 'write them there, or correct flow'),
    ('ucf101', {'frames': 'nowhere'}, 'write them there, or correct frames'),
    ('ucf101', {'flow': 'x', 'template': 'flow_x_{:05d}.jpg'}, 'two for flow, of x and of y'),
    ('ucf101', {'flow': 'x', 'template': ['x']}, 'two for flow'),
    ('ucf101', {'frames': 'x', 'template': ['a', 'b']}, 'one name for frames'),
    ('ucf101', {'template': 5}, 'got 5'),
    ('ucf101', {'fold': 4}, 'fold is one of 1, 2, 3, not 4'),
    ('ucf101', {'flod': 1}, "no option 'flod'")])
def test_options_that_do_not_fit(tmp_path, capsys, name, options, message):
    own, split, *_, lists = SETS['ucf101']
    root, own = lay(tmp_path, lists), {} if name in ('folder', 'csv') else {**own, 'partial': True}
    with pytest.raises(ValueError, match=message):
        open_dataset(name, root, split, **{**own, **options})
    typed = [f'{k}={json.dumps(v) if not isinstance(v, str) else v}'
             for k, v in {**own, **options}.items()]
    assert main(['train', '--data', str(root), '--dataset', name, '--out', str(tmp_path/'run'),
                 '--option', *typed]) == 2
    assert capsys.readouterr().err.startswith('video_convs train: ')

def test_flow_networks_want_flow(tmp_path, capsys, video):
    own, split, *_, lists = SETS['ucf101']
    put(video,
        *(lay(tmp_path, lists)/f'UCF-101/{n}.avi'
          for n in ('Archery/v_Archery_g08_c01', 'YoYo/v_YoYo_g09_c02', 'YoYo/v_YoYo_g09_c03')))
    data = open_dataset('ucf101', tmp_path, split, partial=True, **own)
    with pytest.raises(ValueError,
                       match='expect 10 .flow.: choose .* give the folder of flow as option flow'):
        Clips(data, InputSpec(size=32, modality='flow', mean=(.5,), std=(.226,)), train=False)
    assert main(['train', '--data', str(tmp_path), '--dataset', 'ucf101', '--option',
                 'partial=true', 'fold=2', '--test-split', 'none', '--model', 'tsn_tiny', '--out',
                 str(tmp_path/'run'), '--set', 'input_spec={"modality":"flow"}']) == 2
    assert 'input_spec is not a variant of a network' in capsys.readouterr().err

def test_epic_trains_where_no_split_for_testing_has_labels(tmp_path, video):
    options, _, _, _, lists = SETS['epic55']
    put(video,
        *(lay(tmp_path, lists)/f'videos/train/{p}.MP4' for p in ('P01/P01_01', 'P26/P26_02')))
    assert open_splits(tmp_path, 'epic55', options={**options, 'partial': True})[1:] == (None, '')
    *_, name = open_splits(tmp_path, 'epic55',
                           options={**options, 'partial': True, 'protocol': 'stc'})
    assert name == 'val'

def test_a_list_that_was_cut_is_noticed(tmp_path):
    root = lay(tmp_path, SETS['jester'][-1])
    with pytest.raises(ValueError, match='2 videos for the split .* has 118,562'):
        official_list('jester', root, 'train')

@pytest.mark.parametrize('name', SETS)
def test_missing_lists(tmp_path, name):
    lists = SETS[name][-1]
    for gone in lists:
        root = lay(tmp_path/gone.replace('/', '_'), {k: v for k, v in lists.items() if k != gone})
        root.mkdir(exist_ok=True)
        if gone in ('something-something-v1-train.csv', 'labels/test-answers.csv',
                    'testTrainMulti_7030_splits/sit_test_split1.txt',
                    'testTrainMulti_7030_splits/run_test_split1.txt'):
            continue
        with pytest.raises(ValueError, match='lacks|is not there|cannot be read'):
            read(name, root)

@pytest.mark.parametrize('name', SETS)
@pytest.mark.parametrize('change',
                         [lambda d: d.replace(b'\n', b'\r\n'), lambda d: b'\xef\xbb\xbf' + d,
                          lambda d: d.replace(b'\n', b'  \n\n'), lambda d: d.rstrip()])
def test_other_line_ends_marks_and_blanks_say_the_same(tmp_path, name, change):
    plain = read(name, lay(tmp_path/'a', SETS[name][-1]))
    other = read(name, lay(tmp_path/'b', SETS[name][-1], lambda _, d: change(d)))
    a, b = ([v._replace(where='') for v in listing.videos] for listing in (plain, other))
    assert a == b
    assert plain.classes == other.classes

@pytest.mark.parametrize('name', SETS)
def test_empty_lists_doubled_lines_and_zero_bytes(tmp_path, name):
    lists, file = SETS[name][-1], SETS[name][2]
    for change in (lambda d: b'', lambda d: b'\n \n', lambda d: d[:9] + b'\0' + d[9:],
                   lambda d: d.replace(b'\n', b'\n\xff', 1),
                   lambda d: d + d.split(b'\n')[-2] + b'\n'):
        root = lay(tmp_path, lists, lambda n, d: change(d) if n == file else d)
        with pytest.raises(ValueError, match='table.csv|' + Path(file).name) as error:
            read(name, root)
        assert '\n' not in str(error.value)

@pytest.mark.parametrize(
    'name, old', [('something-v1', '1753'), ('something-v2', '"4"'), ('jester', '9'),
                  ('kinetics400', 'zz'), ('ucf101', 'YoYo/v_YoYo_g09_c02.avi'), ('hmdb51', 'b.avi'),
                  ('diving48', 'a_2'), ('egtea', CLIP.format(2)), ('epic55', 'P26_02'),
                  ('epic55 secret', 'P02_01'), ('egogestar', 'a/2.mp4')])
@pytest.mark.parametrize('new', ['../../secret', '/etc/passwd', '..', 'a\\..\\b', 'x/../../y'])
def test_paths_that_climb_out(tmp_path, name, old, new):
    new = (json.dumps(new) if old.startswith('"')
           else json.dumps(new)[1:-1] if name == 'diving48' else new)
    file = SETS[name][2]
    root = lay(tmp_path, SETS[name][-1],
               lambda n, d: d.replace(old.encode(), new.encode(), 1) if n == file else d)
    with pytest.raises(ValueError, match='no plain file name|must be|not among'):
        read(name, root)

def test_csv_paths_that_climb_out(tmp_path, video):
    put(video, tmp_path/'set/a.mp4', tmp_path/'b.mp4')
    (tmp_path/'set/list.csv').write_text('path,label,split\na.mp4,x,train\n../b.mp4,y,train\n')
    with pytest.raises(ValueError, match=r"line 3: the path '../b.mp4' leads out of the folder"):
        csv_dataset(tmp_path/'set/list.csv')
    (tmp_path/'set/list.csv').write_text(
        f'path,label,split\nset/a.mp4,x,train\n{tmp_path}/b.mp4,y,train\n')
    assert len(csv_dataset(tmp_path/'set/list.csv', root=tmp_path)) == 2

def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    root = lay(tmp_path, SETS['jester'][-1])
    (root/'20bn-jester-v1').mkdir()
    def refuse(path):
        raise PermissionError(13, 'Permission denied', str(path))
    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(ValueError, match='20bn-jester-v1 cannot be read .Permission denied.'):
        open_dataset('jester', root, 'train', partial=True)

def test_frames_with_a_gap_and_cut_frames(tmp_path, film):
    folder, reader = write_frames(tmp_path/'a', film), FrameFolders()
    (folder/'00006.jpg').write_bytes((folder/'00006.jpg').read_bytes()[:500])
    with pytest.raises(VideoError, match='00006.jpg does not decode'):
        reader.read(str(folder), range)
    assert reader.read(str(folder), [0, 4]).shape == (3, 2, 32, 48)
    (folder/'00003.jpg').unlink()
    with pytest.raises(VideoError, match='lacks frame 3 of 1 … 6'):
        reader.read(str(folder), [0])
    late = write_frames(tmp_path/'b', film)
    os.unlink(late/'00001.jpg')
    with pytest.raises(VideoError, match='lacks frame 1 of 1 … 6'):
        reader.probe(str(late))
    both = write_frames(write_frames(tmp_path/'c', film), film[:2], '{:04d}.jpg')
    with pytest.raises(VideoError, match='twice, as 00001.jpg and 0001.jpg'):
        reader.read(str(both), [5])

# damaged at random: an error, or every line

folder = tempfile.TemporaryDirectory()
kinds = st.sampled_from('cut drop put swap double'.split())
pieces = st.sampled_from([b'\r\n', b'\n', b'"', b',', b';', b' ', b'../', b'\xef\xbb\xbf', b'\0',
                          b'{', b'[', b'1', b'-'])
new = st.one_of(st.binary(max_size=6), pieces)
edits = st.lists(st.tuples(kinds, st.floats(0, 1), st.floats(0, 1), new), max_size=3)

def damage(data, edits):
    for kind, a, b, new in edits:
        i, j = sorted((int(a*len(data)), int(b*len(data))))
        lines = data.split(b'\n')
        k, l = int(a*(len(lines) - 1)), int(b*(len(lines) - 1))
        if kind == 'cut':
            data = data[:i]
        elif kind == 'drop':
            data = data[:i] + data[min(j, i + 8):]
        elif kind == 'put':
            data = data[:i] + new + data[i:]
        elif kind == 'swap':
            lines[k], lines[l] = lines[l], lines[k]
            data = b'\n'.join(lines)
        else:
            data = b'\n'.join(lines[:k] + [lines[k]] + lines[k:])
    return data

def promised(name, file, data):
    "How many videos of the split a list names, counted in another way."
    text = data.decode('utf-8-sig')
    if file.endswith('.json'):
        return len(json.loads(text))
    lines = [l.strip()
             for l in text.replace('\r\n', '\n').replace('\r', '\n').split('\n') if l.strip()]
    if name == 'hmdb51':  # and those of the other file
        return sum(l.split()[-1] == '1' for l in lines) + (1 if 'run' in file else 2)
    if name == 'egogestar':
        return sum(l.split(',')[2].strip(' "') == 'train' for l in lines[1:] if l.strip(' ,"'))
    return (len(lines) - file.endswith('.csv')*(name in ('kinetics400', 'epic55'))
            - sum(not l.strip(' ,"') for l in lines if name in ('kinetics400', 'epic55')))

@pytest.mark.parametrize('name', SETS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 9), edits=edits)
def test_damaged_lists(name, which, edits):
    _, split, file, count, lists = SETS[name]
    hit = file if which > 3 else sorted(lists)[which % len(lists)]
    data = damage(lists[hit].encode(), edits)
    root = lay(Path(folder.name)/name, lists, lambda n, d: data if n == hit else d)
    try:
        listing = read(name, root)
    except ValueError as error:
        assert '\n' not in str(error) and len(str(error)) > 20
    else:
        assert isinstance(listing, Listing)
        known = {None} if split == 's1' else set(listing.classes)
        assert {v.label for v in listing.videos} <= known
        assert len(listing.videos) == (promised(name.split()[0], hit, data) if hit == file
                                       or name == 'hmdb51' else count)
        assert len({v.id for v in listing.videos}) == len(listing.videos)

keys = st.sampled_from(['id', 'template', 'vid_name', 'label', 'start_frame', 'end_frame'])
documents = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4),
                         lambda s: st.lists(s, max_size=3) | st.dictionaries(keys, s, max_size=5),
                         max_leaves=9)

@pytest.mark.parametrize('name', SETS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode),
                      documents.map(lambda v: json.dumps(v).encode())))
def test_any_bytes(name, data):
    lists = SETS[name][-1]
    for hit in lists:
        root = lay(Path(folder.name)/name, lists, lambda n, d: data if n == hit else d)
        try:
            read(name, root)
        except ValueError:
            pass

@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=60)
       | st.lists(st.sampled_from([b'a', b',', b'"', b'\n', b'\r\n', b' ', b'x,y', b'\xff', b'\0',
                                   b'[', b'{"', b':'])).map(b''.join))
def test_readers_of_text(data):
    file = Path(folder.name)/'any.txt'
    file.write_bytes(data)
    for reader in (list_lines, list_json, lambda f: list_json(f, dict),
                   lambda f: list_table(f, ['a'])):
        try:
            assert reader(file) is not None
        except ValueError as error:
            assert 'any.txt' in str(error)

@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=edits)
def test_damaged_tables(edits):
    root = Path(folder.name)/'table'
    root.mkdir(exist_ok=True)
    for name in 'abcd':
        (root/f'{name}.mp4').write_bytes(name.encode())
    data = damage(b'path,label,split,group\n'
                  + b''.join(b'%c.mp4,%c,train,g\n' % (c, c) for c in b'abcd'), edits)
    (root/'list.csv').write_bytes(data)
    try:
        got = csv_dataset(root/'list.csv')
    except ValueError as error:
        assert str(root) in str(error)
    else:
        lines = [l for l in data.decode('utf-8-sig').replace('\r\n', '\n').replace('\r', '\n')
                 .split('\n') if l.strip(' ,"\t\x0b\x0c\x1c\x1d\x1e\x1f\x85')]
        assert len(got) == len(lines) - 1
