cp run.aft/checkpoint before
# The same log again: the same bytes.
aftune-commit --trace run.aft --key acme.key >/dev/null
cmp run.aft/checkpoint before
# A shorter and a different log.
cp run.aft/log.jsonl log
head -n 5 log >run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key
sed '3s/"loss":"./"loss":"00/' log >run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key
sed '3s/"loss":"./"loss":"0/' log >run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key --rehash
cp log run.aft/log.jsonl
cmp run.aft/checkpoint before
# Another key, and a checkpoint that is none.
aftune-key generate --name other --out other --no-passphrase >/dev/null
aftune-commit --trace run.aft --key other.key 2>&1 | sed 's/signed by .*/signed by VKEY/'
echo garbage >run.aft/checkpoint
try aftune-commit --trace run.aft --key acme.key
