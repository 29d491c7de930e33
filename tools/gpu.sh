#!/usr/bin/env bash
# What only a GPU can show, in at most nine minutes: tools/gpu.sh OUT [--part PART] [--seconds S] [--tiny] …
# (see tools/gpu.py). Without --part: tests, train, nets and ops; --part claims is a run of its own.
# Each part is a process with a time limit. Its measurements are in OUT/PART.jsonl, all that it says is in OUT/PART.log.
set -u
[ $# -ge 1 ] || { echo "usage: tools/gpu.sh OUT [--part PART] [--seconds S] [--tiny]" >&2; exit 2; }
mkdir -p "$1" || exit 2
out=$(cd "$1" && pwd)
shift
parts="tests train nets ops"
if [ "${1:-}" = --part ]; then
  [ $# -ge 2 ] || { echo "--part needs a name: tests, train, nets, ops or claims" >&2; exit 2; }
  parts=$2
  shift 2
fi
python=$(command -v "${PYTHON:-python3}") || { echo "there is no ${PYTHON:-python3}: set PYTHON" >&2; exit 2; }
[[ $python == /* ]] || python=$PWD/$python
cd "$(dirname "$0")/.." || exit 2
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1

failed=
for part in $parts; do
  limit=$("$python" tools/gpu.py limit "$part" "$@") || exit 2
  rm -f "$out/$part.jsonl" "$out/$part.log"
  begin=$SECONDS
  timeout -k 5 "$limit" "$python" tools/gpu.py "$part" --out "$out" "$@" >"$out/$part.log" 2>&1
  code=$?
  echo "$part: exit code $code after $((SECONDS - begin)) s"
  if [ $code -ne 0 ]; then
    failed+=" $part"
    tail -n 4 "$out/$part.log" | cut -c 1-300
  fi
done
"$python" tools/gpu.py summary --out "$out"
[ -z "$failed" ] && exit 0
echo "failed:$failed (OUT/PART.log says why)"
exit 1
