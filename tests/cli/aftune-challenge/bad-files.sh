challenge() { aftune-challenge --challenge-seed $seed --cells 3 --pubkey acme.vkey "$@" | sed 's/^{.*/CHALLENGE/'; return "${PIPESTATUS[0]}"; }
try challenge --checkpoint absent
try challenge --checkpoint rows.jsonl
head -c 80 run.aft/checkpoint >cut
try challenge --checkpoint cut
head -c 70000 /dev/zero >zeros
try challenge --checkpoint zeros
try aftune-challenge --challenge-seed $seed --cells 3 --checkpoint run.aft/checkpoint --pubkey absent
aftune-key generate --name audit.example/acme --out other --no-passphrase >/dev/null
aftune-challenge --challenge-seed $seed --cells 3 --checkpoint run.aft/checkpoint --pubkey other.vkey 2>&1 | sed 's/by .*/by VKEY/'
# A changed root under the old signature.
sed '2s/.*/9/' run.aft/checkpoint >forged
aftune-challenge --challenge-seed $seed --cells 3 --checkpoint forged --pubkey acme.vkey 2>&1 | sed 's/by .*/by VKEY/'
head -n 5 run.aft/log.jsonl >short
cp -r run.aft other.aft && cp short other.aft/log.jsonl
try challenge --checkpoint run.aft/checkpoint --trace other.aft
sed 's/"layers":2/"layers":3/' run.aft/log.jsonl | head -n 1 >lie
try challenge --checkpoint run.aft/checkpoint --manifest lie --proof run.aft/manifest.tlog-proof
try challenge --checkpoint run.aft/checkpoint --manifest run.aft/log.jsonl --proof rows.jsonl
