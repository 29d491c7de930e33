"Evaluation: what the numbers do not depend on, files of scores, what is refused."
import json
import os
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import nn

from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.dataset import VideoDataset
from video_convs.data.views import Views, parse_views
from video_convs.data.video import write_video
from video_convs.checkpoint import save
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.train.evaluation import (bootstrap_interval, evaluate, mean_over_splits,
                                          pair_accuracy, report, wilson_interval)
from video_convs.train.plots import plot_confusion
from video_convs.train.scores import AVERAGES, Scores, ensemble, load_scores, save_scores, score
from video_convs.train.submission import write_submission

pytestmark = pytest.mark.usefixtures('one_thread')
GESTURES = Path(os.environ.get('GESTURES', Path(__file__).parents[2]/'shared/data/gestures'))
SPEC = InputSpec(frames=4, size=24)

class Toy(nn.Module):
    "A network of one layer: quick, and its answers differ from video to video."
    name = 'toy'
    def __init__(self, classes, seed=0):
        super().__init__()
        self.classes, self.input_spec = classes, SPEC
        torch.manual_seed(seed)
        sizes = {t: len(c)
                 for t, c in (classes if isinstance(classes, dict) else {'': classes}).items()}
        self.heads = nn.ModuleDict({f'_{t}': nn.Linear(3*4*6*6, n) for t, n in sizes.items()})
    def forward(self, clip):
        x = nn.functional.avg_pool3d(clip, (1, 4, 4)).flatten(1)  # (B, 3·4·6·6)
        scores = {t[1:]: head(x) for t, head in self.heads.items()}
        return scores if isinstance(self.classes, dict) else scores['']

@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root, paths = tmp_path_factory.mktemp('data'), []
    for k in range(18):
        y, x, t = np.mgrid[:32, :40][0], np.mgrid[:32, :40][1], np.arange(10)[:, None, None]
        film = np.stack([(x*(k + 1) + 9*t) % 200, (y*7 + 5*k*t) % 200,
                         np.broadcast_to((x + y + 11*k) % 250, (10, 32, 40))], -1)
        paths.append(str(write_video(root/f'{k:02d}.mp4', film.astype(np.uint8))))
    return VideoDataset('toy', ('a', 'b', 'c', 'd', 'e', 'f'), tuple(paths),
                        tuple(k % 6 for k in range(18)), split='test')

@pytest.fixture(scope='module')
def net(data):
    return Toy(list(data.classes))

def clips(data, views='1x1', **options):
    return Clips(data, SPEC, train=False, views=parse_views(views, resize=28, **options))

# what the scores do not depend on

@pytest.mark.parametrize('views', ['1x1', '5x3'])
def test_neither_workers_nor_batches_nor_order(data, net, views):
    want = score(net, clips(data, views))
    assert want.logits.shape == (18, 6) and want.logits.std(0).min() > .01
    by_two = score(net, clips(data, views), workers=2)
    for average in AVERAGES:
        assert torch.equal(by_two.by(average), want.by(average))
    for batch in (1, 7, 64):
        assert (score(net, clips(data, views), batch).logits - want.logits).abs().max() < 1e-4
    order = np.random.default_rng(0).permutation(18).tolist()
    a, b = score(net, clips(data, views), 1), score(net, clips(data.subset(order), views), 1)
    assert torch.equal(a.logits[order], b.logits) and [a.ids[i] for i in order] == list(b.ids)

def test_random_clips_are_the_same_for_the_same_seed(data, net):
    draw = lambda seed: score(net, Clips(data, SPEC, train=False, views=Views(clips=3, random=True),
                                         seed=seed)).logits
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))

def test_dense_windows(data, net):
    dense, spread = (score(net, clips(data, '2x1', rule=rule)) for rule in ('dense', 'segments'))
    assert (dense.logits - spread.logits).abs().max() > .01
    assert ([report(s)['views'] for s in (dense, spread, ensemble(dense, spread))]
            == ['2x1 dense', '2x1', '2x1 dense and 2x1'])
    assert report(score(net, clips(data, '2x1', random=True)))['views'] == '2x1 random'

