"Several processes are one, weights from everywhere, and the command line of both."
import json
import os
import re
import shlex
import shutil
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import children
import numpy as np
import pytest
import torch

from video_convs.cli import main, parser
from video_convs.cli.learning import recipe_changes
from video_convs.data.catalogue import official_list
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.dataset import VideoFiles
from video_convs.data.frames import FlowFolders, write_flow, write_frames
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.transforms import Augment
from video_convs.data.views import Views
from video_convs.checkpoint import read_config, save
from video_convs.messages import show_messages
from video_convs.nets.video_net import load
from video_convs.weights.convert import to_official
from video_convs.nets.spec import InputSpec
from video_convs.weights.create import create_model
from video_convs.train import scale_out
from video_convs.train.distributed import rank
from video_convs.train.loop import train
from video_convs.train.run_folder import read_log, skipped_videos
from video_convs.train.recipes import Recipe, find_recipe, override
from video_convs.train.distributed import processes
from video_convs.data.views import in_proportion
from video_convs.train.scale_out import (open_splits, run_training, shared_test,
                                         start_model)

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=4, size=32)
EXACT = Recipe(epochs=1, batch_size=8, bn='frozen', dropout=0.)

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('motion')
    render_task('reversal', root, train=22, test=7, config=MotionConfig(size=32, frames=12),
                progress=False)
    return root

def together(n, said, function, *args, **kw):
    "Exit codes of n processes that run a function as a group; what they print goes to a file."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    group = [children.start(in_group, function, *args, **kw, said=said, environment=dict(
        WORLD_SIZE=str(n), RANK=str(r), LOCAL_RANK=str(r), MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port))) for r in range(n)]
    for child in group:
        child.join()
    return [child.exitcode for child in group]

def in_group(function, *args, **kw):
    with processes():
        function(*args, **kw)

def learn(videos, out, recipe, unseen=None, test=None, **kw):
    "Train in float64; the weights go to out/weights.pt, by the first process only."
    torch.manual_seed(0)
    model = create_model('hgc_tiny', num_classes=8, classes=videos.classes, input_spec=SPEC,
                         dropout=0.).double()
    test = shared_test(unseen, SPEC) if unseen else test
    train(model, Clips(videos, SPEC, train=True), recipe, out if rank() == 0 else f'{out}_other',
          test, device='cpu', progress=False, **kw)
    if rank() == 0:
        torch.save(model.state_dict(), Path(out)/'weights.pt')

def compare(a, b):
    a, b = (torch.load(folder/'weights.pt', weights_only=True) for folder in (a, b))
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=1e-6)

@pytest.mark.parametrize('recipe', [
    EXACT,  # 22 videos: the last step has 3 for each
    replace(EXACT, optimizer='sgd', lr=.05, accumulate=2, batch_size=12),
    replace(EXACT, batch_size=6, ema=.5, freeze=('trunk.layer1.**',)),  # last step: 2 for each
])
def test_two_processes_are_one(root, tmp_path, recipe):
    videos, unseen = open_data(root, 'train'), open_data(root, 'test')
    learn(videos, tmp_path/'one', recipe, unseen)
    assert together(2, tmp_path/'said', learn, videos, tmp_path/'two', recipe, unseen) == [0, 0]
    compare(tmp_path/'one', tmp_path/'two')
    one, two = (read_log(tmp_path/name)[0] for name in ('one', 'two'))
    assert one['loss'] == pytest.approx(two['loss'], abs=1e-6)
    assert [one[k] for k in ('top1', 'test_top1', 'lr')] == [two[k]
                                                             for k in ('top1', 'test_top1', 'lr')]
    assert (not (tmp_path/'two_other').exists() and {p.name for p in (tmp_path/'one').iterdir()}
            == {p.name for p in (tmp_path/'two').iterdir()})
    assert read_config(tmp_path/'two')['hardware'].startswith('2 × ')

