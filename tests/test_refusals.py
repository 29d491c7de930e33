"What training and checkpoints refuse, in a sentence, before anything is lost."
import json
from dataclasses import replace

import pytest
import torch

from video_convs.checkpoint import load_weights, save
from video_convs.data.clip_dataset import Clips
from video_convs.data.dataset import VideoDataset
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import load
from video_convs.train.checks import check_task
from video_convs.train.groups import frozen_parts, make_optimizer
from video_convs.train.recipes import Recipe
from video_convs.train.run_folder import State, keep_state, resume
from video_convs.train.scale_out import open_splits, start_model
from video_convs.weights.create import create_model

pytestmark = pytest.mark.usefixtures('one_thread')
SPEC = InputSpec(frames=4, size=32)
VIDEOS = VideoDataset('mine', ('up', 'down'), ('a.mp4', 'b.mp4'), (0, 1))


def network(name='tsn_tiny', classes=VIDEOS.classes, **options):
    return create_model(name, num_classes=len(classes), classes=list(classes), input_spec=SPEC,
                        **options)


def clips(videos=VIDEOS, train=True):
    return Clips(videos, SPEC, train=train)


@pytest.mark.parametrize('model, data, says', [
    (network, lambda: clips(replace(VIDEOS, classes=('down', 'up'))), "number 0 is 'up', not"),
    (lambda: network(classes=list('abcde')), clips, 'there are 5, not 2'),
    (lambda: network('h2cn_tiny'), clips, 'h2cn_tiny reads 5 neighbouring rgb frames'),
    (network, lambda: clips(train=False), 'training needs Clips(…, train=True)'),
    (network, lambda: clips(replace(VIDEOS, labels=(-1, -1))), 'are secret'),
])
def test_clips_that_do_not_fit_the_network(model, data, says):
    with pytest.raises(ValueError) as error:
        check_task(model(), data(), Recipe())
    assert says in str(error.value)


@pytest.mark.parametrize('freeze, says', [
    ('**', 'leaves nothing of tsn_tiny to learn'),
    ('trunk.layr1.**', "no parameter matches 'trunk.layr1.**'"),
])
def test_what_freezes(freeze, says):
    model, recipe = network(), Recipe(freeze=(freeze,))
    with pytest.raises(ValueError) as error, frozen_parts(model, recipe):
        make_optimizer(model, recipe)
    assert says in str(error.value)


def state(recipe):
    model = network()
    scaler = torch.amp.GradScaler('cpu', enabled=False)
    return State(model, make_optimizer(model, recipe), scaler)


def test_the_folder_of_another_run(tmp_path):
    recipe = Recipe()
    about = dict(name='tsn_tiny', recipe=recipe.to_dict())
    keep_state(tmp_path, state(recipe), about)
    others = [(about | {'recipe': Recipe(lr=1e-4).to_dict()},
               'its recipe is another (lr is 0.003, not 0.0001)'),
              (about | {'name': 'hgc_tiny'}, "its name is another ('tsn_tiny', not 'hgc_tiny')")]
    for other, says in others:
        with pytest.raises(ValueError) as error:
            resume(tmp_path, state(recipe), recipe, other)
        assert says in str(error.value)
    (tmp_path/'resume.pt').write_bytes(b'damaged')
    with pytest.raises(ValueError, match='resume.pt is damaged'):
        resume(tmp_path, state(recipe), recipe, about)
    (tmp_path/'resume.pt').unlink()
    (tmp_path/'config.json').write_text('{}')
    with pytest.raises(ValueError, match='already holds a checkpoint'):
        resume(tmp_path, state(recipe), recipe, about)


@pytest.mark.parametrize('name, options, says', [
    ('tsn_tiny', {}, 'is hgc_tiny, not tsn_tiny'),
    ('hgc_tiny', {'slope': 6}, 'is hgc_tiny with slope=2, not 6'),
])
def test_other_weights_than_asked_for(tmp_path, name, options, says):
    save(network('hgc_tiny'), tmp_path/'run')
    with pytest.raises(ValueError) as error:
        start_model(name, VIDEOS.classes, tmp_path/'run', **options)
    assert says in str(error.value)


def test_weights_that_start_nothing(tmp_path):
    torch.save({'a': torch.zeros(1)}, tmp_path/'odd.pth')
    with pytest.raises(ValueError, match='is not a checkpoint of tsn_tiny'):
        start_model('tsn_tiny', VIDEOS.classes, tmp_path/'odd.pth')
    save(network('tam_tiny'), tmp_path/'tam')
    with pytest.raises(ValueError, match='has layers for 4 frames, not for 8'):
        start_model('tam_tiny', VIDEOS.classes, tmp_path/'tam', input_spec=dict(frames=8))


def test_options_of_the_catalogue(tmp_path):
    with pytest.raises(ValueError, match='fold: such options are for a data set of the catalogue'):
        open_splits(tmp_path, options={'fold': 1})


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "The files of a checkpoint, by name."
    folder = save(network('hgc_tiny', list('abc'), slope=4), tmp_path_factory.mktemp('run'))
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def page(whole, changes):
    return json.dumps({**json.loads(whole['config.json']), **changes}).encode()


def refused(folder, files):
    "What is said of a checkpoint with these files."
    for name, content in files.items():
        if content is not None:
            (folder/name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        load(folder)
    return str(error.value)


@pytest.mark.parametrize('config, says', [
    (None, 'it has no config.json'),
    (b'{"format": 1, "na', 'is not JSON'),
    (b'{"epochs": 3}', 'it lacks format, name'),
    (dict(format=9), 'has format 9'),
    (dict(name='hgc_tini'), 'near matches: hgc_tiny'),
    (dict(num_classes=10**6, classes=None), 'the network has 1000000'),
    (dict(variant={'slop': 2}), "no variant 'slop'"),
    (dict(variant={'pretrained': '/etc/passwd'}), "no variant 'pretrained'"),
    (dict(name='tsn_tiny', variant={}), 'than tsn_tiny: it lacks trunk.layer1.0.conv1.weight'),
    (dict(name='hgc_resnet18'), 'of another network than hgc_resnet18'),
    (dict(variant={'kernel_size': 5}), 'taps is (24, 1, 3, 1, 1) in the file'),
    (dict(num_classes=7, classes=None), 'knows 3 classes, the network has 7'),
])
def test_a_page_that_does_not_fit(whole, tmp_path, config, says):
    content = page(whole, config) if isinstance(config, dict) else config
    assert says in refused(tmp_path, whole | {'config.json': content})


@pytest.mark.parametrize('length', [0, 5, 500, 10_000, -1])
def test_weights_that_were_cut(whole, tmp_path, length):
    cut = {'model.safetensors': whole['model.safetensors'][:length]}
    assert 'damaged or cut short' in refused(tmp_path, whole | cut)


def test_a_checkpoint_without_weights(whole, tmp_path):
    said = refused(tmp_path, whole | {'model.safetensors': None})
    assert 'it has no model.safetensors' in said


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match='there is no folder'):
        load(tmp_path/'nowhere')


def test_another_number_of_classes(whole, tmp_path):
    for name, content in whole.items():
        (tmp_path/name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_weights(network('hgc_tiny', list('abcdefghi'), slope=4), tmp_path)
    assert 'call model.swap_head(9)' in str(error.value)
