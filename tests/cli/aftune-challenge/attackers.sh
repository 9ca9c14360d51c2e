# One plan for each attacker, and what it costs.
plan() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --plan --trace run.aft "$@"; }
plan --confidence 0.9 --bad-cells 3
plan --confidence 0.9 --tampered 0.3
plan --confidence 0.9 --skipped-steps 0.5
plan --confidence 0.6 --poisoned-rows 0.5
plan --confidence 0.9 --changed-layers 2
plan --confidence 0.9 --whole-run
plan --confidence 0.9 --inputs 0 --objective 2 --ends 1 --json
