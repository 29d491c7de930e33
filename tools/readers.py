"""Compare PyAV, decord and torchcodec on kinds of video files, for nbs/data/31g_readers.ipynb:

    .venv/bin/python tools/readers.py [--rounds N] [--clips DIR]

It draws a film (a rough ground that moves, and a bar that crosses it), encodes it in each kind, and
writes two sorts of lines to data/results/readers.jsonl, in the place of those that are there.

`frames`: the largest difference of any pixel between each reader and PyAV, over eight frames of all
kinds, of odd files made here (time stamps at uneven distances, a turned picture, 10 bits, hidden
frames …), and of every file in DIR. A reader may refuse a file.

`speed`: eight frames from all over the file, by `read_frames` with one thread. The readers take
turns for N rounds (9), and the time is that of the processor. `ratio` is a reader's time over
PyAV's in the same round: lowest, median, highest. `whole_over_clip` is what the look for damage
costs that decord and torchcodec need once: decoding all frames, over one reading, both by PyAV.

Predictions, written before the first run of this tool. A look at single files with other code came
before it: there all pixels were the same, torchcodec took a tenth to four fifths of PyAV's time,
and three quarters of the difference turned out to be threads that PyAV started for each picture,
which are gone now.
1. No reader differs from PyAV in any pixel of a file that it does not refuse.
2. decord takes between 0.9 and 1.3 of PyAV's time on every kind.
3. torchcodec takes 0.8 to 1.0 of PyAV's time where decoding dominates (H.264, HEVC, VP9), and half
   or less for MJPEG, where every frame is a key frame and opening the file counts most.
4. The look for damage costs 2 to 4 readings, less with one key frame.
5. So no choice but PyAV pays for fewer than 5 epochs, on any kind except MJPEG."""
import argparse
import json
import platform
import sys
import tempfile
import time
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import torch

from video_convs.data.readers import installed_readers
from video_convs.data.video import check_video, probe, read_frames, write_video
from video_convs.data.video_info import VideoError
from video_convs.utils import write_atomic

results = Path(__file__).resolve().parent.parent/'data/results/readers.jsonl'
size, length = (256, 340), 250  # height and width, frames


