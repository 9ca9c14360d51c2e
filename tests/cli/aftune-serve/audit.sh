# The way of an audit: a challenge of the answers that a client holds, the evidence, the verdict.
row() { echo "{\"id\":\"$1\",\"prompt\":\"row $1\",\"max_tokens\":4,\"seed\":$1}"; }
serve() { aftune-serve --model tuned --trace serve.aft --key acme.key --quiet "$@"; }
{ row 1; row 2; } | serve --keep-open >mine.jsonl
cp serve.aft/checkpoint early
{ row 3; row 4; } | serve --resume >theirs.jsonl
cat mine.jsonl theirs.jsonl >all.jsonl
challenge() { aftune-challenge --checkpoint serve.aft/checkpoint --pubkey acme.vkey "$@"; }
open() { aftune-open --trace serve.aft --model tuned --quiet "$@"; }
# Outcome, reasons and what is said of the population.
verify() {
  aftune-verify --pubkey acme.vkey --quiet --json "$@" |
    jq -r '"\(.verdict) \(.coverage.checked) of \(.coverage.asked)", (.reasons[] | "  \(.code) (\(.class)): \(.where)"),
      (.unchecked[] | select(startswith("population") or startswith("unsealed")))'
  return "${PIPESTATUS[0]}"
}
challenge --trace serve.aft --challenge-seed $seed --all --out c.json | sed -n 2,3p
challenge --challenge-seed $seed --cells 3 --receipt mine.jsonl | jq -c '[.answers, .plan.uniform]'
challenge --trace serve.aft --plan --confidence 0.9 --tampered 0.3 | sed -n 1,2p
try open --challenge c.json --out e.h5 >/dev/null
try verify --evidence e.h5 --challenge c.json --receipt all.jsonl
try verify --trace serve.aft --model tuned --all
try verify --trace serve.aft --model tuned --all --receipt mine.jsonl
# A receipt alone will do, and one on the standard input.
jq -c .receipt mine.jsonl | head -1 | try verify --evidence e.h5 --challenge c.json --receipt -
# Of one client's answers, with one layer block. (The log's root is another each time, and with it what is drawn.)
challenge --challenge-seed $seed --objective 2 --receipt mine.jsonl --out mine.json >/dev/null
open --challenge mine.json --out mine.h5 --key acme.key >/dev/null
mkdir alone
cp mine.h5 mine.json mine.jsonl acme.vkey alone
(cd alone && try verify --evidence mine.h5 --challenge mine.json --receipt mine.jsonl)
# The evidence has not the leaves of other answers: their receipts stay open, unless the log is at hand.
try verify --evidence mine.h5 --challenge mine.json --receipt theirs.jsonl
try verify --evidence mine.h5 --challenge mine.json
# An earlier checkpoint has not sealed them yet.
try verify --trace serve.aft --checkpoint early --model tuned --all --receipt mine.jsonl
try verify --trace serve.aft --checkpoint early --model tuned --all --receipt theirs.jsonl
try verify --trace serve.aft --model tuned --all --since early
# Notes of one log that goes on contradict each other in no order; those of two histories do.
try verify --trace serve.aft --model tuned --all --known known
try verify --trace serve.aft --checkpoint early --model tuned --all --known known
try verify --trace serve.aft --checkpoint early --model tuned --all --since serve.aft/checkpoint
aftune-challenge --checkpoint early --pubkey acme.vkey --challenge-seed $seed --all --out early.json >/dev/null
open --challenge early.json --out early.h5 >/dev/null
try verify --evidence early.h5 --challenge early.json --known known --log serve.aft/log.jsonl --receipt mine.jsonl
try verify --evidence early.h5 --challenge early.json --known known
cp -r serve.aft two.aft
rm two.aft/checkpoint
sed -i '4{h;d};5{p;x}' two.aft/log.jsonl
aftune-commit --trace two.aft --key acme.key >/dev/null
try verify --trace two.aft --model tuned --all --known known | grep -v journal
# An edited answer is not what its receipt is for: the client's own file, so no verdict.
sed '2s/"text":"/"text":"x/' mine.jsonl >edited.jsonl
try verify --evidence e.h5 --challenge c.json --receipt edited.jsonl
try challenge --challenge-seed $seed --all --receipt edited.jsonl
# A receipt that the provider did not sign says nothing about it.
jq -c '.receipt.index += 1' mine.jsonl >bent.jsonl
try verify --evidence e.h5 --challenge c.json --receipt bent.jsonl
try challenge --challenge-seed $seed --all --receipt bent.jsonl 2>&1 | sed 's/acme+.*/acme+.../'
# Another period's.
row 1 | aftune-serve --model tuned --trace second.aft --key acme.key >second.jsonl
try verify --evidence e.h5 --challenge c.json --receipt second.jsonl | sed 's,/[0-9a-f]*,/...,g'
try challenge --challenge-seed $seed --all --receipt second.jsonl 2>&1 | sed 's,acme/[0-9a-f]*,acme/...,g'
