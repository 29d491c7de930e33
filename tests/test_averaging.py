"One checkpoint from several: means of weights, statistics of the videos, and networks that differ."
import json

import pytest
import torch
from small_sets import write_reversals

from video_convs.checkpoint import read_config, save
from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import load
from video_convs.train.averaging import average_checkpoints
from video_convs.train.loop import train
from video_convs.train.recipes import Recipe
from video_convs.train.run_folder import trained_on
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=2, size=32)

@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_reversals(tmp_path_factory.mktemp('videos'))

@pytest.fixture(scope='module')
def folders(root, tmp_path_factory):
    out, videos = tmp_path_factory.mktemp('run'), open_data(root, 'train')
    torch.manual_seed(0)
    model = create_model('tsn_tiny', num_classes=8, classes=videos.classes, input_spec=SPEC)
    recipe = Recipe(epochs=2, batch_size=8, lr=.02)
    train(model, Clips(videos, SPEC, train=True, augment=recipe.augment), recipe, out, keep=2,
          progress=False)
    return sorted(str(path) for path in out.glob('epoch_*'))

def test_weights_are_means_and_statistics_are_those_of_the_videos(root, folders):
    one, two = (load(folder).state_dict() for folder in folders)
    mean = average_checkpoints(folders)
    for key, value in mean.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, (one[key] + two[key]) / 2, atol=1e-6), key
    counted = average_checkpoints(folders, open_data(root, 'train'), batch_size=16)
    names = [key for key in counted.state_dict() if 'running' in key]
    for key, value in counted.state_dict().items():
        if key not in names and value.is_floating_point():
            assert torch.equal(value, mean.state_dict()[key])
    assert not any(torch.allclose(counted.state_dict()[key], mean.state_dict()[key])
                   for key in names if 'running_mean' in key)
    assert not counted.training
    seen = []
    norm = next(m for m in counted.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    recipe = Recipe.from_dict(read_config(folders[0])['recipe'])
    clips = Clips(open_data(root, 'train'), SPEC, train=True, augment=recipe.augment)
    with torch.no_grad():
        counted(torch.stack([clips[k][0] for k in range(16)]))
    assert torch.allclose(norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-4)

def test_from_the_command_line(root, folders, tmp_path, capsys):
    out = tmp_path/'mean'
    assert main(['average', *folders, '--out', str(out), '--data', str(root)]) == 0
    assert "statistics are those of 16 videos" in capsys.readouterr().out
    config = read_config(out)
    assert [text[:10] for text in config['mean_of']] == ['epoch_0001', 'epoch_0002']
    assert len(trained_on(out)) == 16 and json.loads((out/'config.json').read_text())['recipe']
    assert main(['evaluate', str(out), '--data', str(root), '--workers', '0']) == 0
    assert main(['average', *folders, '--out', str(tmp_path/'b')]) == 0
    assert 'with --data they are counted anew' in capsys.readouterr().out

@pytest.mark.parametrize('options, says', [
    (dict(name='hgc_tiny'), "are not of one network: its name is 'tsn_tiny', not 'hgc_tiny'"),
    (dict(classes=('a', 'b')), 'are not of one network: its classes is'),
    (dict(spec=InputSpec(frames=4, size=32)), 'are not of one network: its clips is'),
])
def test_other_networks_have_no_mean(folders, tmp_path, capsys, options, says):
    classes = options.get('classes') or load(folders[0]).classes
    other = create_model(options.get('name', 'tsn_tiny'), num_classes=len(classes),
                         classes=list(classes), input_spec=options.get('spec', SPEC))
    save(other, tmp_path/'other')
    assert main(['average', folders[0], str(tmp_path/'other'), '--out', str(tmp_path/'mean')]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count('\n') == 1
    assert not (tmp_path/'mean').exists()

def test_a_mean_of_one(folders, capsys, tmp_path):
    for names, says in ((folders[:1], 'needs two checkpoints'),
                        (folders[:1] * 2, 'a checkpoint stands twice')):
        assert main(['average', *names, '--out', str(tmp_path/'mean')]) == 2
        assert says in capsys.readouterr().err
