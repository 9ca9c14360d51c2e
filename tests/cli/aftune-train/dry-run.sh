# What it says of sizes is what a run then has: a line of the log.
dry() { aftune-train --model model --dry-run --steps 2 --batch-size 4 --seq-len 48 --steps-per-block 1 "$@"; }
try dry
try dry --method lora --numerics f32 --recompute
try dry --json --store boundaries
aftune-train --model model --init --data rows.jsonl --out new --trace new.aft --steps 2 --batch-size 4 --seq-len 48 \
  --steps-per-block 1 --quiet >/dev/null
echo "log line $(sed -n 3p new.aft/log.jsonl | wc -c)"
mkdir bare
cp model/config.json bare
aftune-train --model bare --dry-run --steps 1 --seq-len 16 | sed -n 1p
mkdir gpt2
sed 's/"model_type": .*/"model_type": "gpt2",/' model/config.json >gpt2/config.json
try aftune-train --model gpt2 --dry-run --steps 1 --seq-len 16
aftune-train --model gpt2 --dry-run --steps 1 --seq-len 16 --method lora | sed -n 1p
aftune-train --model gpt2 --dry-run --steps 1 --seq-len 16 --method lora --lora-targets c_proj | sed -n 1p
try aftune-train --model gpt2 --dry-run --steps 1 --seq-len 16 --method lora --lora-targets gate
try aftune-train --model nowhere --dry-run --steps 1
mkdir adapter
printf '%s' '{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]}' >adapter/adapter_config.json
aftune-train --model bare --adapter adapter --method lora --dry-run --steps 1 --seq-len 16 | sed -n 1p
try aftune-train --model model --adapter adapter --merge --dry-run --out merged
try aftune-train --model model --adapter adapter --merge