def test_the_views_are_averaged(data, net):
    s, c = score(net, clips(data, '2x3')), clips(data, '2x3')
    z = torch.stack([net(c[i][0]) for i in range(18)]).detach()  # (N, V, n)
    assert (torch.allclose(s.logits, z.mean(1), atol=1e-5)
            and torch.allclose(s.probabilities, z.softmax(2).mean(1), atol=1e-5))

def test_the_mode_of_the_network_is_kept(data, net):
    for mode in (True, False):
        net.train(mode)
        score(net, clips(data))
        assert net.training is mode

# classes

def test_the_same_names_in_another_order(data, net):
    order = [3, 0, 5, 1, 4, 2]
    other = Toy([data.classes[i] for i in order])
    with torch.no_grad():
        for key in ('weight', 'bias'):
            getattr(other.heads['_'], key).copy_(getattr(net.heads['_'], key)[order])
    assert torch.allclose(score(other, clips(data)).logits,
                          score(net, clips(data)).logits, atol=1e-6)
    assert evaluate(other, clips(data))['top1'] == evaluate(net, clips(data))['top1']

@pytest.mark.parametrize('classes, message',
                         [(list('abcdeg'), "'f', is unknown"), (list('abcdegh'), "'f', is unknown"),
                          (list('abcde'), "'f', is unknown"), (None, 'does not know the names')])
def test_other_names(data, net, classes, message):
    other = Toy(classes or list('abcdef'))
    other.classes = classes
    with pytest.raises(ValueError, match=message):
        evaluate(other, clips(data))

def test_some_of_the_classes(data, net):
    other = Toy(list('gfaedcb'))
    scores = score(other, clips(data))
    assert scores.classes == tuple('abcdefg') and scores.about['not in data'] == ['g']
    result = report(scores)
    assert len(result['classes']) == 7 and list(result['per_class']) == list('abcdef')
    logits = torch.stack([other(clips(data)[i][0][None])[0] for i in range(18)]).detach()
    assert torch.allclose(scores.logits, logits[:, [2, 6, 5, 4, 3, 1, 0]], atol=1e-5)
    with pytest.raises(ValueError, match="'g', is unknown"):  # not the same question
        ensemble(score(net, clips(data)), scores)

def test_several_tasks(data):
    tasks = dict(verb=(('x', 'y'), tuple(k % 2 for k in range(18))),
                 noun=(('p', 'q', 'r'), tuple(k % 3 for k in range(18))))
    two = Toy(dict(verb=['y', 'x'], noun=['p', 'q', 'r']))
    scores = score(two, clips(replace(data, tasks=tasks)))
    reports = evaluate(two, clips(replace(data, tasks=tasks)))
    assert {t: (s.logits.shape[1], s.classes, s.about['task']) for t, s in scores.items()} == {
        'verb': (2, ('x', 'y'), 'verb'), 'noun': (3, ('p', 'q', 'r'), 'noun')}
    assert reports['noun']['labels'] == list(tasks['noun'][1])
    with pytest.raises(ValueError, match="task 'verb', which toy does not have"):
        score(two, clips(data))
    one = replace(data, classes=tasks['noun'][0], labels=tasks['noun'][1], tasks=tasks)
    # what `submit` needs to know
    assert score(Toy(['p', 'q', 'r']), clips(one)).about['task'] == 'noun'

# missing videos

def test_fewer_videos_are_refused(data, net, tmp_path):
    (tmp_path/'bad.mp4').write_text('no video')
    broken = replace(data, paths=(str(tmp_path/'bad.mp4'), *data.paths[1:]), absent=('gone.mp4',))
    with pytest.raises(ValueError, match='2 of 19 videos cannot be read'):
        evaluate(net, clips(broken))
    r = evaluate(net, clips(broken), allow_missing=True)
    assert r['top1']['videos'] == 17 and len(r['missing']) == 2 and len(r['ids']) == 17
    with pytest.raises(ValueError, match='none of the 1 videos'):
        score(net, clips(broken.subset([0])))

