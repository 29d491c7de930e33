__version__ = "0.1.0"

from importlib import import_module
from logging import NullHandler, getLogger

getLogger(__name__).addHandler(NullHandler())  # what the modules say is shown where it is asked for

# Loaded on first use, so that `import video_convs` costs nothing.
_home = {
    'TemporalConv': 'ops.temporal', 'DenseTemporalConv': 'ops.dense_temporal',
    'TemporalShift': 'ops.shift', 'ShiftedConv': 'ops.shifted_conv',
    **dict.fromkeys(['R2Plus1D', 'P3D', 'C3D'], 'ops.space_time'),
    'HgC': 'ops.hourglass', 'FMCB': 'ops.fmcb', 'CMCB': 'ops.cmcb',
    'STHConv': 'ops.hybrid', 'HFModule': 'ops.aggregation',
    **dict.fromkeys(['STCConv', 'TemporalRefinement', 'SpatialRefinement'], 'ops.collaborative'),
    'GSTConv': 'ops.gst', 'TIN': 'ops.tin', 'TAM': 'ops.tam', 'MotionExcitation': 'ops.tea',
    'MultipleTemporalAggregation': 'ops.mta',
    'VideoNet': 'nets.video_net', 'InputSpec': 'nets.spec', 'Ensemble': 'nets.ensemble',
    'list_models': 'nets.registry',
    **dict.fromkeys(['from_official', 'to_official'], 'weights.convert'),
    'list_pretrained': 'weights.public', 'create_model': 'weights.create',
    'complexity': 'nets.complexity', **dict.fromkeys(['Classifier', 'predict'], 'use.classifier'),
    'project_file': 'utils',
}
__all__ = list(_home)

def __getattr__(name):
    if name not in _home:
        raise AttributeError(f"module 'video_convs' has no attribute {name!r}")
    value = getattr(import_module(f'video_convs.{_home[name]}'), name)
    globals()[name] = value  # the next access does not come here again
    return value

def __dir__():
    return sorted({*globals(), *__all__})
