"Every operator through this machine's compiler and through ONNX: once each, most with --slow."
import shutil

import pytest, torch

from proofs import sized
from video_convs.ops.bench import OPERATORS
from video_convs.ops.fmcb import FMCB

T, ONE_LENGTH = 6, ('TIN', 'TAM')  # these hold layers over time and take no other T
SAME_CODE = {'TemporalShift 4C', 'HgC avg', 'STHConv merge', 'STC-Light', 'GST-Large',
             'R2Plus1D parallel'}  # as another entry
makers = {name: lambda e=e: (e.make(16, T), torch.randn(2, 16 * e.widen, T, 7, 6))
          for name, e in OPERATORS.items() if name not in SAME_CODE}
makers['FMCB'] = lambda: (FMCB(8), torch.randn(2, 3, 10, 16, 16))
# the papers' operators, and one with layers over time
QUICK = {'HgC', 'FMCB', 'CMCB', 'STHConv 1/4', 'HFModule', 'STCConv 3/4', 'TIN 4C'}
in_turn = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in makers]


def prepared(name):
    "An operator with random weights of the usual size, in eval mode, and a clip."
    torch.manual_seed(0)
    op, x = makers[name]()
    return sized(op), x


@pytest.mark.skipif(not (shutil.which('g++') or shutil.which('clang++')),
                    reason='inductor needs a C++ compiler')
@pytest.mark.parametrize('name', in_turn)
def test_inductor(name):
    op, x = prepared(name)
    torch.compiler.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(op, fullgraph=True)(x), op(x),
                                   rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings('ignore')  # of the exporter, about itself
@pytest.mark.parametrize('name', in_turn)
def test_onnx(name, tmp_path):
    pytest.importorskip('onnxscript', reason='install the extra: video_convs[export]')
    runtime = pytest.importorskip('onnxruntime', reason='install the extra: video_convs[export]')
    op, x = prepared(name)
    free = {0: torch.export.Dim('B', min=1, max=64)}
    if not name.startswith(ONE_LENGTH) and name != 'FMCB':
        free[2] = torch.export.Dim('T', min=4, max=64)
    torch.onnx.export(op, (x,), str(tmp_path/'op.onnx'), dynamo=True, dynamic_shapes=(free,),
                      verbose=False)
    session = runtime.InferenceSession(str(tmp_path/'op.onnx'), providers=['CPUExecutionProvider'])
    other = x[:1] if len(free) == 1 else x[:1, :, :-1]
    for clip in (x, other):
        y, = session.run(None, {session.get_inputs()[0].name: clip.contiguous().numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(y), op(clip).contiguous(),
                                       rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', makers)
def test_a_clip_elsewhere_is_refused(name):
    op, x = makers[name]()
    with pytest.raises(ValueError,
                       match='the clip is on meta, the weights of .* on cpu: move one of them'):
        op(x.to('meta'))
