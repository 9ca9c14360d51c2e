# The key is new in each fixture, so that what holds its signatures has another digest.
masked() { sed -E 's/^(challenge +).*/\1.../; s/"(challenge|digest)":"[^"]*"/"\1":.../g'; }
aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet >/dev/null
try aftune-inspect --evidence e.h5 | masked
aftune-open --trace run.aft --challenge c.json --key acme.key --out s.h5 --quiet >/dev/null
try aftune-inspect --evidence s.h5 --json | masked
try aftune-inspect --evidence absent.h5
try aftune-inspect --evidence rows.jsonl
try aftune-inspect --evidence run.aft/segment-000000.h5
try aftune-inspect --evidence e.h5 --trace run.aft
# What it discloses beside its cells.
aftune-open --trace run.aft --challenge c.json --data rows.jsonl --model model --final-params --out r.h5 --quiet >/dev/null
aftune-inspect --evidence r.h5 | grep -E '^(rows|final|salts)'
aftune-train --model model --init --data rows.jsonl --out new --trace h.aft --steps 2 --batch-size 4 --seq-len 48 \
  --threads 1 --quiet --hiding >/dev/null
aftune-commit --trace h.aft --key acme.key >/dev/null
aftune-challenge --checkpoint h.aft/checkpoint --pubkey acme.vkey --all --fresh --out h.json >/dev/null
aftune-open --trace h.aft --challenge h.json --out h.h5 --quiet >/dev/null
aftune-inspect --evidence h.h5 | grep -E '^(rows|final|salts)'
