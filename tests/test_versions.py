"The oldest versions that are supported: stated once, tested by `make test-oldest`."
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

root = Path(__file__).parents[1]

def test_the_oldest_versions_are_those_that_the_package_asks_for():
    config = ConfigParser(delimiters=['='])
    config.read(root/'settings.ini', encoding='utf-8')
    asked = [Requirement(line) for line in config['DEFAULT']['requirements'].strip().splitlines()]
    pinned = [Requirement(line) for line in (root/'tools/oldest.txt').read_text().splitlines()]
    lower = {r.name: Version(s.version) for r in asked for s in r.specifier if s.operator == '>='}
    exact = {r.name: Version(s.version) for r in pinned for s in r.specifier if s.operator == '=='}
    assert [r.name for r in asked] == [r.name for r in pinned] == list(lower) == list(exact)
    assert lower == exact

def test_this_environment_is_not_older():
    for line in (root/'tools/oldest.txt').read_text().splitlines():
        name, oldest = line.split('==')
        assert (Version(version(name))
                >= Version(oldest)), f'{name} {version(name)} is older than {oldest}'

def test_the_readme_names_the_oldest_pair():
    readme = (root/'README.md').read_text(encoding='utf-8')
    pins = (root/'tools/oldest.txt').read_text()
    torch, torchvision = (dict(line.split('==') for line in pins.splitlines())[name]
                          for name in ('torch', 'torchvision'))
    assert f'torch {torch} with torchvision {torchvision}' in readme
