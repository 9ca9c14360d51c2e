# The four kinds of seed, as the challenge states them.
challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --cells 2 "$@"; }
stated() { grep -o '"beacon":{[^}]*}\|"seed":"[^"]*"\|"seed_kind":"[^"]*"'; }
challenge --challenge-seed $seed | stated
challenge --fresh | stated | sed 's/"seed":.*/"seed":FRESH/'
challenge --committed-seed $seed | stated
value=8ada64bae5c6c0f5540a6a13af56e663240edfbd2c76ac6a8f27671eb7259ce3
challenge --beacon-value $value --beacon-round 42 | stated
try challenge --beacon-value $value
try challenge --beacon-round 42
try challenge --beacon-value 00ff --beacon-round 42
try challenge --beacon-value ${value//?/0} --beacon-round 42
try challenge --beacon-value $value --beacon-round 42 --fresh
try challenge --committed-seed 00ff
try challenge --fresh --tampered 0.1 --whole-run
