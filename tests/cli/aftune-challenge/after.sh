# What a first challenge left unanswered is asked for again, whatever the new seed draws.
challenge() { aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed "$@"; }
verify() { aftune-verify --trace run.aft --pubkey acme.vkey --quiet "$@"; }
challenge --cells 3 --trace run.aft --out first.json | grep drawn
verify --challenge first.json --max-memory 1K --json >verdict.json
echo "exit $?"
grep -o '"unanswered":[][0-9,]*' verdict.json
aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --challenge-seed ${seed//1/2} --cells 1 \
  --trace run.aft --after verdict.json --out second.json
verify --challenge second.json | head -n 1
# Answered now: nothing is left.
verify --challenge second.json --json >answered.json
challenge --cells 1 --after answered.json | grep -o '"must":[][0-9,]*'
sed 's/"origin":"/&x/' verdict.json >other.json
try challenge --cells 1 --after other.json
try challenge --cells 1 --after rows.jsonl
try challenge --cells 1 --after absent
# The run has no such cell.
sed 's/"must":\[/&[9,9],/; s/\[9,9\],.*\],"note/[9,9]],"note/' second.json >wrong.json
try verify --challenge wrong.json
