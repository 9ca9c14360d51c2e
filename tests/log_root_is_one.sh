#!/usr/bin/env bash
# One recipe has one log root: whatever the threads, the instruction set, the micro-batch or recomputation, or where it
# was interrupted.
#
# Usage: log_root_is_one.sh BIN-DIR DEMO-FILES [MODEL_TYPE]
set -euo pipefail
bin=$1 demo=$2 tests=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/small_job.sh
source "$(dirname "$0")/small_job.sh"
family=${3:-llama}
small_job "$demo" 40
data=rows.jsonl
case $family in
  vit | dinov2*)
    rm -r model
    data=rows.safetensors
    python3 "$tests/make_images.py" "$family" model $data 10
    ;;
  *) sed -i "s/\"model_type\": .*/\"model_type\": \"$family\",/" model/config.json ;;
esac
"$bin/aftune-key" generate --name audit.example/bits --out k --no-passphrase >/dev/null

root() { # name=value... -- flags...: prints the root of a run made that way
  local settings=()
  while [ "$1" != -- ]; do settings+=("$1"); shift; done
  shift
  rm -rf out run
  env SOURCE_DATE_EPOCH=1 "${settings[@]}" "$bin/aftune-train" --model model --init --data $data --out out \
    --trace run --steps 3 --batch-size 4 --seq-len 48 --lr 1e-3 --clip-norm 1 --steps-per-block 2 --snapshot-interval 1 \
    --run-id 00112233445566778899aabbccddeeff --quiet "$@" >/dev/null
  "$bin/aftune-commit" --trace run --key k.key --json | sed 's/.*"root":"\([0-9a-f]*\)".*/\1/'
}

expected=$(root -- --threads 1)
[ ${#expected} -eq 64 ] || { echo "no root: $expected" >&2; exit 1; }
isas=(scalar)
grep -q ' avx2 ' /proc/cpuinfo && grep -q ' fma ' /proc/cpuinfo && isas+=(avx2)
grep -q ' avx512bw ' /proc/cpuinfo && grep -q ' avx512vl ' /proc/cpuinfo && isas+=(avx512)
grep -q ' avx512bw ' /proc/cpuinfo && grep -q ' avx512_vnni ' /proc/cpuinfo && isas+=(avx512vnni)

failed=0
check() { # root what
  if [ "$1" = "$expected" ]; then echo "same root: $2"; else echo "another root: $2: $1, expected $expected"; failed=1; fi
}
for threads in 2 3; do check "$(root -- --threads $threads)" "$threads threads"; done
for rows in 1 2 4; do check "$(root -- --threads 2 --micro-batch $rows)" "micro-batch $rows"; done
check "$(root -- --recompute)" "recomputed activations"
for isa in "${isas[@]}"; do check "$(root AFTUNE_ISA="$isa" -- --threads 2)" "$isa"; done

# As SIGKILL leaves it after the second segment.
resumed() {
  root -- --threads 2 >/dev/null
  head -n 4 run/log.jsonl >kept && mv kept run/log.jsonl
  rm -rf out run/checkpoint run/manifest.tlog-proof run/leaf-hashes run/segment-000002.h5
  SOURCE_DATE_EPOCH=2 "$bin/aftune-train" --model model --init --data $data --out out --trace run --steps 3 \
    --batch-size 4 --seq-len 48 --lr 1e-3 --clip-norm 1 --steps-per-block 2 --snapshot-interval 1 --resume --quiet \
    >/dev/null
  "$bin/aftune-commit" --trace run --key k.key --json | sed 's/.*"root":"\([0-9a-f]*\)".*/\1/'
}
check "$(resumed)" resumed

# With salted digests too, under one secret; under another, another.
printf '%064d\n' 1 >one
printf '%064d\n' 2 >two
plain=$expected
expected=$(root -- --threads 1 --hiding --hiding-secret one)
[ "$expected" != "$plain" ] || { echo "salted digests are the plain ones"; failed=1; }
check "$(root -- --threads 3 --micro-batch 1 --store boundaries --hiding --hiding-secret one)" "hiding, 3 threads"
for isa in "${isas[@]}"; do check "$(root AFTUNE_ISA="$isa" -- --hiding --hiding-secret one)" "hiding, $isa"; done
[ "$(root -- --hiding --hiding-secret two)" != "$expected" ] || { echo "two secrets, one root"; failed=1; }
[ "$(root -- --hiding)" != "$(root -- --hiding)" ] || { echo "two random secrets, one root"; failed=1; }
exit $failed
