"Ten lines as a user of timm writes them, and ten as a user of the Hub does."
import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, PyTorchModelHubMixin
from hub_server import WRITER, Hub

import video_convs
from video_convs import Classifier, VideoNet, create_model, list_models

pytestmark = pytest.mark.usefixtures('one_thread')


def test_as_a_user_of_timm():
    assert 'hgc_resnet50' in list_models('hgc_*') and list_models('tsm_resnet50*', pretrained=True)
    model = create_model('hgc_tiny', pretrained=False, num_classes=10, in_chans=1, slope=4).eval()
    clip = torch.randn(2, 1, 8, 64, 64)
    with torch.no_grad():
        maps = model.forward_features(clip)
        assert torch.allclose(model.forward_head(maps), model(clip), atol=1e-6)
        assert model.forward_head(maps, pre_logits=True).shape == (2, model.num_features)
        assert model.reset_classifier(3).eval()(clip).shape == (2, 3)
        pyramid = create_model('hgc_tiny', features_only=True, out_indices=(0, 2)).eval()
        sizes = [tuple(m.shape[1:]) for m in pyramid(torch.randn(1, 3, 4, 64, 64))]
    assert sizes == [(24, 4, 16, 16), (96, 4, 4, 4)] and pyramid.channels() == [24, 96]
    assert model.get_classifier() is model.head and model.set_grad_checkpointing()
    assert model.pretrained_cfg['input_size'] == (1, 8, 224, 224)
    assert 'head.fc.bias' in model.no_weight_decay()


def test_as_a_user_of_the_hub(tmp_path):
    with Hub() as hub:
        api = HfApi(endpoint=hub.url, token=WRITER)
        model = create_model('hgc_tiny', num_classes=2, classes=['left', 'right'],
                             input_spec=dict(frames=4, size=32))
        assert isinstance(model, PyTorchModelHubMixin)
        model.push_to_hub('user/mine', commit_message='First', private=True, api=api, data='motion')
        again = VideoNet.from_pretrained('user/mine', revision='main', cache_dir=tmp_path,
                                         force_download=True, api=api)
        assert (VideoNet.from_pretrained('hf-hub:user/mine', cache_dir=tmp_path, api=api).classes
                == model.classes)
        assert VideoNet.from_pretrained('user/mine', cache_dir=tmp_path, local_files_only=True,
                                        api=api).name == 'hgc_tiny'
    classify = Classifier(again)
    frames = np.random.default_rng(0).integers(0, 255, (12, 40, 40, 3)).astype(np.uint8)
    best = classify(frames)
    assert [set(answer) for answer in best] == [{'label', 'score'}] * 2
    assert best[0]['score'] >= best[1]['score']
    assert len(classify([frames, frames[:5]])) == 2 and classify(iter(frames)) == best
    assert video_convs.__all__.count('Classifier') == 1