def test_clips_for_training_are_refused(data, net):
    with pytest.raises(ValueError, match=r'evaluate needs Clips\(…, train=False\)'):
        score(net, Clips(data, SPEC, train=True))

# numbers

def made_up(N=20, n=6, seed=0, **fields):
    z = torch.randn(N, n, generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(N) % n
    return replace(Scores(z, z.softmax(1), labels, tuple(f'v{i}' for i in range(N)),
                          tuple('abcdef'[:n])), **fields)

@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 99))
def test_the_report_adds_up(N, n, seed):
    r = report(made_up(N, n, seed))
    confusion = np.array(r['confusion'])
    assert (confusion.sum() == N == r['top1']['videos']
            and np.trace(confusion) == r['top1']['right'] <= r['top5']['right'])
    assert r['top1']['right'] == sum(c['right'] for c in r['per_class'].values())
    real, called = confusion.sum(1), confusion.sum(0)
    occur = real > 0
    assert (np.isclose(r['mean_recall'], (confusion.diagonal()[occur]/real[occur]).mean())
            and np.isclose(r['mean_recall'], r['mean_class']['accuracy']))
    assert np.isclose(r['mean_precision'], (confusion.diagonal()/called.clip(1))[occur].mean())
    for key in ('top1', 'top5', 'mean_class'):
        lo, hi = r[key]['bootstrap']
        assert 0 <= lo <= hi <= 1
    json.dumps(r)

def test_two_hundred_thousand_classes_take_seconds(tmp_path):
    "The cost is linear in the number of classes: a dense confusion matrix would have 320 GB."
    n, N = 200_000, 8
    classes = tuple(f'c{i}' for i in range(n))
    z = torch.zeros(N, n)
    z[torch.arange(N), torch.tensor([0, 1, 2, 3, 4, 5, 7, n - 1])] = 1
    s = Scores(z, z.softmax(1), torch.tensor([0, 1, 2, 3, 4, 5, 6, n - 1]),
               tuple(map(str, range(N))), classes)
    start = time.monotonic()
    r = report(s)
    both = ensemble(s, replace(s, classes=classes[::-1], logits=z.flip(1),
                               probabilities=s.probabilities.flip(1), labels=n - 1 - s.labels))
    assert (torch.equal(both.logits, z)
            and pair_accuracy(r, [['c6', 'c7'], ['c0', 'c1']])['right'] == 3)
    assert time.monotonic() - start < 20
    assert ((r['top1']['right'], r['confusion'], r['classes'][-1]) == (7, None, classes[-1])
            and r['per_class']['c6']['right'] == 0)
    with pytest.raises(ValueError, match='a confusion matrix of 200000 classes cannot be drawn'):
        plot_confusion({'a': r})

def test_pairs_are_counted_as_in_the_matrix():
    r = report(made_up(N=40))
    confusion, pairs = np.array(r['confusion']), [['a', 'd'], ['b', 'c']]
    right = sum(confusion[np.ix_(p, p)].sum() for p in ([0, 3], [1, 2]))
    assert pair_accuracy(r, pairs)['right'] == right and pair_accuracy(r, pairs)['videos'] == 40

