#!/usr/bin/env bash
# The step and state leaves of a run are those that every machine and release gives, until an operation's version changes.
#
# Usage: leaves_are_known.sh BIN-DIR DEMO-FILES [--print]
set -euo pipefail
bin=$1 demo=$2 print=${3:-}
declare -A known=(
  [f32]=2ef1fd3e256f6013611a7568a83cb38948e37e064317a12834231638b236cc4f
  [i14]=19ab68f2d4d7d54b8561fd38d189a901e2fde8f8b67daa6e1b95578347b43774
)
# shellcheck source=tests/small_job.sh
source "$(dirname "$0")/small_job.sh"
small_job "$demo" 400

failed=0
for numerics in f32 i14; do
  "$bin/aftune-train" --model model --init --data rows.jsonl --out "$numerics" --trace "$numerics.aft" --steps 64 \
    --batch-size 8 --seq-len 128 --lr 2e-3 --optimizer adamw --schedule cosine --warmup-steps 4 --clip-norm 1.0 --seed 7 \
    --layers-per-block 1 --steps-per-block 8 --snapshot-interval 1 --numerics "$numerics" --quiet >/dev/null
  found=$(grep -E '"kind":"(step|state)"' "$numerics.aft/log.jsonl" | b3sum --no-names)
  [ -z "$print" ] || echo "  [$numerics]=$found"
  [ "$found" = "${known[$numerics]}" ] || { echo "$numerics: other leaves: $found"; failed=1; }
done
exit $failed
