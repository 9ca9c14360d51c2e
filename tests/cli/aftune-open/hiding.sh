aftune-train --model model --init --data rows.jsonl --trace h.aft --out hidden --steps 4 --batch-size 4 --seq-len 48 \
  --steps-per-block 2 --snapshot-interval 1 --hiding --quiet >/dev/null
aftune-commit --trace h.aft --key acme.key >/dev/null
aftune-challenge --checkpoint h.aft/checkpoint --pubkey acme.vkey --cells 2 --out h.json --challenge-seed \
  00000000000000000000000000000000000000000000000000000000000000aa >/dev/null
verdict() { aftune-verify --pubkey acme.vkey --challenge h.json --json --quiet "$@" |
  jq -c '[.verdict, .coverage.checked, ([.reasons[].code] | unique)]'; }
# From evidence alone; the trace needs its secret.
aftune-open --trace h.aft --challenge h.json --out h.h5 --key acme.key --quiet >/dev/null
verdict --evidence h.h5
verdict --trace h.aft
# Shipped files are compared with salts that were opened for it.
verdict --evidence h.h5 --export hidden
aftune-open --trace h.aft --challenge h.json --out x.h5 --key acme.key --export-salts --quiet >/dev/null
verdict --evidence x.h5 --export hidden
# The secret is in neither.
for file in h.h5 x.h5; do grep -c "$(cat h.aft/hiding.key)" $file; done
# Operations are signed with plain digests, which such a run does not show.
try aftune-open --trace h.aft --challenge h.json --ops 1,1 --key acme.key --out ops.json
mv h.aft/hiding.key kept
verdict --trace h.aft
try aftune-open --trace h.aft --challenge h.json --out y.h5
printf '%064d\n' 8 >h.aft/hiding.key
verdict --trace h.aft
try aftune-open --trace h.aft --challenge h.json --out y.h5
