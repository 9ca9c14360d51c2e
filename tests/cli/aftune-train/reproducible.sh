# Two runs of one recipe with the free fields pinned have one log; threads and micro-batch do not matter.
run() {
  SOURCE_DATE_EPOCH=1700000000 aftune-train --model model --init --data rows.jsonl --out "$1" --trace "$1.aft" --steps 4 \
    --batch-size 4 --seq-len 48 --run-id 00112233445566778899aabbccddeeff --quiet "${@:2}" >/dev/null
}
run one --threads 1
run two --threads 3 --micro-batch 1 --recompute --store boundaries --compress
cmp one.aft/log.jsonl two.aft/log.jsonl
cmp one/model.safetensors two/model.safetensors
