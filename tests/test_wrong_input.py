"Wrong input about lists, folders, views and frames ends in a sentence that names the fault."
from dataclasses import replace

import numpy as np
import pytest
import torch

from video_convs.data.catalogue import open_dataset
from video_convs.data.custom import csv_dataset, open_data
from video_convs.data.dataset import pick_in_span
from video_convs.data.frames import frame_files
from video_convs.data.lists import list_table
from video_convs.data.official import (
    class_index, example_tree, known_class, numbered_classes, plain_file_name, whole_number)
from video_convs.data.sampling import clip_indices, micro_clips
from video_convs.data.transforms import Augment, check_flips, eval_transform
from video_convs.data.views import Views, eval_box, parse_views
from video_convs.nets.spec import InputSpec


def refused(call, *says):
    "The message of a call that must fail: one line, with these words in it."
    with pytest.raises(ValueError) as error:
        call()
    message = str(error.value)
    assert '\n' not in message and all(words in message for words in says), message


# tables

@pytest.mark.parametrize('data, says', [
    (b'path,label\na,\0', 'line 2: has a zero byte'),
    ('path,label\né,a'.encode('latin1'), 'line 2: is no UTF-8 text'),
    (b'path\na', "lacks the column 'label'"),
    (b'path,label\n', 'lists no videos'),
    (b'path,label\na,b,c', 'line 2: has 3 values for 2 columns'),
    (b'path,label\n"a,b\nc,d', 'close its quotes'),
    (b'path,label\n"a\nb",c', 'goes on for several lines')])
def test_a_table_that_cannot_be_read(tmp_path, data, says):
    (tmp_path/'list.csv').write_bytes(data)
    refused(lambda: list_table(tmp_path/'list.csv', ['path', 'label']), 'list.csv', says)


TABLE = ['path,label,split,start_frame,end_frame', 'a/1.mp4,a,train,0,9', 'b/1.mp4,b,train,,',
         'b/2.mp4,b,test,,']

@pytest.mark.parametrize('lines, says', [
    (['path,label', *TABLE[1:]], 'values for 2 columns'),
    (TABLE[:1], 'lists no videos'),
    ([*TABLE, 'b/1.mp4,b,test,,'], 'the same video is in two splits'),
    ([*TABLE, 'c.mp4,,train,,'], 'line 5: path, label and split must all be given'),
    ([*TABLE, TABLE[2]], 'lists b/1.mp4 twice'),
    ([*TABLE, 'a/1.mp4,a,train,8,5'], "start_frame < end_frame, got '8' and '5'"),
    ([*TABLE, 'a/1.mp4,a,train,8,'], 'start_frame and end_frame must both be given'),
    ([*TABLE, 'a/1.mp4,a,test,8,13'], "frames 8 to 13, in 'test'")])
def test_rows_that_contradict_each_other(tmp_path, lines, says):
    for name in ('a/1.mp4', 'b/1.mp4', 'b/2.mp4'):
        (tmp_path/name).parent.mkdir(exist_ok=True)
        (tmp_path/name).write_text(name)
    (tmp_path/'list.csv').write_text('\n'.join(lines) + '\n')
    refused(lambda: csv_dataset(tmp_path/'list.csv', 'train'), says)


def test_a_class_that_is_not_named(tmp_path):
    (tmp_path/'a.mp4').touch()
    (tmp_path/'classes.txt').write_text('right\nleft\n')
    (tmp_path/'list.csv').write_text('path,label,split\na.mp4,up,train\n')
    refused(lambda: csv_dataset(tmp_path/'list.csv', 'train'),
            "has the class 'up', not among the 2 classes (right, left)")


@pytest.mark.parametrize('name, split, says', [
    ('nowhere', None, 'nowhere does not exist: give a folder of classes or a CSV file'),
    ('fine/a/0.mp4', None, 'is neither a folder nor a .csv, .tsv or .txt file'),
    ('empty', None, 'empty holds no videos'),
    ('words', None, 'words holds no videos'),
    ('lonely', None, "has one class only ('left')"),
    ('fine', 'val', "has no split 'val': choose one of 'test', 'train'")])
def test_a_folder_that_is_no_data_set(tmp_path, name, split, says):
    for file in ('fine/a/0.mp4', 'fine/a/1.mp4', 'fine/b/2.mp4', 'fine/b/3.mp4', 'words/a/note.txt',
                 'lonely/left/0.mp4'):
        (tmp_path/file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/file).write_text(file)
    (tmp_path/'empty').mkdir()
    refused(lambda: open_data(tmp_path/name, split), says)


@pytest.mark.parametrize('span, pick, says', [
    ((25, 40), range, '30 frames, too few for the span from 25 to 40'),
    ((30, 31), range, 'too few for the span'),
    ((10, 20), lambda n: [10], 'choose from 0 … 9')])