def test_uneven_shares_and_a_broken_video(root, tmp_path):
    shutil.copytree(root, tmp_path/'data')
    videos = open_data(tmp_path/'data', 'train').subset(range(21))  # the last step has 5: 2 and 3
    Path(videos.paths[4]).write_text('broken')
    for name, n in (('one', 1), ('two', 2)):
        assert together(n, tmp_path/'said', learn, videos, tmp_path/name, EXACT) == [0] * n
        assert list(skipped_videos(read_log(tmp_path/name))) == [videos.paths[4]]
    compare(tmp_path/'one', tmp_path/'two')

def test_a_step_that_cannot_be_shared_is_left_out(root, tmp_path):
    "13 videos, 2 processes, steps of 12: one is left, and one process has nothing."
    videos = open_data(root, 'train').subset(range(13))
    assert together(2, tmp_path/'said', learn, videos, tmp_path/'two',
                    replace(EXACT, batch_size=12), log_every=1) == [0, 0]
    steps = [json.loads(line) for line in open(tmp_path/'two/steps.jsonl')]
    assert [e['step'] for e in steps] == [1, 2] and 'loss' in steps[0] and 'loss' not in steps[1]

class StopAfter:
    "A `test` that breaks the run off after so many epochs."

    def __init__(self, epochs):
        self.left = epochs

    def __call__(self, model):
        self.left -= 1
        if not self.left:
            raise RuntimeError('stopped')
        return {}

def test_resume_with_another_number_of_processes(root, tmp_path):
    videos, recipe = open_data(root, 'train'), replace(EXACT, epochs=2)
    learn(videos, tmp_path/'whole', recipe)
    assert together(2, tmp_path/'said', learn, videos, tmp_path/'part', recipe, test=StopAfter(2),
                    save_every=2) == [1, 1]
    assert torch.load(tmp_path/'part/resume.pt', weights_only=True)['step'] == 2
    learn(videos, tmp_path/'part', recipe)
    compare(tmp_path/'whole', tmp_path/'part')
    assert [e['epoch'] for e in read_log(tmp_path/'part')] == [1, 2]

def test_a_batch_that_cannot_be_shared(root, tmp_path):
    videos = open_data(root, 'train')
    assert together(2, tmp_path/'said', learn, videos, tmp_path/'odd',
                    replace(EXACT, batch_size=7)) == [1, 1]
    assert ('a batch of 7 cannot be shared by 2 processes: choose a batch_size of 6 or 8'
            in (tmp_path/'said').read_text())

def test_more_processes_than_test_videos(root, tmp_path):
    videos, unseen = open_data(root, 'train'), open_data(root, 'test').subset([0])
    learn(videos, tmp_path/'one', EXACT, unseen)
    assert together(2, tmp_path/'said', learn, videos, tmp_path/'two', EXACT, unseen) == [0, 0]
    assert read_log(tmp_path/'one')[0]['test_top1'] == read_log(tmp_path/'two')[0]['test_top1']

# weights from elsewhere

def test_start_from_a_folder(tmp_path):
    save(create_model('hgc_tiny', num_classes=3, classes=['a', 'b', 'c'], frames=4), tmp_path/'net')
    for classes, stays in ((['a', 'b', 'c'], True), (['a', 'c', 'b'], False), (['a', 'b'], False)):
        model, how = start_model(None, classes, tmp_path/'net', .7, dict(size=64))
        assert (model.name == 'hgc_tiny' and model.classes == classes and model.head.dropout.p == .7
                and model.input_spec.size == 64)
        assert ('classifier included' in how) == stays and (
            model.head.fc.weight.shape[0] == 3
            and torch.equal(model.head.fc.weight, load(tmp_path/'net').head.fc.weight)) == stays
        assert torch.equal(model.trunk.conv1.weight, load(tmp_path/'net').trunk.conv1.weight)

def test_start_from_somebody_elses_file(tmp_path):
    torch.manual_seed(0)
    theirs = create_model('tsm_resnet18', num_classes=5, frames=4)
    torch.save({'state_dict': {f'module.{k}': v for k, v in to_official(theirs).items()}},
               tmp_path/'theirs.pth.tar')
    model, how = start_model('tsm_resnet18', ['x', 'y'], tmp_path/'theirs.pth.tar')
    assert ('new classifier in the place of the one for 5 classes' in how
            and model.classes == ['x', 'y'])
    for key, value in theirs.trunk.state_dict().items():
        assert torch.equal(value, model.trunk.state_dict()[key])

