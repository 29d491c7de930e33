"What the tests of all operators share."
import copy

import torch
from hypothesis import strategies as st

from video_convs.testing import randomised

layouts = st.sampled_from((torch.contiguous_format, torch.channels_last_3d))


def make_clip(shape, layout=torch.contiguous_format):
    return torch.randn(shape, dtype=torch.float64).contiguous(memory_format=layout)


def sized(op):
    "Random weights with sums of order one, so that no sigmoid is saturated; in eval mode."
    for p in randomised(op).parameters():
        p.data /= p[0].numel()**.5
    return op


def wrong_clips(C):
    "What no operator of C channels takes, and what it says."
    return [
        (torch.randn(C, 4, 5, 5), 'expected a clip (B, C, T, H, W), got 4 axes'),
        (torch.randn(1, C // 2, C, 5, 5), f'expected {C} channels'),
        (torch.ones(1, C, 4, 5, 5, dtype=torch.uint8), 'floating-point'),
        (torch.randn(1, C, 0, 5, 5), 'empty'),
    ]


def both_roads(op, x):
    "The output with and without gradients. Channels-last float32 stays so, tiny clips may be both."
    single = copy.deepcopy(op).float()
    with torch.no_grad():
        inference, single_inference = op(x), single(x.float())
    for y in (single_inference, single(x.float())):
        assert x.is_contiguous() or y.is_contiguous(memory_format=torch.channels_last_3d)
    return inference, op(x)


def equal(got, want, tolerance=1e-10):
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)
