"Several labels and a number a video: from the table to the card, and what looks wrong before."
import csv
import io
import json
import re
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from video_convs.checkpoint import read_config
from video_convs.cli import main
from video_convs.cli.using import _answers
from video_convs.data.custom import csv_dataset, folder_dataset, open_data
from video_convs.data.dataset import VideoDataset
from video_convs.data.labels import (fitted, label_notes, read_labels, refuse_typo,
                                     short_videos)
from video_convs.data.video import write_video
from video_convs.explain.page import explain_video
from video_convs.nets.ensemble import Ensemble
from video_convs.nets.model_card import model_card, report_words
from video_convs.nets.spec import InputSpec
from video_convs.nets.target import (Number, OneClass, SeveralLabels, criterion, read_target,
                                     refuse_other)
from video_convs.nets.video_net import VideoNet, load
from video_convs.train.labels_and_numbers import average_precision, drawn, errors, needed
from video_convs.train.labels_and_numbers import other_report
from video_convs.train.recipes import Recipe
from video_convs.train.run_folder import read_log
from video_convs.train.scores import Scores, load_scores
from video_convs.train.step import clip_loss
from video_convs.train.targets import make_targets
from video_convs.use.classifier import predict
from video_convs.use.space import write_space
from video_convs.use.timeline import timeline

pytestmark = [pytest.mark.usefixtures('one_thread'),
              pytest.mark.filterwarnings('ignore:.*videos have several labels')]
KINDS = 'labels', 'speed'
SMALL = ('--model', 'tsn_tiny', '--frames', 2, '--size', 32, '--epochs', 2, '--batch-size', 6,
         '--workers', 0, '--cache', '--no-augment')


def said(*words):
    "Exit code, standard output of a command."
    with redirect_stdout(io.StringIO()) as text:
        code = main(list(map(str, words)))
    return code, text.getvalue()


@pytest.fixture(scope='module')
def root(tmp_path_factory, one_thread):
    "Sixteen videos of a square, three tables about them, and a run of two kinds."
    root = tmp_path_factory.mktemp('squares')
    (root/'v').mkdir()
    rows = {'labels': ['path,label,split,group'], 'speed': ['path,speed,split']}
    for k in range(16):
        red, speed, part = k % 2, k//2 % 4, 'train' if k < 12 else 'test'
        frames = np.full((6, 40, 40, 3), 40, np.uint8)
        for t in range(6):
            x = 4 + speed*t
            frames[t, 2*k:2*k + 8, x:x + 8] = (220, 30, 30) if red else (30, 30, 220)
        write_video(root/f'v/{k:02d}.mp4', frames)
        labels = '|'.join(['red' if red else 'blue', *['moves']*(speed > 0)])
        rows['labels'].append(f'v/{k:02d}.mp4,{labels},{part},day{k % 3}')
        rows['speed'].append(f'v/{k:02d}.mp4,{10*speed + 5.5},{part}')
    for kind, table in rows.items():
        (root/f'{kind}.csv').write_text('\n'.join(table) + '\n')
    for kind, more in (('labels', ('--balance', 'loss')), ('speed', ('--target', 'number'))):
        code = main(list(map(str, ('train', '--data', root/f'{kind}.csv', '--out', root/kind,
                                   *SMALL, *more))))
        assert code == 0
    return root