def test_start_from_image_weights(tmp_path):
    import torchvision
    net = torchvision.models.resnet18()
    torch.save(net.state_dict(), tmp_path/'resnet18.pth')
    model, how = start_model('hgc_resnet18', ['x', 'y'], tmp_path/'resnet18.pth')
    assert how.startswith('a trunk from') and torch.equal(model.trunk.conv1.weight,
                                                          net.conv1.weight)

def test_several_tasks_start(root):
    model, _ = start_model('tsn_tiny', {'verb': ('a', 'b'), 'noun': ('c',),
                                        'action': ('d', 'e', 'f')}, input_spec=dict(frames=4))
    assert (model.num_classes == {'verb': 2, 'noun': 1, 'action': 3}
            and model.classes['noun'] == ['c'])

# one call

def one_call(root, tmp_path):
    with show_messages():
        run_training(root, tmp_path/('run' if rank() == 0 else 'other'), model='tsn_tiny', frames=4,
                     size=32, changes=dict(epochs=2, batch_size=8), progress=False)

def test_one_call_in_two_processes(root, tmp_path):
    "It speaks once, and its report is left to `evaluate`."
    assert together(2, tmp_path/'said', one_call, root, tmp_path) == [0, 0]
    said = (tmp_path/'said').read_text()
    assert (said.count('epoch   2/2') == 1 and 'on 2 processes' in said
            and (tmp_path/'run/best/config.json').is_file())
    assert not (tmp_path/'other').exists() and (tmp_path/'run/curves.png').is_file()
    # once more: the second process sees no run to go on with, and must not test alone
    assert together(2, tmp_path/'said', one_call, root, tmp_path) == [0, 0]
    assert len(read_log(tmp_path/'run')) == 2

def test_the_first_test_is_on_the_device_of_the_training(root, tmp_path, monkeypatch):
    class Seen(Exception):
        pass
    def test(net):
        raise Seen(next(net.parameters()).device.type)
    monkeypatch.setattr(scale_out, 'find_device', lambda device: torch.device(device))
    monkeypatch.setattr(scale_out, 'shared_test', lambda *args, **kw: test)
    with pytest.raises(Seen, match='meta'):
        run_training(root, tmp_path/'run', model='tsn_tiny', frames=4, size=32, device='meta')

def test_other_weights_at_the_start_are_another_run(root, tmp_path):
    "Also those of the same name; the same ones in another place are not."
    for place in ('a', 'b'):
        save(create_model('tsn_tiny', num_classes=3, input_spec=SPEC), tmp_path/place/'best')
    def start(weights):
        run_training(root, tmp_path/'run', model='tsn_tiny', frames=4, size=32, pretrained=weights,
                     changes=dict(epochs=1, batch_size=8), progress=False)
    start(tmp_path/'a/best')
    ours = (r"run holds another run: its start is another \('best \(checksum \w{8}\), with a new "
            r"classifier .*, not ")
    with pytest.raises(ValueError, match=ours + "'random weights'"):
        start(None)
    with pytest.raises(ValueError, match=ours + "'best"):
        start(tmp_path/'b/best')
    start(shutil.move(tmp_path/'a/best', tmp_path/'c/best'))
    assert len(read_log(tmp_path/'run')) == 1

@dataclass(frozen=True)
class GreyFiles(VideoFiles):
    "A reader of one's own: the mean of the colours."
    channels = 1
    def read(self, *args, **kw):
        return super().read(*args, **kw).float().mean(0, keepdim=True).to(torch.uint8)

