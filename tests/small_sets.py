"Sets of a few videos, written for a test."
import numpy as np

from video_convs.data.motion import MotionConfig
from video_convs.data.motion_files import render_task
from video_convs.data.video import write_video


def write_words(folder, slots=('verb', 'noun'), brighter=0):
    "Nine sentences of two words: it grows brighter in one of them and darker in the other."
    rows = []
    for k in range(9):
        grey = 60 + 10*np.concatenate([np.arange(13), np.arange(13)[::-1]]) + brighter*k
        film = np.broadcast_to(grey[:, None, None, None], (26, 24, 32, 3)).astype(np.uint8)
        write_video(folder/f's{k}.mp4', film)
        rows += [f's{k}.mp4,{start + .25},{start + 12.5},{slot},{label},s{k},{k % 3}'
                 for start, slot, label in zip((0, 13), slots, ('up', 'down'))]
    header = 'path,start_frame,end_frame,slot,label,group,fold'
    (folder/'words.csv').write_text('\n'.join([header, *rows]) + '\n')
    return folder


def write_reversals(folder):
    "Sixteen rendered videos to learn from, and eight for a test."
    render_task('reversal', folder, train=16, test=8, config=MotionConfig(size=32, frames=6),
                progress=False)
    return folder
