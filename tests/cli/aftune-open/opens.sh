try aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet
try aftune-verify --evidence e.h5 --challenge c.json --pubkey acme.vkey --quiet >verdict
grep -c '^ACCEPT: 4 of 4' verdict
# Nothing but key, challenge and evidence: the same.
mkdir alone
cp e.h5 c.json acme.vkey alone
(cd alone && aftune-verify --evidence e.h5 --challenge c.json --pubkey acme.vkey --json --quiet | jq -r '.verdict, .coverage.checked')
# Cells one by one, by their place.
for i in 0 1 2 3; do
  aftune-verify --evidence e.h5 --challenge c.json --pubkey acme.vkey --cells "$i" --json --quiet |
    jq -c '[.verdict, .coverage.asked, .coverage.checked]'
done
# Opening the same twice gives the same bytes.
aftune-open --trace run.aft --challenge - --out f.h5 --quiet <c.json >/dev/null
cmp e.h5 f.h5 && echo same
