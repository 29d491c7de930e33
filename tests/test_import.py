"Importing the package is cheap, and every name at the top level is there."
import ast, subprocess, sys
import pytest

def python(code):
    "What a fresh Python prints."
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout

HEAVY = 'decord', 'av', 'matplotlib', 'pandas', 'IPython', 'nbdev'
STEPS = dict(
    package='import video_convs, video_convs.clips\nfrom video_convs import HgC, TemporalConv, '
            'TemporalShift, VideoNet, create_model, list_models, predict',
    loader='import video_convs.data.loader',
    video="from video_convs.data.motion import render_batch\nrender_batch('reversal', [0])")

def first_import():
    "In one fresh Python: after each step, its name, the seconds until then, what heavy is loaded."
    code = 'import sys, time, torch, torchvision\nstart = time.perf_counter()\n'
    for name, step in STEPS.items():
        code += (f'{step}\nprint(({name!r}, time.perf_counter() - start, '
                 f'[name for name in {HEAVY} if name in sys.modules]))\n')
    return [ast.literal_eval(line) for line in python(code).splitlines()]

@pytest.fixture(scope='module')
def imported():
    return first_import()

def test_import_loads_nothing_heavy(imported):
    assert {name: loaded for name, _, loaded in imported} == dict.fromkeys(STEPS, [])

def test_networks_load_without_torchvision():
    "It takes as long to load as torch itself, and a network needs it only when it is built."
    code = ("import sys, video_convs.nets\nprint({'torchvision', 'torch._dynamo'} & "
            "set(sys.modules))\nfrom video_convs.nets.registry import list_models\n"
            "print(len(list_models()) > 60)")
    assert python(code).splitlines() == ['set()', 'True']

def test_import_adds_less_than_a_second(imported):
    assert imported[0][1] < 1 or any(first_import()[0][1] < 1 for _ in range(2))

def test_top_level_names():
    import video_convs
    assert set(video_convs.__all__) <= set(dir(video_convs))
    for name in video_convs.__all__:
        assert callable(getattr(video_convs, name)), name
    assert not hasattr(video_convs, 'no_such_name')

def test_one_version():
    import video_convs
    from configparser import ConfigParser
    from pathlib import Path
    settings = ConfigParser(delimiters=['='])
    settings.read(Path(__file__).parent.parent/'settings.ini', encoding='utf-8')
    assert video_convs.__version__ == settings['DEFAULT']['version']
