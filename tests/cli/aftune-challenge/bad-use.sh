challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey "$@"; }
try aftune-challenge --challenge-seed $seed --cells 3
try aftune-challenge --checkpoint run.aft/checkpoint --cells 3 --challenge-seed $seed
try challenge --cells 3
try challenge --cells 3 --challenge-seed $seed --fresh
try challenge --cells 3 --challenge-seed 00ff
try challenge --cells 3 --challenge-seed ${seed^^}ab
try challenge --cells 3 --challenge-seed $(printf '%064d' 0)
try challenge --challenge-seed $seed
try challenge --challenge-seed $seed --cells 0
try challenge --challenge-seed $seed --cells 3 --all
try challenge --challenge-seed $seed --confidence 1
try challenge --challenge-seed $seed --confidence 0.9 --tampered 2
try challenge --challenge-seed $seed --confidence 0.9
try challenge --challenge-seed $seed --confidence 0.9 --skipped-steps 0
try challenge --challenge-seed $seed --cells 3 --json
try challenge --challenge-seed $seed --cells 3 --manifest run.aft/log.jsonl
try challenge --plan --cells 3
try challenge --plan --cells 3 --trace run.aft --fresh