def test_a_new_network_takes_the_channels_of_the_data(root, tmp_path, monkeypatch):
    def opened(*args, **kw):
        return replace(open_data(*args, **kw), reader=GreyFiles())
    monkeypatch.setattr(scale_out, 'open_data', opened)
    log = run_training(root, tmp_path, model='tsn_tiny', frames=4, size=32, progress=False,
                       changes=dict(epochs=1))
    spec = load(tmp_path).input_spec
    assert (spec.in_chans, spec.modality, len(spec.mean)) == (1, 'rgb', 1) and log[0]['loss'] > 0

@pytest.mark.parametrize('reader, said', [
    (VideoFiles(), {}), (FlowFolders(), {'modality': 'flow'}), (GreyFiles(), {'in_chans': 1}),
    (FlowFolders(stack=2), {'modality': 'flow', 'in_chans': 4})])
def test_channels_of_a_reader(reader, said):
    assert scale_out._channels(reader, grey=False) == said

def test_sizes_before_the_test_crop(root, tmp_path):
    "A recipe's, in proportion to the crop; or what is given."
    assert ([in_proportion(r, 28, 224) for r in (256, (240, 320), None)] == [32, (30, 40), None]
            and in_proportion(256, 28, None) == 256)
    changes = {'epochs': 1, 'schedule': 'cosine', 'milestones': [], 'augment.hflip': False}
    run_training(root, tmp_path, model='tsn_tiny', recipe='h2cn.diving48', dataset='folder',
                 pretrained='none', frames=4, size=28, changes=changes, test_resize=(30, 40),
                 progress=False)
    assert read_config(tmp_path)['tested'] == dict(dataset='folder', split='test', resize=[30, 40],
                                                   rule='segments', options={})

def test_the_next_command_tests_what_training_tested(root, tmp_path, capsys):
    typed = ('--recipe sth.something-v1 --dataset folder --pretrained none --model tsn_tiny '
             '--frames 4 --size 32 --epochs 2 --milestones 1')
    assert main(['train', '--data', str(root), '--out', str(tmp_path/'a run'), *typed.split(),
                 '--with', 'augment.hflip=false']) == 0
    said, _, following = capsys.readouterr().out.partition('Next: ')
    lines = said.splitlines()
    epoch = r'epoch +{}/2: loss .* on training videos, .* on test, .* clips/s'
    assert re.match("tsn_tiny: .* parameters, .* videos of 8 classes for training", lines[0])
    assert lines[1] == 'starts from random weights' and lines[2].startswith('recipe: epochs=2, ')
    for k, line in enumerate(lines[-3:-1], 1):
        assert re.fullmatch(epoch.format(k), line)
    assert lines[-1].startswith('The checkpoint is in ')
    command = shlex.split(following)
    assert (command[-4:] == ['--split', 'test', '--resize', '37x49']
            and main(command[command.index('evaluate'):]) == 0)
    accuracy = json.loads((tmp_path/'a run/evaluate_test.json').read_text())['top1']['accuracy']
    assert accuracy == read_log(tmp_path/'a run')[-1]['test_top1']

ANNOTATIONS = Path(os.environ.get('ANNOTATIONS',
                                  Path(__file__).parents[2]/'shared/data/annotations'))
LISTS = dict(zip(('something-v1', 'ucf101', 'hmdb51', 'epic55'),
                 ('ssv1_ECO', 'ucf101_splits', 'hmdb51_splits', 'epic55')))

@pytest.mark.skipif(not ANNOTATIONS.is_dir(),
                    reason=f'no official lists in {ANNOTATIONS} (set ANNOTATIONS)')
@pytest.mark.parametrize('recipe, splits', [
    ('h2cn.something-v1', ('train', 'val')), ('sth.ucf101', ('train', 'test')),
    ('hf_eco.hmdb51', ('train', 'test')),
    ('hf_tsn.epic55', ('train',)),  # its test splits are secret
    ('stc.epic55', ('train', 'val'))])
def test_a_recipe_opens_its_official_lists(monkeypatch, recipe, splits):
    p, opened = find_recipe(recipe), []
    def lists(name, root, split, **options):
        opened.append(split)
        return official_list(name, root, split, **options)
    monkeypatch.setattr(scale_out, 'open_dataset', lists)
    open_splits(ANNOTATIONS/LISTS[p.data], p.data, options=p.setup.get('data_options', {}))
    assert tuple(opened) == splits

