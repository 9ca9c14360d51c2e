#!/usr/bin/env bash
# A run is trained on a device and on the processor: one log root. What one recorded the other opens and verifies, and
# answers are the same. With the emulated device this takes long, so the job is small.
#
# Usage: tools_agree.sh BIN-DIR DEVICE-BIN-DIR DEMO-FILES
set -euo pipefail
bin=$1 device=$2 demo=$3
# shellcheck source=tests/small_job.sh
source "$(dirname "$0")/../small_job.sh"
small_job "$demo" 20
export SOURCE_DATE_EPOCH=1
"$bin/aftune-key" generate --name audit.example/device --out k --no-passphrase >/dev/null

train() { # bin name flags...
  local where=$1 name=$2
  shift 2
  "$where/aftune-train" --model model --init --data rows.jsonl --out "$name" --trace "$name.aft" --steps 2 --batch-size 2 \
    --seq-len 24 --lr 1e-3 --clip-norm 1 --steps-per-block 1 --snapshot-interval 1 --store boundaries \
    --run-id 00112233445566778899aabbccddeeff --quiet "$@" >/dev/null
  "$bin/aftune-commit" --trace "$name.aft" --key k.key --json | sed 's/.*"root":"\([0-9a-f]*\)".*/\1/'
}
expect() { # what found expected
  [ "$2" = "$3" ] || { echo "$1: found $2, expected $3" >&2; exit 1; }
  echo "agree: $1"
}
verify() { # bin flags...: the outcome
  local where=$1
  shift
  "$where/aftune-verify" --pubkey k.vkey --quiet "$@" | sed -n '1s/[^A-Z].*//p'
}

processor=$(train "$bin" processor)
[ ${#processor} -eq 64 ] || { echo "no root: $processor" >&2; exit 1; }
expect "log root" "$(train "$device" device --device cuda:0)" "$processor"
cmp processor/model.safetensors device/model.safetensors

"$bin/aftune-challenge" --checkpoint device.aft/checkpoint --pubkey k.vkey --trace device.aft --all --fresh --out c >/dev/null
expect "the processor verifies what the device recorded" "$(verify "$bin" --trace device.aft --challenge c)" ACCEPT
expect "the device verifies what the processor recorded" \
  "$(verify "$device" --trace processor.aft --challenge c --device cuda:0)" ACCEPT
"$device/aftune-open" --trace device.aft --challenge c --key k.key --out e1 --device cuda --quiet >/dev/null
"$bin/aftune-open" --trace processor.aft --challenge c --key k.key --out e2 --quiet >/dev/null
cmp e1 e2
echo "agree: evidence"

answers() { # bin flags...
  local where=$1
  shift
  printf '%s\n' '{"prompt":"one","max_tokens":5}' '{"prompt":"two and","max_tokens":4,"temperature":0.8,"seed":3}' |
    "$where/aftune-serve" --model processor --quiet "$@"
}
expect "answers" "$(answers "$device" --no-record --device cuda:0)" "$(answers "$bin" --no-record)"

answers "$device" --trace served --key k.key --device cuda:0 >/dev/null
expect "the processor verifies the answers of the device" "$(verify "$bin" --trace served --model processor --all)" ACCEPT
