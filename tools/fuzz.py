"""Damage videos at random and test how they are read: `.venv/bin/python tools/fuzz.py`.

PyAV writes films in several containers and codecs. File number N is one of them, damaged with
random numbers that depend only on (--seed, N), so `--only N` makes it again. A separate process
reads each file in several ways. Four faults are counted and must not happen: a crash, a hang, an
exception other than `VideoError`, and silent damage, which is a frame that one way of reading
returns and another refuses or returns with other pixels. Two counts are for information: refused
files, and files that every decoder accepts although a pixel is wrong by more than 10 levels, which
happens because most streams have no checksums."""
import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch

from video_convs.data.decoding import collect_frames
from video_convs.data.video import check_video, read_frames
from video_convs.data.video_info import VideoError, whole_video

FILMS = [
    ('avc.mp4', 'libx264', {'movflags': 'faststart'}), ('avc.mkv', 'libx264', {}),
    ('cavlc.mov', 'libx264', {'x264-params': 'cabac=0'}),
    ('pieces.mp4', 'libx264', {'movflags': 'frag_keyframe+empty_moov'}), ('mpeg4.avi', 'mpeg4', {}),
    ('mpeg2.ts', 'mpeg2video', {}), ('vp8.webm', 'libvpx', {'deadline': 'realtime'}),
    ('hevc.mp4', 'libx265', {'x265-params': 'log-level=none:keyint=6:hash=1'}),
    ('mpeg1.mpg', 'mpeg1video', {}), ('mjpeg.avi', 'mjpeg', {}), ('wmv2.wmv', 'wmv2', {}),
    ('flv1.flv', 'flv', {}), ('avc.h264', 'libx264', {})]
KINDS = 'bits of pictures', 'bits anywhere', 'head', 'cut', 'piece out', 'zeros'
EXACT = 'h264', 'hevc', 'vp8', 'vp9'  # the standards of the others leave rounding open
BAD = 'crash', 'hang', 'exception', 'silent'

