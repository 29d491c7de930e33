"The Hub's client as it is installed, against a Hub on loopback (hub_server.py)."
import csv
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import zlib
from fnmatch import fnmatch
from functools import lru_cache
from html import escape, unescape
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.utils import validate_repo_id
from hub_server import READER, WRITER, Fault, Hub, sha256
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import video_convs
from video_convs import hub as hub_module
from video_convs.cli import main
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.dataset import VideoDataset
from video_convs.data.drift import Drift
from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_drift, render_task
from video_convs.data.paths import name_hash
from video_convs.data.views import Views, parse_views
from video_convs.data.video import write_video
from video_convs.explain.saliency import pixels, saliency
from video_convs.hub import checkpoint_folder, pull
from video_convs.nets import model_card as model_card_module
from video_convs.nets.model_card import model_card
from video_convs.use import classifier, space
from video_convs.use.classifier import look, predict, predict_many
from video_convs.use.publish import checkpoint_name, collection, push
from video_convs.use.space import push_space, write_space
from video_convs.checkpoint import load_weights, read_config, save
from video_convs.nets.video_net import load
from video_convs.nets.spec import InputSpec
from video_convs.nets.video_net import VideoNet
from video_convs.weights.create import create_model, pretrained_model
from video_convs.train.evaluation import evaluate, report
from video_convs.train.scores import Scores, score

pytestmark = pytest.mark.usefixtures('one_thread')

def card(folder, repo_id):
    return model_card(load(folder), folder, repo_id)

SPEC, CLASSES = InputSpec(frames=2, size=16), ['left', 'right', 'still']
ANSWER = Scores(z := torch.eye(3)[[0, 1, 2, 2]], z.softmax(1), torch.tensor([0, 1, 2, 0]),
                tuple('wxyz'), tuple(CLASSES))

def make(seed=0, **options):
    torch.manual_seed(seed)
    return create_model('hgc_tiny', num_classes=3, classes=CLASSES, input_spec=SPEC,
                        **options).eval()

@pytest.fixture(scope='module')
def hub():
    with Hub() as hub:
        yield hub

@pytest.fixture(autouse=True)
def quiet(hub, monkeypatch):
    hub.faults.clear()
    hub.requests.clear()
    hub.blobs.clear()
    monkeypatch.setattr('time.sleep',
                        lambda seconds, sleep=__import__('time').sleep: sleep(min(seconds, .01)))

@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.url, token=WRITER)

@pytest.fixture
def run(tmp_path):
    "What a training leaves behind, and more."
    folder = save(make(), tmp_path/'run', recipe={'epochs': 2, 'lr': 0.1}, data='motion-reversal')
    (folder/'evaluate_test.json').write_text(json.dumps(report(ANSWER)))
    (folder/'log.jsonl').write_text('{"epoch": 1, "seconds": 90}\n{"epoch": 2, "seconds": 90}\n')
    (folder/'resume.pt').write_bytes(b'optimiser')
    (folder/'notes.txt').write_text('mine')
    return folder

@pytest.fixture
def name(request):  # no test meets another's cache
    return f"user/test-{zlib.crc32(request.node.name.encode())}"

@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('videos'), np.random.default_rng(0)
    return [write_video(folder/f'{k}.mp4', rng.integers(0, 255, (4, 16, 16, 3), np.uint8))
            for k in range(3)]

def bits(net):
    return {key: value.numpy().tobytes() for key, value in net.state_dict().items()}

# --- there and back

def test_a_network_comes_back_bit_by_bit(hub, api, name):
    page = push(make(), name, api=api, recipe={'epochs': 3})
    assert page == f'{hub.url}/{name}'
    twin = VideoNet.from_pretrained(name, api=api)
    assert bits(twin) == bits(make()) and twin.config() == make().config() and not twin.training
    assert read_config(pull(name, api=api))['recipe'] == {'epochs': 3}

def test_only_known_files_leave(hub, api, run, name):
    push(run, name, private=True, api=api)
    assert sorted(hub.files(name)) == ['README.md', 'config.json', 'evaluate_test.json',
                                       'log.jsonl', 'model.safetensors']
    assert (hub.repos['model', name].private
            and hub.files(name)['README.md'].decode() == card(run, name))
    assert (hub.asked('PUT', '/lfs/') and hub.asked('POST', '/lfs/verify')
            and hub.asked('POST', 'validate-yaml'))

def test_a_large_file_goes_up_in_parts(run, name):
    with Hub(chunk=400_000) as hub:
        push(run, name, api=HfApi(endpoint=hub.url, token=WRITER))
        assert len(hub.asked('PUT', '/part/')) == 5
        assert hub.files(name)['model.safetensors'] == (run/'model.safetensors').read_bytes()

def test_an_interrupted_push_does_not_send_the_weights_again(hub, api, name):
    model = make(seed=1)
    hub.faults.append(Fault('POST', '/commit/', status=500))
    with pytest.raises(ValueError, match='the Hub answers 500'):
        push(model, name, api=api)
    assert len(hub.asked('PUT', '/lfs/')) == 1
    push(model, name, api=api)
    assert (len(hub.asked('PUT', '/lfs/')) == 1
            and bits(VideoNet.from_pretrained(name, api=api)) == bits(model))

def test_nothing_new_is_no_commit(hub, api, run, name):
    push(run, name, api=api)
    push(run, name, api=api)
    assert len(hub.repos['model', name].commits) == 1

def test_a_second_pull_fetches_what_is_new(hub, api, run, name):
    push(run, name, api=api)
    pull(name, api=api)
    hub.put(name, {'README.md': b'new'})
    hub.requests.clear()
    assert (pull(name, api=api)/'README.md').read_bytes() == b'new'
    # the etags of the others are known
    assert not hub.asked('GET', '/cdn/') and len(hub.asked('GET', '/resolve/')) == 1

def test_revisions(hub, api, name):
    old, new = make(0), make(1)
    push(old, name, api=api)
    first = api.model_info(name).sha
    hub.repos['model', name].refs['v1.0'] = first
    push(new, name, api=api)
    assert bits(VideoNet.from_pretrained(name, api=api)) == bits(new)
    for where in (dict(revision=first), dict(revision='v1.0')):
        assert bits(VideoNet.from_pretrained(name, api=api, **where)) == bits(old)
    assert checkpoint_folder(f'{name}@v1.0', api=api).name == first
    assert bits(VideoNet.from_pretrained(name, 'v1.0', local_files_only=True, api=api)) == bits(old)

def test_into_a_folder(hub, api, run, name, tmp_path):
    push(run, name, api=api)
    assert pull(name, to=tmp_path/'mine', api=api) == tmp_path/'mine'
    assert bits(load(tmp_path/'mine')) == bits(make())
    assert pull(name, to=tmp_path/'mine', api=api)  # again is well
    with pytest.raises(ValueError,
                       match='run holds a checkpoint that was not pulled: choose another folder'):
        pull(name, to=run, api=api)

def test_a_network_of_a_class_of_its_own_is_not_needed(run):
    assert (bits(VideoNet.from_pretrained(run)) == bits(VideoNet.from_pretrained(str(run)))
            == bits(make()))

# --- a bad line

