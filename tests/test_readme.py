"README.md is what nbs/index.ipynb says, its links lead somewhere, and its Python runs."
import re, subprocess, sys
from pathlib import Path
import pytest

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
readme = (root/'README.md').read_text(encoding='utf-8')

def test_readme_is_the_index():
    import readme as tool
    text, pictures = tool.convert()
    assert text == readme, 'README.md differs from nbs/index.ipynb: run `make readme`'
    assert pictures
    for path, data in pictures.items():
        assert (root/path).read_bytes() == data

@pytest.mark.parametrize('link', sorted(set(re.findall(r'\]\((?!https?:|#)([^)#]+)', readme))))
def test_link_leads_to_a_file(link):
    assert (root/link).exists()

def test_python_runs(tmp_path):
    blocks = re.findall(r'^```python\n(.*?)^```', readme, re.S | re.M)
    assert blocks
    subprocess.run([sys.executable, '-c', '\n'.join(blocks)], cwd=tmp_path, check=True, timeout=300)

def test_the_first_commands_install_the_package_alone():
    settings = (root/'settings.ini').read_text(encoding='utf-8')
    address = re.search(r'^git_url = (.*)$', settings, re.M)[1]
    commands = ''.join(re.findall(r'^```\n(.*?)^```', readme, re.S | re.M)[:2])
    assert commands.startswith(f'pip install git+{address}\n')
    assert f'git clone {address} ' in commands

def test_commands_exist():
    makefile = (root/'Makefile').read_text(encoding='utf-8')
    for target in set(re.findall(r'\bmake (\w+)', readme)):
        assert re.search(rf'^{target}:', makefile, re.M), target
