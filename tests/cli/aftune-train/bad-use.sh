try aftune-train
try aftune-train --modle model
try aftune-train --model model --data rows.jsonl --out new --trace new.aft
try train --batch 4
try train --epochs 2
try train --no-record
try train --resume --eval-every 4
try train --eval-every 4
try train --momentum 0.9
try train --numerics i14:64
try train --numerics native
try train --device tpu
try train --optimizer adam
try train --store everything
try train --json --json
