# The plan and the seed are those that the policy accepts.
challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --policy policy.json "$@"; }
echo '{"version":1,"plan":{"confidence":0.9,"attacker":{"bad_cells":3},"inputs":2,"ends":1}}' >policy.json
challenge --plan --trace run.aft
challenge --plan --trace run.aft --objective 3 --json | grep -o '"plan":.*'
challenge --challenge-seed $seed --trace run.aft --out c.json | grep '^plan'
aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --policy policy.json | head -n 1
# More or less than that is the caller's wish; another attacker is only asked about.
challenge --plan --trace run.aft --cells 3 --whole-run | sed -n '1p;3p'
challenge --plan --trace run.aft --confidence 0.5 | sed -n '1p;3p'
# How many cells find three bad ones is not known before the run is.
try challenge --challenge-seed $seed
echo '{"version":1,"seed_kinds":["fresh"],"beacon":{"source":"drand quicknet","round":42}}' >policy.json
try challenge --challenge-seed $seed --cells 1
try challenge --beacon-value $seed --beacon-round 41 --cells 1
try challenge --fresh
try challenge --fresh --cells 1 --out fresh.json | sed 's/[0-9a-f]\{64\}/SEED/'
echo '{}' >policy.json
try challenge --fresh --cells 1
