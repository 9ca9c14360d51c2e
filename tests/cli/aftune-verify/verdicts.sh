# The first word of the verdict, and the exit code.
verify() { aftune-verify --pubkey acme.vkey --quiet --threads 1 "$@" | sed -n '1s/[:;].*//p'; return "${PIPESTATUS[0]}"; }
try verify --trace run.aft --all
try verify --trace run.aft --challenge c.json
try verify --trace run.aft --challenge - <c.json
try verify --trace run.aft --challenge-seed $seed --cells 2
try verify --trace run.aft --all --data rows.jsonl --model model --export tuned
try verify --trace run.aft --all --max-memory 1K
cp -r run.aft bad.aft
rm bad.aft/checkpoint
try verify --trace bad.aft --all
try verify --trace bad.aft --checkpoint run.aft/checkpoint --all
rm bad.aft/segment-000002.h5
try verify --trace bad.aft --checkpoint run.aft/checkpoint --all
cp -r run.aft cut.aft
head -c 2000 run.aft/segment-000001.h5 >cut.aft/segment-000001.h5
try verify --trace cut.aft --all
cp -r run.aft line.aft
sed -i '4s/"loss":"./"loss":"0/' line.aft/log.jsonl
try verify --trace line.aft --all
aftune-key generate --name audit.example/acme --out other --no-passphrase >/dev/null
try aftune-verify --trace run.aft --pubkey other.vkey --all --json --quiet | grep -o '"verdict":"[A-Z]*"\|exit.*'
echo '{"version":1,"recipe":{"lr":0.5}}' >policy.json
try verify --trace run.aft --all --policy policy.json
aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json >/dev/full
echo "exit $?"
