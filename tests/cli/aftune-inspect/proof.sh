# The key is new in each fixture, so that what holds its signatures has another digest, and size in text.
masked() { sed -E 's/"(digest)":"[^"]*"/"\1":.../; s/"bytes":[0-9]+/"bytes":.../; s/[0-9]+ bytes/... bytes/'; }
aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet >/dev/null
aftune-open --trace run.aft --challenge c.json --ops 1,1 --key acme.key --out ops.json --quiet >/dev/null
prove() { # operation
  forge-ops ops.json c.json acme.key "$1" lie.json
  aftune-verify --bisect lie.json --evidence e.h5 --challenge c.json --pubkey acme.vkey --proof-out "$2" >/dev/null
}
prove 100 proof.h5
try aftune-inspect --proof proof.h5 | masked
prove "$(jq '[.ops[].op] | index("join")' ops.json)" end.h5
aftune-inspect --proof end.h5 --json | masked
try aftune-inspect --proof e.h5
try aftune-inspect --proof absent.h5
try aftune-inspect --proof proof.h5 --evidence e.h5
