cp run.aft/log.jsonl log
aftune-key generate --witness --name witness.example/w1 --out w1 --no-passphrase >/dev/null
cut -d+ -f1 w1.vkey
cosign() { aftune-commit --cosign run.aft/checkpoint --key w1.key "$@" | sed '/^root/d'; return "${PIPESTATUS[0]}"; }
rm run.aft/checkpoint run.aft/leaf-hashes run.aft/manifest.tlog-proof
head -n 5 log >run.aft/log.jsonl
aftune-commit --trace run.aft --key acme.key >/dev/null 2>&1
cp run.aft/checkpoint five
try cosign --time 1700000000 --pubkey acme.vkey --known known
stat -c %a known
grep -c '^—' run.aft/checkpoint
# The same line again is one line; sealing the same log again keeps it.
cp run.aft/checkpoint cosigned
SOURCE_DATE_EPOCH=1700000000 cosign --known known
aftune-commit --trace run.aft --key acme.key >/dev/null 2>&1
cmp run.aft/checkpoint cosigned
# A longer log, only with a proof from what was cosigned.
cp log run.aft/log.jsonl
aftune-commit --trace run.aft --key acme.key --since five --consistency proof >/dev/null
try cosign --known known
aftune-commit --trace run.aft --key acme.key --since run.aft/checkpoint --consistency empty >/dev/null
try cosign --known known --consistency empty
try cosign --known known --consistency proof
# Back to the shorter one, and another history.
cp five run.aft/checkpoint
try cosign --known known --consistency proof
rm run.aft/checkpoint
sed '3s/"loss":"./"loss":"0/' log >run.aft/log.jsonl
aftune-commit --trace run.aft --key acme.key >/dev/null
try cosign --known known 2>&1 | sed 's/: [0-9a-f]* and [0-9a-f]*//'
grep -c '^—' run.aft/checkpoint
# What is not to be cosigned, or not by this key.
aftune-key generate --name audit.example/acme --out other --no-passphrase >/dev/null
cosign --pubkey other.vkey 2>&1 | sed 's/signed by .*;/signed by VKEY;/'
try aftune-commit --cosign run.aft/checkpoint --key acme.key
try aftune-commit --trace run.aft --key w1.key
try aftune-commit --cosign acme.vkey --key w1.key
try aftune-commit --cosign run.aft/checkpoint --key w1.key --trace run.aft
try aftune-commit --cosign run.aft/checkpoint --key w1.key --consistency proof
try aftune-commit --trace run.aft --key acme.key --time 5
try aftune-commit --cosign run.aft/checkpoint --key w1.key --known acme.vkey
