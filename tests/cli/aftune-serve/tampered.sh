# The outcome, the codes of the reasons, and the exit code.
printf '{"prompt":"row %s","max_tokens":4,"seed":1}\n' 1 2 | aftune-serve --model tuned --trace serve.aft --key acme.key >answers.jsonl
aftune-challenge --checkpoint serve.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed --all --out c.json >/dev/null
aftune-open --trace serve.aft --model tuned --challenge c.json --out e.h5 --quiet >/dev/null
aftune-open --trace serve.aft --model tuned --challenge c.json --out signed.h5 --key acme.key --quiet >/dev/null
verify() {
  aftune-verify --pubkey acme.vkey --quiet --json "$@" | jq -r '.verdict, (.reasons[] | "\(.code) (\(.class)): \(.where)")'
  return "${PIPESTATUS[0]}"
}
trace() { try verify --trace bad.aft --model tuned --all "$@"; }
tampered() { # what, in a copy of the trace
  rm -rf bad.aft
  cp -r serve.aft bad.aft
  "$@"
}
tampered sed -i '1s/"text":"/"text":"x/' bad.aft/journal-000000.jsonl
trace
trace --receipt answers.jsonl
try aftune-open --trace bad.aft --model tuned --challenge c.json --out bad.h5 --quiet 2>&1 | sed 's/expected.*//'
tampered sed -i '2s/"leaf":2/"leaf":1/' bad.aft/journal-000000.jsonl
trace
tampered sed -i '2d' bad.aft/journal-000000.jsonl
trace
tampered sed -i '2s/"answer_tokens":4/"answer_tokens":5/' bad.aft/log.jsonl
trace
tampered sed -i '1s/serving/served/' bad.aft/log.jsonl
trace --receipt answers.jsonl
tampered rm bad.aft/hiding.key
trace
tampered sed -i '1y/0123456789/1234567890/' bad.aft/hiding.key
trace
# Signed anew by the provider, over a log in which the answers have changed places.
tampered rm bad.aft/checkpoint bad.aft/leaf-hashes 2>/dev/null
{ sed -n 1p serve.aft/log.jsonl; sed -n 3p serve.aft/log.jsonl; sed -n 2p serve.aft/log.jsonl; sed -n 4p serve.aft/log.jsonl; } \
  >bad.aft/log.jsonl
aftune-commit --trace bad.aft --key acme.key >/dev/null
trace --receipt answers.jsonl
# Other weights than the client's own.
aftune-train --model model --init --data rows.jsonl --out second --no-record --steps 1 --seq-len 32 --threads 1 --quiet >/dev/null
verify --trace serve.aft --model second --all | sort | uniq -c | sed -n 1,3p
# Evidence that lacks a leaf or a dataset, or is of another challenge, and evidence that was damaged on its way.
head -n 1 answers.jsonl >one.jsonl
aftune-challenge --checkpoint serve.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed --all --receipt one.jsonl \
  --out less.json >/dev/null
aftune-open --trace serve.aft --model tuned --challenge less.json --out less.h5 --quiet >/dev/null
try verify --evidence less.h5 --challenge c.json
damaged() {
  cp "$1" bad.h5
  printf '\377' | dd of=bad.h5 bs=1 seek="$2" conv=notrunc status=none
}
for file in e.h5 signed.h5; do
  damaged $file 9000
  try verify --evidence bad.h5 --challenge c.json
  try verify --evidence bad.h5 --challenge c.json --receipt answers.jsonl
done
# What goes with one kind of log and not with the other.
try verify --trace serve.aft --all
try verify --trace serve.aft --model tuned --all --data rows.jsonl
try verify --trace serve.aft --model tuned --all --export tuned
try verify --trace run.aft --all --receipt answers.jsonl
open() { aftune-open --trace serve.aft --challenge c.json --out new.h5 --quiet "$@"; }
try open
try open --model second 2>&1 | sed 's/expected.*//'
try open --model tuned --data rows.jsonl
try open --model tuned --final-params