def test_epic_from_end_to_end(tmp_path):
    "Three tasks by recipe, two or one by the command line; folders of frames, no test split."
    rows = [f'{k},P01,P01_01,0:0,0:1,{10*k + 1},{10*k + 10},{k % 2},{k % 3}' for k in range(12)]
    for name, lines in dict(verb=['0,take,[]', '1,put,[]'],
                            noun=['0,pan,[]', '1,lid,[]', '2,cup,[]']).items():
        (tmp_path/f'EPIC_{name}_classes.csv').write_text(
            '\n'.join([f'{name}_id,class_key,x', *lines, '']))
    header = (
        'uid,participant_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,'
        'verb_class,noun_class')
    (tmp_path/'EPIC_train_action_labels.csv').write_text('\n'.join([header, *rows, '']))
    frames = np.random.default_rng(0).integers(0, 255, (120, 40, 40, 3), dtype=np.uint8)
    write_frames(tmp_path/'frames_rgb_flow/rgb/train/P01/P01_01', frames, 'frame_{:010d}.jpg')
    typed = ['train', '--recipe', 'hf_tsn.epic55', '--data', str(tmp_path), '--model', 'tsn_tiny',
             '--pretrained', 'none', '--frames', '4', '--size', '32', '--epochs', '1',
             '--milestones', '--batch-size', '6', '--with', 'schedule=cosine', '--option',
             'partial=true']
    for name, extra, classes in (('three', [], dict(verb=2, noun=3, action=6)),
                                 ('two', ['--tasks', 'verb', 'action'], dict(verb=2, action=6)),
                                 ('one', ['--tasks', '--option', 'task=noun', 'partial=true'], 3)):
        assert main([*typed, '--out', str(tmp_path/name), *extra]) == 0
        assert (read_config(tmp_path/name)['num_classes'] == classes
                and 'test_top1' not in read_log(tmp_path/name)[0])

def test_optical_flow(tmp_path):
    "A new network for it; its checkpoint says so."
    names = [f'v_Archery_g0{g}_c01' for g in range(1, 5)]
    for file, part in (('trainlist01.txt', names[:3]), ('testlist01.txt', names[3:])):
        (tmp_path/file).write_text(''.join(f'Archery/{name}.avi 1\n' for name in part))
    (tmp_path/'classInd.txt').write_text('1 Archery\n2 YoYo\n')
    for k, name in enumerate(names):
        write_flow(tmp_path/'flow'/name, np.full((2, 12, 40, 40), 2.*k))
    run_training(tmp_path, tmp_path/'run', model='tsn_tiny', dataset='ucf101',
                 options=dict(flow=str(tmp_path/'flow'), partial=True), frames=2, size=32,
                 changes=dict(epochs=1, batch_size=3, head_lr=5., first_lr=5.), progress=False)
    net = load(tmp_path/'run')
    assert (net.input_spec.modality == 'flow' and net.trunk.conv1.weight.shape[1] == 10
            and read_log(tmp_path/'run')[0]['test_top1'] in (0, 1))

def test_splits(root):
    assert open_splits(root)[2] == 'test' and open_splits(root, test_split='none')[1:] == (None, '')
    learn, unseen, name = open_splits(root, test_split='train')
    assert len(unseen) == 22 and name == 'train'

def arguments(*typed):
    return parser().parse_args(['train', '--data', 'd', '--out', 'o', *typed])

def test_the_stored_commands_mean_what_they_meant():
    "Those of data/results/gestures.jsonl, and no flags at all."
    assert override(Recipe(), recipe_changes(arguments())) == Recipe()
    typed = ('--epochs 60 --batch-size 8 --lr 2e-3 --dropout 0 --scale .65 --ratio 1.3 --jitter .4 '
             '--lr-scale **.op.*=10 --seed 2'.split())
    assert override(Recipe(), recipe_changes(arguments(*typed))) == Recipe(
        epochs=60, batch_size=8, lr=2e-3, dropout=0., lr_scale={'**.op.*': 10}, seed=2,
        augment=Augment(scale=(.65, 1), ratio=1.3, jitter=.4))
    assert (override(Recipe(), recipe_changes(arguments('--no-augment')))
            == Recipe(augment=Augment.none()))

