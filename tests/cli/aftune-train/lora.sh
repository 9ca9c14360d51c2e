# Adapters: trained, recorded and audited beside the base model, gone on from, merged.
lora() {
  aftune-train --model tuned --data rows.jsonl --out new --trace new.aft --steps 2 --batch-size 4 --seq-len 48 --threads 1 \
    --method lora --run-id 00112233445566778899aabbccddeeff "$@"
}
try lora --lora-rank 2 --lora-alpha 3 --lora-targets down,q --lora-dropout 0.1
ls new
aftune-inspect --trace new.aft --json | grep -o '"lora_targets":"[a-z,]*"'
aftune-commit --trace new.aft --key acme.key >/dev/null
aftune-verify --trace new.aft --pubkey acme.vkey --all --data rows.jsonl --model tuned --export new --quiet | head -1
try aftune-verify --trace new.aft --pubkey acme.vkey --all --data rows.jsonl --export new --quiet | head -4
aftune-challenge --checkpoint new.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed --cells 2 --out d.json >/dev/null
try aftune-open --trace new.aft --challenge d.json --out e.h5 --quiet
aftune-open --trace new.aft --challenge d.json --model tuned --out e.h5 --quiet >/dev/null
aftune-verify --evidence e.h5 --challenge d.json --pubkey acme.vkey --model tuned --quiet | head -1
aftune-train --model tuned --data rows.jsonl --out more --no-record --steps 1 --seq-len 48 --method lora --adapter new \
  --quiet >/dev/null
try aftune-train --merge --model tuned --adapter more --out merged
cmp tuned/config.json merged/config.json
echo '{"prompt":"row","max_tokens":2}' | aftune-serve --model merged --no-record --quiet >/dev/null
rm -r new new.aft

# Interrupted after the first of two step blocks, and gone on with: what is dropped in the second is the same.
lora --lora-dropout 0.3 --steps-per-block 1 --snapshot-interval 1 --quiet >/dev/null
cp new.aft/log.jsonl whole
head -n 4 whole >new.aft/log.jsonl
rm -r new new.aft/segment-000002.h5
lora --lora-dropout 0.3 --steps-per-block 1 --snapshot-interval 1 --quiet --resume --micro-batch 1 >/dev/null
cmp whole new.aft/log.jsonl
rm -r new new.aft

try lora --init
try lora --lora-targets q,lm_head
try lora --lora-targets q,q
try lora --lora-rank 0
try lora --lora-dropout 1
try lora --adapter absent
try lora --adapter more --lora-rank 4
try train --lora-rank 4
try train --adapter more
try aftune-train --merge --model tuned --out x
try aftune-train --merge --model tuned --adapter more --out x --data rows.jsonl
try aftune-train --merge --model tuned --adapter tuned --out x
try aftune-train --model tuned --out x --steps 1 --no-record
sed -i 's/"use_dora": false/"use_dora": true/' more/adapter_config.json
try aftune-train --merge --model tuned --adapter more --out x
