verify() { aftune-verify --trace run.aft --pubkey acme.vkey "$@"; }
try aftune-verify
try verify
try verify --cells 3
try verify --challenge-seed $seed
try verify --all --cells 3 --challenge-seed $seed
try verify --challenge c.json --all
try verify --all --max-memory 3X
try verify --all --max-memory 99999999999G
try verify --al
try verify --challenge-seed 00 --cells 3
try verify --challenge-seed $(printf '%064d' 0) --cells 3