def film(T=18, H=48, W=64):
    "Moving noise: (T, H, W, 3)."
    ground = np.random.default_rng(0).integers(0, 255, (H//4, W//4, 3)).repeat(4, 0).repeat(4, 1)
    return np.stack([np.roll(ground, (t, 2*t), (0, 1)) for t in range(T)]).astype(np.uint8)

def write_films(folder):
    "One file for each of FILMS that this PyAV can write."
    made = []
    for name, codec, options in FILMS:
        file, muxer = folder/name, {k: v for k, v in options.items() if k == 'movflags'}
        try:
            with av.open(str(file), 'w', options=muxer) as out:
                stream = out.add_stream(codec, rate=25)
                stream.height, stream.width, stream.gop_size = 48, 64, 6
                stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
                stream.options = {k: v for k, v in options.items() if k != 'movflags'}
                for frame in film():
                    out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
                out.mux(stream.encode())
        except (av.FFmpegError, ValueError):  # an encoder that is not built in
            continue
        made.append(file)
    return made

def pictures(file):
    "Position of the compressed pictures in a file: (start, bytes)."
    with av.open(str(file)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.size > 20
                and p.pos is not None and p.pos >= 0]

def damaged(data, places, rng):
    "The bytes of a film, damaged in one of KINDS."
    data, kind = bytearray(data), KINDS[rng.integers(len(KINDS))]
    a, b = sorted(rng.integers(1, len(data), 2))
    if kind == 'bits of pictures' and places:
        for at, size in (places[rng.integers(len(places))] for _ in range(rng.integers(1, 4))):
            data[min(at + rng.integers(8, size), len(data) - 1)] ^= 1 << rng.integers(8)
    elif kind == 'head':
        for at in rng.integers(0, min(600, len(data)), rng.integers(1, 6)):
            data[at] = rng.integers(256)
    elif kind == 'cut':
        del data[a:]
    elif kind == 'piece out':
        del data[a:min(b, a + 2000)]
    elif kind == 'zeros':
        data[a:min(b, a + 500)] = bytes(min(b, a + 500) - a)
    else:
        for at in rng.integers(0, len(data), rng.integers(1, 9)):
            data[at] ^= 1 << rng.integers(8)
    return kind, bytes(data)

def outcome(read, *args, **options):
    "The result of a way of reading; None if it refuses the file."
    try:
        return read(*args, **options)
    except VideoError:
        return None

def in_order(path, k):
    "Frame k, decoded from the start of the file without a jump."
    info = replace(whole_video(path), keys=())
    return torch.from_numpy(collect_frames(info, [k], None, 'pyav', 1)).permute(3, 0, 1, 2)

def differ(a, b, levels=0):
    if a is None or b is None:
        return a is not b
    return a.shape != b.shape or bool((a.int() - b.int()).abs().max() > levels)

def examine(path, truth):
    "The faults in reading a file: kind → description."
    deep, whole = outcome(check_video, path, deep=True), outcome(read_frames, path, range)
    if (deep is None) != (whole is None):
        return {'silent': 'the deep check and reading differ'}
    info = outcome(whole_video, path)
    if info is None:
        return {'refused': 1}
    for k in sorted({0, info.frames//3, info.frames//2, info.frames - 1}):
        one = outcome(read_frames, path, [k])
        walked = outcome(in_order, path, k)  # behind damage it refuses all
        if walked is not None and differ(one, walked):
            return {'silent': f'frame {k} depends on how it is reached'}
        if whole is not None and differ(one, whole[:, k:k + 1]):
            return {'silent': f'frame {k} alone is another'}
        fast = outcome(read_frames, path, [k], reader='decord')  # may refuse more
        levels = 0 if info.codec in EXACT else 8
        if fast is not None and info.orderly and differ(fast, one, levels):
            return {'silent': f'decord gives another frame {k}'}
    if whole is None:
        return {'refused': 1}
    return {'without trace': 1} if whole.shape == truth.shape and differ(whole, truth, 10) else {}

def child():
    "Read the files that standard input names, with the films that they come from; answer in JSON."
    torch.set_num_threads(1)
    truths = {}
    for line in sys.stdin:
        path, source = json.loads(line)
        if source not in truths:
            truths[source] = read_frames(source, range)
        try:
            found = examine(path, truths[source])
        except Exception as error:
            found = {'exception': f'{type(error).__name__}: {error}'}
        print(json.dumps(found), flush=True)

class Reader:
    "The process that reads, started again after a crash or a hang."
    process = None

    def ask(self, path, source, seconds):
        "The result of `examine`, or that the process has crashed or hangs."
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen([sys.executable, __file__, '--child'],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.DEVNULL, text=True)
        late = threading.Event()
        timer = threading.Timer(seconds, lambda: (late.set(), self.process.kill()))
        timer.start()
        try:
            self.process.stdin.write(json.dumps([str(path), str(source)]) + '\n')
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ''
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        return {'hang': seconds} if late.is_set() else {'crash': self.process.wait()}

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

def run(
    files: int, # how many to damage
    seed: int = 0,
    only: int | None = None, # the number of one file
    folder: str | Path | None = None, # where files with faults stay; None: nowhere
    seconds: float = 60, # for one file
) -> tuple[Counter, list[dict]]: # kind → how often; finds: number, film, damage, kind, what
    "Damage files, read them, and count the faults."
    counts, findings, reader = Counter(dict.fromkeys(BAD, 0)), [], Reader()
    with tempfile.TemporaryDirectory() as temporary:
        films = write_films(Path(temporary))
        places = {file: pictures(file) for file in films}
        try:
            for number in range(files) if only is None else [only]:
                rng = np.random.default_rng([seed, number])
                source = films[number % len(films)]
                kind, data = damaged(source.read_bytes(), places[source], rng)
                path = Path(temporary)/f'{number}_{source.name}'
                path.write_bytes(data)
                found = reader.ask(path, source, seconds)
                counts.update(found.keys())
                for key in set(found) & set(BAD):
                    findings.append(dict(number=number, seed=seed, film=source.name, damage=kind,
                                         kind=key, what=found[key]))
                    if folder:
                        (Path(folder)/path.name).write_bytes(data)
                path.unlink()
        finally:
            reader.close()
    return counts, findings

def main():
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--files', type=int, default=300, help='how many files to damage')
    p.add_argument('--seed', type=int, default=0, help='of the damage')
    p.add_argument('--only', type=int, metavar='N', help='only file number N')
    p.add_argument('--keep', metavar='FOLDER',
                   help='a folder for the files that something was wrong with')
    p.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child:
        return child()
    if args.keep:
        Path(args.keep).mkdir(parents=True, exist_ok=True)
    counts, findings = run(args.files, args.seed, args.only, args.keep)
    for finding in findings:
        print(json.dumps(finding))
    print(f"seed {args.seed}:",
          ', '.join(f'{counts[kind]} {kind}' for kind in (*BAD, 'refused', 'without trace')))
    return int(bool(findings))

if __name__ == '__main__':
    sys.exit(main())
