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
try aftune-verify --pubkey acme.vkey --all
try aftune-verify --trace run.aft --evidence e.h5 --pubkey acme.vkey --challenge c.json
try aftune-verify --evidence e.h5 --pubkey acme.vkey --all
try aftune-verify --evidence absent.h5 --pubkey acme.vkey --challenge c.json
try aftune-verify --trace run.aft --log run.aft/log.jsonl --pubkey acme.vkey --challenge c.json
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --cells 9
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --cells 3-1
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --cells x
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --jobs 0
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --cells 3/3
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --cells 0/0
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --merge
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --merge absent.json
try aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --merge c.json
try aftune-verify --trace run.aft --pubkey acme.vkey --all --merge c.json
