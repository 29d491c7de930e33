"The site's own changes: a feed of releases, and the foot of each page."
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_feed

TEXT = """# Changelog

## [Unreleased]

- not yet

## [0.2.0] - 2027-02-01

### Added

- a < b

## [0.1.0] - 2026-12-24

- first
"""
ATOM = f'{{{site_feed.ATOM}}}'


def test_releases_of_a_changelog():
    found = site_feed.releases(TEXT)
    assert [entry[:2] for entry in found] == [('0.2.0', '2027-02-01'), ('0.1.0', '2026-12-24')]
    assert found[0][2] == '### Added\n\n- a < b' and found[1][2] == '- first'


def test_the_feed_has_an_entry_for_each_release():
    top = ET.fromstring(site_feed.feed(TEXT, site_feed.settings()))
    entries = top.findall(f'{ATOM}entry')
    assert [entry.find(f'{ATOM}title').text for entry in entries] == [
        'video_convs 0.2.0', 'video_convs 0.1.0']
    assert top.find(f'{ATOM}updated').text == '2027-02-01T00:00:00Z'
    assert 'a < b' in entries[0].find(f'{ATOM}content').text
    ids = [entry.find(f'{ATOM}id').text for entry in entries]
    assert len(set(ids)) == 2 and all(id.startswith('https://') for id in ids)


def test_the_changelog_of_this_project_can_be_read():
    text = (root/'CHANGELOG.md').read_text(encoding='utf-8')
    assert ET.fromstring(site_feed.feed(text, site_feed.settings())).find(f'{ATOM}title').text
    headings = [line for line in text.splitlines() if line.startswith('## ')]
    assert headings[0] == '## [Unreleased]'
    assert len(site_feed.releases(text)) == len(headings) - 1


def test_every_page_leads_to_its_own_file():
    known = site_feed.files()
    assert all((root/file).is_file() for file in known.values())
    line = site_feed.foot('ops/hourglass', 'https://x.org/p', known,
                          {'nbs/ops/11_hourglass.ipynb': '2026-11-30'})
    assert 'href="https://x.org/p/edit/main/nbs/ops/11_hourglass.ipynb"' in line
    assert 'href="../changelog.html"' in line and line.endswith('last change 2026-11-30</p>')
    assert 'docs/zh/ops/11_hourglass.md"' in site_feed.foot('zh/ops/hourglass', '', known, {})
    assert site_feed.foot('genindex', '', known, {}) == ''


def test_days_are_those_of_the_last_commits(tmp_path, monkeypatch):
    def git(*words, day='2026-01-01'):
        stamp = f'{day}T12:00:00+0000'
        subprocess.run(['git', '-C', tmp_path, '-c', 'user.name=x', '-c', 'user.email=x', *words],
                       check=True, capture_output=True,
                       env={**os.environ, 'GIT_COMMITTER_DATE': stamp, 'GIT_AUTHOR_DATE': stamp})
    monkeypatch.setattr(site_feed, 'root', tmp_path)
    assert site_feed.days() == {}
    (tmp_path/'nbs').mkdir()
    git('init')
    for day, names in (('2026-01-01', 'ab'), ('2026-02-02', 'b')):
        for name in names:
            (tmp_path/'nbs'/name).write_text(day)
        git('add', '.')
        git('commit', '-m', 'x', day=day)
    assert site_feed.days() == {'nbs/a': '2026-01-01', 'nbs/b': '2026-02-02'}
