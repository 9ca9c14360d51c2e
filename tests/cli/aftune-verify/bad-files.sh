verify() { aftune-verify --trace run.aft --pubkey acme.vkey --quiet --threads 1 "$@"; }
try aftune-verify --trace absent --pubkey acme.vkey --all
try aftune-verify --trace rows.jsonl --pubkey acme.vkey --all
try aftune-verify --trace run.aft --pubkey absent --all
try aftune-verify --trace run.aft --pubkey acme.key --all
try verify --challenge absent
try verify --challenge rows.jsonl
head -c 100 c.json >cut.json
try verify --challenge cut.json
sed 's/"uniform":4/"uniform":-4/' c.json >bad.json
try verify --challenge bad.json
sed 's/"uniform":4/"uniform":4,"extra":1/' c.json >bad.json
try verify --challenge bad.json
try verify --all --policy absent
echo '{"version":1,"recipe":{"lr":"high"}}' >policy.json
try verify --all --policy policy.json
echo '{"version":2}' >policy.json
try verify --all --policy policy.json
try verify --all --data absent
try verify --all --model absent
