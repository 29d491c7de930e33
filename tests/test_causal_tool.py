"The tool that compares causal networks with two-sided ones, with tiny numbers."
import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import causal
from video_convs import create_model


@pytest.fixture
def tool(tmp_path, monkeypatch):
    "Few steps, short streams, and a file of its own."
    monkeypatch.setattr(causal, 'results', tmp_path/'causal.jsonl')
    for name, value in dict(batch=2, window=2, climb=1, patience=1, most=1, last=1, before=7,
                            behind=1, multiples=dict(hgc=1.)).items():
        monkeypatch.setattr(causal, name, value)
    run, score = causal.run, causal.score_checkpoint
    monkeypatch.setattr(causal, 'run', lambda job: run(job, videos=3))
    monkeypatch.setattr(causal, 'score_checkpoint', lambda job: score(job, videos=3))
    return causal


def test_each_network_is_one_line_and_none_is_trained_again(tool, monkeypatch, capsys):
    jobs = tool.trainings(['drift'], 1)
    assert [(job['causal'], job['borders']) for job in jobs] == [
        (False, 'zeros'), (True, 'zeros'), (False, 'long')]
    monkeypatch.setattr(tool, 'trainings', lambda asked, seeds: jobs[1:])
    tool.main(['drift'])
    tool.main(['drift'])
    lines = [json.loads(line) for line in tool.results.read_text().splitlines()]
    assert [(r['causal'], r['borders'], r['delay']) for r in lines] == [
        (True, 'zeros', 0), (False, 'long', 6)]
    for line in lines:
        assert line['right'].keys() == {'clip', 'cut', 'on'}
        assert all(len(curve) == 9 for curve in line['live'].values())
        assert line['live'].keys() == {'newest1', 'newest8'}
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_orders_and_checkpoints_are_scored(tool, monkeypatch):
    monkeypatch.setattr(tool, 'checkpoints', lambda all=tool.checkpoints: all()[-1:])
    job = tool.trainings(['order'], 1)[1]
    tool.run(job)
    tool.main(['borders'])
    trained, checkpoint = map(json.loads, tool.results.read_text().splitlines())
    assert trained['right'].keys() == checkpoint['right'].keys() == {'clip', 'cut'}
    assert checkpoint['right']['clip'] == 3  # as it was trained to


def test_a_long_clip_of_orders_has_other_videos_around_it(tool):
    alone, _ = next(tool.tasks['order'].batches('train', 0))
    clips, labels = next(tool.tasks['order'].batches('train', 0, 20))
    assert clips.shape[2] == 20 and torch.equal(clips[:, :, 6:14], alone)
    for part, theirs in (clips[:, :, :6], alone[:, :, 2:]), (clips[:, :, 14:], alone[:, :, :6]):
        assert all(any(torch.equal(x, y) for y in theirs) for x in part)
    draw = torch.Generator().manual_seed(0)
    many = torch.arange(64.).view(64, 1, 1, 1, 1).expand(-1, 1, 8, 1, 1)
    before = tool.among_others(many, 6, draw)[:, 0, 0, 0, 0] - many[:, 0, 0, 0, 0]
    assert len(before.unique()) > 32  # no neighbour tells the class
    kinds = {(job['task'], job['causal']) for job in tool.trainings(list(tool.tasks), 1)
             if job['borders'] == 'long'}
    assert kinds == {('drift', False), ('order', False), ('order', True)}


def test_repeated_frames_are_not_asked_for(tool, monkeypatch):
    clips = torch.arange(8.).view(1, 1, 8, 1, 1)
    assert tool.repeated(clips).flatten().tolist() == [0] * 6 + list(range(8)) + [7] * 6
    monkeypatch.setattr(tool, 'multiples', dict(tsm=1.))
    jobs = [job for job in tool.trainings(list(tool.tasks), 1) if job['borders'] == 'repeat']
    assert [(job['task'], job['causal']) for job in jobs] == [('order', False), ('order', True)]
    seen = []
    learn = tool.learn_to_plateau
    monkeypatch.setattr(tool, 'learn_to_plateau', lambda net, batches, *rest: seen.append(
        next(batches)[0]) or learn(net, batches, *rest))
    tool.run(jobs[1])
    assert seen[0].shape[2] == 20 and torch.equal(seen[0][:, :, 0], seen[0][:, :, 6])
    line = json.loads(tool.results.read_text())
    assert line['right'].keys() == {'clip', 'still', 'cut'}


def test_the_live_answers_are_those_of_a_stream(tool, monkeypatch):
    monkeypatch.setattr(tool, 'frames', 2)
    for looks_back in False, True:
        torch.manual_seed(0)
        net = create_model('hgc_tiny', num_classes=4, input_spec=dict(frames=2, size=32),
                           causal=looks_back).double().eval()
        with torch.no_grad():
            for p in net.parameters():
                p.add_(.1 * torch.randn_like(p))
        clips = torch.randn(2, 3, 10, 32, 32).double()
        stream, known, answers = net.stream(window=1), [], {1: [], 2: []}
        for t, frame in enumerate(clips.unbind(2)):
            known += stream.step(frame)
            for W in answers:
                if t >= 7:
                    answers[W].append(torch.stack(known[-W:]).mean(0).argmax(1))
        for labels in torch.tensor([0, 1]), torch.tensor([2, 3]):
            found = tool.live(net, clips, labels, again=2)
            again = [net(clips[:, :, t - 1:t + 1]).argmax(1) for t in range(7, 10)]
            assert found['again'] == [(a == labels).sum().item() for a in again]
            for W, of_stream in answers.items():
                assert found[f'newest{W}'] == [(a == labels).sum().item() for a in of_stream]


def test_a_square_turns_between_two_videos():
    task = causal.Drifting()
    clip, labels = task.videos(torch.Generator().manual_seed(0), [4, 3], n=6, known=1)
    before = task.videos(torch.Generator().manual_seed(0), [4, 3], n=6, known=0)[1]
    assert (before != labels).all()
    for x, first, second in zip(clip[:, 0], before.tolist(), labels.tolist()):
        for t in range(1, 7):
            turn = first if t < 4 else second
            move = {0: (0, 7), 1: (7, 0), 2: (0, -7), 3: (-7, 0)}[turn]  # rows, columns
            moved = x[t - 1].round().roll(move, (0, 1))
            assert (x[t].round() == moved).all()


def test_unknown_tasks_are_named(capsys):
    with pytest.raises(SystemExit) as stop:
        causal.main(['drif'])
    assert stop.value.code == 2 and "there is no task 'drif'" in capsys.readouterr().err
