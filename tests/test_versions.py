"Sites of releases: they are listed, copied, and lead to the list of today."
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
import site_feed
import site_versions


def put(folder, *names):
    for name in names:
        (folder/name).mkdir(parents=True)
        (folder/name/'index.html').write_text(name)
        (folder/name/'versions.html').write_text('old')


def test_versions_are_listed_from_the_newest(tmp_path):
    assert site_versions.kept(tmp_path/'absent') == []
    put(tmp_path, '0.2.0', '0.10.0', '0.9.1')
    (tmp_path/'0.3.0').mkdir()  # a build that failed
    assert site_versions.kept(tmp_path) == ['0.10.0', '0.9.1', '0.2.0']
    assert '- [0.9.1](0.9.1/index.html)' in site_versions.listing(['0.9.1'])
    assert '- none yet' in site_versions.listing([])


def test_old_sites_lead_to_the_list_of_today(tmp_path):
    put(tmp_path/'build', '0.1.0')
    site_versions.copy(tmp_path/'html', tmp_path/'build')
    assert (tmp_path/'html/0.1.0/index.html').read_text() == '0.1.0'
    assert 'url=../versions.html' in (tmp_path/'html/0.1.0/versions.html').read_text()
    assert (tmp_path/'build/0.1.0/versions.html').read_text() == 'old'


def test_every_page_says_which_version_it_is():
    line = site_feed.foot('ops/hourglass', 'https://x.org/p', site_feed.files(), {})
    assert f'<a href="../versions.html">Version {site_versions.label()}</a>' in line
    assert site_versions.label().startswith(site_versions.version())
