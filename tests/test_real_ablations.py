"The tool behind the ablations on real videos, on a set small enough to render."
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_sets import write_words

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tools'))
import real_ablations as tool
import real_videos
import study

pytestmark = pytest.mark.usefixtures('one_thread')

@pytest.fixture
def small(tmp_path, monkeypatch):
    "The tool with five variants, small frames and short trainings."
    (tmp_path/'words').mkdir()
    monkeypatch.setenv('TINY', str(write_words(tmp_path/'words')))
    about = real_videos.VideoSet('tiny', ('2',), 'words.csv', window=13, most=1)
    spec = replace(real_videos.spec, size=16)
    for name, value in dict(sets={tool.digits: about}, stored=20, fall=1, batch=6, spec=spec,
                            results=tmp_path/'networks.jsonl').items():
        monkeypatch.setattr(real_videos, name, value)
    variants = dict(hf=(('tsn', {}), ('hf_tsn', dict(modules=1)), ('hf_tsn', dict(modules=3))),
                    sth=(('sth', dict(frames=[4, 8])),),
                    hourglass=(('h2cn', {}), ('tsm', dict(frames=40))))
    for name, value in dict(sets={tool.digits: about}, spec=spec, papers=variants,
                            multiples=(1., 3.), results=tmp_path/'r.jsonl').items():
        monkeypatch.setattr(tool, name, value)
    monkeypatch.setattr(tool, 'best_multiple', lambda name, operator: 3.)
    yield tool
    real_videos.load.cache_clear()

def test_each_variant_is_tested_on_the_fold_that_it_has_not_seen(small):
    small.main(['hf', 'sth', '--folds', '2'])
    lines = study.read_lines(small.results)
    assert [(r['operator'], r['variant'], r['held']) for r in lines] == [
        ('hf_tsn', dict(modules=1), '0'), ('sth', dict(frames=[4, 8]), '0'),
        ('hf_tsn', dict(modules=1), '1'), ('sth', dict(frames=[4, 8]), '1')]
    for r in lines:
        assert set(r['units']) == {f's{k}' for k in range(9) if k % 3 == int(r['held'])}
        assert all(total == 2 for total, _ in r['units'].values())
        assert r['multiple'] == 3 and r['reads'] == 1
        assert len(r['ended']) == len(r['log']) == len(r['variant'].get('frames', [8]))
    small.main(['hf', 'sth', '--folds', '2'])
    assert len(study.read_lines(small.results)) == 4

def test_networks_with_neighbouring_frames_choose_their_rate(small):
    small.main(['hourglass', '--folds', '1'])
    lines = study.read_lines(small.results)
    assert [(r['part'], r['operator'], r['multiple']) for r in lines[:2]] == [
        ('tune', 'h2cn', 1.), ('tune', 'h2cn', 3.)]
    assert {r['reads'] for r in lines if r['operator'] == 'h2cn'} == {5}
    shift, = (r for r in lines if r['operator'] == 'tsm')
    assert shift['reads'] == 5
    best = max(lines[:2], key=lambda r: (sum(right for _, right in r['units'].values()),
                                         -r['log'][0][-1][0]))
    tested, = (r for r in lines if r['part'] == 'test' and r['operator'] == 'h2cn')
    assert tested['multiple'] == best['multiple']

def test_default_networks_are_those_of_the_other_tool():
    from ablations import papers
    found = {operator for paper in papers.values() for operator, variant in paper
             if tool.is_default(operator, variant)}
    assert found == {'tsn', 'r2plus1d', 'tsm', 'hgc', 'sth', 'stc', 'hf_tsn'}
    assert not tool.is_default('hf_tsn', dict(modules=2))
    assert not tool.is_default('h2cn', {})

def test_a_wrong_paper_is_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        tool.main(['tsm'])
    assert end.value.code == 2 and 'hourglass' in capsys.readouterr().err