def test_the_weights_of_a_run_stand_for_the_run(tmp_path):
    "`--pretrained runs/x/model.safetensors` is the folder around it."
    save(create_model('hgc_tiny', num_classes=3, classes=list('abc'),
                      input_spec=dict(frames=4, size=32)), tmp_path/'x')
    for where in (tmp_path/'x', tmp_path/'x/model.safetensors',
                  str(tmp_path/'x/model.safetensors')):
        net, start = start_model(None, list('abc'), where)
        assert (net.name == 'hgc_tiny' and start.startswith('x (checksum ')
                and start.endswith('its classifier included'))

def test_a_run_holds_its_folder_from_the_first_test_to_the_last_picture(root,
                                                                        tmp_path, monkeypatch):
    held, real = [], scale_out.locked
    def locked(out):
        held.append(Path(out))
        return real(out)
    monkeypatch.setattr(scale_out, 'locked', locked)
    seen = []
    monkeypatch.setattr(scale_out, '_finish',
                        lambda *args, **kw: seen.append((tmp_path/'run/.lock').exists()))
    scale_out.run_training(root, tmp_path/'run', 'tsn_tiny', Recipe(epochs=1, batch_size=8),
                           frames=4, size=32, test_split='none', progress=False)
    assert held == [tmp_path/'run'] and seen == [True] and not (tmp_path/'run/.lock').exists()

def test_flags_reach_the_recipe():
    r = override(find_recipe('h2cn.something-v1').recipe, recipe_changes(arguments(
        '--epochs', '8', '--milestones', '3', '5', '--freeze', 'trunk.**', '--bn', 'partial',
        '--compile', '--with', 'augment.hflip=false', 'gamma=.5')))
    assert (r.epochs, r.milestones, r.freeze, r.bn, r.compile, r.augment.hflip, r.gamma,
            r.weight_decay) == (8, (3, 5), ('trunk.**',), 'partial', True, False, .5, 5e-4)

