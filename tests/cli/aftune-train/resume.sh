lr=1e-3
again() {
  SOURCE_DATE_EPOCH=1700000000 aftune-train --model model --init --data rows.jsonl --out tuned --trace run.aft --resume --numerics f32 \
    --steps 6 --batch-size 4 --seq-len 48 --lr "$lr" --seed 7 --steps-per-block 2 --snapshot-interval 1 \
    --run-id 00112233445566778899aabbccddeeff --threads 1 --quiet "$@"
}
cp -r run.aft whole.aft
# A complete run: nothing left to do.
again | tail -n 2
cmp run.aft/log.jsonl whole.aft/log.jsonl
# Cut inside the last lines, unsealed.
rm run.aft/checkpoint run.aft/manifest.tlog-proof
head -c -3000 whole.aft/log.jsonl >run.aft/log.jsonl
rm -r tuned
again >/dev/null
cmp run.aft/log.jsonl whole.aft/log.jsonl
# Another recipe is another run.
lr=2e-3
try again
lr=1e-3
# A sealed log that was cut is not gone on with.
cp whole.aft/checkpoint run.aft/
head -n 5 whole.aft/log.jsonl >run.aft/log.jsonl
try again
