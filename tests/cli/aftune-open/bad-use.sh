try aftune-open --trace run.aft --challenge c.json
try aftune-open --trace run.aft --out e.h5
try aftune-open --trace absent --challenge c.json --out e.h5
try aftune-open --trace run.aft --challenge absent.json --out e.h5
try aftune-open --trace run.aft --challenge rows.jsonl --out e.h5
try aftune-open --trace run.aft --challenge c.json --out rows.jsonl
try aftune-open --trace run.aft --challenge c.json --out absent/e.h5
try aftune-open --trace run.aft --challenge c.json --out e.h5 --key absent.key
aftune-key generate --name audit.example/other --out other --no-passphrase >/dev/null
try aftune-open --trace run.aft --challenge c.json --out e.h5 --key other.key
ops() { aftune-open --trace run.aft --challenge c.json "$@"; }
try ops --ops 1,1 --out ops.json
try ops --ops 1 --key acme.key --out ops.json
try ops --ops 1,x --key acme.key --out ops.json
try ops --ops 1,-2 --key acme.key --out ops.json
try ops --ops 9,0 --key acme.key --out ops.json
try ops --ops 1,1 --key other.key --out ops.json
try ops --ops 1,1 --key acme.key --out rows.jsonl
