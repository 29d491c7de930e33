"The tool of the ablations: what it asks for, and its code path with tiny numbers."
import json
import re
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import ablations
import checkpoints
import study
from video_convs.nets.video_net import load


@pytest.fixture
def tool(tmp_path, monkeypatch):
    "Few steps, one small question, and a file of its own."
    monkeypatch.setattr(ablations, 'results', tmp_path/'ablations.jsonl')
    monkeypatch.setattr(ablations, 'kept', tmp_path/'kept')
    for name, value in dict(size=24, batch=2, window=2, climb=1, patience=1, most=1,
                            last=1, tuned_on=('drift10',)).items():
        monkeypatch.setattr(ablations, name, value)
    monkeypatch.setattr(ablations, 'tasks', {'drift10': ablations.Drifting(10.)})
    monkeypatch.setattr(ablations, 'papers', {'hf': (('tsn', {}), ('hf_tsn', dict(modules=1)))})
    monkeypatch.setattr(ablations, 'tasks_of', lambda paper: ['drift10'])
    run = ablations.run
    monkeypatch.setattr(ablations, 'run', lambda job: run(job, clips=4))
    return ablations


def test_rates_are_chosen_first_and_no_run_is_repeated(tool, monkeypatch, capsys):
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
    net = load(next((tool.kept/'drift10').glob('hf_tsn-modules=1-x*-seed0'))/'8f')
    assert net.name == 'hf_tsn_tiny' and net.classes == ['right', 'down', 'left', 'up']
    for name, value in dict(work=tool.kept/'work', shelf=tool.kept/'shelf', videos=8).items():
        monkeypatch.setattr(checkpoints, name, value)
    monkeypatch.setattr(tool, 'papers', {'shelf': (('tsn', {}), ('hf_tsn', {}))})
    data, rendered = checkpoints.videos_of('drift10')
    best, other = checkpoints.best_runs('drift10')
    assert best['right'] == max(line['right'] for line in lines if line['operator'] == 'tsn')
    checkpoints.keep(best, data, rendered)
    folder, = tool.kept.glob('shelf/*')
    assert folder.name == 'tsn_tiny.motion-drift_8f'
    assert '| test | top-1 |' in (folder/'README.md').read_text()
    assert [run['operator'] for run in checkpoints.best_runs('drift10', ['tsn'])] == ['tsn']


def test_every_variant_can_be_made_and_each_run_is_asked_for_once(monkeypatch):
    monkeypatch.setattr(ablations, 'best_multiple', lambda operator: 1.)
    jobs = ablations.tests(list(ablations.papers), 3)
    assert len(jobs) == len({json.dumps(job, sort_keys=True) for job in jobs})
    of_papers = 24 * 5 + (10 + 4 + 12) * 3
    shelf = 8 * 3 - 2 * 4 - 1  # 4 on `macro` and `drift10`, STH on `macro` are the papers', too
    alpha = 3 * 3 - 1
    assert len(jobs) == 3 * (of_papers + shelf + alpha)
    variants = {json.dumps([job['operator'], job['variant']]) for job in jobs}
    for operator, variant in map(json.loads, sorted(variants)):
        for member in ablations.members(variant):
            spec = ablations.make(operator, member, 'abcd').input_spec
            assert spec.frames * spec.per_segment in (4, 8, 20, 40)


@pytest.mark.parametrize('operator, frames, read', [
    ('tsn', 8, list(range(2, 40, 5))), ('tsn', 4, [7, 17, 27, 37]), ('tsn', 40, list(range(40))),
    ('h2cn', 8, list(range(40))),
    ('h2cn', 4, [5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 25, 26, 27, 28, 29, 35, 36, 37, 38, 39])])
def test_which_frames_a_network_reads(operator, frames, read):
    clips = torch.arange(40.).view(1, 1, 40, 1, 1)
    net = ablations.make(operator, dict(frames=frames), 'abcd')
    assert ablations.read_by(net, clips).flatten().tolist() == read


def test_an_ensemble_adds_the_scores_of_its_members(monkeypatch):
    assert ablations.members({}) == [{}]
    assert ablations.members({'frames': [4, 8], 'p': 1/2}) == [
        {'frames': 4, 'p': 1/2}, {'frames': 8, 'p': 1/2}]
    monkeypatch.setattr(ablations, 'read_by', lambda net, clips: clips)
    for strong in (.9, 3.):  # the second network changes the sum only if it is sure enough
        nets = [torch.nn.Linear(1, 2), torch.nn.Linear(1, 2)]
        for net, bias in zip(nets, ([1., 0.], [0., strong])):
            net.weight.data.zero_()
            net.bias.data = torch.tensor(bias)
        batches = iter([(torch.zeros(16, 1), torch.zeros(16, dtype=torch.long))])
        assert ablations.right_of(nets, batches, 16) == (16 if strong < 1 else 0)


@pytest.mark.parametrize('task', ablations.tasks)
def test_clips_are_new_in_each_batch_and_the_same_for_a_seed(task):
    def two(split, seed, each=5):
        batches = ablations.tasks[task].batches(split, seed, each)
        return [next(batches)[0] for _ in range(2)]
    first, second = two('train', 0)
    channels = 2 if task == 'flow' else 3
    assert first.shape == (16, channels, 40, 48, 48) and not torch.equal(first, second)
    assert torch.equal(two('train', 0)[1], second)
    assert not torch.equal(two('train', 1)[0], first)
    assert not torch.equal(two('test', 0)[0], first)
    if task != 'flow':  # which goes from one frame that is read to the next
        one_frame = two('train', 0, 1)[1]  # at each point in time
        assert torch.equal(one_frame, second[:, :, 2::5])


def test_an_unknown_paper_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        ablations.main(['hff'])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count('\n') == 1
    assert said.startswith("there is no paper 'hff': choose among tune, hourglass")


@pytest.mark.parametrize('argv, words', [
    (['--seeds', '0'], "--seeds takes a whole number from 1, got '0'"), (['--seeds'], "got ''"),
    (['--seeds', 'x'], "got 'x'"), (['--share', '3/2'], "--share takes K/N .* got '3/2'"),
    (['--share', '0/2'], "got '0/2'"), (['--share', 'x'], "got 'x'"), (['--share'], "got ''"),
    (['--seed', '3'], "there is no paper '--seed'")])
def test_a_wrong_option_is_one_line(argv, words, capsys):
    with pytest.raises(SystemExit) as stop:
        ablations.main(argv)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count('\n') == 1 and re.search(words, said)


@pytest.mark.parametrize('last, kept', [('{"b": 2', 0), ('{"b": 2}', 1)])
def test_a_line_that_was_cut_short_costs_no_other(tmp_path, last, kept):
    log = tmp_path/'log.jsonl'
    log.write_text('{"a": 1}\n' + last)
    assert len(study.read_lines(log)) == 1 + kept
    study.write_line(log, {'c': 3})
    lines = study.read_lines(log)
    assert len(lines) == 2 + kept and lines[0] == {'a': 1} and lines[-1]['c'] == 3


def test_a_broken_line_is_named(tmp_path):
    log = tmp_path/'log.jsonl'
    log.write_text('{"a"\n{"b": 1}\n')
    with pytest.raises(SystemExit, match='log.jsonl, line 1'):
        study.read_lines(log)