def test_a_span_that_its_file_does_not_hold(span, pick, says):
    refused(lambda: pick_in_span(span, 30, pick, 'kitchen.mp4'), 'kitchen.mp4', says)


# the owners' lists

@pytest.mark.parametrize('name, deep', [
    *((name, False) for name in ('../1', '..', '', 'a/b', '/etc', 'a\\b', 'a\x1bb')),
    *((name, True) for name in ('a/../b', '/a', 'a//b', 'a/'))])
def test_a_name_that_leads_elsewhere(name, deep):
    refused(lambda: plain_file_name(name, 'list.txt, line 1', deep), 'no plain file name')
    assert plain_file_name('Class/v_1.avi', '', deep=True) == 'Class/v_1.avi'


@pytest.mark.parametrize('value', ['-1', '1.5', True, 'x', '0', '٣', '1'*99])
def test_a_number_that_is_none(value):
    refused(lambda: whole_number(value, 1, 'f', 'n'), 'n must be a whole number from 1 on')


def test_classes_and_their_numbers():
    refused(lambda: known_class('Hol something', ('Holding something',), 'f, line 3', 'l.csv'),
            "f, line 3: the class 'Hol something'", "(near: 'Holding something')")
    assert numbered_classes([('2', 'b', ''), ('1', 'a', '')], 1, 'f') == ('a', 'b')
    refused(lambda: numbered_classes([('1', 'a', ''), ('3', 'b', '')], 1, 'f'), 'has no class 2')
    refused(lambda: numbered_classes([('1', 'a', ''), ('1', 'b', 'f, line 2')], 1, 'f'),
            'f, line 2: the number 1 is given twice')
    assert class_index('2', ('a', 'b'), 1, 'f') == 1
    refused(lambda: class_index(3, ('a', 'b'), 1, 'f'), 'the class 3 is not among 1 … 2')


GESTURES = {'jester-v1-labels.csv': 'Swiping Left\nSwiping Right\n'}
TWO_SPLITS = {'jester-v1-train.csv': '1;Swiping Left\n',
              'jester-v1-validation.csv': '3;Swiping Left\n1;Swiping Left\n'}
V2_LABELS = {'labels.json': {'Closing something': '0'}}

@pytest.mark.parametrize('name, lists, says', [
    ('jester', {}, 'lacks jester-v1-train.csv'),
    ('jester', {'jester-v1-train.csv': ''}, 'jester-v1-train.csv is empty'),
    ('jester', {'jester-v1-train.csv': '1;Swiping Left\n2;Swiping Up\n'},
     "line 2: the class 'Swiping Up' is not among the 2"),
    ('jester', {'jester-v1-train.csv': '1;Swiping Left\n1;Swiping Right\n'},
     'line 2: 1 is listed twice, first in'),
    ('jester', {'jester-v1-train.csv': '1 Swiping Left\n'}, 'line 1'),
    ('jester', {'jester-v1-train.csv': '../1;Swiping Left\n'}, 'could lead out of'),
    ('jester', TWO_SPLITS, "line 2: 1 is in the split 'val' and in 'train'"),
    ('jester', {'jester-v1-train.csv': '1;Swiping Left\n'}, '1 of 1 videos'),
    ('something-v2', {'labels.json': '{"a":"0","a":"1"}', 'train.json': []}, "'a' is given twice"),
    ('something-v2', {**V2_LABELS, 'train.json': '[{"id":"1",'}, 'no valid JSON'),
    ('something-v2', {**V2_LABELS, 'train.json': '['*100000}, 'no valid JSON'),
    ('something-v2', {**V2_LABELS, 'train.json': []}, 'lists no videos'),
    ('something-v2', {**V2_LABELS, 'train.json': [{'id': 1}]}, 'entry 1: must have an id'),
    ('something-v2', {'labels.json': {'a': '0', 'b': '2'}, 'train.json': []}, 'has no class 1'),
    ('diving48', {'Diving48_vocab.json': [['a']], 'Diving48_V2_train.json':
                  [dict(vid_name='v', label=1, start_frame=0, end_frame=3)]},
     'the class 1 is not among 0 … 0'),
    ('ucf101', {'classInd.txt': '1 A\n2 B', 'trainlist01.txt': 'A/v.avi 2\n'},
     'number of the class (1)'),
    ('hmdb51', {'run_test_split1.txt': 'a.avi 3\n'}, 'must be video.avi and 0, 1 or 2'),
    ('hmdb51', {'run_test_split1.txt': 'a.avi 1\n', 'sit_test_split2.txt': 'b.avi 1\n'},
     'sit_test_split1.txt is missing'),
    ('egtea', {'action_idx.txt': 'Open fridge 1', 'train_split1.txt': 'P-R-N-1-2-F1-F2 3\n'},
     'action 3 is not among 1 … 1')])
