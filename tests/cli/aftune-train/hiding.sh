# Salted digests: one secret, one log, also after an interruption.
printf '%064d\n' 7 >secret
printf '%064d\n' 8 >other
hide() {
  SOURCE_DATE_EPOCH=1700000000 aftune-train --model model --init --data rows.jsonl --trace h.aft --out hidden \
    --steps 6 --batch-size 4 --seq-len 48 --lr 1e-3 --seed 7 --steps-per-block 2 --snapshot-interval 1 \
    --run-id 00112233445566778899aabbccddeeff --threads 1 --quiet "$@"
}
hide --hiding --hiding-secret secret | head -n 1
cmp secret h.aft/hiding.key
stat -c %a h.aft/hiding.key
head -n 1 h.aft/log.jsonl | jq .hiding
# Nothing of the plain log's digests is in it but what the base and the tokenizer give.
digests() { grep -o '"[0-9a-f]\{64\}"' "$1" | sort -u; }
tail -n +3 h.aft/log.jsonl >hidden.steps
tail -n +3 run.aft/log.jsonl >plain.steps
comm -12 <(digests hidden.steps) <(digests plain.steps) | wc -l
# Interrupted and resumed, it is the same.
cp -r h.aft whole.aft
head -c -3000 whole.aft/log.jsonl >h.aft/log.jsonl
rm -r hidden
hide --hiding --resume >/dev/null
cmp h.aft/log.jsonl whole.aft/log.jsonl && echo resumed
# Another secret is another run; so is none, and a lost one is not replaced.
try hide --hiding --hiding-secret other --resume
cp other h.aft/hiding.key
try hide --hiding --resume
try hide --resume
rm h.aft/hiding.key
try hide --hiding --resume
cmp h.aft/log.jsonl whole.aft/log.jsonl && echo untouched
test ! -e h.aft/hiding.key && echo none
# With the right one it goes on.
hide --hiding --hiding-secret secret --resume | head -n 1
cmp secret h.aft/hiding.key
# No secret.
echo no secret >bad
try hide --hiding --hiding-secret bad --resume
try hide --hiding --hiding-secret absent --resume
try hide --hiding-secret secret --resume
try aftune-train --model model --init --data rows.jsonl --out o --no-record --hiding --steps 1
