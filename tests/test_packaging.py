"What `python -m build` makes: complete, licensed, versioned, and readable on an index."
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.metadata import Metadata

import video_convs

ROOT = Path(__file__).resolve().parent.parent
config = ConfigParser(delimiters=['='])
config.read(ROOT/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
    "A source archive, and the wheel that is built from it."
    work = tmp_path_factory.mktemp('package')
    for name in ('setup.py', 'settings.ini', 'pyproject.toml', 'MANIFEST.in', 'README.md',
                 'LICENSE'):
        shutil.copy(ROOT/name, work)
    for name in ('video_convs', 'data'):
        shutil.copytree(ROOT/name, work/name,
                        ignore=shutil.ignore_patterns('__pycache__', 'checkpoints', 'results'))
    run = subprocess.run([sys.executable, '-m', 'build', '--no-isolation'], cwd=work,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-500:]
    return work/'dist'


@pytest.fixture(scope='module')
def wheel(dist):
    with zipfile.ZipFile(next(dist.glob('*.whl'))) as wheel:
        yield wheel


@pytest.fixture(scope='module')
def metadata(wheel):
    name = next(name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return Metadata.from_email(wheel.read(name), validate=True)


def test_the_wheel_has_all_modules_and_tables_and_nothing_else(wheel):
    own = {f'video_convs/{path.relative_to(ROOT/"video_convs").as_posix()}'
           for path in (ROOT/'video_convs').rglob('*.py')}
    tables = {path.relative_to(ROOT/'data').as_posix() for path in (ROOT/'data').rglob('*')
              if path.is_file() and path.parent.name in ('data', 'explorable', 'explain')}
    names = {name for name in wheel.namelist() if '.dist-info/' not in name}
    assert names == own | {'video_convs/py.typed'} | {f'video_convs/tables/{t}' for t in tables}
    for table in tables:
        assert wheel.read(f'video_convs/tables/{table}') == (ROOT/'data'/table).read_bytes()
    assert sum(info.compress_size for info in wheel.infolist()) < 1e6


def test_licence_version_and_python(dist, wheel, metadata):
    assert metadata.license_files == ['LICENSE'] and metadata.license == 'Apache-2.0'
    licence = next(name for name in wheel.namelist() if name.endswith('/LICENSE'))
    assert wheel.read(licence) == (ROOT/'LICENSE').read_bytes()
    assert str(metadata.version) == cfg['version'] == video_convs.__version__
    assert str(metadata.requires_python) == f">={cfg['min_python']}"
    with tarfile.open(next(dist.glob('*.tar.gz'))) as archive:
        inside = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {'LICENSE', 'README.md', 'settings.ini', 'setup.py', 'data/papers.csv'} <= inside


def test_the_extras_are_small_and_those_of_the_settings(metadata):
    wanted = {key.removesuffix('_requirements') for key in cfg if key.endswith('_requirements')}
    assert set(metadata.provides_extra) == wanted
    for extra in wanted - {'dev'}:
        assert 1 <= len(cfg[f'{extra}_requirements'].split()) <= 3, extra


def test_links_of_the_description_lead_out_of_the_index(metadata):
    assert metadata.description_content_type == 'text/markdown'
    links = re.findall(r'\]\(([^)]*)\)', metadata.description)
    assert len(links) > 50 and all(link.startswith(('https://', '#')) for link in links)
    picture = next(link for link in links if link.endswith('.png'))
    assert picture.startswith(f"{cfg['git_url']}/raw/{cfg['branch']}/docs/images/")
    assert f"{cfg['git_url']}/blob/{cfg['branch']}/LICENSE" in links


def test_one_line_installs_the_package_everywhere():
    "No text asks an index for the package, which is on none."
    texts = [ROOT/'README.md', ROOT/'CONTRIBUTING.md', ROOT/'data/model_card.md',
             *(ROOT/'video_convs').rglob('*.py'), *(ROOT/'nbs').rglob('*.ipynb')]
    said = {line for text in texts for line in
            re.findall(r'pip install[ \\"n]*(?:-q )?(\S*video_convs\S*)', text.read_text('utf-8'))}
    assert said and {re.sub(r'\\n|["`,]', '', line) for line in said} == {f"git+{cfg['git_url']}"}
