"""Train, test and store networks that know ten spoken digits of the GRID corpus:

    .venv/bin/python tools/grid_digits.py [train] [keep] [clips]

`train` is the package's own command, once for each network; it continues what was stopped. `keep`
reads the test sentences and puts the files of the Hub under data/checkpoints/. `clips` cuts the
examples under data/clips/ out of the corpus. Without a word all three are done.

The videos are looked for in $GRID, else beside the project in shared/data/grid. Words and split are
those of tools/real_videos.py: 13 frames around the middle of each digit; fold 3 chooses the
epoch, fold 0 is the test, folds 1 and 2 are learned from. No sentence is in two of them. There is
one speaker. The setting is that of tools/gestures.py, at 48 pixels and with smaller changes of the
clips; it was not chosen on these sentences."""
import csv
import json
import os
import shlex
import shutil
import sys

import torch
from real_videos import around, sets, table_of
from study import read_lines, refuse_unknown, root
from video_convs.cli import main as command
from video_convs.checkpoint import read_config
from video_convs.data.clip_dataset import Clips
from video_convs.data.custom import open_data
from video_convs.data.lists import table_rows
from video_convs.data.video import read_frames, write_video
from video_convs.explain.probes import probe, time_probes
from video_convs.hub import FILES
from video_convs.nets.model_card import model_card
from video_convs.nets.video_net import load
from video_convs.use.publish import checkpoint_name

name = 'grid_digits'
work, examples = root/'runs'/name, root/'data/clips'
test, choosing = '0', sets[name].validation
networks = {'hgc_tiny': "--lr-scale '**.op.*=10'", 'tsn_tiny': ''}
setting = ('--frames 8 --size 48 --fit squash --epochs 60 --batch-size 8 --lr 2e-3 --dropout 0 '
           '--cache --scale .85 --ratio 1.1 --jitter .1 --seed 0')
source = ("The GRID audio-visual sentence corpus (M. Cooke, J. Barker, S. Cunningham and X. Shao, "
          "*An audio-visual corpus for speech perception and automatic speech recognition*, "
          "Journal of the Acoustical Society of America, 2006), speaker 1, which its authors offer "
          "under CC BY 4.0: name them wherever you pass these weights on. (The licence is stated "
          "from knowledge of the corpus's page and was not read again.)")
split = ("800 sentences of three seconds show the mouth and its surroundings, without sound. Of "
         "each the 13 frames around its digit are cut out. {learned} sentences are learned from, "
         "{val} were for choosing the epoch, {test} were read once, as the test.")
limits = (
    "It has seen one speaker, one camera and one light, in the test sentences as well. Nothing is "
    "known about other faces.",
    "It expects half a second of video, 13 frames at 25 per second, with the mouth and its "
    "surroundings in view, at the moment when a digit is spoken. It does not find that moment: "
    "`video_convs timeline --span 0.52` answers at every moment, also where other words are.")

def digits():
    "(row of the corpus's table, first frame, frame behind the last) of each digit."
    rows = [row for row in table_rows(table_of(name))[0] if row['slot'] == sets[name].slot]
    return [(row, *around(row, sets[name].window)) for row in rows]

def part_of(row):
    "The split of a row."
    return 'test' if row['fold'] == test else 'val' if row['fold'] in choosing else 'train'

def write_table():
    "Write the table of the digits beside a link to the videos, so that no path names a machine."
    work.mkdir(parents=True, exist_ok=True)
    link = work/'clips'
    if not link.exists():
        link.symlink_to(table_of(name).parent/'clips')
    with open(work/'clips.csv', 'w', newline='') as file:
        lines = csv.writer(file)
        lines.writerow('path label split group start_frame end_frame'.split())
        lines.writerows((row['path'], row['label'], part_of(row), row['group'], first, end)
                        for row, first, end in digits())
    (work/'dataset.json').write_text(json.dumps({'name': name.replace('_', '-')}))

def train():
    "Train each network by the command line."
    for network, more in networks.items():
        command(['train', '--data', f'runs/{name}', '--model', network,
                 *shlex.split(f'{setting} {more}'), '--out', f'runs/{name}/{network}'])

def controls_of(net):
    "How many test sentences are right after each change of their frames."
    clips = Clips(open_data(work, 'test'), net.input_spec, train=False, cache=True)
    found = time_probes(probe(net, clips, progress=False))
    return {one.change: one.right for one in found} | {'videos': found[0].videos}

def told(right):
    "The same in a sentence."
    return (f"Of {right['videos']} test sentences it is right on {right['in order']}; with the "
            f"frames shuffled on {right['shuffled']}, backwards on {right['reversed']}, with the "
            f"middle one alone on {right['one frame']}.")

def epoch_of(page, log):
    "Sentences about the epoch whose weights are kept, and about a training that was stopped."
    epochs, done = page['recipe']['epochs'], len(log)
    yield (f"The weights are those after epoch {page['epoch']}, the one with most right answers on "
           "the sentences that were for choosing.")
    if done < epochs:
        yield f"The training was stopped after {done} of {epochs} epochs, before the rate was zero."

def keep():
    "Test the best epoch of each network and store it with the files of the Hub."
    count = [part_of(row) for row, *_ in digits()].count
    sizes = dict(learned=count('train'), val=count('val'), test=count('test'))
    for network in networks:
        run = work/network
        command(['evaluate', f'runs/{name}/{network}/best', '--data', f'runs/{name}'])
        net, page = load(run/'best'), read_config(run/'best')
        page['controls'] = controls_of(net)
        page['note'] = dict(
            license='cc-by-4.0', data=f'{source} {split.format(**sizes)}',
            limits=[told(page['controls']), *epoch_of(page, read_lines(run/'log.jsonl')), *limits])
        out = root/'data/checkpoints'/checkpoint_name(net, page['data'])
        out.mkdir(parents=True, exist_ok=True)
        for file in (file for pattern in FILES for file in (run/'best').glob(pattern)):
            shutil.copy(file, out)
        shutil.copy(run/'log.jsonl', out)
        (out/'config.json').write_text(json.dumps(page, indent=1))
        (out/'README.md').write_text(model_card(load(out), out, f'video-convs/{out.name}'))
        print(out.name)

def clips():
    "Cut out the digit of the first test sentence, without further loss, and copy the sentence."
    row, first, end = next(found for found in digits() if part_of(found[0]) == 'test')
    examples.mkdir(exist_ok=True)
    film = table_of(name).parent/row['path']
    frames = read_frames(film, range(first, end)).permute(1, 2, 3, 0)
    write_video(examples/f"grid_{row['label']}.mp4", frames, qp=0)
    shutil.copyfile(film, examples/'grid_sentence.mp4')

steps = {'train': train, 'keep': keep, 'clips': clips}

if __name__ == '__main__':
    refuse_unknown(sys.argv[1:], steps, 'step')
    torch.set_num_threads(1)
    os.chdir(root)
    write_table()
    for step in sys.argv[1:] or steps:
        steps[step]()