STEPS = [('POST', '/api/repos/create'), ('POST', '/preupload/'),
         ('POST', '/info/lfs/objects/batch'), ('PUT', '/lfs/'), ('POST', '/lfs/verify'),
         ('POST', '/commit/'), ('GET', '/api/models/[^/]+/[^/]+$'), ('GET', '/tree/'),
         ('HEAD', '/resolve/'), ('GET', '/cdn/')]

@pytest.mark.parametrize('status, headers', [(429, {'Retry-After': '0'}), (503, {})])
def test_patience(hub, api, name, status, headers):
    "Each step of a push and a pull is refused once."
    hub.faults += [Fault(*step, status=status, headers=headers) for step in STEPS]
    push(make(), name, api=api)
    assert bits(VideoNet.from_pretrained(name, api=api)) == bits(make())
    assert not [fault.path for fault in hub.faults if fault.times]

def test_a_broken_download_goes_on_where_it_broke(hub, api, run, name):
    weights = np.random.default_rng(0).bytes(24_000_000)
    hub.put(name, {'config.json': (run/'config.json').read_bytes(), 'model.safetensors': weights})
    hub.faults.append(Fault('GET', '/cdn/', cut=23_000_000))
    assert sha256((pull(name, api=api)/'model.safetensors').read_bytes()) == sha256(weights)
    assert ([headers.get('range') for *_, headers in hub.asked('GET', '/cdn/')]
            == [None, 'bytes=20971520-'])

def test_a_pull_that_failed_keeps_what_was_complete(hub, api, run, name):
    push(run, name, api=api)
    hub.faults.append(Fault('GET', '/cdn/', times=99, status=500))
    with pytest.raises(ValueError, match='the Hub answers 500'):
        pull(name, api=api)
    with pytest.raises(ValueError, match='not on this machine'):
        pull(name, local_files_only=True, api=api)
    hub.faults.clear()
    hub.requests.clear()
    assert bits(VideoNet.from_pretrained(name, api=api)) == bits(make())
    assert not hub.asked('GET', '/resolve/.*config.json')

@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='no signals here')
def test_a_killed_pull_is_done_again(hub, run, name, tmp_path):
    "Killed while the weights come in; the same command then fetches them, and not what was there."
    hub.put(name, {file: (run/file).read_bytes() for file in ('config.json', 'model.safetensors')})
    hub.faults.append(Fault('GET', '/cdn/', cut=1_000_000, until=(killed := threading.Event())))
    env = {**os.environ, 'HF_ENDPOINT': hub.url, 'HF_TOKEN': READER, 'HF_HOME': str(tmp_path),
           'PYTHONPATH': os.pathsep.join(sys.path)}
    command = [sys.executable, '-m', 'video_convs', 'pull', name]
    def there():
        return {p.name for p in tmp_path.rglob('snapshots/*/*')}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    for _ in range(60_000):
        if hub.asked('GET', '/cdn/') and there():
            break
        time.sleep(.01)
    process.kill()
    process.wait()
    killed.set()
    assert there() == {'config.json'}
    hub.requests.clear()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and there() == {'config.json', 'model.safetensors'}, done.stderr
    assert hub.asked('GET', '/cdn/') and not hub.asked('GET', '/resolve/.*config.json')

def test_without_a_network_after_the_first_pull(hub, api, run, name):
    push(run, name, api=api)
    folder, asked = pull(name, api=api), len(hub.requests)
    nowhere = HfApi(endpoint='http://127.0.0.1:9', token=WRITER)
    assert pull(name, api=nowhere) == pull(name, local_files_only=True, api=api) == folder
    assert len(hub.requests) == asked
    hub.faults.append(Fault('GET', '/api/models', times=99, status=503))
    assert pull(name, api=api) == folder  # the Hub is down
    for call in (lambda: pull('user/unknown', api=nowhere), lambda: push(run, name, api=nowhere)):
        with pytest.raises(ValueError,
                           match=r'cannot be reached \(ConnectError\).*check the network'):
            call()

# --- who may

def test_the_token_goes_to_the_hub_alone(hub, api, run, name):
    push(run, name, private=True, api=api)
    pull(name, api=api)
    def tokens(method, path):
        return {headers.get('authorization') for *_, headers in hub.asked(method, path)}
    assert tokens('GET', '/cdn/') == tokens('PUT', '/lfs/') == {None}
    assert tokens('POST', '/commit/') == tokens('GET', '/api/models/') == {f'Bearer {WRITER}'}

