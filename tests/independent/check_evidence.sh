#!/bin/bash
# evidence.py agrees with aftune-open, and not with evidence for another challenge.
# usage: check_evidence.sh PYTHON BIN-DIR PLUGIN-DIR FIXTURE
set -euo pipefail
python=$1 plugins=$3
export PATH=$2:$PATH
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$4/full/." "$work"
cd "$work"
for seed in 1 2 3; do
  aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --challenge-seed "$(printf '%064x' $seed)" \
    --cells 3 --inputs 1 --objective 2 --ends 1 --out $seed.json >/dev/null
  aftune-open --trace run.aft --challenge $seed.json --key acme.key --out $seed.h5 --quiet >/dev/null
  "$python" "$here/evidence.py" $seed.h5 $seed.json "$plugins"
done
if "$python" "$here/evidence.py" 1.h5 2.json "$plugins" >other; then
  echo "evidence for another challenge was taken" >&2
  exit 1
fi
grep -q '^cells that the challenge does not draw$' other
