"The tool of the ablations: what it asks for, and its code path with tiny numbers."
import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import ablations


@pytest.fixture
def tool(tmp_path, monkeypatch):
    "Few steps, one small question, and a file of its own."
    monkeypatch.setattr(ablations, 'results', tmp_path/'ablations.jsonl')
    for name, value in dict(size=24, batch=2, window=2, climb=1, patience=1, most=1,
                            last=1, tuned_on=('drift8',)).items():
        monkeypatch.setattr(ablations, name, value)
    monkeypatch.setattr(ablations, 'tasks', {'drift8': ablations.Drifting(8.)})
    monkeypatch.setattr(ablations, 'papers', {'hf': (('tsn', {}), ('hf_tsn', dict(modules=1)))})
    monkeypatch.setattr(ablations, 'tasks_of', lambda paper: ['drift8'])
    run = ablations.run
    monkeypatch.setattr(ablations, 'run', lambda job: run(job, clips=4))
    return ablations


def test_rates_are_chosen_first_and_no_run_is_repeated(tool, capsys):
    with pytest.raises(SystemExit, match='tsn is not tuned yet|hf_tsn is not tuned yet'):
        tool.main(['--seeds', '1'])
    tool.main(['tune'])
    tool.main(['--seeds', '1'])
    tool.main(['--seeds', '1'])
    lines = [json.loads(line) for line in tool.results.read_text().splitlines()]
    assert [line['part'] for line in lines] == 6 * ['tune'] + 2 * ['test']
    assert {line['multiple'] for line in lines[:6]} == {1., 3., 10.}
    for line in lines:
        assert 0 <= line['right'] <= line['clips'] == 4 and line['ended'] == 'limit'
        assert line['windows'] and line['seconds'] > 0 and line['torch']


def test_every_variant_can_be_made_and_each_run_is_asked_for_once(monkeypatch):
    monkeypatch.setattr(ablations, 'best_multiple', lambda operator: 1.)
    jobs = ablations.tests(list(ablations.papers), 3)
    assert len(jobs) == len({json.dumps(job, sort_keys=True) for job in jobs})
    assert len(jobs) == 3 * (22 * 5 + (9 + 4 + 11) * 2)
    variants = {json.dumps([job['operator'], job['variant']]) for job in jobs}
    for operator, variant in map(json.loads, sorted(variants)):
        spec = ablations.make(operator, variant, 4).input_spec
        assert spec.frames * spec.per_segment in (8, 40)


def test_a_network_of_eight_frames_reads_the_middle_of_each_five():
    clips = torch.arange(40.).view(1, 1, 40, 1, 1)
    few, all_of = ablations.make('tsn', {}, 4), ablations.make('h2cn', {}, 4)
    assert ablations.read_by(few, clips).flatten().tolist() == list(range(2, 40, 5))
    assert ablations.read_by(all_of, clips) is clips


@pytest.mark.parametrize('task', ablations.tasks)
def test_clips_are_new_in_each_batch_and_the_same_for_a_seed(task):
    def two(split, seed):
        batches = ablations.tasks[task].batches(split, seed)
        return [next(batches)[0] for _ in range(2)]
    first, second = two('train', 0)
    assert first.shape == (16, 3, 40, 48, 48) and not torch.equal(first, second)
    assert torch.equal(two('train', 0)[1], second)
    assert not torch.equal(two('train', 1)[0], first)
    assert not torch.equal(two('test', 0)[0], first)


def test_an_unknown_paper_is_named():
    with pytest.raises(SystemExit, match="there is no paper 'hff': choose among tune, hourglass"):
        ablations.main(['hff'])