def test_the_token_is_never_shown(hub, api, run, name, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    for handler in logging.getLogger('huggingface_hub').handlers:
        handler.setLevel(logging.DEBUG)
    logging.getLogger('huggingface_hub').setLevel(logging.DEBUG)
    texts = []
    push(run, name, api=api)
    pull(name, api=api)
    for call in (lambda: push(run, 'other/x', api=api), lambda: pull('user/unknown', api=api),
                 lambda: pull(name, api=HfApi(endpoint='http://127.0.0.1:9', token=WRITER))):
        try:
            call()
        except ValueError as error:
            texts.append(str(error))
    logging.getLogger('huggingface_hub').setLevel(logging.WARNING)
    said = ''.join([*capfd.readouterr(), caplog.text, *texts,
                    *(p.read_text() for p in run.glob('*.md'))])
    assert name in said and WRITER not in said and WRITER[5:] not in said

def test_a_token_in_a_file_is_not_published(hub, api, run, name):
    for file in ('README.md', 'log.jsonl'):
        (run/file).write_text(json.dumps({'command': f'HF_TOKEN={WRITER} video_convs train'}))
        with pytest.raises(ValueError, match=f'{file} holds an access token') as error:
            push(run, name, api=api)
        assert WRITER not in str(error.value) and not hub.requests
        (run/file).unlink()

def test_folders_of_this_machine_stay_here(hub, api, run, name):
    "Whatever a run has recorded: a path is cut to its last part, on the Hub only."
    home, why = '/media/ada/my clips', 'is empty (0 bytes): copy or download it again'
    save(make(), run, data='motion-reversal',
         command=f"video_convs train --data '{home}/jester' --out=~/runs/x", start=f'{home}/old')
    lost = {f'{home}/{c}/a.mp4': f'{home}/{c}/a.mp4 {why}' for c in 'xy'}
    (run/'evaluate_test.json').write_text(json.dumps(report(ANSWER) | {'missing': lost}))
    (run/'log.jsonl').write_text(json.dumps({'epoch': 1, 'seconds': 90, 'skipped': lost})
                                 + '\n{"epoch": 2, "sec')  # cut short
    mine = {file.name: file.read_bytes() for file in run.iterdir()}
    push(run, name, api=api)
    theirs = hub.files(name)
    for file in ('config.json', 'evaluate_test.json', 'log.jsonl', 'README.md'):
        assert not any(word in theirs[file]
                       for word in (b'/media', b'ada', b'my clips', b'runs/')), file
    assert (json.loads(theirs['config.json'])['command']
            == "video_convs train --data 'jester' --out=x")
    found = {'a.mp4': f'a.mp4 {why}', 'a.mp4+': f'a.mp4 {why}'}
    assert json.loads(theirs['evaluate_test.json']) == report(ANSWER) | {'missing': found}
    assert ([json.loads(line) for line in theirs['log.jsonl'].splitlines()]
            == [{'epoch': 1, 'seconds': 90, 'skipped': found}])
    assert ({file: (run/file).read_bytes() for file in mine} == mine
            and bits(VideoNet.from_pretrained(name, api=api)) == bits(make()))

@pytest.mark.parametrize('text, public', [
    ('/media/me/a b/c.mp4 is empty', 'c.mp4 is empty'), (r'D:\clips\c.mp4', 'c.mp4'),
    (r'\\server\share\c.mp4', 'c.mp4'),
    ('../../me/c.mp4', 'c.mp4'), ('PATH:/a/b', 'PATH:b'), ('data/clips/c.mp4', 'data/clips/c.mp4'),
    ('hf.co/a/b', 'hf.co/a/b'),
    ('https://a.b/c/d', 'https://a.b/c/d'), ('1/2', '1/2'),
    ('left / right / up', 'left / right / up'), ('layer?.*.conv1', 'layer?.*.conv1')])
def test_public(text, public):
    assert hub_module.without_folders(text) == public

def test_classes_keep_their_names(hub, api, name):
    names = ['/m/02mk9', '/m/04rlf', '../a/b']
    push(create_model('tsn_tiny', num_classes=3, classes=names, input_spec=SPEC), name, api=api)
    assert list(VideoNet.from_pretrained(name, api=api).classes) == names

@pytest.mark.parametrize('file, content, message', [
    ('evaluate_test.json', '{', 'evaluate_test.json is not JSON .*: write it again, or remove it'),
    ('evaluate_mine.json', '[]', 'evaluate_mine.json lacks top1: evaluate the checkpoint again, '
                                 'which writes it anew, or remove it'),
    ('log.jsonl', 'nonsense\n{}', 'log.jsonl, line 1: is no JSON')])
def test_a_damaged_page_is_not_published(hub, api, run, name, file, content, message):
    (run/file).write_text(content)
    with pytest.raises(ValueError, match=message):
        push(run, name, api=api)
    assert not hub.requests

@pytest.mark.parametrize('token, call, message', [
    (False, 'push(run, name, api=api)',
     'there is no token to write to the Hub with: log in with `hf auth login`'),
    ('hf_' + 'x' * 34, 'push(run, name, api=api)',
     r'does not know this token \(any more\): make a new one'),
    ('hf_' + 'x' * 34, 'pull("user/there", api=api)', r'does not know this token \(any more\)'),
    (READER, 'push(run, name, api=api)', 'may not write to user/.*: use one with write permission'),
    (WRITER, 'push(run, "other/x", api=api)', 'may not write to other/x'),
    (WRITER, 'push(run, "a b", api=api)',
     "'a b' is not a name of a repository: it has the form user/name"),
    (WRITER, 'push(run, name, api=api, data=1)', 'data must be in the config.json'),
    (WRITER, 'push(run/"nothing", name, api=api)', 'there is no folder'),
    (WRITER, 'pull("user/missing", api=api)',
     'the Hub has no model user/missing that you may read: check the name'),
    (False, 'pull("user/hidden", api=api)', 'if it is private, log in'),
    (WRITER, 'pull("user/there", "v7", api=api)', "user/there has no revision 'v7'"),
    (WRITER, 'pull("a/b/c", api=api)', "'a/b/c' is not a name of a repository"),
    (WRITER, 'pull("user/whole", to=run/"config.json"/"x", api=api)',
     'x could not be written to .*: make room, or choose another folder'),
    (WRITER, 'pull("user/there", local_files_only=True, api=api)',
     'user/there is not on this machine: pull it once'),
    (WRITER, 'VideoNet.from_pretrained("runs/mine", api=api)', "there is no folder 'runs/mine'"),
    (WRITER, 'VideoNet.from_pretrained("../mine", api=api)', "there is no folder '../mine'"),
    (WRITER, 'VideoNet.from_pretrained(Path("user/there"), api=api)',
     "there is no folder 'user/there'"),
    (WRITER, 'predict_many([], run)', 'name one file or more'),
    (WRITER, 'predict_many(["x"], run, batch_size=0)',
     'batch_size must be a whole number from 1 to 1,000,000, got 0'),
    (WRITER, 'predict("x", run, topk=0)', 'topk must be a whole number from 1 to 1,000,000, got 0'),
    (WRITER, 'predict("x", run, average="votes")',
     "there is no average of 'votes': choose logits or probabilities"),
])
def test_a_sentence_for_every_mistake(hub, run, name, token, call, message):
    hub.put('user/there', {'README.md': b''})
    hub.put('user/hidden', {'README.md': b''}, private=True)
    hub.put('user/whole',
            {file: (run/file).read_bytes() for file in ('config.json', 'model.safetensors')})
    with pytest.raises(ValueError, match=message) as error:
        eval(call, globals() | dict(run=run, name=name, api=HfApi(endpoint=hub.url, token=token)))
    assert '\n' not in str(error.value)

@pytest.mark.parametrize('fault, message', [
    (dict(status=403, headers={'X-Error-Code': 'GatedRepo'}),
     'open to those whom its owner lets in: ask on its page'),
    (dict(status=429, times=99), r'asks to wait \(too many requests\).*try again in some minutes'),
    (dict(status=500, times=99), 'the Hub answers 500 .*try again later')])
def test_a_hub_in_a_mood(hub, api, fault, message):
    hub.put('user/moody', {'README.md': b''})
    hub.faults.append(Fault('GET', '/api/models', **fault))
    with pytest.raises(ValueError, match=message):
        pull('user/moody', api=api)

def test_the_environment_can_forbid_the_network(hub, api, monkeypatch):
    # what HF_HUB_OFFLINE=1 sets
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    with pytest.raises(ValueError,
                       match='HF_HUB_OFFLINE forbids the network, and user/x has not been pulled'):
        pull('user/x', api=api)
    assert not hub.requests

# --- what a repository must not hold

@pytest.mark.parametrize('files, config, message', [
    ({'pytorch_model.bin': b''}, {}, 'holds pytorch_model.bin, by its name a pickle'),
    ({'deep/inside.PKL': b''}, {}, 'holds deep/inside.PKL'),
    ({'../x': b''}, {}, r'names a file outside its folder \(../x\)'),
    ({'/etc/passwd': b''}, {}, 'outside its folder'),
    ({'a/../../x': b''}, {}, 'outside its folder'),
    ({'..\\x': b''}, {}, 'outside its folder'),
    ({}, dict(auto_map={'AutoModel': 'm.Net'}), r'asks for code of its own \(auto_map\)'),
    ({}, dict(trust_remote_code=True), 'asks for code of its own'),
    ({}, dict(name='hgc_tinny'), "no network is called 'hgc_tinny'; near matches: hgc_tiny"),
    ({}, dict(name=3), 'no network is called 3'),
    ({}, dict(variant={'pretrained': '/etc/passwd'}), "no variant 'pretrained'"),
    ({}, dict(variant={'num_classes': 9}), "no variant 'num_classes'"),
    ({}, dict(variant=[1]), 'cannot be built'),
    ({}, dict(num_classes=5, classes=None),
     'knows 3 classes, the network has 5: its config.json is of another checkpoint'),
    ({}, dict(num_classes=10**13, classes=None), 'from 1 to 1,000,000, got 10000000000000$'),
    ({}, dict(num_classes=10**30, classes=None),
     'cannot be built: num_classes must be .* got 10{30}$'),
    ({}, dict(variant={'kernel_size': 5}), 'in the file,'),
    ({}, dict(variant={'slop': 5}), "no variant 'slop'"),
    ({}, dict(format=99), 'has format 99'), ({'config.json': b'{'}, None, 'is not JSON'),
    ({'config.json': b'[]'}, None, 'it lacks'),
    ({'model.safetensors': b'\x80\x04cos\nsystem\n'}, {}, 'damaged or cut short'),
])
def test_a_strange_repository_is_refused(hub, api, run, name, files, config, message):
    page = json.dumps({**read_config(run), **config}).encode() if config is not None else b''
    hub.put(name, {'config.json': page,
                   'model.safetensors': (run/'model.safetensors').read_bytes(), **files})
    with pytest.raises(ValueError, match=message) as error:
        VideoNet.from_pretrained(name, api=api)
    assert '\n' not in str(error.value)
    if 'config.json' not in files and files and 'model.safetensors' not in files:
        assert not hub.asked('GET', '/resolve/')  # nothing was fetched

SIZES = [
    (dict(size=20_000), "size must be a whole number from 1 to 4,096, got 20000"),
    (dict(size=10**30), 'got 1' + 30*'0'),
    (dict(frames=10**9), 'frames must be a whole number from 1 to 4,096'),
    (dict(per_segment=10**6), 'per_segment must be'),
    (dict(frames=4096, size=4096), 'asks for clips of 206,158,430,208 numbers'),
    (dict(size=16.), 'size must be a whole number'),
    (dict(mean=[float('nan')] * 3), 'mean must be a number from -100,000 to 100,000, got nan'),
    (dict(mean='abc'), 'one mean for each'),
    (dict(std=[float('inf')]), 'std must be a number from 1e-06 to 100,000, got inf'),
    (dict(std=[0.]), 'got 0.0'), (dict(std=[-1]), 'got -1'),
    (dict(mean=[True]), 'got True'), (dict(fit=['crop']), "fit is 'crop' or 'squash'"),
    (dict(value_range=float('nan')), 'value_range is 1 or 255'),
    (dict(modality='sound'), "modality is 'rgb' or 'flow'"),
    (dict(colour=1), "input_spec has no field 'colour'")]

@pytest.mark.parametrize('changes, message', [
    *[(dict(input_spec={**dict(frames=2, size=16), **spec}), says) for spec, says in SIZES],
    (dict(input_spec=3), 'an InputSpec or a dict'),
    (dict(classes=['a', 'a', 'b']), "two are called 'a'"),
    (dict(classes=['a', 1, 'b']), '1 is a int'),
    (dict(classes='abc'), 'classes is a list of names'),
    (dict(classes={'a': 1}), 'classes is a list of names'),
    (dict(num_classes={'action': float('nan')}, classes=None), 'got nan'),
    (dict(dropout=float('nan')), 'dropout must be a number from 0 to below 1, got nan'),
    (dict(dropout='0.5'), "got '0.5'"),
    (dict(variant={'kernel_size': 10**9 + 1}),
     'kernel_size of hgc_tiny must be a number from 0 to 65,536'),
    (dict(variant={'slope': float('inf')}), 'got inf'),
    (dict(variant={'kernel_size': 65_535}), 'kernel_size|in the file,'),
    (dict(variant={'kernel_size': '3'}), 'cannot be built'),
    (dict(variant={'aggregate': [1]}), 'cannot be built'),
    (dict(name=['hgc_tiny']), 'cannot be built'),
    (dict(format='\x1b[31m1'), r"has format '\\x1b\[31m1'"),
    (dict(sha256='0' * 64), 'is not the file that its config.json was written with'),
    (dict(sha256=3), 'not with 3')])
def test_a_strange_page_is_refused(run, changes, message):
    (run/'config.json').write_text(json.dumps({**read_config(run), **changes}))
    start = time.monotonic()
    with pytest.raises(ValueError, match=message) as error:
        load(run)
    assert ('\n' not in str(error.value) and '\x1b' not in str(error.value)
            and time.monotonic() - start < 5)

@pytest.mark.parametrize('page', ['[' * 200_000, '{"a":' * 200_000, ' ' * 64_000_001,
                                  '{"format": ' + '9' * 5000 + '}'], ids=len)
def test_pages_that_are_no_json(run, page):
    (run/'config.json').write_text(page)
    with pytest.raises(ValueError, match='is not JSON') as error:
        load(run)
    assert '\n' not in str(error.value)

@pytest.mark.parametrize('name, frames', [('trn_resnet50', 4096), ('tam_tiny', 4096),
                                          ('tin_resnet50', 4096), ('hgc_tiny', 4096)])
def test_the_longest_clips_take_no_time_to_refuse(run, name, frames):
    page = dict(name=name, variant={}, input_spec=dict(frames=frames, size=16))
    (run/'config.json').write_text(json.dumps({**read_config(run), **page}))
    start = time.monotonic()
    try:
        load(run)
    except ValueError as error:
        assert 'another network' in str(error) or 'cannot be built' in str(error)
    assert time.monotonic() - start < 10

@pytest.mark.parametrize('key, change, message', [
    ('head.fc.bias', lambda v: v / 0, 'head.fc.bias holds 3 numbers that are NaN or infinite'),
    ('head.fc.bias', lambda v: v.int(),
     'head.fc.bias is of int32, the network computes with float32'),
    ('head.fc.bias', lambda v: v.bool(), 'is of bool'),
    ('trunk.bn1.running_var', lambda v: v - 2,
     'trunk.bn1.running_var is a variance and holds a negative number, -1'),
    ('trunk.bn1.num_batches_tracked', lambda v: v.bool(), 'is of bool'),
    ('head.fc.weight', lambda v: v.double() * 1e300, 'NaN or infinite')])
def test_strange_weights_are_refused(run, key, change, message):
    weights = load_file(run/'model.safetensors')
    save_file(weights | {key: change(weights[key])}, run/'model.safetensors')
    page = read_config(run)
    # as an older page
    (run/'config.json').write_text(json.dumps({k: v for k, v in page.items() if k != 'sha256'}))
    with pytest.raises(ValueError, match=message) as error:
        load(run)
    assert '\n' not in str(error.value)

def test_two_files_that_do_not_belong_together(run, tmp_path):
    other = save(make(seed=1), tmp_path/'other')
    (run/'model.safetensors').write_bytes((other/'model.safetensors').read_bytes())
    for call in (load, lambda folder: load_weights(make(), folder)):
        with pytest.raises(ValueError, match='is not the file that its config.json was written '
                                             'with .*Copy both again'):
            call(run)
    page = read_config(run)
    # as an older page
    (run/'config.json').write_text(json.dumps({k: v for k, v in page.items() if k != 'sha256'}))
    assert bits(load(run)) == bits(make(seed=1))

REVISIONS = ['c/../../d', '../d', '..', '', 'a..b', 'a//b', '/a', 'a/', 'a.lock', 'a/.b', '.a',
             'a b', 'a?b', 'a#b', 'a%2e', 'ä', 'a\nb', '-a', 'x' * 251]
@pytest.mark.parametrize('revision', REVISIONS)
def test_revisions_follow_the_rules(hub, api, revision):
    for call in (lambda: pull('a/b', revision, api=api),
                 lambda: checkpoint_folder(f'a/b@{revision}', api=api),
                 lambda: VideoNet.from_pretrained('a/b', revision, api=api)):
        with pytest.raises(ValueError, match='is not a revision of a/b: it is a branch, a tag or a '
                                             'commit') as error:
            call()
        assert '\n' not in str(error.value)
    assert not hub.requests

def test_honest_revisions():
    for revision in (None, 'main', 'v1.0', 'refs/pr/1', 'feature/x-y_z', 'a' * 40):
        hub_module._check_revision('a/b', revision)

def test_the_commit_that_was_checked_is_fetched(hub, api, run, name):
    "Although the branch moves in between, to a repository with a pickle and another page."
    good = {file: (run/file).read_bytes() for file in ('config.json', 'model.safetensors')}
    hub.put(name, good)
    real, checked = api.model_info, []
    def moved(*args, **kw):
        info = real(*args, **kw)
        checked.append(info.sha)
        hub.put(name, {'config.json': b'{}', 'evil.pkl': b''})
        return info
    api.model_info = moved
    folder = pull(name, api=api)
    assert folder.name == checked[0] and (folder/'config.json').read_bytes() == good['config.json']
    assert pull(name, local_files_only=True, api=api) == folder

def test_paths_never_become_names(hub, api, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/'mine').mkdir()
    for path in ('mine/run', 'runs/x', './x', '../x', '/x', '~/x', '.x/y', 'mine/run@main'):
        for call in (lambda: VideoNet.from_pretrained(path, api=api),
                     lambda: predict('a.mp4', path)):
            with pytest.raises(ValueError, match=f"there is no folder '{path.removeprefix('./')}'"):
                call()
    assert not hub.requests

@pytest.mark.parametrize('where', ['x' * 300, 'x' * 300 + '/y', 'y/' * 3000, 'a\0b', ''])
def test_names_beyond_the_disk(where):
    for call in (lambda: VideoNet.from_pretrained(where), lambda: load(where),
                 lambda: save(make(), where)):
        with pytest.raises(ValueError, match='too long for a disk|zero byte|is empty'):
            call()

def test_the_text_of_a_stranger_is_printed_harmless(tmp_path, videos, capsys, monkeypatch):
    names = ['left\x1b[31m', 'right\u202e', 'still\nx']
    folder = str(save(create_model('tsn_tiny', num_classes=3, classes=names, input_spec=SPEC),
                      tmp_path/'x'))
    monkeypatch.setattr(classifier.Classifier, 'clips', lambda *args: torch.zeros(1, 3, 2, 16, 16))
    for options in ([], ['--csv']):
        assert main(['predict', folder, str(videos[0]), *options]) == 0
        said = capsys.readouterr().out
        assert (all(name in said for name in ('left�[31m', 'right�', 'still x'))
                and '\x1b' not in said and '\u202e' not in said)
    weights = load_file(f'{folder}/model.safetensors')
    save_file(weights | {'evil\x1b[2J': torch.zeros(1)}, f'{folder}/model.safetensors')
    assert main(['predict', folder, str(videos[0])]) == 2
    said = capsys.readouterr().err
    assert 'evil�[2J' in said and said.count('\n') == 1

def test_a_space_pins_what_made_it(run, monkeypatch):
    for about, pinned in [(dict(commit='a' * 40), 'a' * 40),
                          (dict(commit='a' * 40 + '-dirty'), 'v0.3.2'), ({}, 'v0.3.2')]:
        monkeypatch.setattr(space, 'about_code',
                            lambda: about | dict(versions=dict(video_convs='0.3.2')))
        text = (write_space(run, 'user/name')/'requirements.txt').read_text()
        assert text == f'video_convs @ git+https://github.com/video-convs/video_convs@{pinned}\n'

@pytest.mark.parametrize('missing', ['config.json', 'model.safetensors'])
def test_half_a_checkpoint(hub, api, run, name, missing):
    hub.put(name, {file: (run/file).read_bytes()
                   for file in ('config.json', 'model.safetensors') if file != missing})
    with pytest.raises(ValueError,
                       match=f'{name} is not a checkpoint of video_convs: it has no {missing}'):
        pull(name, api=api)

def test_code_is_not_even_fetched(hub, api, run, name):
    push(run, name, api=api)
    hub.put(name,
            {'modeling.py': b'raise SystemExit', 'deep/config.json': b'{}', '.gitattributes': b''})
    assert sorted(p.name for p in pull(name, api=api).rglob('*')) == [
        'README.md', 'config.json', 'evaluate_test.json', 'log.jsonl', 'model.safetensors']

@given(st.lists(st.text('./\\ab', max_size=8), max_size=4))
def test_no_name_leads_outside(names):
    try:
        hub_module._check_names('user/x', [*names, 'config.json', 'model.safetensors'])
    except ValueError:
        return
    root = Path.cwd()
    assert all(Path(os.path.normpath(root/name)).is_relative_to(root) for name in names)

# --- the card

def test_the_card_tells_what_the_run_left(run):
    text = card(run, 'user/name')
    data = ModelCard(text).data
    assert {(r.metric_name, r.metric_value, r.dataset_split, r.dataset_name)
            for r in data.eval_results} == {
                ('top-1 accuracy', .75, 'test', 'motion-reversal'),
                ('top-5 accuracy', 1., 'test', 'motion-reversal')}
    assert (data.license, data.library_name, data.pipeline_tag) == ('apache-2.0', 'video_convs',
                                                                    'video-classification')
    for part in ("predict('clip.mp4', 'user/name')", 'left, right, still',
                 '| test | top-1 | 75.0 % | 30.1 % – 95.4 % | 3 of 4 | 1x1 | none printed |',
                 '| lr | 0.1 |', 'Training took 3.0 minutes for 2 epochs', 'Hardware: not recorded',
                 'tan2022h2cn', '4 videos (test)'):
        assert part in text, part
    assert ModelCard(str(ModelCard(text))).content == ModelCard(text).content

def test_a_card_of_nothing_says_so(tmp_path):
    text = card(save(create_model('tsn_tiny', num_classes=2, input_spec=SPEC), tmp_path/'bare'),
                'user/bare')
    data = ModelCard(text).data
    assert (data.eval_results is None
            and (data.license, data.license_name) == ('other', 'terms-of-the-training-data'))
    for part in ('Trained on **not recorded**', 'Its accuracy is not recorded',
                 'Classes: 0, 1.', 'Time of training: not recorded',
                 'a video and the same video backwards get the same scores', 'wang2016tsn'):
        assert part in text, part

@pytest.mark.parametrize('name, options, data, want', [
    ('tsm_resnet50', {}, 'Something-Something V1',
     '45.6 % (STH, Table 2; STH, Table 9; STC, Table II)'),  # not those of two clips
    ('stc_resnet50', dict(frames=16), 'something-v2', '63.7 % (STC, Table IV)'),
    ('tsn_resnet50', {}, 'something-v1',
     '19.7 % (H2CN, Fig. 3; STH, Table 2; STC, Table IV), 17.7 % (STC, Table II)'),
    ('h2cn_resnet50', dict(fmcb_slope=2), 'something-v1', 'none printed'),
    ('stc_resnet50', {}, 'my videos', 'none printed')])
def test_the_papers_numbers(name, options, data, want):
    with torch.device('meta'):
        assert model_card_module._printed(create_model(name, num_classes=174, **options), data,
                                          'top1') == want

def test_the_papers_numbers_stand_beside(run, monkeypatch):
    monkeypatch.setattr(model_card_module, '_printed',
                        lambda model, data, metric: f'{metric} of {data}')
    assert '| 3 of 4 | 1x1 | top1 of motion-reversal |' in card(run, 'user/name')
    (run/'evaluate_test.json').write_text(json.dumps(report(ANSWER) | {'views': '10x3'}))
    assert '| 3 of 4 | 10x3 |  |' in card(run, 'user/name')

@pytest.mark.parametrize('data, words',
                         [('Something-Something V2', 'licence of its own'),
                          ('EPIC-KITCHENS-55', 'not for commercial'), ('my videos', 'not recorded'),
                          ('motion-order', 'Apache-2.0')])
def test_terms(data, words):
    assert words in model_card_module._terms(data)

def test_metrics_without_a_report(tmp_path):
    text = card(save(make(), tmp_path/'x', metrics={'top1': .5}, hardware='2 CPU cores',
                     data='gestures', start='imagenet'), 'user/x')
    assert '| not recorded | top1 | 0.5 |' in text and '| hardware | "2 CPU cores" |' in text
    assert '| start | "imagenet" |' in text

def test_the_card_is_of_the_newest_report(hub, api, run, name):
    push(run, name, api=api)
    better = Scores(ANSWER.logits, ANSWER.probabilities, torch.tensor([0, 1, 2, 2]), ANSWER.ids,
                    ANSWER.classes)
    (run/'evaluate_test.json').write_text(json.dumps(report(better)))
    assert not (run/'README.md').exists()
    push(run, name, api=api)
    assert b'4 of 4' in hub.files(name)['README.md']

def test_your_own_card_stays(hub, api, run, name):
    (run/'README.md').write_text('---\nlicense: mit\n---\nMine.\n')
    push(run, name, api=api)
    assert hub.files(name)['README.md'].endswith(b'Mine.\n')

def test_the_hub_checks_the_metadata(hub, api, run, name):
    (run/'README.md').write_text('---\nmodel-index: nonsense\n---\n')
    with pytest.raises(ValueError, match='README.md'):
        push(run, name, api=api)

def test_a_collection_lists_what_is_there(run, tmp_path):
    assert checkpoint_name(make(), 'Something-Something V1') == 'hgc_tiny.something-something-v1_2f'
    save(make(), tmp_path/'bare')
    bare, full = collection(tmp_path).splitlines()[2:]
    assert (bare.endswith('| not recorded |') and full.endswith('| 75.0 % of 4 videos (test) |')
            and '| 2 × 16² | 1.6 MB |' in full)
    assert collection(run) == f'No checkpoints in {run}.'

def test_the_card_tells_what_its_owner_knows_of_the_data(run):
    page = json.loads((run/'config.json').read_bytes())
    note = dict(license='cc-by-4.0', data='Filmed by a friend.', limits=['It has seen one cat.'])
    (run/'config.json').write_text(json.dumps(page | dict(data='cats', note=note)))
    text = card(run, 'user/name')
    data = ModelCard(text).data
    assert data.license == 'cc-by-4.0' and 'license_name' not in data.to_dict()
    assert 'Trained on **cats**. Filmed by a friend.\n' in text
    assert '\n- It has seen one cat.\n' in text and 'not recorded here' not in text

@pytest.mark.parametrize('network, variant, name', [
    ('hgc_tiny', {}, 'hgc_tiny.order_8f'),
    ('hgc_tiny', dict(slope=2, aggregate='avg'), 'hgc_tiny.aggregate-avg.order_8f'),
    ('hgc_tiny', dict(slope=[0, 2, 4, 8]), 'hgc_tiny.slope-0-2-4-8.order_8f'),
    ('sth_tiny', dict(p=1/8, attention='softmax'),
     'sth_tiny.p-0-125.attention-softmax.order_8f'),
    ('h2cn_tiny', dict(cmcb=None, shift=False), 'h2cn_tiny.shift-false.cmcb-none.order_8f')])
def test_a_name_says_what_differs_from_the_defaults(network, variant, name, tmp_path):
    model = create_model(network, num_classes=2, input_spec=dict(size=16), **variant)
    assert checkpoint_name(model, 'order') == name
    save(model, tmp_path/name)
    assert pretrained_model(tmp_path/name).variant == model.variant
    validate_repo_id(f'video-convs/{name}')  # raises an error

ROOT = Path(__file__).parent.parent
OURS = ROOT/'data/checkpoints'
FOLDERS = sorted(page.parent for page in OURS.glob('*/config.json'))
FILMED = [folder for folder in FOLDERS if 'rendered' not in read_config(folder)]

@pytest.mark.parametrize('folder', FOLDERS, ids=lambda f: f.name)
def test_our_checkpoints(folder):
    "Each lies in its folder as it would lie on the Hub. With no folders there is nothing to test."
    model, config = VideoNet.from_pretrained(folder), read_config(folder)
    sizes = {p.name: p.stat().st_size for p in folder.iterdir()}
    assert (folder.name == checkpoint_name(model, config['data'])
            and f'`{folder.name}`' in collection(OURS))
    assert sum(sizes.values()) <= 10e6 and all(
        any(fnmatch(file, known) for known in hub_module.FILES) for file in sizes), sizes
    results = {(r.dataset_split, r.metric_value)
               for r in ModelCard.load(folder/'README.md').data.eval_results or ()}
    for split, found in model_card_module.reports_of(folder).items():
        assert (split, round(found['top1']['accuracy'], 4)) in results
    for file in folder.glob('*.json*'):
        sent, lies = (b''.join(text.split())
                      for text in (hub_module._outgoing(file), file.read_bytes()))
        assert sent == lies, f'{file.name} names folders of a machine'

@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    "The first test videos of a checkpoint's data set, which several checkpoints share."
    @lru_cache
    def render(about, videos):
        about, root = json.loads(about), tmp_path_factory.mktemp('rendered')
        if about['task'] == 'drift':
            return render_drift(root, Drift(**about['config']), 0, videos, progress=False)
        config = MotionConfig(**about['config'])
        return render_task(about['task'], root, 0, videos, config, progress=False)
    return render

@pytest.mark.parametrize('videos', [12, pytest.param(None, marks=pytest.mark.slow)],
                         ids=['some', 'all'])
@pytest.mark.parametrize('folder', [f for f in FOLDERS if f not in FILMED
                                    and any(f.glob('evaluate_*.json'))], ids=lambda f: f.name)
def test_our_checkpoints_answer_as_they_say(folder, videos, rendered):
    "The test videos, rendered again; another codec may turn a close answer, one of ten at most."
    about = read_config(folder)['rendered']
    said = json.loads((folder/'evaluate_test.json').read_bytes())
    assert said['top1']['videos'] == about['test']
    root = rendered(json.dumps(about, sort_keys=True), videos or about['test'])
    model = VideoNet.from_pretrained(folder)
    found = evaluate(model, Clips(open_data(root, 'test'), model.input_spec, train=False),
                     progress=False)
    then = dict(zip(said['ids'], said['answers']))
    same = sum(then[name] == answer for name, answer in zip(found['ids'], found['answers']))
    assert len(found['ids']) == (videos or about['test']) and same >= .9 * len(found['ids'])

@pytest.mark.parametrize('folder', FILMED, ids=lambda f: f.name)
def test_what_was_learned_from_people_names_them_and_its_licence(folder):
    note, text = read_config(folder)['note'], (folder/'README.md').read_text('utf-8')
    assert ModelCard(text).data.license == note['license'] and note['data'] in text
    assert all(f'\n- {limit}\n' in text for limit in note['limits'])
    said = json.loads((folder/'evaluate_test.json').read_bytes())
    learned = set((folder/'trained_on.txt').read_text().split())
    names = [re.fullmatch(r'(\w+)\.mp4, frames (\d+) to (\d+)', name) for name in said['ids']]
    tested = {name_hash('clips/{}, {} to {}'.format(*name.groups())) for name in names}
    assert len(tested) == said['top1']['videos'] and not tested & learned
    assert name_hash('clips/bbaf4p, 29 to 42') in learned  # so names are hashed as in training

def examples(page):
    "[(command, what it prints)] of the fenced cells of a page."
    cells = re.findall(r'```\n((?:\$ video_convs .*\n)(?:(?!\$ |```).*\n)*)```', page)
    return [cell.split('\n', 1) for cell in cells]

@pytest.mark.parametrize('page', ['data/clips/README.md', 'README.md'])
def test_the_first_example_prints_what_its_page_says(page, capsys, monkeypatch):
    "A clone runs the command at its top; the clip is one that the network has not learned from."
    found = examples((ROOT/page).read_text('utf-8'))
    assert found or page == 'README.md'
    monkeypatch.chdir(ROOT)
    for command, printed in found:
        main(shlex.split(command)[2:])
        said, wanted = (re.findall(r'^ *([\d.]+)%  (.+)$', text, re.M)
                        for text in (capsys.readouterr().out, printed))
        assert [name for _, name in said] == [name for _, name in wanted]
        assert [float(p) for p, _ in said] == pytest.approx([float(p) for p, _ in wanted], abs=.11)
        assert Path(shlex.split(command)[3]) in {f.relative_to(ROOT) for f in FILMED}

# --- predict, look, a Space

def test_predict_takes_all_three(hub, api, run, name, videos, monkeypatch):
    push(run, name, api=api)
    pull(name, api=api)
    answer = predict(videos[0], make())
    assert [c for c, _ in answer] and sum(p for _, p in answer) == pytest.approx(1, abs=1e-5)
    assert answer == predict(str(videos[0]), run) == video_convs.predict(videos[0], str(run))
    monkeypatch.setattr(hub_module, 'HfApi',
                        lambda **_: HfApi(endpoint='http://127.0.0.1:9', token=False))
    assert answer == predict(videos[0], name)  # without a network

def test_predict_many(videos, tmp_path):
    (tmp_path/'empty.mp4').write_bytes(b'')
    model = make().train()
    asked = [videos[2], tmp_path/'empty.mp4', videos[0], tmp_path/'none.mp4', videos[1]]
    answers, failed = predict_many(asked, model, topk=2, batch_size=2, progress=False)
    assert list(answers) == [str(videos[k]) for k in (2, 0, 1)] and model.training
    for video, answer in answers.items():
        assert ([c for c, _ in answer] == [c for c, _ in predict(video, model, topk=2)]
                and len(answer) == 2)
    assert ('is empty' in failed[str(tmp_path/'empty.mp4')]
            and 'does not exist' in failed[str(tmp_path/'none.mp4')])
    with pytest.raises(ValueError, match='does not exist'):
        predict(tmp_path/'none.mp4', model)

def test_predict_is_what_the_evaluation_says(videos):
    data, model = VideoDataset('three', tuple(CLASSES), tuple(map(str, videos)), (0, 1, 2)), make()
    for views, average in ((Views(), 'logits'), (parse_views('2x3', resize=20), 'probabilities')):
        s = score(model, Clips(data, SPEC, train=False, views=views))
        p = (s.logits.softmax(1) if average == 'logits' else s.probabilities)
        answers, failed = predict_many(videos, model, 3, views=views, average=average, batch_size=4)
        assert (not failed and dict(predict(videos[0], model, 3, views=views, average=average))
                == pytest.approx(dict(answers[str(videos[0])])))
        for row, answer in zip(p, answers.values()):
            assert [c for c, _ in answer] == [CLASSES[i] for i in row.argsort(descending=True)]
            assert np.allclose([q for _, q in answer], row.sort(descending=True).values, atol=1e-5)

def test_several_tasks(videos, tmp_path, capsys):
    torch.manual_seed(0)
    tasks = dict(verb=['open', 'close'], noun=['door', 'lid', 'box'], action=['a', 'b', 'c', 'd'])
    net = create_model('tsn_tiny', num_classes={t: len(c) for t, c in tasks.items()}, classes=tasks,
                       input_spec=SPEC)
    answer = predict(videos[0], save(net, tmp_path/'epic'), topk=3)
    assert ({t: sorted(c for c, _ in best) for t, best in answer.items()} | {'action': 0} == {
        'verb': ['close', 'open'], 'noun': ['box', 'door', 'lid'], 'action': 0}
            and len(answer['action']) == 3)
    text = card(tmp_path/'epic', 'user/epic')
    for part in ('It knows 2 verb, 3 noun, 4 action classes', 'Classes of noun: door, lid, box.',
                 "for task, answer in predict('clip.mp4', 'user/epic')"):
        assert part in text, part
    with pytest.raises(ValueError, match='look explains one answer'):
        look(videos[0], net)
    assert main(['predict', str(tmp_path/'epic'), str(videos[0]), '--topk', '1']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[::2] == ['verb:', 'noun:', 'action:']
            and lines[1].split()[1] == answer['verb'][0][0])
    assert main(['predict', str(tmp_path/'epic'), *map(str, videos), '--csv', '--topk', '1']) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert (len(rows) == 9 and [r['task'] for r in rows[:3]] == list(tasks)
            and rows[1]['class'] == answer['noun'][0][0])

def test_a_frame_that_does_not_decode_is_named(videos, tmp_path):
    import av
    with av.open(str(videos[1])) as a:
        pos, size = [(p.pos, p.size) for p in a.demux(video=0) if p.size][1]
    data = bytearray(videos[1].read_bytes())
    data[pos + 4:pos + size] = bytes(size - 4)
    (tmp_path/'damaged.mp4').write_bytes(data)
    with pytest.raises(ValueError, match='damaged.mp4: frame [0-9]+ of 4 does not decode'):
        predict(tmp_path/'damaged.mp4', make())

@pytest.mark.skipif(not hasattr(signal, 'SIGSTOP'), reason='no signals here')
def test_a_file_that_hangs_costs_only_itself(videos):
    predict(videos[0], make(), timeout=1.5)
    classifier._decoder(1.5)._process.send_signal(signal.SIGSTOP)
    answers, failed = predict_many(videos, make(), timeout=1.5)
    assert (list(answers) == [str(v) for v in videos[1:]]
            and 'no answer from the decoder after 1.5 s' in failed[str(videos[0])])

def test_evaluate_takes_a_name_on_the_hub(hub, api, run, name, videos, tmp_path,
                                          monkeypatch, capsys):
    for c in CLASSES:
        (tmp_path/'data'/'test'/c).mkdir(parents=True)
        (tmp_path/'data'/'test'/c/'a.mp4').write_bytes(videos[CLASSES.index(c)].read_bytes())
    (tmp_path/'data'/'classes.txt').write_text('\n'.join(CLASSES))
    push(run, name, api=api)
    monkeypatch.setattr(hub_module, 'HfApi', lambda **_: api)
    monkeypatch.chdir(tmp_path)
    assert main(['evaluate', name, '--data', 'data']) == 0
    # not into the Hub's cache
    assert 'Written to evaluate_test.safetensors and evaluate_test.json' in capsys.readouterr().out
    assert json.loads((tmp_path/'evaluate_test.json').read_text())['top1']['videos'] == 3

def test_classes_without_names(videos):
    assert sorted(c for c, _ in predict(
        videos[0], create_model('tsn_tiny', num_classes=3, input_spec=SPEC))) == ['0', '1', '2']

def test_gradient_times_input_adds_up():
    class Linear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.randn(2, 3, 4, 5, 6).double())

        def forward(self, x):
            return torch.einsum('bcthw,ncthw->bn', x, self.w)
    net, x = Linear().train(), torch.randn(3, 4, 5, 6).double()
    with torch.inference_mode():
        heat = saliency(net, x, 1)
    assert (heat.shape == (4, 5, 6) and net.training
            and torch.allclose(heat.sum(), net(x[None])[0, 1]))

