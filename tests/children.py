"Processes for tests, forked from a clean one: the tests' own has locks, and threads that are gone."
import multiprocessing
import os
import traceback

import torch

_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['video_convs.train.scale_out'])


def start(function, *args, said=os.devnull, environment={}, **kw):
    "Run a function in a process of its own, on one thread; what it prints goes to the file `said`."
    child = _context.Process(target=_run, args=(function, args, kw, said, environment))
    child.start()
    return child

def _run(function, args, kw, said, environment):
    with open(said, 'a') as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ |= environment
    torch.set_num_threads(1)
    try:
        function(*args, **kw)
    except BaseException:
        traceback.print_exc()
        raise SystemExit(1) from None
