__version__ = "0.1.0"

from importlib import import_module

# Loaded on first use, so that `import video_convs` costs nothing.
_home = {
    'HgC': 'ops.hourglass', 'TemporalConv': 'ops.temporal', 'TemporalShift': 'ops.temporal',
    'VideoNet': 'nets.zoo', 'create_model': 'nets.zoo', 'list_models': 'nets.zoo',
    'predict': 'train.evaluate',
}
__all__ = list(_home)

def __getattr__(name):
    if name not in _home: raise AttributeError(f"module 'video_convs' has no attribute {name!r}")
    value = getattr(import_module(f'video_convs.{_home[name]}'), name)
    globals()[name] = value  # the next access does not come here again
    return value

def __dir__(): return sorted({*globals(), *__all__})
