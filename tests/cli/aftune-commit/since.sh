# A log that grows, and a proof that it does.
cp run.aft/log.jsonl log
rm run.aft/checkpoint run.aft/leaf-hashes run.aft/manifest.tlog-proof
head -n 5 log >run.aft/log.jsonl
aftune-commit --trace run.aft --key acme.key 2>/dev/null | head -n 1
cp run.aft/checkpoint five
cp log run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key --since five --consistency proof | sed '/^root/d'
sed -n 1p proof
grep -c . proof
sed '1,/^$/d' proof | cmp - run.aft/checkpoint
# To itself: an empty proof.
aftune-commit --trace run.aft --key acme.key --since run.aft/checkpoint --consistency proof >/dev/null
sed -n 1,3p proof
# Another history of the run, a longer one, and notes that are not of this log.
rm proof run.aft/checkpoint
sed '3s/"loss":"./"loss":"0/' log >run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key --since five --consistency proof
head -n 4 log >run.aft/log.jsonl
try aftune-commit --trace run.aft --key acme.key --since five --consistency proof
aftune-key generate --name other --out other --no-passphrase >/dev/null
aftune-commit --trace run.aft --key other.key --since five --consistency proof 2>&1 | sed 's/signed by .*/signed by VKEY/'
try aftune-commit --trace run.aft --key acme.key --since absent --consistency proof
try aftune-commit --trace run.aft --key acme.key --since five
try aftune-commit --trace run.aft --key acme.key --consistency proof
try aftune-commit --trace run.aft --key acme.key --since five --consistency five
try aftune-commit --trace run.aft --key acme.key --since five --consistency run.aft/log.jsonl