@pytest.mark.parametrize('spec', [SPEC, InputSpec(frames=3, size=16, channel_order='bgr',
                                                  value_range=255, mean=(104, 117, 128), std=(1,))])
def test_look(videos, spec):
    model = create_model('hgc_tiny', num_classes=3, input_spec=spec)
    answer, pictures, share = look(videos[0], model, topk=2)
    assert (len(answer) == 2 and model.training and pictures.shape == (spec.frames, 16, 16, 3)
            and pictures.dtype == torch.uint8)
    assert share.sum().item() == pytest.approx(1, abs=1e-5)
    clip = torch.rand(3, spec.frames, 4, 4)
    mean, std = (torch.tensor(v).view(-1, 1, 1, 1) for v in (spec.mean, spec.std))
    raw = (clip * spec.value_range - mean) / std
    want = (clip.flip(0) if spec.channel_order == 'bgr' else clip).movedim(0, -1)
    assert torch.allclose(pixels(raw, spec), want, atol=1e-5)

def test_look_needs_pictures(videos):
    with pytest.raises(ValueError, match='use a network for RGB'):
        look(videos[0], create_model('tsn_tiny', num_classes=2,
                                     input_spec=InputSpec(modality='flow', mean=(.5,), std=(.2,))))

def test_the_space(hub, api, run, videos, monkeypatch):
    space = write_space(run, 'user/name')
    gradio = ModuleType('gradio')
    parts = {name: MagicMock()
             for name in ('Blocks', 'Markdown', 'Video', 'Button', 'HTML')}
    vars(gradio).update(parts, Error=type('Error', (Exception,), {}))
    monkeypatch.setitem(sys.modules, 'gradio', gradio)
    monkeypatch.setattr(VideoNet, 'from_pretrained', lambda where, **_: load(run))
    app = {'__name__': 'app'}
    exec(compile((space/'app.py').read_text(), 'app.py', 'exec'), app)
    page = unescape(re.search('srcdoc="(.*?)"', app['classify'](str(videos[0])), re.S)[1])
    best = [(escape(name), f'{100 * p:.1f} %') for name, p in predict(videos[0], run)]
    shown = re.findall('class="name.*?</i>(.*?)<.*?class="number">(.*?)<', page, re.S)
    assert shown == best and page.count('<figure ') == load(run).input_spec.frames
    for video, message in [(None, 'Upload or record'), ('none.mp4', 'does not exist')]:
        with pytest.raises(gradio.Error, match=message):
            app['classify'](video)
    button = parts['Button'].return_value.click.call_args.args
    assert button[0] is app['classify'] and not parts['Blocks'].return_value.launch.called
    assert ModelCard.load(space/'README.md').data.to_dict()['sdk'] == 'gradio'
    push_space(space, 'user/name-demo', private=True, api=api)
    made = hub.repos['space', 'user/name-demo']
    assert (sorted(hub.files('user/name-demo', 'space')), made.sdk, made.private) == (
        ['README.md', 'app.py', 'requirements.txt'], 'gradio', True)

