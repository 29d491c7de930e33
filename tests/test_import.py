"Importing the package is cheap, and every name at the top level is there."
import subprocess, sys

def python(code):
    "What a fresh Python prints."
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout

def test_import_loads_nothing_heavy():
    heavy = ('decord', 'av', 'matplotlib', 'pandas', 'IPython', 'nbdev')
    code = ("import sys, video_convs, video_convs.clips\nfrom video_convs import HgC, "
            "TemporalConv, TemporalShift, VideoNet, create_model, list_models, "
            f"predict\nprint([name for name in {heavy} if name in sys.modules])")
    assert python(code).strip() == '[]'

def test_import_adds_less_than_a_second():
    code = ("import time, torch, torchvision\nstart = time.perf_counter()\nfrom video_convs import "
            "HgC, TemporalConv, TemporalShift, VideoNet, create_model, list_models, "
            "predict\nprint(time.perf_counter() - start)")
    assert any(float(python(code)) < 1 for _ in range(3))

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
