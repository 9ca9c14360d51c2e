plan() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --plan --trace run.aft "$@"; }
plan --cells 4
plan --confidence 0.95 --tampered 0.25
plan --all --json
