train --lr 1e-3 --seed 3
ls new new.aft
aftune-train --model model --init --data rows.jsonl --out alone --no-record --steps 2 --lr 1e-3 --seed 3 --batch-size 4 \
  --seq-len 48 --quiet
cmp new/model.safetensors alone/model.safetensors
