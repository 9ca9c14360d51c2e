challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed "$@"; }
challenge --cells 5 --inputs 1 --objective 1 --ends 1 --trace run.aft --out one.json
# From a proved manifest, to stdout, and without either: the same challenge.
challenge --cells 5 --inputs 1 --objective 1 --ends 1 >two.json
challenge --cells 5 --inputs 1 --objective 1 --ends 1 --manifest run.aft/log.jsonl --proof run.aft/manifest.tlog-proof \
  --out three.json | tail -n 1
cmp one.json two.json
cmp one.json three.json
challenge --confidence 0.99 --tampered 0.05 | grep -o '"plan":.*"seed"'
challenge --confidence 0.9 --tampered 0.1 --trace run.aft --json --out four.json
# A fresh seed is not the last one.
fresh() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --fresh --cells 2; }
[ "$(fresh)" != "$(fresh)" ]
fresh | grep -o '"seed_kind":"[a-z]*"'
