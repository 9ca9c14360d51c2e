# A draft from the client's own files: what is in it is what a run of them records.
aftune-inspect --policy-from model --data rows.jsonl --out policy.json
sed 's/"\(config\|data_root\|template\|tokenizer\)": "[0-9a-f]*"/"\1": DIGEST/' policy.json
aftune-verify --trace run.aft --pubkey acme.vkey --all --quiet --policy policy.json | head -n 1
# With weights it pins them.
aftune-inspect --policy-from tuned --data rows.jsonl 2>/dev/null | grep -c base_root
# The run id that a nonce and a policy give; b3sum and xxd give the same.
echo '{"version":1,"nonce":"beef","run_from_nonce":true}' >order.json
aftune-inspect --policy order.json
aftune-inspect --policy order.json --json | grep -o '"run":"[^"]*"'
aftune-inspect --policy - --json <policy.json | grep -o '"run":null'
# A run of that id is the one that the policy means.
run=$(aftune-inspect --policy order.json --json | sed 's/.*"run":"\([^"]*\)".*/\1/')
train --nonce beef --run-id "$run" && aftune-commit --trace new.aft --key acme.key >/dev/null
aftune-verify --trace new.aft --pubkey acme.vkey --all --quiet --policy order.json | head -n 1
try aftune-inspect --policy absent
echo '{"version":1,"recipes":{}}' >bad.json
try aftune-inspect --policy bad.json
try aftune-inspect --policy order.json --trace run.aft
try aftune-inspect --policy-from model
try aftune-inspect --data rows.jsonl
try aftune-inspect --policy order.json --out new.json
try aftune-inspect --policy-from absent --data rows.jsonl
try aftune-inspect --policy-from model --data absent --out new.json
