# The first word of the verdict, the codes of its reasons, and the exit code.
verify() {
  aftune-verify --pubkey acme.vkey --quiet --threads 1 --all --json "$@" |
    jq -r '.verdict, (.reasons[] | "\(.code) (\(.class)): \(.where)"), (.unchecked[] | select(test("^(other|witn)")))'
  return "${PIPESTATUS[0]}"
}
cp -r run.aft old.aft
rm old.aft/checkpoint
head -n 5 run.aft/log.jsonl >old.aft/log.jsonl
aftune-commit --trace old.aft --key acme.key >/dev/null 2>&1
aftune-commit --trace run.aft --key acme.key --since old.aft/checkpoint --consistency proof >/dev/null
try verify --trace run.aft
try verify --trace run.aft --since old.aft/checkpoint
try verify --trace run.aft --since old.aft/checkpoint --consistency proof
try verify --trace run.aft --since run.aft/checkpoint --consistency proof
try verify --trace run.aft --known known
stat -c %a known
# Another history of the run, well formed and signed.
cp -r run.aft two.aft
rm two.aft/checkpoint
sed -i '3s/"loss":"./"loss":"0/' two.aft/log.jsonl
aftune-commit --trace two.aft --key acme.key >/dev/null
try verify --trace two.aft --known known | grep -v 'loss\|norm\|final\|closing'
try verify --trace two.aft --since old.aft/checkpoint | grep -v 'loss\|norm\|final\|closing'
try verify --trace run.aft --known known
try aftune-verify --trace run.aft --pubkey acme.vkey --all --consistency proof
try aftune-verify --trace run.aft --pubkey acme.vkey --all --since absent
try aftune-verify --trace run.aft --pubkey acme.vkey --all --since acme.vkey
try aftune-verify --trace run.aft --pubkey acme.vkey --all --known acme.vkey
flock known aftune-verify --trace run.aft --pubkey acme.vkey --all --known known
echo "exit $?"
