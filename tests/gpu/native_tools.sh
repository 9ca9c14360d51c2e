#!/usr/bin/env bash
# A run of profile native: trained on a device, verified there bit for bit and elsewhere within bounds that are measured
# on that device; and every tool that has nothing to do with such runs says so in one line.
#
# Usage: native_tools.sh BIN-DIR DEVICE-BIN-DIR DEMO-FILES     AFTUNE_CUBLAS names the device's library
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
    --run-id 00112233445566778899aabbccddeeff --quiet --numerics native "$@"
}
expect() { # what found expected
  [ "$2" = "$3" ] || { echo "$1: found $2, expected $3" >&2; exit 1; }
  echo "agree: $1"
}
refused() { # message command...: exit status 2 and this one line
  local message=$1 status=0
  shift
  "$@" >out 2>err || status=$?
  expect "status of $(basename "$1")" "$status" 2
  if [ "$(wc -l <err)" -ne 1 ] || ! grep -qF -- "$message" err; then
    echo "expected in one line: $message, found:" >&2
    cat err >&2
    exit 1
  fi
}
verify() { # bin flags...: outcome, comparison, cells bit for bit and within bounds
  local where=$1
  shift
  "$where/aftune-verify" --pubkey k.vkey --quiet --json "$@" |
    sed 's/.*"comparison":"\([a-z]*\)".*"bit_for_bit":\([0-9]*\).*"verdict":"\([A-Z]*\)".*/& \3 \1 \2/;
         s/.*"within_bounds":\([0-9]*\),.* \([A-Z]* [a-z]* [0-9]*\)$/\2 \1/' || true
}
trace=(--trace native.aft --all)
evidence=(--evidence e --challenge c)

refused "--numerics native needs --device cuda" train "$bin" native
AFTUNE_CUBLAS=/nowhere/libcublas.so refused "cuBLAS: /nowhere/libcublas.so: cannot open" \
  train "$device" native --device cuda
refused "--micro-batch decides bits" train "$device" native --device cuda --micro-batch 1
refused "--numerics native is for training" "$bin/aftune-serve" --model model --no-record --numerics native
refused "--calibrate needs --device cuda" "$bin/aftune-inspect" --calibrate

train "$device" native --device cuda >/dev/null
train "$device" again --device cuda >/dev/null
cmp native.aft/log.jsonl again.aft/log.jsonl
echo "agree: one recipe, one log on one device"
"$bin/aftune-commit" --trace native.aft --key k.key >/dev/null
"$bin/aftune-inspect" --trace native.aft | grep -q 'numerics native (.*, compute capability [0-9.]*, cuBLAS [0-9.]*)'

cells=$("$bin/aftune-inspect" --trace native.aft --json | sed 's/.*"cells":\([0-9]*\).*/\1/')
expect "the same device" "$(verify "$device" "${trace[@]}" --device cuda)" "ACCEPT tolerance $cells 0"
expect "elsewhere, without bounds" "$(verify "$bin" "${trace[@]}")" "INCOMPLETE tolerance 0 0"
"$device/aftune-inspect" --calibrate --device cuda --out bounds.json 2>/dev/null
expect "elsewhere, with bounds" "$(verify "$bin" "${trace[@]}" --bounds bounds.json)" "ACCEPT tolerance 0 $cells"
sed 's|"device":"|&x|' bounds.json >edited.json
refused "edited.json: bounds: the digest is not that of the text" \
  "$bin/aftune-verify" --trace native.aft --pubkey k.vkey --all --bounds edited.json

"$bin/aftune-challenge" --checkpoint native.aft/checkpoint --pubkey k.vkey --trace native.aft --all --fresh --out c >/dev/null
"$bin/aftune-open" --trace native.aft --challenge c --key k.key --out e --quiet
expect "evidence, with bounds" "$(verify "$bin" "${evidence[@]}" --bounds bounds.json)" "ACCEPT tolerance 0 $cells"
expect "evidence, on the same device" "$(verify "$device" "${evidence[@]}" --device cuda)" "ACCEPT tolerance $cells 0"
refused "native runs have no list of operations" \
  "$device/aftune-open" --trace native.aft --challenge c --key k.key --ops 1,1 --out o --device cuda --quiet
echo "agree: what has no meaning for native runs is refused"
