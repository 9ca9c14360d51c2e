#!/bin/bash
# A campaign gives the verdict that one audit gives, and fails as it fails.
# usage: campaign.sh BIN-DIR CAMPAIGN FIXTURE local|slurm
set -euo pipefail
bin=$1 campaign=$2 fixture=$3 way=$4
export PATH=$bin:$PATH AFTUNE_VERIFY=$bin/aftune-verify
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$fixture/full/." "$work"
cd "$work"
aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet >/dev/null

run() { # tasks evidence out expected-exit
  local code=0
  if [ "$way" = local ]; then
    AFTUNE_CAMPAIGN=local "$campaign" -n "$1" "$2" c.json acme.vkey "$3" --threads 1 || code=$?
  else
    "$campaign" -n "$1" "$2" c.json acme.vkey "$3" --threads 1 >/dev/null
    for _ in $(seq 300); do
      [ -e "$3/exit" ] && break
      sleep 0.2
    done
    code=$(cat "$3/exit")
  fi
  [ "$code" -eq "$4" ] || { echo "campaign: exit $code, expected $4" >&2; tail "$3"/*.log >&2; exit 1; }
  aftune-verify --evidence "$2" --challenge c.json --pubkey acme.vkey --json --quiet >whole.json || true
  cmp "$3/verdict.json" whole.json
}
run 3 e.h5 out 0
run 6 e.h5 out 0 # more tasks than cells
head -c 100000 e.h5 >damaged.h5
run 2 damaged.h5 damaged 3
echo "campaign: the same verdicts ($way)"