def test_many_shot_classes_are_the_data_sets(data, net, tmp_path):
    s = score(net, clips(replace(data, many_shot={'': (4, 1)})))
    plain = report(score(net, clips(data)))
    r = report(load_scores(save_scores(s, tmp_path/'new/a.safetensors')))
    recall = [r['per_class'][c]['accuracy'] for c in 'be']
    assert ((plain['many_shot'], r['many_shot']) == (None, 2)
            and np.isclose(r['mean_recall'], np.mean(recall)))
    assert (r['mean_class'] == plain['mean_class']
            and report(ensemble(s, s))['mean_recall'] == r['mean_recall'])
    for none in ([], [5]):  # of the first four videos, which are of the classes a to d
        assert (report(replace(made_up(4), about={'many_shot': none}))['mean_recall']
                == report(made_up(4))['mean_recall'])
    with pytest.raises(ValueError, match='classes from 0 to 5, got'):
        report(made_up(), many_shot=[6])

def test_scores_that_are_no_numbers(tmp_path):
    s = made_up()
    s.logits[3, 2] = torch.nan
    for use in (report, lambda s: ensemble(s, made_up()),
                lambda s: write_submission(s, tmp_path/'a.csv', 'jester')):
        with pytest.raises(ValueError, match=r'1 of 20 videos have scores that are not numbers '
                                             r'\(NaN\), the first is v3'):
            use(s)

def test_intervals():
    right = np.arange(2000) < 900
    assert np.allclose(bootstrap_interval(right), wilson_interval(900, 2000), atol=4e-3)
    groups = np.arange(2000) % 2 * 7
    assert np.allclose(bootstrap_interval(right, groups), bootstrap_interval(right), atol=4e-3)
    assert (bootstrap_interval(right) == bootstrap_interval(right)
            != bootstrap_interval(right, seed=1))
    with pytest.raises(ValueError, match='one video or more'):
        bootstrap_interval([])

def test_mean_over_splits():
    reports = [report(made_up(seed=k)) for k in range(3)]
    assert np.isclose(mean_over_splits(reports)['top1']['accuracy'],
                      np.mean([r['top1']['accuracy'] for r in reports]))
    with pytest.raises(ValueError, match='differ'):
        mean_over_splits([reports[0], report(made_up(), 'probabilities')])

# files

def same(a, b):
    return all(torch.equal(getattr(a, k), getattr(b, k))
               for k in ('logits', 'probabilities', 'labels')) and (
                   a.ids, a.classes, a.missing, a.about) == (b.ids, b.classes, b.missing, b.about)

def test_scores_in_a_file(data, net, tmp_path):
    s = score(net, clips(data, '2x3'))
    again = load_scores(save_scores(s, tmp_path/'a.safetensors'))
    assert (same(s, again) and again.about['views']['clips'] == 2
            and again.about['spec']['frames'] == 4)
    odd = made_up(3, 2, ids=('ein "Käse"', '\n', '日本'), missing={'x': 'y'})
    assert same(odd, load_scores(save_scores(odd, tmp_path/'b.safetensors')))
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.safetensors', 'b.safetensors']

