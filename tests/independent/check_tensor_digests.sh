#!/bin/bash
# tensor_digests.py agrees with a run that aftune-train recorded, boundaries and all, and sees one that was changed.
# usage: check_tensor_digests.sh PYTHON BIN-DIR PLUGIN-DIR FIXTURE
set -euo pipefail
python=$1 bin=$2 plugins=$3 fixture=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$bin/aftune-train" --model "$fixture/bare/model" --init --data "$fixture/bare/rows.jsonl" --out out --trace run \
  --steps 4 --batch-size 4 --seq-len 48 --lr 1e-3 --steps-per-block 2 --snapshot-interval 1 --store boundaries \
  --quiet >/dev/null
"$python" "$here/tensor_digests.py" run "$plugins"
# Of the families that have tensors of their own, and of adapters beside one.
for family in qwen2 qwen3 gpt2; do
  cp -r "$fixture/bare/model" $family
  sed -i "s/\"model_type\": .*/\"model_type\": \"$family\",/" $family/config.json
  "$bin/aftune-train" --model $family --init --data "$fixture/bare/rows.jsonl" --out tuned-$family --trace run-$family \
    --steps 2 --batch-size 4 --seq-len 48 --lr 1e-3 --snapshot-interval 1 --quiet >/dev/null
  "$python" "$here/tensor_digests.py" run-$family "$plugins"
done
"$bin/aftune-train" --model tuned-qwen2 --data "$fixture/bare/rows.jsonl" --out adapters --trace run-lora --method lora \
  --lora-targets o,q,up --steps 2 --batch-size 4 --seq-len 48 --lr 1e-3 --store boundaries --quiet >/dev/null
"$python" "$here/tensor_digests.py" run-lora "$plugins"
"$bin/aftune-train" --model tuned-gpt2 --data "$fixture/bare/rows.jsonl" --out adapters-gpt2 --trace run-lora-gpt2 \
  --method lora --lora-targets c_attn,c_proj --steps 2 --batch-size 4 --seq-len 48 --lr 1e-3 --quiet >/dev/null
"$python" "$here/tensor_digests.py" run-lora-gpt2 "$plugins"
# A run with hiding too, and only with its own secret.
"$bin/aftune-train" --model "$fixture/bare/model" --init --data "$fixture/bare/rows.jsonl" --out out2 --trace hidden \
  --steps 4 --batch-size 4 --seq-len 48 --lr 1e-3 --steps-per-block 2 --snapshot-interval 1 --store boundaries \
  --hiding --quiet >/dev/null
"$python" "$here/tensor_digests.py" hidden "$plugins"
printf '%064d\n' 1 >hidden/hiding.key
if "$python" "$here/tensor_digests.py" hidden "$plugins" >/dev/null; then
  echo "another secret was not seen" >&2
  exit 1
fi
# The last state's first digest is replaced: the script must say so.
sed -i 's/^{"blocks":\["[0-9a-f]*"\(.*"state":2,\)/{"blocks":["00"\1/' run/log.jsonl
if "$python" "$here/tensor_digests.py" run "$plugins" >changed; then
  echo "a changed digest was not seen" >&2
  exit 1
fi
grep -q '^state 2 block 0: the log states ' changed
