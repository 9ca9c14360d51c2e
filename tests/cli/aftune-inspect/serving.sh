# The trace of answers, and the proof of what a training run exported.
inspect() { aftune-inspect --trace run.aft "$@"; }
try inspect --pubkey acme.vkey --lineage --out lineage.json
[ "$(jq -r .leaf lineage.json)" = "$(tail -n 1 run.aft/log.jsonl)" ] && jq -r .vkey lineage.json | cmp - acme.vkey && echo final
jq -r .proof lineage.json | sed -n '1,2p;$p' | sed 's/ [^ ]*=$//'
echo '{"prompt":"row 1 of","max_tokens":4,"n":2,"seed":3}' |
  aftune-serve --model tuned --trace serve.aft --key acme.key --lineage lineage.json --keep-open --quiet \
    --run-id 00112233445566778899aabbccddeeff >answers
shown() { aftune-inspect --trace serve.aft | sed 's/[0-9a-f]\{64\}/.../; s/[0-9]* bytes/N bytes/'; }
shown
# What an answer to a challenge opens is counted, each tensor once.
aftune-challenge --checkpoint serve.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed \
  --inputs 1 --objective 1 --out c.json >/dev/null
aftune-open --trace serve.aft --model tuned --challenge c.json --out e.h5 --json --quiet | jq -c .disclosed
aftune-open --trace serve.aft --model tuned --challenge c.json --out f.h5 --json --quiet | jq -c .disclosed
aftune-serve --model tuned --trace serve.aft --key acme.key --lineage lineage.json --resume --quiet </dev/null
shown
# Weights that the proof is not of, and a manifest that names another run or none.
aftune-train --model model --init --data rows.jsonl --out second --trace second.aft --steps 1 --seq-len 32 --threads 1 --quiet >/dev/null
aftune-commit --trace second.aft --key acme.key >/dev/null
aftune-inspect --trace second.aft --pubkey acme.vkey --lineage >second.json
try aftune-serve --model second --trace other.aft --key acme.key --lineage lineage.json </dev/null
verify() {
  aftune-verify --pubkey acme.vkey --model tuned --all --quiet --json "$@" | jq -r '.verdict, (.reasons[] | "\(.code) (\(.class)): \(.where)")'
  return "${PIPESTATUS[0]}"
}
try verify --trace serve.aft --lineage lineage.json
try verify --trace serve.aft --lineage second.json
sed 's/"leaf":"./&0/' lineage.json >bent.json
try verify --trace serve.aft --lineage bent.json
echo '{"prompt":"row 1","max_tokens":2}' | aftune-serve --model tuned --trace plain.aft --key acme.key >answers
try verify --trace plain.aft --lineage lineage.json
# Bad use.
try inspect --lineage
try inspect --lineage --pubkey acme.vkey --json
try inspect --lineage --pubkey absent
aftune-key generate --name audit.example/other --out other --no-passphrase >/dev/null
try inspect --lineage --pubkey other.vkey 2>&1 | sed 's/other+.*/other+.../'
try aftune-inspect --lineage --trace serve.aft --pubkey acme.vkey
rm second.aft/checkpoint
try aftune-inspect --lineage --trace second.aft --pubkey acme.vkey
