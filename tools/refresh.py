"""Execute notebooks in reading order, in place, clean them, write README.md; stop at errors.

    .venv/bin/python tools/refresh.py [nbs/ops/11_hourglass.ipynb …]

Without names, all of them."""
import os
import subprocess
import sys
import time
from pathlib import Path

from notebooks import reading_order, root

bin = Path(sys.executable).parent
# tqdm.auto notes that there are no widgets, with the path of this machine: outputs are for
# everyone.
# Commands that messages suggest are spelled as in an activated environment, and bars are for those
# who wait.
env = dict(os.environ, PYTHONWARNINGS='ignore:IProgress not found', TQDM_DISABLE='1',
           PATH=f'{bin}{os.pathsep}{os.environ["PATH"]}')
RETINA = '--InlineBackend.figure_formats=retina'  # figures of twice the size, shown at one half

def asked_for(names):
    "The notebooks that are named, in reading order, or the end with one line."
    pages = reading_order()
    chosen = {Path(name).resolve() for name in names}
    unknown = chosen - {page.resolve() for page in pages}
    if unknown:
        print(f"no notebook of the book: {', '.join(sorted(map(str, unknown)))}", file=sys.stderr)
        sys.exit(2)
    return [page for page in pages if not names or page.resolve() in chosen]

def execute(page):
    "Execute a notebook where it is, and keep its outputs."
    start = time.time()
    print(f'{page.relative_to(root)} ...', end=' ', flush=True)
    run = subprocess.run([str(bin/'jupyter'), 'nbconvert', '--to', 'notebook', '--execute',
                          '--inplace', '--log-level=ERROR', '--ExecutePreprocessor.timeout=3600',
                          f'--ExecutePreprocessor.extra_arguments={RETINA}', str(page)],
                         cwd=page.parent, env=env)
    if run.returncode:
        sys.exit(f'\n{page.relative_to(root)} failed: see above. The notebooks after it were '
                 'not executed.')
    print(f'{time.time() - start:.0f} s', flush=True)

def main(names):
    "Execute what is asked for, then write what follows from it."
    if {'-h', '--help'} & set(names):
        sys.exit(print(__doc__))
    for page in asked_for(names):
        execute(page)
    subprocess.run([str(bin/'nbdev_clean')], cwd=root, check=True)
    subprocess.run([sys.executable, 'tools/readme.py'], cwd=root, check=True)

if __name__ == '__main__':
    main(sys.argv[1:])
