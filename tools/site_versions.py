"""The site of each release beside that of today, in a folder named by its version.

    python tools/site_versions.py v0.1.0     # or: make docs-of TAG=v0.1.0

builds the site of a tag into build/site/0.1.0. `make docs` copies all folders that exist there into
the site, and the page `versions` lists them."""
import os
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from functools import cache
from pathlib import Path

from notebooks import root

FOLDER = root/'build/site'
MOVED = '<!DOCTYPE html><meta charset="utf-8"><title>Versions</title>' \
        '<meta http-equiv="refresh" content="0; url=../versions.html">'


def version(tree=root):
    "The version that a checkout has."
    config = ConfigParser(delimiters=['='])
    config.read(tree/'settings.ini', encoding='utf-8')
    return config['DEFAULT']['version']


@cache
def label():
    "What the pages call themselves: the version, and whether it is still being worked on."
    done = subprocess.run(['git', '-C', str(root), 'tag', '--points-at', 'HEAD'],
                          capture_output=True, text=True)
    tags = {tag.removeprefix('v') for tag in done.stdout.split()}
    return version() if version() in tags else f'{version()} in development'


def kept(folder=FOLDER):
    "The versions whose sites exist, the newest first."
    if not folder.is_dir():
        return []
    found = [place.name for place in folder.iterdir() if (place/'index.html').is_file()]
    return sorted(found, key=lambda name: [int(part) for part in name.split('.')], reverse=True)


def listing(names):
    "The page that lists them."
    lines = [f'- [{name}]({name}/index.html)' for name in names] or ['- none yet']
    return '\n'.join([
        '# Versions of this site', '',
        f'You read the pages of version {label()}. The [changelog](changelog.md) says what '
        'changed.', '', 'Sites of releases:', '', *lines, ''])


def write(source):
    "Write the page that Sphinx reads."
    (source/'versions.md').write_text(listing(kept()), encoding='utf-8')


def copy(html, folder=FOLDER):
    "Put the sites of releases into that of today; their own lists lead to the one of today."
    for name in kept(folder):
        shutil.copytree(folder/name, html/name, dirs_exist_ok=True)
        (html/name/'versions.html').write_text(MOVED, encoding='utf-8')


def build(tag):
    "Build the site of a tag: its folder."
    def git(*words):
        subprocess.run(['git', '-C', str(root), 'worktree', *words], check=True)
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place)/'tree'
        git('add', '--detach', str(tree), tag)
        try:
            subprocess.run([sys.executable, 'tools/site_pages.py'], cwd=tree, check=True,
                           env={**os.environ, 'PYTHONPATH': str(tree)})
            target = FOLDER/version(tree)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(tree/'docs/_build/html', target)
        finally:
            git('remove', '--force', str(tree))
    return target


if __name__ == '__main__':
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit('Name the tag whose site is built: make docs-of TAG=v0.1.0')
    print(f'Built {build(sys.argv[1]).relative_to(root)}; make docs puts it into the site.')
