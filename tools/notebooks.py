"Shared by the other tools: the notebooks in reading order, and the names of the rooms."
import re
from pathlib import Path

root = Path(__file__).resolve().parent.parent
nbs = root/'nbs'
rooms = {'story': 'Start here', 'use': 'Using a network', 'ops': 'Operators',
         'workshop': 'Workshop', 'nets': 'Networks', 'weights': 'Weights', 'data': 'Data',
         'train': 'Training',
         'explain': 'Explaining', 'cli': 'Commands', 'results': 'Results',
         'papers': 'One page per paper', '': 'Inside the package'}

def number(path):
    "The number in front of a notebook's name; a page without one (the index) comes last."
    found = re.match(r'\d+', path.name)
    return int(found[0]) if found else 10**6

def reading_order():
    "All notebooks, in reading order."
    paths = [p for p in nbs.rglob('*.ipynb')
             if not any(part[0] in '._' for part in p.relative_to(nbs).parts)]
    return sorted(paths, key=lambda p: (number(p), p.name))

def page(path):
    "A notebook's page on the site: its path without number, `ops/11_hourglass` → `ops/hourglass`."
    return re.sub(r'(^|/)\d+[a-zA-Z]?_', r'\1', path.relative_to(nbs).with_suffix('').as_posix())

# pages of modules that stand in no room
AT_THE_TOP = {0: 'ops', 19: 'weights', 27: 'weights', 45: 'use', 50: 'story', 71: 'cli',
              79: 'papers'}

def room(path):
    "The room in which a page is listed."
    folder = path.parent.relative_to(nbs).as_posix().strip('.')
    return folder or AT_THE_TOP.get(number(path), '')
