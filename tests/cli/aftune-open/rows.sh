aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --all --fresh --out all.json >/dev/null
try aftune-open --trace run.aft --challenge all.json --data rows.jsonl --model model --out e.h5 --quiet
data_root=$(head -1 run.aft/log.jsonl | jq -r .data.root)
echo "{\"version\":1,\"data_root\":\"$data_root\"}" >policy.json
# Nothing of the client's but its policy.
verdict() { aftune-verify --challenge all.json --pubkey acme.vkey --policy policy.json --json --quiet "$@" >v.json; echo "exit $?"; }
verdict --evidence e.h5
jq -r '.verdict, (.unchecked[] | select(startswith("data")))' v.json
aftune-open --trace run.aft --challenge all.json --out without.h5 --json --quiet | jq -c '[.rows, .disclosed.rows, .disclosed.row_bytes]'
verdict --evidence without.h5
jq -c '.verdict, .reasons[0]' v.json
verdict --evidence without.h5 --data rows.jsonl --model model
# Half of it, and data or a tokenizer that are not the run's.
open() { aftune-open --trace run.aft --challenge all.json --out f.h5 "$@"; }
try open --data rows.jsonl
try open --model model
try open --ops 1,1 --key acme.key --data rows.jsonl --model model
head -3 rows.jsonl >few.jsonl
try open --data few.jsonl --model model
sed 's/"/ "/' rows.jsonl >spaced.jsonl
try open --data spaced.jsonl --model model
cp -r model other
echo >>other/tokenizer.json
try open --data rows.jsonl --model other
try open --data absent --model model
