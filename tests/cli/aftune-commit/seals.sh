cp run.aft/checkpoint before
rm run.aft/checkpoint run.aft/manifest.tlog-proof
try aftune-commit --trace run.aft --key acme.key --json | sed 's/"root":"[0-9a-f]\{64\}"/"root":ROOT/'
cmp run.aft/checkpoint before
sed -n 1,2p run.aft/checkpoint
# An open log can be sealed, and is said to be open.
mkdir open.aft
head -n 5 run.aft/log.jsonl >open.aft/log.jsonl
try aftune-commit --trace open.aft --key acme.key | grep -v root
aftune-commit --trace run.aft --key acme.key >/dev/full
echo "exit $?"
