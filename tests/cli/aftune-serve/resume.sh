# A log that is left open goes on; every checkpoint of it extends the one before.
row() { echo "{\"prompt\":\"row $1\",\"max_tokens\":4,\"seed\":$1}"; }
serve() { aftune-serve --model tuned --trace serve.aft --key acme.key --quiet "$@"; }
row 1 | serve --keep-open --run-id 00112233445566778899aabbccddeeff >one
cp serve.aft/checkpoint first
sed -n 1,2p first
row 2 | try serve --resume --keep-open --out two
{ row 3; row 4; } | try serve --resume --keep-open --out three
jq -c '[.receipt.index, .receipt.origin, (.receipt.merge_by - .receipt.time)]' one two three
aftune-commit --trace serve.aft --key acme.key --since first --consistency proof | head -1
stat -c %a serve.aft/hiding.key
# With other weights, settings or keys, or without what it has, it does not, and nothing is changed.
find serve.aft -type f | sort | xargs sha256sum >before
aftune-train --model model --init --data rows.jsonl --out second --no-record --steps 1 --seq-len 32 --threads 1 --quiet >/dev/null
aftune-key generate --name audit.example/other --out other --no-passphrase >/dev/null
wrong() { try aftune-serve --trace serve.aft --key acme.key --model tuned --resume "$@" </dev/null; }
try aftune-serve --trace serve.aft --key acme.key --model second --resume </dev/null
wrong --layers-per-block 2
wrong --numerics f32
wrong --max-tokens 8 --default-tokens 8
wrong --merge-delay 90
wrong --run-id 00112233445566778899aabbccddee00
try aftune-serve --trace serve.aft --key other.key --model tuned --resume </dev/null 2>&1 | sed 's/other+.*/other+.../'
try serve --keep-open </dev/null
flock serve.aft/lock aftune-serve --trace serve.aft --key acme.key --model tuned --resume </dev/null
find serve.aft -type f | sort | xargs sha256sum | cmp - before && echo unchanged
damaged() { # what, in a copy
  cp -r serve.aft bad.aft
  "$@"
  aftune-serve --trace bad.aft --key acme.key --model tuned --resume </dev/null
  echo "exit $?"
  rm -r bad.aft
}
damaged rm bad.aft/hiding.key
damaged truncate -s 0 bad.aft/journal-000000.jsonl
damaged sed -i '$d' bad.aft/log.jsonl
damaged sed -i '3s/"answer_tokens":4/"answer_tokens":5/' bad.aft/log.jsonl
# Killed between journal and log, and within a line: what nobody got a receipt of is cut off.
cp -r serve.aft cut.aft
row 9 >more
tail -n 1 serve.aft/journal-000000.jsonl | sed 's/"leaf":4/"leaf":5/' >>cut.aft/journal-000000.jsonl
printf '{"ask":0,"en' >>cut.aft/journal-000000.jsonl
printf '{"activa' >>cut.aft/log.jsonl
aftune-serve --trace cut.aft --key acme.key --model tuned --resume --in more | jq -c .receipt.index
jq -r .kind cut.aft/log.jsonl | sort | uniq -c
jq -c .leaf cut.aft/journal-000000.jsonl | tr '\n' ' '
echo
aftune-verify --trace cut.aft --model tuned --pubkey acme.vkey --all --quiet | head -1
# A period that has ended stays so.
row 5 | serve --resume | jq -c .receipt.index
tail -n 1 serve.aft/log.jsonl
row 6 | try serve --resume
jq -r .kind serve.aft/log.jsonl | tail -n 1
