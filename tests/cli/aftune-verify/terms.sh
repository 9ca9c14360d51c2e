# What a policy asks of the audit, whatever the command line says.
verify() {
  aftune-verify --trace run.aft --pubkey acme.vkey --quiet --json "$@" |
    jq -r '"\(.verdict) \(.coverage.checked) of \(.coverage.cells)", (.reasons[] | "  \(.code): \(.where): \(.detail)")'
  return "${PIPESTATUS[0]}"
}
echo '{"version":1,"plan":{"confidence":0.9,"attacker":{"bad_cells":3}}}' >plan.json
try verify --challenge c.json --policy plan.json
try verify --challenge c.json --policy plan.json --tampered 1
try verify --challenge-seed $seed --cells 6 --policy plan.json
try verify --all --policy plan.json
echo '{"version":1,"seed_kinds":["fresh"]}' >fresh.json
try verify --challenge c.json --policy fresh.json
challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --cells 2 "$@"; }
challenge --fresh >fresh-challenge.json
try verify --challenge fresh-challenge.json --policy fresh.json
challenge --committed-seed $seed >committed.json
try verify --challenge committed.json
challenge --beacon-value $seed --beacon-round 42 >beacon-challenge.json
echo '{"version":1,"beacon":{"source":"drand quicknet","round":42}}' >beacon.json
try verify --challenge beacon-challenge.json --policy beacon.json
sed -i 's/42/43/' beacon.json
try verify --challenge beacon-challenge.json --policy beacon.json
aftune-key generate --witness --name witness.example/w --out w --no-passphrase >/dev/null
echo '{"version":1,"witnesses":{"vkeys":["'"$(cat w.vkey)"'"],"threshold":1}}' >witnesses.json
try verify --all --policy witnesses.json
aftune-commit --cosign run.aft/checkpoint --key w.key >/dev/null
try verify --all --policy witnesses.json
