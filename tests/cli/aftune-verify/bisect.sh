aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet >/dev/null
aftune-open --trace run.aft --challenge c.json --ops 1,1 --key acme.key --out ops.json --quiet
bisect() { aftune-verify --evidence e.h5 --challenge c.json --pubkey acme.vkey --threads 1 "$@"; }
proof() { aftune-verify --pubkey acme.vkey --threads 1 "$@"; }
# What is honest agrees, and no proof is written.
try bisect --bisect ops.json --proof-out proof.h5
bisect --bisect - --proof-out proof.h5 --json <ops.json
# An operation in the middle is forged, and all that follows agrees with it.
forge-ops ops.json c.json acme.key 100 lie.json
try bisect --bisect lie.json --proof-out proof.h5
# The proof alone is enough for anyone who has the key.
mkdir alone
cp proof.h5 acme.vkey alone
(cd alone && try aftune-verify --proof proof.h5 --pubkey acme.vkey)
proof --proof proof.h5 --json | jq -c '[.verdict, .reasons[0].code, .reasons[0].class, .coverage.checked]'
# One bit, or another key, and it says nothing about the provider.
cp proof.h5 bent.h5
printf '\377' | dd of=bent.h5 bs=1 seek=5000 conv=notrunc status=none
proof --proof bent.h5 --json | jq -c '[.verdict, .reasons[0].code, .reasons[0].class]'
aftune-key generate --name audit.example/other --out other --no-passphrase >/dev/null
aftune-verify --proof proof.h5 --pubkey other.vkey --json | jq -c '[.verdict, .reasons[0].code]'
try proof --proof proof.h5 --max-memory 1K --json | grep -o '"code":"[a-z]*"\|exit .*'
# A list that nobody signed, and one that leads elsewhere than the log.
sed 's/"row":0/"row":1/' ops.json >unsigned.json
try bisect --bisect unsigned.json --proof-out none.h5
forge-ops ops.json c.json acme.key $(($(jq '.ops | length' ops.json) - 1)) end.json
try bisect --bisect end.json --proof-out none.h5
forge-ops ops.json c.json acme.key "$(jq '[.ops[].op] | index("join")' ops.json)" join.json
try bisect --bisect join.json --proof-out join.h5
proof --proof join.h5 --json | jq -c "[.verdict, .reasons[0].code, .reasons[0].class]"
# Bad use.
try bisect --bisect lie.json --proof-out proof.h5
try bisect --bisect lie.json
try bisect --proof-out none.h5
try bisect --bisect c.json --proof-out none.h5
try bisect --bisect absent.json --proof-out none.h5
try bisect --bisect lie.json --proof-out lie.json
try bisect --bisect lie.json --proof-out none.h5 --all
try bisect --proof proof.h5
try proof --proof absent.h5
try proof --proof proof.h5 --trace run.aft
