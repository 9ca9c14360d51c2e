aftune-key generate --name audit.example/jane --out jane --no-passphrase >/dev/null
aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --json --attestation a.json --key jane.key >v.json
aftune-inspect --verdict v.json | head -n 2
aftune-inspect --verdict - --json <v.json | cmp - v.json
aftune-inspect --attestation a.json --pubkey jane.vkey --json | cmp - v.json
try aftune-inspect --verdict v.json --html p.html --trace run.aft --json >seen.json && cmp <(head -n 1 seen.json) v.json
aftune-inspect --verdict v.json --html - --log run.aft/log.jsonl | cmp - p.html
aftune-inspect --attestation a.json --pubkey jane.vkey --html - --trace run.aft | diff p.html - | grep -c '^>'
# Bad files.
try aftune-inspect --attestation a.json --pubkey acme.vkey
try aftune-inspect --attestation v.json --pubkey jane.vkey
try aftune-inspect --verdict a.json
try aftune-inspect --verdict absent
sed 's/"checked":4/"checked":3/' v.json >w.json
try aftune-inspect --verdict w.json
train --seed 9 >/dev/null && aftune-commit --trace new.aft --key acme.key >/dev/null
try aftune-inspect --verdict v.json --html x.html --trace new.aft
try aftune-inspect --verdict v.json --html x.html --log v.json
try aftune-inspect --verdict v.json --html absent/x.html
# Bad use.
try aftune-inspect --verdict v.json --attestation a.json --pubkey jane.vkey
try aftune-inspect --attestation a.json
try aftune-inspect --pubkey jane.vkey
try aftune-inspect --trace run.aft --html x.html
try aftune-inspect --verdict v.json --trace run.aft
try aftune-inspect --verdict v.json --html x.html --trace run.aft --log run.aft/log.jsonl
try aftune-inspect --verdict v.json --html - --json
try aftune-inspect --verdict v.json --html ./v.json
try aftune-inspect --verdict v.json --tokenize --model model