def test_a_checkpoint_knows_what_it_answers(root):
    labels, speed = (load(root/kind) for kind in KINDS)
    assert labels.target == SeveralLabels() and labels.classes == ['blue', 'moves', 'red']
    assert speed.classes == ['speed'] and speed.num_classes == 1
    values = [10*(k//2 % 4) + 5.5 for k in range(12)]
    assert speed.target == Number(float(np.mean(values)), float(np.std(values)))
    assert json.loads((root/'labels/config.json').read_text())['target'] == {'kind': 'labels'}


def test_a_log_and_a_plot_have_the_figures_of_the_kind(root):
    for kind, keys in (('labels', {'labels_right', 'test_map'}),
                       ('speed', {'error', 'test_mae', 'test_r2'})):
        log = read_log(root/kind)
        assert keys <= set(log[0]) and 'top1' not in log[0] and 'test_top1' not in log[0]
        best = criterion(log)
        assert best[1] == (log[1]['test_map'] if kind == 'labels' else -log[1]['test_mae'])
        code, text = said('plot', root/kind, '--out', root/'p.png')
        assert code == 0 and ('mean AP' if kind == 'labels' else 'error') in text
    assert main(['plot', *(str(root/kind) for kind in KINDS), '--out', str(root/'p.png')]) == 2


def test_evaluate_gives_intervals(root):
    code, text = said('evaluate', root/'labels', '--data', root/'labels.csv', '--workers', 0)
    assert code == 0 and 'mean average precision' in text and 'bootstrap over 3 groups' in text
    assert re.search(r'  red +\d+\.\d % +95 % interval', text) and 'a guess' in text
    code, text = said('evaluate', root/'speed', '--data', root/'speed.csv', '--workers', 0)
    assert code == 0 and 'mean absolute error' in text and 'bootstrap over 4 videos' in text
    page = json.loads((root/'speed/evaluate_test.json').read_text())
    truth, answers = np.array(page['labels'])[:, 0], np.array(page['answers'])[:, 0]
    assert np.isclose(page['mae']['value'], np.abs(truth - answers).mean())
    assert set(truth) == {5.5 + 10*k for k in (2, 3)} or len(set(truth)) > 1
    assert page['mae']['value'] == pytest.approx(read_log(root/'speed')[-1]['test_mae'], rel=1e-4)


def test_predict_names_all_labels_and_the_number(root):
    video = root/'v/03.mp4'
    code, text = said('predict', root/'labels', video, '--threshold', 0, '--topk', 1)
    assert code == 0 and len(text.splitlines()) == 3 and ' red' in text
    code, text = said('predict', root/'labels', video, '--threshold', 1)
    assert code == 0 and text.startswith('no label')
    code, text = said('predict', root/'speed', video)
    assert code == 0 and re.fullmatch(r'speed -?[\d.]+\n', text)
    code, text = said('predict', root/'speed', video, '--csv')
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ['video', 'rank', 'name', 'value'] and len(rows) == 2


@pytest.mark.parametrize('kind', KINDS)
def test_an_ensemble_of_scores_works(root, kind):
    said('evaluate', root/kind, '--data', root/f'{kind}.csv', '--workers', 0)
    file = root/kind/'evaluate_test.safetensors'
    code, text = said('ensemble', file, file)
    alone = json.loads(file.with_suffix('.json').read_text())
    assert code == 0 and report_words(alone).split()[-4] in text
    back = load_scores(file)
    assert back.target.kind == ('number' if kind == 'speed' else 'labels')
    assert back.labels.shape == back.logits.shape


REFUSED = {'calibrate': ('{run}', '--data', '{data}'), 'probe': ('{run}', '--data', '{data}'),
           'live': ('{run}', '--video', '{video}', '--no-window'),
           'submit': ('{scores}', '--server', 'jester', '--out', '{root}/s.csv'),
           'features': ('{run}', '{data}', '--out', '{root}/f.safetensors'),
           'data': ('show', '{data}', '--out', '{root}/sheet.png'),
           'search': ('--data', '{data}', '--test-split', 'test', '--model', 'tsn_tiny', '--lr',
                      '.1,.2', '--epochs', '2', '--out', '{root}/search'),
           'train': ('--data', '{data}', '--teacher', '{run}', '--out', '{root}/taught',
                     *map(str, SMALL)),
           'export': ('{run}', '--int8', '--calibrate', '{root}/v', '--out', '{root}/i.onnx')}


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('command', REFUSED)
def test_commands_for_one_class_refuse_in_a_sentence(root, kind, command, capsys):
    said('evaluate', root/kind, '--data', root/f'{kind}.csv', '--workers', 0)
    where = dict(run=root/kind, data=root/f'{kind}.csv', video=root/'v/03.mp4', root=root,
                 scores=root/kind/'evaluate_test.safetensors')
    capsys.readouterr()
    options = dict.fromkeys(('data', 'search', 'train'), ('--target', 'number'))
    options['features'] = '--dataset', 'csv', '--option', 'target=number'
    new = options.get(command, ()) if kind == 'speed' else ()
    assert main([command, *(word.format(**where) for word in REFUSED[command]), *new]) == 2
    error = capsys.readouterr().err.strip()
    assert 'answer with one class' in error and len(error.splitlines()) == 1
    assert ('a number' if kind == 'speed' else 'several labels') in error


def test_a_page_explains_a_label_and_a_number(root):
    video = root/'v/03.mp4'
    code, text = said('explain', root/'labels', video, '--class', 'red', '--out', root/'e.html')
    shares = [float(share) for share in re.findall(r'([\d.]+)%', text)]
    assert code == 0 and len(shares) == 3 and not 99 < sum(shares) < 101  # no softmax
    for method, words in (('hirescam', 'Red pixels raise <b>'), ('occlusion', 'blue lower, <b>')):
        code, text = said('explain', root/'speed', video, '--method', method,
                          '--out', root/'n.html')
        value, page = float(text.split()[1]), (root/'n.html').read_text()
        assert code == 0 and text.startswith('speed ') and words in page
        assert f'speed {value:.4g}, says tsn_tiny' in page and 'The number over time' in page
        assert '%</span>' not in page.partition('Numbers over time')[0].rpartition('over-time')[2]


def test_an_explained_number_is_the_predicted_one(root):
    model, video = load(root/'speed'), root/'v/06.mp4'
    found = explain_video(video, model, progress=False)
    (name, value), = predict(video, model)
    assert found.classes == [name] and found.target == model.target
    assert abs(found.probabilities.item() - value) < 1e-4 * abs(value)
    assert len(found.over_time) == len(found.spans) and found.over_time.shape[1] == 1


def test_a_timeline_of_labels_has_parts_of_their_own(root, tmp_path):
    model, video = load(root/'labels'), root/'v/03.mp4'
    found = timeline(video, model, span=.1, smooth=0, progress=False)
    p = found.probabilities
    least = float(np.sort(p.min(0))[-2])  # two labels are that probable all the time
    parts = found.segments(least)
    whole = {part.label: part for part in parts if part.end - part.start == found.duration}
    assert len(whole) >= 2 and not np.allclose(p.sum(1), 1)
    for label, part in whole.items():
        assert part.score == pytest.approx(p[:, found.classes.index(label)].mean())
    assert all(set(names) == {c for c, x in zip(found.classes, row) if x >= least}
               for names, row in zip(found.sets(least), p))
    drawn = found.plot(least).axes[1]
    assert drawn.get_ylim() == (len({part.label for part in parts}), 0)
    lows = {round(band.get_paths()[0].get_extents().y0) for band in drawn.collections}
    assert lows == set(range(len(lows))) and len(lows) >= 2
    code, text = said('timeline', root/'labels', video, '--span', .1, '--smooth', 0,
                      '--threshold', least, '--out', tmp_path/'t.csv')
    assert code == 0 and len(text.splitlines()) == len(parts) + 1
    assert (tmp_path/'t.csv').read_text().startswith('start,end,label,score')


def test_a_timeline_of_a_number_is_a_curve(root, tmp_path, capsys):
    model, video = load(root/'speed'), root/'v/03.mp4'
    found = timeline(video, model, span=.1, smooth=0, progress=False)
    values = found.probabilities[:, 0]
    assert found.segments() == [] and found.classes == ('speed',)
    assert abs(values.mean() - model.target.mean) < 5 * model.target.std
    line, = found.plot().axes[0].lines
    assert np.array_equal(line.get_ydata(), values)
    for kind in ('csv', 'json', 'png'):
        code, text = said('timeline', root/'speed', video, '--span', .1, '--smooth', 0,
                          '--out', tmp_path/f't.{kind}')
        assert code == 0 and f'speed: mean {values.mean():.4g}, from {values.min():.4g}' in text
    rows = list(csv.reader(open(tmp_path/'t.csv')))
    page = json.loads((tmp_path/'t.json').read_text())
    assert rows[0] == ['seconds', 'speed'] and len(rows) == len(values) + 1
    assert page['name'] == 'speed' and page['values'] == [float(row[1]) for row in rows[1:]]
    capsys.readouterr()
    assert main(['timeline', str(root/'speed'), str(video), '--threshold', '.5']) == 2
    assert 'leave it out' in capsys.readouterr().err


@pytest.mark.parametrize('kind, words', [('labels', 'It knows 3 labels'),
                                         ('speed', 'It answers with a number')])
def test_a_space_says_what_it_shows(root, kind, words):
    space = write_space(root/kind, 'a/b')
    assert words in (space/'app.py').read_text()
    compile((space/'app.py').read_text(), 'app.py', 'exec')
    shown = {'labels': 'five most probable labels', 'speed': 'shows the number'}[kind]
    assert shown in (space/'README.md').read_text()


def test_an_exported_file_says_what_its_scores_mean(root):
    pytest.importorskip('onnxruntime')
    code, _ = said('export', root/'speed', '--format', 'torchscript', '--out', root/'s.pt')
    page = json.loads((root/'s.json').read_text())
    assert code == 0 and page['target']['kind'] == 'number' and 'std' in page['python'][-1]


def test_a_card_has_the_figures_of_its_kind(root):
    for kind in KINDS:
        said('evaluate', root/kind, '--data', root/f'{kind}.csv', '--workers', 0)
    labels, speed = (model_card(load(root/kind), root/kind, 'a/b') for kind in KINDS)
    assert 'mean average precision' in labels and 'Labels: blue, moves, red.' in labels
    assert 'top-1' not in labels + speed and 'always answers with one of' not in labels + speed
    assert 'Number: speed.' in speed and '| mean absolute error |' in speed and 'R²' in speed


def test_pull_says_what_a_network_answers_with(root):
    assert _answers(read_config(root/'speed')) == 'a number: speed'
    assert _answers(read_config(root/'labels')) == 'labels: 3'
    assert _answers(dict(num_classes={'verb': 2})) == 'classes: {"verb": 2}'


def test_an_unfinished_run_of_another_kind_is_not_continued(root, capsys):
    assert main(list(map(str, ('train', '--data', root/'speed.csv', '--out', root/'labels', *SMALL,
                               '--target', 'number')))) == 2
    assert 'another run' in capsys.readouterr().err


def test_the_data_must_be_of_the_networks_kind(root, capsys):
    assert main(['evaluate', str(root/'speed'), '--data', str(root/'labels.csv')]) == 2
    assert 'is a number, got' in capsys.readouterr().err


# what the tests above rest on, without a training

def table(tmp_path, *lines, name='clips.csv'):
    (tmp_path/'v').mkdir(exist_ok=True)
    for k in range(len(lines)):
        (tmp_path/f'v/{k}.mp4').write_bytes(b'%d' % k)
    (tmp_path/name).write_text('\n'.join(lines) + '\n')
    return tmp_path/name


def column(*cells, name='label'):
    return [f'path,{name}', *(f'v/{k}.mp4,{cell}' for k, cell in enumerate(cells))]


def test_both_ways_to_write_labels_are_the_same(tmp_path):
    joined = csv_dataset(table(tmp_path, *column('a|b', 'c|b', 'a | c')))
    wide = csv_dataset(table(tmp_path, 'path,a,b,c', 'v/0.mp4,1,1,0', 'v/1.mp4,0,1,1',
                             'v/2.mp4,1,0,1', name='wide.csv'))
    assert joined.target == wide.target == SeveralLabels()
    assert joined.classes == wide.classes == ('a', 'b', 'c')
    assert joined.values == wide.values == ((1., 1., 0.), (0., 1., 1.), (1., 0., 1.))
    assert joined.subset([2]).values == ((1., 0., 1.),) and joined.labels == (-1,)*3
    assert 'of 3 labels, several a video' in repr(joined)


def test_one_class_stays_what_it_was(tmp_path):
    data = csv_dataset(table(tmp_path, *column('a', 'b', 'a')))
    assert (data.target, data.labels, data.values) == (OneClass(), (0, 1, 0), ())
    assert VideoNet('tsn_tiny', 2).config().keys() & {'target'} == set()
    named = csv_dataset(table(tmp_path, *column('a|b', 'c', 'c')), target='class')
    assert named.classes == ('a|b', 'c')


BAD = [  # cells of the column label, target, what the message must say
    (('a||b', 'a'), None, 'line 2: one of the labels'),
    (('a', ''), None, 'line 3: path, label and split must all be given'),
    (('1.5', '2', '3'), None, '--target number if they are a quantity, or --target class'),
    ([str(k) for k in range(10, 22)], None, '12 different numbers in 12 rows'),
    (('1.5', 'fast'), 'number', "line 3: target is a number, got 'fast'"),
    (('1', 'nan'), 'number', "got 'nan'"),
    (['waving']*6 + ['wavng'], None, "'wavng' has one video and 'waving' has 6"),
    (['waving|a']*6 + ['wavng|a'], None, "'wavng' has one video and 'waving' has 6"),
    (('a', 'b'), 'several', 'target is one of class, labels, number'),
]


@pytest.mark.parametrize('cells, target, words', BAD, ids=[words[:30] for *_, words in BAD])
def test_wrong_labels_are_refused_before_anything_is_decoded(tmp_path, cells, target, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        open_data(table(tmp_path, *column(*cells)), target=target)


WIDE = [
    (('path,a,b', 'v/0.mp4,1,0', 'v/1.mp4,0,2', 'v/2.mp4,1,1'), None, "line 3: the label 'b' must"),
    (('path,a,b', 'v/0.mp4,x,y', 'v/1.mp4,x,y'), None, "lacks the column 'label'"),
    (('path,a,b', 'v/0.mp4,1,0', 'v/1.mp4,0,1'), 'class', "lacks the column 'label'"),
    (('path,a,b', 'v/0.mp4,1,0', 'v/1.mp4,0,1'), 'number', "call the one with the number 'label'"),
]


@pytest.mark.parametrize('lines, target, words', WIDE, ids=[words for *_, words in WIDE])
def test_wrong_columns_are_refused(tmp_path, lines, target, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        csv_dataset(table(tmp_path, *lines), target=target)


def test_numbers_that_are_classes_need_no_flag(tmp_path):
    cells = [str(k % 3) for k in range(12)]
    assert csv_dataset(table(tmp_path, *column(*cells))).classes == ('0', '1', '2')
    many = [str(k) for k in range(10, 22)]
    assert len(csv_dataset(table(tmp_path, *column(*many)), target='class').classes) == 12


def test_a_mixed_column_is_said_once(tmp_path):
    with pytest.warns(UserWarning, match=r"1 of 3 videos have several labels \(line 2: 'a|b'\)"):
        csv_dataset(table(tmp_path, *column('a|b', 'a', 'b')))


def test_names_that_are_meant_are_listed(tmp_path):
    file = table(tmp_path, *column(*['waving']*6, 'wavng'))
    (tmp_path/'classes.txt').write_text('waving\nwavng\n')
    assert csv_dataset(file).classes == ('waving', 'wavng')
    (tmp_path/'classes.txt').write_text('waving\nwalking\n')
    with pytest.raises(ValueError, match="the label 'wavng' is not among"):
        csv_dataset(table(tmp_path, *column('waving|walking', 'wavng|waving')))


def test_a_folder_with_a_typo_is_refused_too(tmp_path):
    for name, n in (('waving', 5), ('wavng', 1)):
        (tmp_path/'set'/name).mkdir(parents=True)
        for k in range(n):
            (tmp_path/f'set/{name}/{k}.mp4').write_bytes(name.encode() + b'%d' % k)
    with pytest.raises(ValueError, match="'wavng' has one video and 'waving' has 5"):
        folder_dataset(tmp_path/'set')
    with pytest.raises(ValueError, match='is a folder of classes, where each video has one'):
        open_data(tmp_path/'set', target='labels')


def videos(labels, classes=('left', 'right', 'up'), **kw):
    return VideoDataset('moves', classes, tuple(f'{k}.mp4' for k in range(len(labels))),
                        tuple(labels), **kw)


def test_notes_before_the_first_epoch():
    notes = label_notes(videos([0, 0, 0, 1]), videos([0, 2]))
    assert [note.partition("'")[0] for note in notes] == [
        'a single training video has the class ', '1 test video has the class ']
    assert "'right'" in notes[0] and "'up'" in notes[1] and 'cannot know it' in notes[1]
    labels = videos([-1]*3, target=SeveralLabels(),
                    values=((1., 1., 0.), (1., 0., 0.), (1., 0., 0.)))
    assert ["'right'" in note or "'left'" in note for note in label_notes(labels)] == [True, True]
    assert label_notes(videos([0, 0, 1, 1]), videos([0, 1])) == []


def test_videos_shorter_than_a_clip_are_counted(root):
    data = csv_dataset(root/'labels.csv', 'train')
    assert short_videos(data, InputSpec(frames=4, size=32)) == ''
    note = short_videos(data, InputSpec(frames=8, size=32))
    assert note.startswith('12 of 12 videos looked at are shorter than a clip of 8 frames')
    assert 'has 6' in note and 'repeated evenly' in note
    assert short_videos(data, InputSpec(frames=3, size=32, stride=3)).startswith('12 of 12')


def test_a_constant_number_is_refused():
    data = videos([-1, -1], ('speed',), target=Number(), values=((2.,), (2.,)))
    with pytest.raises(ValueError, match='the number is 2 in all 2 training videos'):
        fitted(data)


def test_targets_are_read_or_refused():
    for target in (OneClass(), SeveralLabels(), Number(3., 2.)):
        assert read_target(json.loads(json.dumps(target.to_dict()))) == target
    assert read_target(None) == OneClass()
    for page in ({'kind': 'boxes'}, [], {'kind': 'number', 'std': 0},
                 {'kind': 'labels', 'mean': 1}):
        with pytest.raises(ValueError, match='target'):
            read_target(page)


@pytest.mark.parametrize('recipe, target, words', [
    (dict(balance='sampling'), SeveralLabels(), "use balance='loss'"),
    (dict(balance='loss'), Number(), 'a number has none'),
    (dict(label_smoothing=.1), Number(), 'a number has none')], ids=str)
def test_recipes_that_do_not_fit_are_refused(recipe, target, words, root):
    from video_convs.data.clip_dataset import Clips
    from video_convs.train.checks import check_task
    kind = 'labels' if target.kind == 'labels' else 'speed'
    data = csv_dataset(root/f'{kind}.csv', 'train', target=target.kind)
    model = VideoNet('tsn_tiny', len(data.classes), list(data.classes), dict(frames=2, size=32),
                     target=target.to_dict())
    clips = Clips(data, model.input_spec, train=True)
    check_task(model, clips, Recipe())
    with pytest.raises(ValueError, match=words):
        check_task(model, clips, Recipe(**recipe))
    model.target = OneClass()
    with pytest.raises(ValueError, match='make the network for the data'):
        check_task(model, clips, Recipe())


def test_the_loss_of_labels_is_torchs():
    torch.manual_seed(0)
    scores, y = torch.randn(8, 3), (torch.rand(8, 3) < .3).float()
    y[0], y[1] = 1, 0
    data = videos([-1]*8, target=SeveralLabels(), values=tuple(map(tuple, y.tolist())))
    for balance, weight in (('none', None), ('loss', (8 - y.sum(0)) / y.sum(0))):
        recipe = Recipe(balance=balance)
        _, target = make_targets(3, data, recipe, SeveralLabels())(torch.zeros(8, 1), y)
        loss, right = clip_loss(scores, target, recipe, SeveralLabels())
        wanted = F.binary_cross_entropy_with_logits(scores, y, pos_weight=weight)
        torch.testing.assert_close(loss, wanted)
        torch.testing.assert_close(right, ((scores > 0) == y.bool()).float().mean(1).sum())
    smooth = Recipe(label_smoothing=.2)
    _, target = make_targets(3, data, smooth, SeveralLabels())(torch.zeros(8, 1), y)
    wanted = F.binary_cross_entropy_with_logits(scores, y*.8 + .1)
    torch.testing.assert_close(clip_loss(scores, target, smooth, SeveralLabels())[0], wanted)


def test_mixtures_mix_labels_and_numbers():
    clip = torch.zeros(2, 1, 2, 8, 8)
    clip[1] = 1
    for target, values in ((SeveralLabels(), ((1., 0.), (0., 0.))),
                           (Number(1., 2.), ((1.,), (5.,)))):
        data = videos([-1]*2, target=target, values=values)
        mix = make_targets(len(values[0]), data, Recipe(mixup=1.), target)
        x, t = mix(clip, torch.tensor(values))
        share, (first, second) = x[0].mean(), target.encode(torch.tensor(values))
        torch.testing.assert_close(t[0], (1 - share)*first + share*second)


def test_average_precision_of_samples_is_that_of_scikit_learn():
    metrics = pytest.importorskip('sklearn.metrics')
    from video_convs.train import labels_and_numbers
    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 2, (40, 3)).astype(float), rng.integers(0, 9, (40, 3)).astype(float)
    y[:, 2] = 0
    of = getattr(labels_and_numbers, '_precision')(y, s)
    np.testing.assert_allclose(of(np.ones(40)), average_precision(y, s))
    w = next(drawn(40, [str(k % 7) for k in range(40)], 1))
    assert len(set(w[::7])) == 1
    for k in range(2):
        wanted = metrics.average_precision_score(y[:, k], s[:, k], sample_weight=w)
        assert of(w)[k] == pytest.approx(wanted)


def test_errors_are_those_of_numpy_and_scikit_learn():
    metrics = pytest.importorskip('sklearn.metrics')
    rng = np.random.default_rng(0)
    truth, w = rng.normal(size=30), rng.integers(0, 3, 30).astype(float)
    answer = truth + rng.normal(size=30)
    found, of = errors(truth, answer), errors(truth, answer, w)
    assert found['correlation'] == pytest.approx(np.corrcoef(truth, answer)[0, 1])
    assert of['r2'] == pytest.approx(metrics.r2_score(truth, answer, sample_weight=w))
    assert of['mae'] == pytest.approx(metrics.mean_absolute_error(truth, answer, sample_weight=w))
    assert np.isnan(errors(np.ones(3), answer[:3])['r2'])


def test_an_absent_library_is_named(monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, 'sklearn.metrics', None)
    needed(Number())
    with pytest.raises(ValueError, match='pip install scikit-learn'):
        needed(SeveralLabels())


def test_a_report_of_a_label_that_no_video_has():
    scores = Scores(torch.randn(6, 2), torch.rand(6, 2), torch.tensor([[1., 0.]]*3 + [[0., 0.]]*3),
                    tuple('abcdef'), ('red', 'up'), about={'target': {'kind': 'labels'}})
    page = json.loads(json.dumps(other_report(scores), allow_nan=False))
    assert page['per_class']['up'] == {'value': None, 'interval': [None, None], 'videos': 0}
    assert page['map']['value'] == page['per_class']['red']['value'] and page['chance'] == .5


def test_an_ensemble_of_networks_is_about_classes():
    nets = [VideoNet('tsn_tiny', 1, ['speed'], dict(frames=2, size=32),
                     target=Number().to_dict()) for _ in range(2)]
    with pytest.raises(ValueError, match='an ensemble of networks is about'):
        Ensemble(*nets)
    with pytest.raises(ValueError, match='several labels'):
        refuse_other(SeveralLabels(), 'it')
    assert read_labels([dict(label='a')]) is None


@pytest.mark.parametrize('kind, option', [('labels', ()), ('speed', ('--option', 'target=number'))])
def test_a_set_can_be_checked(root, kind, option):
    code, text = said('data', 'check', 'csv', root/f'{kind}.csv', '--workers', 1, *option,
                      '--out', root/f'{kind}.jsonl')
    assert code == 0 and '16' in text


def test_two_letters_that_changed_places_are_a_typo():
    names = ['wave']*5 + ['swipe']*5
    with pytest.raises(ValueError, match="'waev' has one video and 'wave' has 5: correct it"):
        refuse_typo([*names, 'waev'], 'clips.csv')
    refuse_typo([*names, 'wade', 'Wave'], 'clips.csv')  # other letters; another case is a warning