def test_a_small_tree_with_one_fault(tmp_path, name, lists, says):
    root = example_tree(tmp_path, {**(GESTURES if name == 'jester' else {}), **lists})
    refused(lambda: open_dataset(name, root, 'train', partial=True), says)


@pytest.mark.parametrize('name, split, options, says', [
    ('jester', 'dev', {}, "no split 'dev'"),
    ('jester', 'train', {'fold': 2}, "no option 'fold'"),
    ('jester', 'train', {'order': 'random'}, 'order is one of sorted, file'),
    ('gesture', 'train', {}, "there is no data set 'gesture'"),
    ('ucf101', 'train', {'frames': 'x', 'flow': 'y'}, 'frames and flow are two data sets')])
def test_a_call_with_one_fault(tmp_path, name, split, options, says):
    root = example_tree(tmp_path, {
        'classInd.txt': '1 A\n', 'trainlist01.txt': 'A/v_A_g01_c01.avi 1\n', **GESTURES})
    refused(lambda: open_dataset(name, root, split, partial=True, **options), says)


def test_a_root_that_is_not_there(tmp_path):
    refused(lambda: open_dataset('jester', tmp_path/'nowhere', 'train'), 'nowhere is no folder')


# folders of frames

@pytest.mark.parametrize('names, template, says', [
    (('img_1.jpg', '1.png'), None, 'several kinds of numbered pictures'),
    (('img_1.jpg', 'img_3.jpg'), 'img_{:05d}.jpg', 'lacks frame 2 of 1 … 3'),
    (('late_7.jpg', 'late_8.jpg'), 'late_{}.jpg', 'lacks frame 1 of 1 … 8'),
    (('twice_1.jpg', 'twice_01.jpg'), 'twice_{}.jpg',
     'holds a frame twice, as twice_01.jpg and twice_1.jpg'),
    (('img_1.jpg',), 'pic_{}.jpg', 'no numbered pictures'),
    (('img_1.jpg',), 'img.jpg', 'no place for the number')])
def test_a_folder_of_frames_with_one_fault(tmp_path, names, template, says):
    for name in names:
        (tmp_path/name).touch()
    refused(lambda: frame_files(tmp_path, template), says)
    refused(lambda: frame_files(tmp_path/'nowhere'), 'check the path')


# views, transforms, sampling

SPEC, CLIP = InputSpec(), torch.zeros(3, 8, 240, 320, dtype=torch.uint8)

@pytest.mark.parametrize('call, says', [
    (lambda: eval_transform(SPEC)(CLIP[:, 0]), '(3, T, H, W)'),
    (lambda: eval_transform(InputSpec(modality='flow', mean=(.5,), std=(.2,)))(CLIP),
     '(10, T, H, W)'),
    (lambda: eval_box(3, 4, 'pad'), "not 'pad'"),
    (lambda: Augment(crop='middle'), "not 'middle'"),
    (lambda: Augment(jitter=2), 'jitter must be a number from 0 to below 1, got 2'),
    (lambda: Augment.corners(scale=(1, 0)), '0 < scale ≤ 1'),
    (lambda: Views(resize=(256, -1)), 'from 1 to 16,384, got (256, -1)'),
    (lambda: check_flips(['hflip'], SPEC, flip_map={'hflip': {86: 87}}), '87 into 87'),
    (lambda: eval_transform(SPEC, Views(3))(CLIP), '8 frames are not 3 clips'),
    (lambda: parse_views('10'), 'CLIPSxCROPS'),
    (lambda: Views(0), 'clips of a video must be a whole number from 1 to 1,000, got 0'),
    (lambda: Views(size=0), 'size of a crop must be a whole number from 1 to 4,096, got 0'),
    (lambda: eval_transform(SPEC, Views(rule='uniform')), "choose 'segments' or 'dense'"),
    (lambda: eval_transform(SPEC, Views(resize=(224, 200))), 'into a frame of 224×200'),
    (lambda: eval_transform(replace(SPEC, fit='squash'), Views(crops=3)), 'one crop of it')])
def test_views_and_transforms(call, says):
    refused(call, says)


@pytest.mark.parametrize('call, says', [
    (lambda: micro_clips(10, 8, 0), 'L ≥ 1'),
    (lambda: micro_clips(10, 8, micro='end'), "'start' or 'centre', not 'end'"),
    (lambda: clip_indices(10, SPEC, 'uniform'), "choose 'segments' or 'dense'"),
    (lambda: clip_indices(10, SPEC, clips=0), '0 clips'),
    (lambda: clip_indices(np.zeros(0), SPEC), 'leave it out')])
def test_sampling(call, says):
    refused(call, says)
