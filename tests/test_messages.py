"The library says what it has to say through loggers; only the command line prints."
import ast
import io
import logging
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from video_convs.messages import show_messages

PACKAGE = Path(__file__).resolve().parents[1]/'video_convs'
logger = logging.getLogger('video_convs.train.loop')


def prints(source):
    "Lines in which a module calls print or takes hold of standard output."
    words = {'print', 'sys.stdout', 'sys.__stdout__', 'builtins.print'}
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, (ast.Name, ast.Attribute)):
            names = [ast.unparse(node)]
        elif isinstance(node, ast.ImportFrom):
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        if words & set(names):
            yield node.lineno


def test_only_the_command_line_prints():
    found = [f'{path.relative_to(PACKAGE)}, line {line}' for path in sorted(PACKAGE.rglob('*.py'))
             if path.parent.name != 'cli' and path.name != 'messages.py'
             for line in prints(path.read_text(encoding='utf-8'))]
    assert not found, f'say it through a logger: {found}'


@pytest.mark.parametrize('source', [
    'print(1)', 'def f():\n    say = print', 'import sys\nsys.stdout.write("")',
    'import builtins\nbuiltins.print(1)', 'from sys import stdout'])
def test_the_rule_can_fail(source):
    assert list(prints(source))


@pytest.mark.parametrize('name', ['train.loop', 'train.scale_out'])
def test_a_module_has_a_logger_of_its_name(name):
    source = (PACKAGE/f"{name.replace('.', '/')}.py").read_text(encoding='utf-8')
    assert 'logger = logging.getLogger(__name__)' in source.splitlines()


def run(code):
    "What a fresh Python writes: (standard output, standard error)."
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


SAY = "logging.getLogger('video_convs.train.loop').info('hello')\n"


@pytest.mark.parametrize('before, said', [
    ('', ('', '')),
    ("logging.basicConfig(level=logging.INFO)\n", ('', 'INFO:video_convs.train.loop:hello\n'))])
def test_a_program_decides(before, said):
    assert run(f'import logging, video_convs\n{before}{SAY}') == said


def test_a_warning_waits_for_a_handler_too():
    "Without a handler at the root of the package, logging writes warnings to standard error."
    assert run(f"import logging, video_convs\n{SAY.replace('info', 'warning')}") == ('', '')


def said_inside(speak):
    "What goes to standard output while messages are shown."
    with redirect_stdout(io.StringIO()) as said:
        with show_messages():
            speak()
        logger.info('after the block')
    return said.getvalue()


def test_bare_lines():
    assert said_inside(lambda: logger.info('\n100% of %s')) == '\n100% of %s\n'


def test_a_block_inside_a_block():
    def speak():
        with show_messages():
            logger.info('once')
        logger.info('again')
    assert said_inside(speak) == 'once\nagain\n'


def test_the_logger_is_as_before():
    root = logging.getLogger('video_convs')
    before = root.level, list(root.handlers)
    with pytest.raises(KeyboardInterrupt), show_messages():
        raise KeyboardInterrupt
    assert (root.level, list(root.handlers)) == before


def test_where_standard_output_is_now():
    one, two = io.StringIO(), io.StringIO()
    with show_messages():
        for stream in (one, two):
            with redirect_stdout(stream):
                logger.info('line')
    assert one.getvalue() == two.getvalue() == 'line\n'


def test_a_closed_pipe_ends_the_command():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError
    with pytest.raises(BrokenPipeError), redirect_stdout(Closed()), show_messages():
        logger.info('line')


def test_without_standard_output(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', None)
    with show_messages():
        logger.info('line')