def test_a_damaged_file_of_scores(tmp_path):
    path = save_scores(made_up(), tmp_path/'a.safetensors')
    data = path.read_bytes()
    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(st.integers(0, len(data) - 1), st.integers(0, 255), st.booleans())
    def check(at, byte, cut):
        path.write_bytes(data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1:])
        try:
            s = load_scores(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert not cut and len(s.ids) == len(s.logits) == len(s.labels)
    check()
    path.write_bytes(data[:-9])
    with pytest.raises(ValueError, match='a.safetensors is not a file of scores, or is damaged'):
        load_scores(path)
    with pytest.raises(ValueError, match='there is no file'):
        load_scores(tmp_path/'none.safetensors')

def test_ensembles():
    a, b = made_up(seed=0), made_up(seed=1)
    rows, columns = np.random.default_rng(0).permutation(20).tolist(), [5, 3, 0, 1, 2, 4]
    turned = Scores(b.logits[rows][:, columns], b.probabilities[rows][:, columns],
                    torch.tensor([columns.index(b.labels[i]) for i in rows]),
                    tuple(b.ids[i] for i in rows), tuple(b.classes[i] for i in columns))
    for other in (b, turned):
        assert torch.allclose(ensemble(a, other).logits, (a.logits + b.logits)/2)
        assert torch.allclose(ensemble(a, other, weights=[1, 3]).probabilities,
                              (a.probabilities + 3*b.probabilities)/4)
        assert torch.equal(ensemble(a, other).labels, a.labels)
    secret = torch.full((20,), -1)
    assert (ensemble(replace(a, labels=secret), replace(turned, labels=secret)).labels == -1).all()
    for bad, message in [((a,), 'two or more scores'), ((a, made_up(19)), "such as 'v19'"),
                         ((a, replace(b, ids=('x', *b.ids[1:]))), '2 are in one of them only'),
                         ((a, replace(b, labels=b.labels.roll(1))), 'disagree about the labels'),
                         ((a, replace(b, classes=tuple('abcdeg'))), 'unknown')]:
        with pytest.raises(ValueError, match=message):
            ensemble(*bad)
    for weights in ([1, -1], [0, 0], [float('nan'), 1], [1, float('nan')], [1, float('inf')]):
        with pytest.raises(ValueError, match='weight'):
            ensemble(a, b, weights=weights)

# servers

def test_submissions(tmp_path):
    s = made_up(labels=torch.full((20,), -1))
    best = s.logits.argsort(1, descending=True)
    lines = write_submission(s, tmp_path/'a.csv', 'something-v1').read_text().splitlines()
    assert lines == [f'v{i};{s.classes[k]}' for i, k in enumerate(best[:, 0])]
    lines = write_submission(s, tmp_path/'a.csv', 'something-v2').read_text().splitlines()
    assert lines == [';'.join(map(str, [f'v{i}', *row[:5].tolist()])) for i, row in enumerate(best)]
    with pytest.raises(ValueError, match='labels are secret'):
        report(s)
    with pytest.raises(ValueError, match='1 of 21'):
        write_submission(replace(s, missing={'x': 'x is empty'}), tmp_path/'b.csv', 'jester')
    assert not (tmp_path/'b.csv').exists()

@pytest.mark.parametrize('file, server, message', [
    ('x.csv', 'kinetics', "no server 'kinetics'"), ('x.txt', 'jester', 'takes a .csv file'),
    ('x.zip', 'epic55', 'score both test splits')])
def test_what_no_server_takes(tmp_path, file, server, message):
    scores = {'s1': {}} if server == 'epic55' else made_up()
    with pytest.raises(ValueError, match=message):
        write_submission(scores, tmp_path/file, server)
    assert not any(tmp_path.iterdir())

@pytest.mark.parametrize('average', AVERAGES)
def test_epic(tmp_path, average):
    verb, noun = made_up(5, 4), made_up(5, 6, 1)
    verb.probabilities[0] = torch.tensor([1., 0, 0, 0])
    action = made_up(5, 3, 2, classes=('a f', 'd a', 'b b'))
    for extra in ({}, {'action': action}):
        splits = {s: dict(verb=verb, noun=noun, **extra) for s in ('s1', 's2')}
        with zipfile.ZipFile(write_submission(splits, tmp_path/'a.zip', 'epic55',
                                              average)) as archive:
            pages = {name: json.loads(archive.read(name)) for name in archive.namelist()}
        assert set(pages) == {'seen.json', 'unseen.json'}
        one = pages['seen.json']['results']['v3']
        assert [len(one[k]) for k in ('verb', 'noun', 'action')] == [4, 6, 3 if extra else 24]
        v, n = verb.logits[3].log_softmax(0), noun.logits[3].log_softmax(0)
        assert 'Infinity' not in json.dumps(pages)
        if extra:
            assert set(one['action']) == {'0,5', '3,0', '1,1'}
        else:
            assert all(abs(x - (v[int(k.split(',')[0])] + n[int(k.split(',')[1])])) < 1e-4
                       for k, x in one['action'].items())

# the command line

@pytest.fixture(scope='module')
def checkpoint(data, tmp_path_factory):
    torch.manual_seed(0)
    model = create_model('tsn_tiny', num_classes=6, classes=list(data.classes), input_spec=SPEC)
    return save(model, tmp_path_factory.mktemp('run')/'run')

@pytest.fixture(scope='module')
def folder(data, tmp_path_factory):
    root = tmp_path_factory.mktemp('folder')
    for part in ('one', 'two', 'three'):
        for path, label in zip(data.paths, data.labels):
            (to := root/part/data.classes[label]).mkdir(parents=True, exist_ok=True)
            film = np.frombuffer(Path(path).read_bytes(), np.uint8)
            # not the same file in two splits
            (to/f'{part}_{Path(path).name}').write_bytes(film.tobytes() + part.encode()[:2])
    return root

def test_three_splits_in_one_command(folder, checkpoint, capsys):
    run = str(checkpoint)
    assert main(['evaluate', run, run, run, '--data', str(folder), '--split', 'one', 'two', 'three',
                 '--views', '2x1']) == 0
    text = capsys.readouterr().out
    assert 'mean over 3 splits, top1' in text and 'logits averaged over 2x1 views' in text
    files = [str(checkpoint/f'evaluate_{part}') for part in ('one', 'two', 'three')]
    assert main(['ensemble', files[0] + '.safetensors', files[0] + '.safetensors', '--out',
                 str(checkpoint/'e.json')]) == 0
    assert (json.loads((checkpoint/'e.json').read_text())['top1']
            == json.loads(Path(files[0] + '.json').read_text())['top1'])
    assert main(['submit', files[0] + '.safetensors', '--server', 'jester', '--out',
                 str(checkpoint/'a.csv')]) == 0
    assert len((checkpoint/'a.csv').read_text().splitlines()) == 18
    assert main(['evaluate', run, run, '--data', str(folder), '--split', 'one']) == 2
    assert '2 checkpoints need 2 folds' in capsys.readouterr().err

def test_three_official_folds_in_one_command(data, tmp_path, capsys):
    names = [f'{"Archery" if k % 2 else "YoYo"}/v_X_g{k:02d}_c01.avi' for k in range(18)]
    for name, path in zip(names, data.paths):
        (tmp_path/'UCF-101'/name).parent.mkdir(parents=True, exist_ok=True)
        os.link(path, tmp_path/'UCF-101'/name)
    (lists := tmp_path/'ucfTrainTestlist').mkdir()
    (lists/'classInd.txt').write_text('1 Archery\n2 YoYo\n')
    for fold in (1, 2, 3):
        (lists/f'testlist0{fold}.txt').write_text('\n'.join(names[fold - 1::3]))
    model = create_model('tsn_tiny', num_classes=2, classes=['YoYo', 'Archery'], input_spec=SPEC)
    runs = [str(save(model, tmp_path/f'run{fold}')) for fold in (1, 2, 3)]
    command = ['evaluate', *runs, '--data', str(tmp_path), '--dataset', 'ucf101', '--option',
               'partial=true', '--fold']
    assert main([*command, '1', '2', '3']) == 0
    each = [json.loads((tmp_path/f'run{k}/evaluate_test_fold{k}.json').read_text())
            for k in (1, 2, 3)]
    assert [r['ids'] for r in each] == [[n[:-4] for n in names[k::3]] for k in range(3)]
    mean = sum(r['top1']['accuracy'] for r in each)/3
    assert f'mean over 3 splits, top1: {mean:.1%} of' in capsys.readouterr().out
    assert (main([*command, '1', '2']) == 2
            and '3 checkpoints need 3 folds' in capsys.readouterr().err)
    (tmp_path/'UCF-101'/names[4]).unlink()
    assert main([*command, '1', '2', '3']) == 2 and '1 of 6 videos' in capsys.readouterr().err
    assert (main([*command, '1', '2', '3', '--allow-missing']) == 0
            and '1 of 6 videos could not be read' in capsys.readouterr().out)

@pytest.mark.parametrize('typed, says', [
    (['--views', '10x2'], '1 or 3 crops, not 2'),
    (['--resize', '0'], "the short side, such as 256, or HEIGHTxWIDTH, such as 240x320, got '0'"),
    (['--crop-size', '-4'], "--crop-size must be a whole number from 1 to 4,096, got '-4'"),
    (['--batch-size', '0'], "--batch-size must be a whole number from 1 to 1,000,000, got '0'"),
    (['--device', 'gpu'], "no device 'gpu'"),
    (['--seed', '-1', '--random'],
     "--seed must be a whole number from 0 to 4,294,967,295, got '-1'"),
    (['--out', 'a.safetensors'], '--out names a .json file'),
    (['--fold', '1'], '--fold chooses a split of --dataset'), (['--split', 'four'], "'four'")])
def test_sentences(folder, checkpoint, capsys, typed, says):
    assert main(['evaluate', str(checkpoint), '--data', str(folder), '--split', 'one', *typed]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1, error

def test_an_ensemble_for_a_server(tmp_path, capsys):
    secret = torch.full((20,), -1)
    files = [str(save_scores(made_up(seed=k, labels=secret), tmp_path/f'{k}.safetensors'))
             for k in (8, 16)]
    assert (main(['ensemble', *files]) == 2
            and 'labels of this split are secret: give --out' in capsys.readouterr().err)
    assert main(['ensemble', *files, '--out', str(tmp_path/'new/both.json')]) == 0
    assert main(['submit', str(tmp_path/'new/both.safetensors'), '--server', 'something-v1',
                 '--out', str(tmp_path/'a.csv')]) == 0
    assert 'from memory' in capsys.readouterr().out
    best = (made_up(seed=8).logits + made_up(seed=16).logits).argmax(1)
    assert (tmp_path/'a.csv').read_text().splitlines() == [f'v{i};{"abcdef"[k]}'
                                                           for i, k in enumerate(best)]

def test_a_table_with_missing_videos(data, checkpoint, tmp_path, capsys):
    rows = [f'{p},{data.classes[k]},test' for p, k in zip(data.paths, data.labels)]
    table = Path(data.paths[0]).with_name('table.csv')
    table.write_text('\n'.join(['path,label,split', *(r.split('/')[-1] for r in rows),
                                'gone.mp4,a,test']))
    command = ['evaluate', str(checkpoint), '--data', str(table), '--rule', 'dense', '--views',
               '2x1', '--out', str(tmp_path/'a.json')]
    assert main(command) == 2 and '1 of 19 videos are not there' in capsys.readouterr().err
    assert main([*command, '--allow-missing']) == 0
    text = capsys.readouterr().out
    assert '1 of 19 videos could not be read' in text and 'over 2x1 dense views' in text

def test_missing_videos_on_the_command_line(folder, checkpoint, capsys):
    broken = next((folder/'three').rglob('*.mp4'))
    before = broken.read_bytes()
    broken.write_bytes(b'')
    command = ['evaluate', str(checkpoint), '--data', str(folder), '--split', 'three']
    assert main(command) == 2 and '1 of 18 videos cannot be read' in capsys.readouterr().err
    assert (main([*command, '--allow-missing']) == 0
            and '1 of 18 videos could not be read' in capsys.readouterr().out)
    broken.write_bytes(before)

# real videos

@pytest.mark.skipif(not GESTURES.is_dir(), reason='no folder of gestures (GESTURES)')
def test_gestures_with_all_views():
    from video_convs.data.custom import open_data
    test, net = open_data(GESTURES, 'test'), None
    net = Toy(list(test.classes))
    for views in ('1x1', '2x1', '10x3'):
        r = evaluate(net, clips(test.subset(range(0, 56, 8)), views))
        assert (r['top1']['videos'], r['views']) == (7, views)
