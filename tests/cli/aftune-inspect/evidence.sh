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
