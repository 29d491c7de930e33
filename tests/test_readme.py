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

def blocks(language):
    "The code blocks of one language; those without a name are commands."
    found = re.findall(r'^```(\w*)\n(.*?)^```', readme, re.S | re.M)
    return [text for name, text in found if name == language]

def test_three_lines_of_python_print_what_stands_below_them(tmp_path):
    program, = blocks('python')
    assert len(program.splitlines()) == 3
    below = readme[readme.index(program) + len(program) + len('```'):]
    printed = re.match(r'\n\n((?: {4}.*\n)+)', below)[1]
    ran = subprocess.run([sys.executable, '-c', program], cwd=tmp_path, check=True, timeout=300,
                         capture_output=True, text=True)
    assert ran.stdout == printed.replace(' ' * 4, '') == 'three\n'

def test_the_first_commands_install_the_package_alone():
    settings = (root/'settings.ini').read_text(encoding='utf-8')
    address = re.search(r'^git_url = (.*)$', settings, re.M)[1]
    commands = blocks('')
    assert commands[0] == f'pip install git+{address}\n'
    assert any(text.startswith(f'git clone {address} ') for text in commands)

def test_badges_say_what_the_settings_say():
    settings = (root/'settings.ini').read_text(encoding='utf-8')
    said = dict(re.findall(r'!\[(version|python|torch|license) ([^\]]*)\]', readme))
    for key, value in (('version', said['version']), ('min_python', said['python'][2:])):
        assert f'\n{key} = {value}\n' in settings
    assert f"\n    torch{said['torch']}\n" in settings
    assert said['license'] == 'Apache-2.0' and 'Apache License' in (root/'LICENSE').read_text()

def test_commands_exist():
    makefile = (root/'Makefile').read_text(encoding='utf-8')
    for target in set(re.findall(r'\bmake (\w+)', readme)):
        assert re.search(rf'^{target}:', makefile, re.M), target
