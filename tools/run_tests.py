"""`make test`: check that notebooks and package are in step, run every notebook, run pytest.

All three run, even if one fails. With --slow (`make test-all`), every network is tested where
`make test` tests one representative."""
import os, re, subprocess, sys, time
from notebooks import reading_order, root

TIMED = re.compile(r'(?P<notebook>\S+\.ipynb): (?P<secs>\d+) secs|\s*(?P<s>[\d.]+)s '
                   r'(?:call|setup|teardown) +(?P<test>\S.*)')

def duration(line):
    "(seconds, name) of a line where nbdev_test or pytest tells how long something took, or None."
    found = TIMED.fullmatch(line.rstrip())
    return found and (float(found['secs'] or found['s']), found['notebook'] or found['test'])

def run(title, *command):
    "Run one part, show what it prints, and return (passed, its last line, [(seconds, name)])."
    print(f'\n--- {title}', flush=True)
    start, last, times = time.time(), '', []
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors='replace')
    for line in process.stdout:
        took = duration(line)
        if took:
            times.append(took)
        else:
            print(line, end='', flush=True)
        last = line.strip() or last
    passed = process.wait() == 0
    print(f'    {"passed" if passed else "FAILED"} after {time.time() - start:.0f} s', flush=True)
    return passed, last, times

def main():
    bin = os.path.dirname(sys.executable)
    start, n = time.time(), len(reading_order())
    workers = max(1, min(os.cpu_count() or 1, 8, n))  # a notebook takes up to 2 GB of memory
    in_step, _, _ = run('notebooks and package in step', sys.executable, 'tools/in_step.py')
    flags = ['--flags', 'slow'] if '--slow' in sys.argv else []
    notebooks, _, slow = run(f'{n} notebooks, {workers} at a time', f'{bin}/nbdev_test',
                             '--n_workers', str(workers), '--timing', *flags)
    tests, summary, more = run('pytest', sys.executable, '-m', 'pytest', '-q', '--durations=10',
                               '-n', str(min(workers, 4)), '--dist', 'loadfile',
                               *sys.argv[1:], 'tests')
    print('\nThe ten slowest, in seconds:')
    for seconds, name in sorted(slow + more, reverse=True)[:10]:
        print(f'{seconds:6.0f}  {name}')
    word = {True: 'passed', False: 'FAILED'}
    print(f'\nin step: {word[in_step]} | {n} notebooks: {word[notebooks]} | pytest: '
          f'{summary.strip("= ")} | {(time.time() - start) / 60:.1f} minutes')
    sys.exit(not (in_step and notebooks and tests))

if __name__ == '__main__':
    main()
