"Execute all notebooks in reading order, in place, clean them, write README.md; stop at errors."
import os, subprocess, sys, time
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
for path in reading_order():
    start = time.time()
    print(f'{path.relative_to(root)} ...', end=' ', flush=True)
    run = subprocess.run([str(bin/'jupyter'), 'nbconvert', '--to', 'notebook', '--execute',
                          '--inplace', '--log-level=ERROR', '--ExecutePreprocessor.timeout=3600',
                          f'--ExecutePreprocessor.extra_arguments={RETINA}', str(path)],
                         cwd=path.parent, env=env)
    if run.returncode:
        sys.exit(f'\n{path.relative_to(root)} failed: see above. The notebooks after it were '
                 'not executed.')
    print(f'{time.time() - start:.0f} s', flush=True)
subprocess.run([str(bin/'nbdev_clean')], cwd=root, check=True)
subprocess.run([sys.executable, 'tools/readme.py'], cwd=root, check=True)
