"ruff, with the rules in pyproject.toml, over package, notebooks, tests and tools."
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

root = Path(__file__).resolve().parent.parent
RUFF = shutil.which('ruff', path=str(Path(sys.executable).parent))


@pytest.mark.skipif(RUFF is None, reason='ruff is not installed: it is among the dev requirements')
def test_ruff():
    found = subprocess.run([RUFF, 'check', '--output-format', 'concise', 'video_convs', 'nbs',
                            'tests', 'tools', 'hubconf.py'],
                           capture_output=True, text=True, cwd=root)
    assert found.returncode == 0, found.stdout + found.stderr
