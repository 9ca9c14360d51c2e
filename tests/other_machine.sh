#!/usr/bin/env bash
# One machine's run on another: trained on both, the logs are equal, and every cell recorded here is replayed there.
#
# Usage: other_machine.sh BIN-DIR DEMO-FILES COMMAND... OTHER-BIN-DIR
# COMMAND... is what runs a program of the other machine on this one.
set -euo pipefail
bin=$(cd "$1" && pwd) demo=$(cd "$2" && pwd)
other=("${@:3:$#-3}")
other_bin=$(cd "${*: -1}" && pwd)
# shellcheck source=tests/small_job.sh
source "$(dirname "$0")/small_job.sh"
small_job "$demo" 40
"$bin/aftune-key" generate --name audit.example/there --out k --no-passphrase >/dev/null

train() { # folder numerics program...
  SOURCE_DATE_EPOCH=1 "${@:3}" --model model --init --data rows.jsonl --out "$1-out" --trace "$1" --numerics "$2" \
    --steps 5 --batch-size 4 --seq-len 48 --lr 1e-3 --clip-norm 1 --steps-per-block 2 --snapshot-interval 1 \
    --run-id 00112233445566778899aabbccddeeff --quiet >/dev/null
}

for numerics in f32 i14; do
  train "here-$numerics" $numerics "$bin/aftune-train"
  train "there-$numerics" $numerics "${other[@]}" "$other_bin/aftune-train"
  cmp "here-$numerics/log.jsonl" "there-$numerics/log.jsonl"
  echo "$numerics: same log"
  "$bin/aftune-commit" --trace "here-$numerics" --key k.key >/dev/null
  "$bin/aftune-challenge" --checkpoint "here-$numerics/checkpoint" --pubkey k.vkey --trace "here-$numerics" --all \
    --fresh --out "$numerics.json" >/dev/null
  "${other[@]}" "$other_bin/aftune-verify" --trace "here-$numerics" --challenge "$numerics.json" --pubkey k.vkey \
    --model model --data rows.jsonl
done
