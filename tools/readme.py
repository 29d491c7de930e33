"Write README.md from nbs/index.ipynb. Pictures become files under docs/images."
import re
from configparser import ConfigParser
from urllib.parse import quote
import nbformat
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from notebooks import nbs, root

def option(cell, name):
    "The value of a `#| name: value` line of a code cell, or ''."
    found = re.search(rf'^#\|\s*{name}:\s*(.*)$', cell.source, re.M)
    return found[1].strip() if found else ''

def badges():
    "One line of badges under the title; what they say comes from settings.ini."
    config = ConfigParser(delimiters=['='])
    config.read(root/'settings.ini', encoding='utf-8')
    cfg = config['DEFAULT']
    torch = re.search(r'^torch(>=.*)$', cfg['requirements'], re.M)[1]
    shields = [('version', cfg['version'], 'CHANGELOG.md'),
               ('python', f">={cfg['min_python']}", 'settings.ini'),
               ('torch', torch, 'settings.ini'), ('license', 'Apache-2.0', 'LICENSE')]
    address = 'https://img.shields.io/badge'
    words = [(name, value, quote(value.replace('-', '--')), target)
             for name, value, target in shields]
    lines = [f'[![{name} {value}]({address}/{name}-{shown}-555)]({target})'
             for name, value, shown, target in words]
    story = f"{cfg['user']}/{cfg['repo']}/blob/{cfg['branch']}/nbs/story"
    colab = 'https://colab.research.google.com'
    lines.append(f'[![Open in Colab]({colab}/assets/colab-badge.svg)]'
                 f'({colab}/github/{story}/00a_learning_to_see_motion.ipynb)')
    return ' '.join(lines)

def convert():
    "(text, {path: bytes}): the README and its pictures."
    nb = nbformat.read(nbs/'index.ipynb', as_version=4)
    nb.cells = [c for c in nb.cells if c.cell_type != 'code'
                or not re.match(r'#\|\s*(hide|default_exp)\b', c.source)]
    # nbdev_clean removes it; the code blocks need it
    nb.metadata['language_info'] = {'name': 'python'}
    alts = []
    for cell in nb.cells:
        if cell.cell_type != 'code':
            continue
        pictures = sum('image/png' in o.get('data', {}) for o in cell.outputs)
        alts += [option(cell, 'fig-alt')] * pictures
        if option(cell, 'echo') == 'false':
            cell.metadata['transient'] = {'remove_source': True}
        cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    exporter = MarkdownExporter(preprocessors=[CoalesceStreamsPreprocessor])
    text, resources = exporter.from_notebook_node(
        nb, {'unique_key': 'readme', 'output_files_dir': 'docs/images'})
    for alt in alts:
        text = text.replace('![png]', f'![{alt}]', 1)
    # links are relative to nbs/ in the notebook
    text = re.sub(r'\]\((?!https?:|#|/|docs/|nbs/)', '](nbs/', text)
    text = re.sub(r'\]\(nbs/\.\./', '](', text)
    text = re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'
    title, rest = text.split('\n\n', 1)
    text = f'{title}\n\n{badges()}\n\n{rest}'
    return (f'<!-- Written from nbs/index.ipynb by `make readme`: edit there. -->\n\n{text}',
            resources['outputs'])

if __name__ == '__main__':
    text, pictures = convert()
    (root/'docs/images').mkdir(parents=True, exist_ok=True)
    for old in (root/'docs/images').glob('readme_*'):
        old.unlink()
    for path, data in pictures.items():
        (root/path).write_bytes(data)
    (root/'README.md').write_text(text, encoding='utf-8')
    print(f'README.md: {len(text.splitlines())} lines, {len(pictures)} pictures')
