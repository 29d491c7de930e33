"The sheet of letters says of the operators what is true of them."
import inspect
import json
import re
from fnmatch import filter as matching
from functools import cache
from pathlib import Path

import pytest
from fastcore.docments import docments

import video_convs
from video_convs import list_models
from video_convs.animate import COLOURS
from video_convs.data.drift import Drift
from video_convs.nets.single_operator import SingleOperatorNet

root = Path(__file__).resolve().parent.parent
PAGE = root/'nbs/story/00c_the_letters.ipynb'
TEXT = '\n\n'.join(''.join(cell['source']) for cell in json.loads(PAGE.read_text('utf-8'))['cells']
                   if cell['cell_type'] == 'markdown')
ELSEWHERE = {'Drift': Drift, 'SingleOperatorNet': SingleOperatorNet}
SIZES = dict(C=6, E=2, K=5, r=2, C_i=16, C_o=32, q=1/4)  # what the letters stand for in a test
ARGUMENTS = {'HgC': (6, 5, 2, 'conv', 'same', 2), 'TemporalConv': (6, 5), 'FMCB': (), 'CMCB': (64,),
             'STHConv': (16, 32, 1/4, 1, 1, 'hybrid', 'softmax'), 'STCConv': (16, 32, 1/4),
             'R2Plus1D': (16, 32), 'HFModule': (6,), 'TemporalRefinement': (6,),
             'SpatialRefinement': (6,)}


def rows(text, *names):
    "The rows of the tables whose heads have these columns, each as column → cell."
    for block in re.findall(r'(?:^\|.*\n?)+', text, re.M):
        head, _, *lines = [[cell.strip() for cell in line.strip().strip('|').split('|')]
                           for line in block.strip().splitlines()]
        if set(names) <= set(head):
            for cells in lines:
                assert len(cells) == len(head), cells
                yield dict(zip(head, cells))


def public(name):
    return ELSEWHERE.get(name) or getattr(video_convs, name)


def arguments(text):
    "(class, argument) of every `Class(argument)`."
    return re.findall(r'`([A-Z]\w+)\((\w+)\)`', text)


def attributes(text):
    "(class, attribute) of every `Class.attribute`."
    return re.findall(r'`([A-Z]\w+)\.(\w+)`', text)


def absent(text):
    "Arguments and attributes that the page names and the code does not have."
    wrong = {f'{name}({argument})' for name, argument in arguments(text)
             if argument not in inspect.signature(public(name)).parameters}
    return wrong | {f'{name}.{attribute}' for name, attribute in attributes(text)
                    if not hasattr(built(name), attribute)}


@cache
def built(name):
    return public(name)(*ARGUMENTS[name])


def shape(text):
    "`(C·E, 1, K, 1, 1)` → numbers."
    python = text.strip('`').replace('·', '*').replace('−', '-')
    return tuple(int(n) for n in eval(python, {}, SIZES))


def test_what_the_page_names_is_there():
    assert len(set(arguments(TEXT))) > 20
    assert len(set(attributes(TEXT))) > 15
    assert not absent(TEXT)


@pytest.mark.parametrize('wrong', ['`HgC(sloep)`', '`STHConv(q)`', '`HgC.windows`'])
def test_a_wrong_name_is_found(wrong):
    assert absent(wrong) == {wrong.strip('`')}


SHAPES = [(name, attribute, row['shape']) for row in rows(TEXT, 'printed', 'shape') if row['shape']
          for name, attribute in attributes(row['in code'])]


def test_each_paper_has_a_legend_and_shapes():
    papers = re.findall(r'^## (.*): printed, and here', TEXT, re.M)
    assert papers == ['H2CN', 'STH', 'HF-Net', 'STC']
    assert {name for name, *_ in SHAPES} == {'TemporalConv', 'HgC', 'STHConv', 'HFModule',
                                             'STCConv'}


@pytest.mark.parametrize('name, attribute, says', SHAPES)
def test_shapes(name, attribute, says):
    assert tuple(getattr(built(name), attribute).shape) == shape(says)


@pytest.mark.parametrize('letter', ['K', 'p', 'E', 's', 'd', 'F', 'C_i', 'r_c'])
def test_the_code_calls_it_by_the_same_letter(letter):
    "The comment behind one of the arguments begins with the sheet's letter."
    (row,) = [row for row in rows(TEXT, 'letter', 'in code')
              if f'${letter}$' in row['letter'].split(', ')]
    said = [docments(public(name))[argument] or '' for name, argument in arguments(row['in code'])]
    assert any(re.match(rf'{letter}\b', text) for text in said), said


OPERATORS = list(rows(TEXT, 'operator', 'defined in', 'class', 'networks'))


@pytest.mark.parametrize('row', OPERATORS, ids=lambda row: row['class'].strip('`'))
def test_operators_and_networks(row):
    name = row['class'].strip('`')
    assert name in video_convs.__all__
    assert matching(list_models(), row['networks'].strip('`'))
    equations = re.search(r'Eq\. [\d–]+', row['defined in'])
    assert not equations or equations[0] in public(name).__doc__


def test_every_operator_of_the_papers_is_named():
    papers = ('hourglass', 'fmcb', 'cmcb', 'hybrid', 'aggregation', 'collaborative')
    homes = video_convs._home
    expected = {name for name, home in homes.items() if home in {f'ops.{part}' for part in papers}}
    assert expected <= {row['class'].strip('`') for row in OPERATORS}


def test_each_operator_has_a_colour_of_its_own():
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert set(COLOURS) - {'Conv2d'} <= set(video_convs.__all__)
    blocks = {'FMCB', 'CMCB', 'TemporalRefinement', 'SpatialRefinement'}  # parts of an operator
    assert {row['class'].strip('`') for row in OPERATORS} - blocks <= set(COLOURS)
