"""Whether a reader finds things: questions of users and public names, asked of the built search."""
import json
import shutil
import subprocess
from pathlib import Path

from notebooks import page
from site_reference import short

# words that readers use and that a page's title does not have
WORDS = {
    'index': ['install', 'installation', 'pip', 'quickstart', 'start'],
    'demo': ['quick', 'try', 'example'],
    'data/custom': ['train', 'custom', 'dataset', 'folder'],
    'use/classifier': ['inference', 'predict', 'run'],
    'use/publish': ['upload', 'share', 'hub'],
    'use/live': ['webcam', 'realtime'],
    'use/int8': ['quantise', 'quantize', 'quantization', 'int8'],
    'use/export': ['onnx', 'torchscript', 'deploy'],
    'train/scale_out': ['multiple', 'several', 'gpus', 'ddp', 'distributed'],
    'train/run_folder': ['resume', 'continue', 'interrupted'],
    'train/targets': ['imbalance', 'imbalanced', 'mixup'],
    'train/recipes': ['hyperparameters', 'learning', 'rate', 'settings'],
    'train/plots': ['curves', 'confusion', 'matrix'],
    'weights/public': ['pretrained', 'download', 'checkpoints'],
    'nets/complexity': ['parameters', 'macs', 'flops', 'gflops'],
    'nets/models': ['compare', 'models', 'accuracy'],
    'nets/surgery': ['add', 'insert', 'operator', 'resnet', 'own', 'model'],
    'data/damage': ['corrupt', 'broken'],
    'explain/saliency': ['heatmap', 'attention', 'gradcam'],
    'results/speed': ['fast', 'latency', 'milliseconds'],
    'results/leaderboard': ['fastest', 'smallest', 'best', 'network', 'compare'],
    'use/your_videos': ['train', 'own', 'videos', 'folder'],
    'story/the_letters': ['notation', 'symbols'],
    'story/the_map': ['choose', 'which', 'best', 'operator'],
}
# a question of a user: the pages that answer it, one of which is among the first three hits
QUESTIONS = {
    'train on my own videos': ('use/your_videos',),
    'how do I install it': ('index',),
    'classify a video': ('use/classifier',),
    'export to onnx': ('use/export', 'use/export_formats', 'use/stream_export'),
    'webcam': ('use/live', 'use/camera'),
    'pretrained weights': ('weights/public', 'weights/create'),
    'resume training after a crash': ('train/run_folder',),
    'multiple GPUs': ('train/scale_out', 'train/distributed'),
    'which operator should I choose': ('story/the_map',),
    'hourglass convolution': ('ops/hourglass',),
    'confusion matrix': ('train/plots', 'train/evaluation'),
    'something-something': ('data/something_something',),
    'corrupt video file': ('data/damage', 'data/check', 'data/containers'),
    'add an operator to a ResNet': ('nets/surgery',),
    'number of parameters and FLOPs': ('nets/complexity',),
    'learning rate': ('train/recipes', 'train/groups'),
    'confidence interval of accuracy': ('train/evaluation',),
    'where does the network look': ('explain/saliency', 'explain/class_activation'),
    'quantize to int8': ('use/int8',),
    'upload to the Hugging Face Hub': ('use/publish', 'hub'),
    'how fast on a CPU': ('results/speed',),
    'which network is the fastest on a CPU': ('results/leaderboard', 'results/speed'),
    'equation of the hourglass convolution': ('ops/hourglass',),
    'imbalanced classes': ('train/targets',),
    'what does the letter α mean': ('story/the_letters',),
    'long video, when does it happen': ('use/timeline',),
}
FIRST = 3


def finish(html, exported):
    "Give the search of a built site the lessons of modules and the words of readers."
    lessons = {module.__name__: page(path) for path, module in exported}
    script = html/'_static/language_data.js'
    text = script.read_text(encoding='utf-8')
    text += f'\nLESSONS = {json.dumps(lessons)};\nWORDS = {json.dumps(WORDS)};\n'
    script.write_text(text, encoding='utf-8')


def ask(html, questions):
    "The first hits for each question: pages, with an anchor where an object is meant."
    script = Path(__file__).with_suffix('.js')
    done = subprocess.run([shutil.which('node'), script, html], input=json.dumps(questions),
                          capture_output=True, text=True, check=True)
    return dict(zip(questions, json.loads(done.stdout), strict=True))


def misses(html, exported):
    "Questions and names whose answers are not where they belong."
    if not shutil.which('node'):
        print('Not checked: what the search finds, because node is not installed')
        return []
    hits = ask(html, list(QUESTIONS))
    found = [f'search {question!r} gives {hits[question][:FIRST]}'
             for question, wanted in QUESTIONS.items()
             if not set(wanted) & set(hits[question][:FIRST])]
    homes = {}
    for path, module in exported:
        for name in module.__all__:
            place = f'reference/{short(module)}#{module.__name__}.{name}'
            homes.setdefault(name, []).append((place, page(path)))
    hits = ask(html, list(homes))
    return found + [f'search {name!r} gives {hits[name][:2]}' for name, pairs in homes.items()
                    if tuple(hits[name][:2]) not in pairs]
