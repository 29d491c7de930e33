"""`make test`: notebooks and package in step, every notebook's tests, the pytest suite. All three run, whatever fails.

With --slow (`make test-all`), every network also goes through inductor and ONNX."""
import os, re, subprocess, sys, time
from notebooks import reading_order, root

bin = os.path.dirname(sys.executable)
workers = max(1, min(os.cpu_count() or 1, 8, len(reading_order())))  # a notebook takes up to 2 GB of memory

def run(title, *command):
    "Run one part, show what it prints, and return (passed, its last line)."
    print(f'\n--- {title}', flush=True)
    start, last = time.time(), ''
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    for line in process.stdout:
        print(line, end='', flush=True)
        last = line.strip() or last
    passed = process.wait() == 0
    print(f'    {"passed" if passed else "FAILED"} after {time.time() - start:.0f} s', flush=True)
    return passed, last

start, n = time.time(), len(reading_order())
in_step, _ = run('notebooks and package in step', sys.executable, 'tools/in_step.py')
notebooks, _ = run(f'{n} notebooks, {workers} at a time', f'{bin}/nbdev_test', '--n_workers', str(workers), '--timing')
tests, summary = run('pytest', sys.executable, '-m', 'pytest', '-q', '--durations=5', '-n', str(min(workers, 4)), '--dist', 'loadgroup',
                     *sys.argv[1:], 'tests')
word = lambda passed: 'passed' if passed else 'FAILED'
print(f'\nin step: {word(in_step)} | {n} notebooks: {word(notebooks)} | pytest: {summary.strip("= ")}'
      f' | {(time.time() - start) / 60:.1f} minutes')
sys.exit(not (in_step and notebooks and tests))