def draw(shape, frames, seed=0):
    "Yield the frames of the film, (H, W, 3) of uint8."
    H, W = shape
    rng, block = np.random.default_rng(seed), max(H//64, 1)
    rough = rng.integers(0, 255, (-(-H//block), -(-W//block), 3))
    ground = rough.repeat(block, 0).repeat(block, 1)[:H, :W].astype(np.uint8)
    for t in range(frames):
        frame = np.roll(ground, (t//2, t), (0, 1))
        x = t*W//frames
        frame[H//4:H//2, x:x + W//8] = 255 - t % 100
        yield frame


def encode(path, codec, frames, pix_fmt='yuv420p', gop=None, times=None, **options):
    "Write frames with any codec."
    frames = iter(frames)
    first = next(frames)
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *first.shape[:2], pix_fmt
        stream.options = options
        if gop:
            stream.gop_size = gop
        for k, frame in enumerate([first, *frames]):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), 'rgb24')
            if times is not None:
                picture.pts, picture.time_base = int(times[k]), Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


def common(folder):
    "Kind → a file of it, for the speed."
    def film():
        return draw(size, length)
    quick = {'preset': 'ultrafast', 'x265-params': 'log-level=none:pools=none:open-gop=0'}
    return {
        'H.264, 12 to a key frame': write_video(folder/'12.mp4', film(), crf=23, gop=12),
        'H.264, 250 to a key frame': write_video(folder/'250.mp4', film(), crf=23, gop=250),
        'HEVC': encode(folder/'hevc.mp4', 'libx265', film(), gop=50, **quick),
        'VP9': encode(folder/'vp9.webm', 'libvpx-vp9', film(), gop=128, **{'cpu-used': '8',
                      'deadline': 'realtime'}),
        'MJPEG': encode(folder/'mjpeg.mkv', 'mjpeg', film(), 'yuvj420p'),
        'H.264, 2160 × 3840': write_video(folder/'2160.mp4', draw((2160, 3840), 24), crf=26, gop=24,
                                          preset='ultrafast')}


def odd(folder):
    "Kind → a file of it, for the frames only."
    def film(shape=(96, 128)):
        return draw(shape, 40)
    uneven = np.cumsum(np.random.default_rng(0).integers(1, 9, 40))
    plain = write_video(folder/'plain.mp4', film())
    turned = folder/'turned.mp4'
    with av.open(str(plain)) as a, av.open(str(turned), 'w') as b:
        stream = b.add_stream_from_template(a.streams.video[0])
        stream.set_display_rotation(90)
        for packet in a.demux(video=0):
            if packet.size:
                packet.stream = stream
                b.mux(packet)
    return {
        'uneven times': encode(folder/'uneven.mkv', 'libx264', film(), times=uneven),
        'turned by 90°': turned,
        'full colour, odd size': write_video(folder/'odd.mp4', film((95, 127)), pix_fmt='yuv444p'),
        'grey': encode(folder/'grey.mp4', 'libx264', film(), 'gray'),
        '48 pixels wide': write_video(folder/'48.mp4', film((48, 48))),
        '10 bits': encode(folder/'ten.mp4', 'libx264', film(), 'yuv420p10le'),
        'B-frames before a key frame': encode(folder/'open.mp4', 'libx264', film(), **{
            'x264-params': 'open-gop=1:keyint=8:bframes=3:scenecut=0'}),
        'interlaced': encode(folder/'woven.mkv', 'libx264', film(), **{
            'x264-params': 'interlaced=1'}),
        'AVI': encode(folder/'film.avi', 'mpeg4', film()),
        'MPEG-4': encode(folder/'film.mkv', 'mpeg4', film())}


def places(count, frames=8):
    "Frames from all over a film."
    return [(2*k + 1)*count//(2*frames) for k in range(min(frames, count))]


def differences(path, readers):
    "Reader → largest difference from PyAV, or 'refused'."
    found, wanted = {}, places(probe(path).frames)
    truth = read_frames(path, wanted, reader='pyav').int()
    for reader in readers:
        try:
            seen = read_frames(path, wanted, reader=reader).int()
        except VideoError:
            found[reader] = 'refused'
        else:
            found[reader] = int((seen - truth).abs().max()) if seen.shape == truth.shape else 255
    return found


def took(work):
    "Seconds of the processor."
    start = time.process_time()
    work()
    return time.process_time() - start


def speed(path, readers, rounds):
    "The columns of one line about speed."
    wanted, seconds = places(probe(path).frames), {reader: [] for reader in ['pyav', *readers]}
    for turn in range(rounds + 1):  # the first one warms up, and looks for damage
        for reader, each in seconds.items():
            try:
                each.append(took(lambda: read_frames(path, wanted, reader=reader)))
            except VideoError:
                each.append(np.nan)
    seconds = {reader: np.array(each[1:]) for reader, each in seconds.items()}
    ratio = {r: [round(float(q), 3) for q in np.quantile(seconds[r]/seconds['pyav'], (0, .5, 1))]
             for r in readers if not np.isnan(seconds[r]).any()}
    whole = np.median([took(lambda: check_video(path, deep=True)) for _ in range(3)])
    clip = float(np.median(seconds['pyav']))
    return dict(pyav_ms=round(1e3*clip, 2), ratio=ratio, whole_over_clip=round(whole/clip, 2))


def main(words):
    "Write the log anew."
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--rounds', type=int, default=9)
    p.add_argument('--clips', type=Path, help='a folder of more files to compare the frames of')
    args = p.parse_args(words)
    torch.set_num_threads(1)
    readers = installed_readers()[1:]
    about = dict(command=' '.join(['tools/readers.py', *(w for w in words if '/' not in w)]),
                 rounds=args.rounds, machine=platform.machine(), python=platform.python_version(),
                 versions={name: version(name) for name in ['av', 'torch', *readers]})
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        kinds = common(Path(folder))
        more = sorted(args.clips.iterdir()) if args.clips else []
        films = [f for f in more if f.suffix in ('.mp4', '.mov', '.mkv', '.webm', '.avi')]
        for kind, path in {**kinds, **odd(Path(folder)), **{f.name: f for f in films}}.items():
            try:
                found = differences(path, readers)
            except VideoError as error:  # PyAV refuses it as well
                print(f'{kind}: {str(error).replace(str(path), path.name)}')
                continue
            lines.append(dict(what='frames', kind=kind, largest=found))
            print(kind, found, flush=True)
        for kind, path in kinds.items():
            lines.append(dict(what='speed', kind=kind, kB=path.stat().st_size//1000,
                              **speed(path, readers, args.rounds)))
            print(lines[-1], flush=True)
    text = ''.join(json.dumps(line | about, ensure_ascii=False) + '\n' for line in lines)
    write_atomic(results, text.encode())


if __name__ == '__main__':
    main(sys.argv[1:])
