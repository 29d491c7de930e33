"Films that were damaged at random: no crash, no hang, no other exception, no silent damage."
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]/'tools'))
fuzz = pytest.importorskip('fuzz')

def clean(files, seed):
    counts, findings = fuzz.run(files, seed)
    assert not findings, '\n'.join(map(json.dumps, findings))
    assert all(counts[kind] == 0 for kind in fuzz.BAD) and files/4 < counts['refused'] < files

def test_forty_files():
    clean(40, 0)

@pytest.mark.slow
@pytest.mark.parametrize('seed', [1, 2])
def test_many_files(seed):
    clean(300, seed)

def test_the_job_counts_what_it_looks_for(tmp_path, monkeypatch):
    "Readers that give a wrong frame, fail otherwise, hang or crash are found."
    film, = [f for f in fuzz.write_films(tmp_path) if f.name == 'avc.mp4']
    truth = fuzz.read_frames(film, range)
    assert fuzz.examine(film, truth) == {}
    real = fuzz.read_frames
    with monkeypatch.context() as patch:
        patch.setattr(fuzz, 'read_frames', lambda path, k, **o: real(path, k, **o)
                      ^ (o.get('reader') == 'decord' or not callable(k)))
        assert 'silent' in fuzz.examine(film, truth)
    with monkeypatch.context() as patch:
        patch.setattr(fuzz, 'read_frames', lambda *a, **o: 1//0)
        with pytest.raises(ZeroDivisionError):
            fuzz.examine(film, truth)
    blow = tmp_path/'blow.py'
    for code, found in (("import os; os.kill(os.getpid(), 11)", {'crash': -11}),
                        ("import time; time.sleep(60)", {'hang': 1})):
        blow.write_text(code)
        monkeypatch.setattr(fuzz, '__file__', str(blow))
        reader = fuzz.Reader()
        assert reader.ask(film, film, 1) == found
        reader.close()

def test_a_number_makes_the_same_damage_again(tmp_path):
    film = fuzz.write_films(tmp_path)[0]
    one, two = (fuzz.damaged(film.read_bytes(), fuzz.pictures(film), np.random.default_rng([3, 7]))
                for _ in range(2))
    assert one == two and one[1] != film.read_bytes()

def test_what_was_found_before(tmp_path):
    "A decoder misled by damage beyond the next key frame, and open groups of HEVC behind a jump."
    films = fuzz.write_films(tmp_path)
    for seed, number in ((1, 132), (2, 15), (1, 98), (2, 137)):
        film = films[number % len(films)]
        assert fuzz.examine(film, fuzz.read_frames(film, range)) == {}
        _, data = fuzz.damaged(film.read_bytes(), fuzz.pictures(film),
                               np.random.default_rng([seed, number]))
        path = tmp_path/f'{seed}_{number}_{film.name}'
        path.write_bytes(data)
        assert not set(fuzz.examine(path, fuzz.read_frames(film, range))) & set(fuzz.BAD)
