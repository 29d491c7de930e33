"Packaging: every value comes from settings.ini, the one place that nbdev reads too."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

config = ConfigParser(delimiters=['='])
config.read('settings.ini', encoding='utf-8')
cfg = config['DEFAULT']

def lines(key):
    return cfg[key].strip().splitlines()

def long_description():
    "README.md for readers who are not in the repository: its links lead there."
    if not Path('README.md').exists():
        return ''
    text = Path('README.md').read_text(encoding='utf-8')
    for kind, link in (('raw', r'(!\[[^\]]*\]\()(?!https?:)'), ('blob', r'(\]\()(?!https?:|#)')):
        text = re.sub(link, rf"\1{cfg['git_url']}/{kind}/{cfg['branch']}/", text)
    return text

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'],
    license='Apache-2.0',
    packages=[*find_packages(include=['video_convs', 'video_convs.*']), 'video_convs.tables'],
    package_dir={'video_convs.tables': 'data'},  # data/*.csv, installed too
    package_data={'video_convs': ['py.typed'],
                  'video_convs.tables': ['*.csv', 'model_card.md', 'explorable/*', 'explain/*']},
    python_requires=f">={cfg['min_python']}",
    install_requires=lines('requirements'), extras_require=dict(
        explain=lines('explain_requirements'), export=lines('export_requirements'),
        space=lines('space_requirements'), live=lines('live_requirements'),
        tensorboard=lines('tensorboard_requirements'), timm=lines('timm_requirements'),
        search=lines('search_requirements'),
        torchcodec=lines('torchcodec_requirements'),
        dev=lines('dev_requirements') + lines('export_requirements')),
    entry_points={'console_scripts': lines('console_scripts'),
                  # lets nbdev link names to their notebooks
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    long_description=long_description(),
    long_description_content_type='text/markdown',
    project_urls={'Documentation': cfg['doc_host'] + cfg['doc_baseurl'], 'Source': cfg['git_url']},
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Developers',
                 'Intended Audience :: Science/Research', 'Programming Language :: Python :: 3',
                 'Topic :: Scientific/Engineering :: Image Recognition'],
)