# --- the command line, as a user's process

def test_commands(hub, run, videos, tmp_path):
    lines = [['publish', str(run), '--repo-id', 'user/cli', '--private', '--space',
              'user/cli-demo'],
             ['pull', 'user/cli', '--to', 'here'],
             ['predict', 'user/cli', *map(str, videos), '--csv', '--topk', '2'],
             ['predict', 'here', str(videos[0])],
             ['predict', 'user/cli', str(videos[0]), 'none.mp4'], ['pull', 'user/none']]
    script = f"""
from video_convs.cli import main
for line in {lines!r}:
    print('#', line[0], flush=True)
    print('=', main(line), flush=True)
"""
    env = {**os.environ, 'HF_ENDPOINT': hub.url, 'HF_TOKEN': WRITER,
           'HF_HOME': str(tmp_path/'home'), 'HF_DEBUG': '1', 'TQDM_POSITION': '-1',
           'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          cwd=tmp_path, env=env)
    # HF_DEBUG shows the requests, without the token
    assert WRITER not in done.stdout + done.stderr and '<TOKEN>' in done.stderr
    parts = [part.split('\n', 1)[1] for part in done.stdout.split('# ')[1:]]
    assert [part.splitlines()[-1]
            for part in parts] == ['= 0'] * 4 + ['= 2'] * 2, done.stdout + done.stderr
    assert parts[0].splitlines()[:2] == [f'Published: {hub.url}/user/cli',
                                         f'Published: {hub.url}/spaces/user/cli-demo']
    assert hub.repos['model', 'user/cli'].private and (tmp_path/'here'/'model.safetensors').exists()
    assert parts[1].startswith('hgc_tiny, classes: 3, is in ')
    rows = list(csv.DictReader(parts[2].splitlines()[:-1]))
    assert [(r['video'], r['rank']) for r in rows] == [(str(v), k) for v in videos for k in '12']
    assert parts[3].splitlines()[0].split()[1] == rows[0]['class'] and str(videos[0]) in parts[4]
    assert ('100%' in done.stderr and 'none.mp4 does not exist' in done.stderr
            and 'has no model user/none' in done.stderr)

@pytest.mark.skipif(not hasattr(VideoNet, 'from_pretrained'),
                    reason='VideoNet has no methods for the Hub yet')
def test_methods(hub, api, name, tmp_path):
    make().save_pretrained(tmp_path/'x', seed=1)
    assert (read_config(tmp_path/'x')['seed'] == 1
            and bits(VideoNet.from_pretrained(tmp_path/'x')) == bits(make()))
    make().push_to_hub(name, api=api)
    assert bits(VideoNet.from_pretrained(name, api=api)) == bits(make())

@pytest.mark.parametrize('folder', sorted(page.parent for page in OURS.glob('*/config.json')),
                         ids=lambda f: f.name)
def test_our_cards_are_what_the_template_gives(folder):
    assert (card(folder, f'video-convs/{folder.name}')
            == (folder/'README.md').read_text(encoding='utf-8'))
