"A student learns the answers of its teachers, sees the same clips, and refuses other questions."
import json
from dataclasses import replace

import pytest
import torch
from small_sets import write_reversals

from video_convs.checkpoint import read_config, save
from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.nets.spec import InputSpec
from video_convs.train import step as step_module
from video_convs.train.loop import train
from video_convs.train.recipes import Recipe
from video_convs.train.scale_out import run_training
from video_convs.train.teacher import Teacher, make_teacher
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=2, size=32)
SHORT = Recipe(epochs=2, batch_size=8, lr=.02, distill=.7, temperature=3., mixup=.5)

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_reversals(tmp_path_factory.mktemp('videos'))

def network(videos, seed=0, name='tsn_tiny', spec=SPEC, classes=None):
    torch.manual_seed(seed)
    names = list(classes or videos.classes)
    return create_model(name, num_classes=len(names), classes=names, input_spec=spec)

@pytest.fixture(scope='module')
def teacher(root, tmp_path_factory):
    return str(save(network(open_data(root, 'train'), 7), tmp_path_factory.mktemp('teacher')/'t'))

class Stop(BaseException):
    pass

def test_a_stopped_student_ends_with_the_same_weights(root, teacher, tmp_path):
    videos = open_data(root, 'train')
    def learn(out, **kw):
        model = network(videos)
        train(model, Clips(videos, SPEC, train=True, augment=SHORT.augment), SHORT, out,
              progress=False, teacher=make_teacher([teacher], model, SHORT), **kw)
        return model.state_dict()
    def stop(log):
        raise Stop
    whole = learn(tmp_path/'a')
    with pytest.raises(Stop):
        learn(tmp_path/'b', on_epoch=stop)
    again = learn(tmp_path/'b')
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    alone = network(videos)
    train(alone, Clips(videos, SPEC, train=True, augment=SHORT.augment), SHORT, tmp_path/'c',
          progress=False)
    assert not torch.equal(alone.state_dict()['head.fc.weight'], whole['head.fc.weight'])
    packed = torch.load(tmp_path/'a/resume.pt', weights_only=True)
    assert set(packed) == {'epoch', 'step', 'sums', 'random', 'model', 'optimizer', 'scaler',
                           'about'}

def test_the_teacher_sees_the_clip_of_the_student_and_stays_as_it_is(root, teacher, monkeypatch):
    videos = open_data(root, 'train')
    model = network(videos)
    taught = make_teacher([teacher, teacher], model, SHORT)
    seen = []
    for net in (model, *taught.networks):
        net.register_forward_pre_hook(lambda net, args: seen.append((net.training, args[0])))
    before = {k: v.clone() for k, v in taught.networks[0].state_dict().items()}
    clip = torch.randn(4, 3, 2, 32, 32)
    optimizer = torch.optim.SGD(model.parameters(), .1)
    step_module.update(model.train(), optimizer, clip, torch.arange(4),
                       replace(SHORT, accumulate=2), teacher=taught)
    assert [mode for mode, _ in seen] == [True, False, False] * 2
    assert all(torch.equal(seen[i][1], seen[j][1]) for i, j in ((0, 1), (0, 2), (3, 4)))
    after = taught.networks[0].state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None for p in taught.networks[0].parameters())

def test_a_student_comes_close_to_its_teacher(root, teacher):
    videos = open_data(root, 'train')
    model, recipe = network(videos), Recipe(distill=1.)
    taught = make_teacher([teacher], model, recipe)
    clip, optimizer = torch.randn(4, 3, 2, 32, 32), torch.optim.Adam(model.parameters(), 3e-3)
    label = torch.zeros(4, dtype=torch.long)
    losses = [step_module.update(model.train(), optimizer, clip, label, recipe,
                                 teacher=taught)[0].item() for _ in range(25)]
    assert losses[-1] < .5 * losses[0]

def test_from_the_command_line(root, teacher, tmp_path, capsys):
    typed = ['train', '--data', str(root), '--out', str(tmp_path/'s'), '--model', 'tsn_tiny',
             '--frames', '2', '--size', '32', '--epochs', '1', '--batch-size', '8', '--cache',
             '--teacher', teacher, teacher, '--distill', '.9', '--temperature', '2']
    assert main(typed) == 0
    config = read_config(tmp_path/'s')
    assert config['start'].count('taught by t (checksum') == 2 and teacher not in config['start']
    assert (config['recipe']['distill'], config['recipe']['temperature']) == (.9, 2)
    assert teacher not in json.dumps({k: v for k, v in config.items() if k != 'command'})
    capsys.readouterr()
    assert main([*typed[:-6], '--distill', '.9', '--temperature', '2']) == 2
    assert 'its start is another' in capsys.readouterr().err

@pytest.mark.parametrize('options, says', [
    (dict(classes=list('abcdefgh')), "has other classes (number 0 is 'a'"),
    (dict(classes=['left', 'right']), 'has other classes (there are 2, not 8)'),
    (dict(name='h2cn_tiny'), 'both must see the same clip'),
])
def test_teachers_of_other_questions(root, tmp_path, options, says):
    videos = open_data(root, 'train')
    folder = save(network(videos, **options), tmp_path/'t')
    with pytest.raises(ValueError) as error:
        run_training(root, tmp_path/'s', model='tsn_tiny', frames=2, size=32, teacher=[str(folder)],
                     progress=False)
    assert says in str(error.value) and not (tmp_path/'s').exists()

def test_several_tasks_have_no_teacher():
    tasks = {'verb': 2, 'noun': 3, 'action': 4}
    model = create_model('tsn_tiny', num_classes=tasks, input_spec=SPEC)
    with pytest.raises(ValueError, match='a teacher is for one label a video'):
        make_teacher(['x'], model, SHORT)

def test_another_size(root):
    videos = open_data(root, 'train')
    wide = network(videos, spec=InputSpec(frames=4, size=48))
    said = Teacher([wide], SPEC, SHORT).answers(torch.randn(2, 3, 2, 32, 32))
    assert said.shape == (2, 8) and torch.allclose(said.sum(1), torch.ones(2))
