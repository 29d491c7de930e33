"""Create an environment and install the project in it: `install.py ENV [FILE OF PINNED VERSIONS]`.

Runs on any Python 3, so that an old one gets a clear message."""
import os, subprocess, sys, time

def fail(message):
    sys.exit('make: ' + message)

env, pins = sys.argv[1], sys.argv[2:]
pip = [os.path.join(env, 'bin', 'python'), '-m', 'pip', '--disable-pip-version-check',
       'install', '-qq']
if sys.version_info < (3, 11):
    fail('video_convs needs Python 3.11 or newer, and %s is %s. Name another one: make '
         'PYTHON=python3.12 demo' % (sys.executable, sys.version.split()[0]))
start = time.time()
new = not os.path.exists(pip[0])
print('Installing into %s with Python %s: about 6 GB, one to ten minutes, once ...'
      % (env, sys.version.split()[0]) if new else 'Bringing %s up to date ...' % env)
sys.stdout.flush()
if new and subprocess.call([sys.executable, '-m', 'venv', env]):
    fail('this Python cannot create an environment; on Debian and Ubuntu install python3-venv, '
         'then try again')
# setuptools' note on editable installs is not for users
quiet = dict(os.environ, PYTHONWARNINGS='ignore')
constraints = ['--constraint', pins[0]] if pins else []
if subprocess.call(pip + constraints + ['--editable', '.[dev]'], env=quiet):
    fail('the installation failed, see the lines above; run the same command again to continue')
open(os.path.join(env, 'ready'), 'w').close()
print('Installed in %d s.' % (time.time() - start))
