try aftune-train --model model --init --data rows.jsonl --out tuned --trace new.aft --steps 2
try aftune-train --model model --init --data rows.jsonl --out new --trace run.aft --steps 2
try aftune-train --model model --init --data rows.jsonl --out rows.jsonl --trace new.aft --steps 2
try aftune-train --model model --init --data rows.jsonl --out model --trace new.aft --steps 2
try aftune-train --model model --init --data rows.jsonl --out no/such/place --trace new.aft --steps 2 --quiet
try aftune-train --model model --init --data rows.jsonl --out new --trace rows.jsonl --steps 2
# Another process writes this trace.
flock run.aft/lock aftune-train --model model --init --data rows.jsonl --out new --trace run.aft --resume --steps 6 \
  --batch-size 4 --seq-len 48 --lr 1e-3 --seed 7 --steps-per-block 2
echo "exit $?"