@pytest.mark.parametrize('typed, says', [
    (['--epocs', '3'], 'there is no --epocs; near matches: --epochs'),
    (['--epochs', 'three'],
     "video_convs train: --epochs must be a whole number from 1 to 1,000,000, or"
     " 'auto', got 'three'"),
    (['--with', 'lr'], '--with takes NAME=VALUE'),
    (['--with', 'augment.hflp=1'], 'augment.hflip'),
    (['--bn', 'none'], "bn is one of full, partial, frozen, not 'none'"),
    (['--recipe', 'sth.hmdb51', '--dataset', 'folder'],
     'starts from the weights of sth.kinetics400'),
    (['--pretrained', 'no/where/at/all'], 'no/where/at/all'),
    (['--device', 'gpu', '--model', 'tsn_tiny'], "there is no device 'gpu'"),
    (['--dataset', 'ucf11'], "'ucf11'"),
    (['--tasks', 'verb'], "has no task 'verb'"),
    (['--set', 'in_chans=3'],
     'in_chans is not a variant of a network: it has an argument of its own, or follows'),
    (['--test-resize', '240x'], "or HEIGHTxWIDTH, such as 240x320, got '240x'"),
    (['--model', 'hgc_tinny'], "no network is called 'hgc_tinny'; near matches: hgc_tiny"),
    (['--model', 'hgc_tiny', '--set', 'slop=4'], "hgc_tiny has no variant 'slop'"),
    (['--model', 'hgc_tiny', '--set', 'slope=3'], 'slope must be even and not negative'),
    (['--model', 'hgc_tiny', '--hflip'], "does not say that 'hflip' keeps its classes"),
    (['--with', 'label_smothing=.1'], "a recipe has no 'label_smothing'"),
    (['--recipe', 'h2cn.something'], "there is no recipe 'h2cn.something'; near matches: h2cn."),
])
def test_sentences(root, tmp_path, capsys, typed, says):
    assert main(['train', '--data', str(root), '--out', str(tmp_path/'run'), '--frames', '4',
                 '--size', '32', *typed]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1, error

@pytest.mark.parametrize('typed, says', [
    ('plot DATA', 'is not a run: there is no log.jsonl'),
    ('evaluate NET NET NET --data DATA --split test train', 'checkpoints need 3 folds'),
    ('evaluate NET --data DATA --fold 1', '--fold chooses a split of --dataset: name it'),
    ('evaluate NET --data DATA --views 10', "are written CLIPSxCROPS, such as 10x3, not '10'"),
    ('evaluate NET --data DATA --resize 2x3x4', "got '2x3x4'; a side is a whole number"),
    ('ensemble NET/config.json', 'config.json is not a file of scores, or is damaged'),
    ('data check ucf11 DATA', "there is no data set 'ucf11', did you mean 'ucf101'"),
    ('data prepare folder DATA DATA', 'is the data set itself: choose another folder'),
    ('bench ops --only HgD', "no operator is called 'HgD'; there are TemporalConv"),
    ('bench nets --only hgd', "no network is called 'hgd'; there are tsn"),
    ('predict NET nothing.mp4', 'nothing.mp4 does not exist: check the path')])
def test_sentences_of_other_commands(root, tmp_path, capsys, typed, says):
    save(create_model('tsn_tiny', num_classes=3, input_spec=SPEC), tmp_path/'net')
    words = [word.replace('DATA', str(root)).replace('NET', str(tmp_path/'net'))
             for word in typed.split()]
    assert main(words) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1, error

@pytest.mark.parametrize('typed, says', [
    (['trian'], "video_convs: argument COMMAND: invalid choice: 'trian'"),
    (['train'], 'video_convs train: the following arguments are required: --data, --out')])
def test_arguments_of_the_wrong_kind(capsys, monkeypatch, typed, says):
    monkeypatch.setattr('video_convs.command.spelled', os.path.basename)
    monkeypatch.setattr(sys, 'argv', ['video_convs'])
    with pytest.raises(SystemExit) as stop:
        main(typed)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and error.startswith(says) and len(error.splitlines()) == 1

def test_dense_windows_from_the_command_line(root, tmp_path, capsys, monkeypatch):
    rules, indices = set(), Views.indices
    monkeypatch.setattr(Views, 'indices',
                        lambda self, *args: rules.add(self.rule) or indices(self, *args))
    run, video = str(tmp_path/'run'), str(next((root/'test').rglob('*.mp4')))
    assert main(['train', '--data', str(root), '--out', run, '--model', 'tsn_tiny', '--frames', '4',
                 '--size', '32', '--epochs', '1', '--rule', 'dense']) == 0
    assert rules == {'dense'} and read_config(run)['tested']['rule'] == 'dense'
    assert json.loads((tmp_path/'run/report.json').read_text())['views'] == '1x1 dense'
    assert capsys.readouterr().out.rstrip().endswith('--split test --rule dense')
    assert (main(['predict', run, video, '--rule', 'dense', '--views', '2x1']) == 0
            and rules == {'dense'})
    assert main(['predict', run, video]) == 0 and rules == {'dense', 'segments'}

def test_plot(root, tmp_path, capsys):
    run_training(root, tmp_path/'a', model='tsn_tiny', frames=4, size=32, changes=dict(epochs=1),
                 progress=False)
    assert (main(['plot', str(tmp_path/'a'), '--out', str(tmp_path/'a.svg')]) == 0
            and (tmp_path/'a.svg').is_file())
    assert re.search(r'1 epochs, loss .* on unseen ones \(best', capsys.readouterr().out)
    (tmp_path/'a/log.jsonl').write_text('')
    assert (main(['plot', str(tmp_path/'a')]) == 2
            and 'no whole epoch yet' in capsys.readouterr().err)
