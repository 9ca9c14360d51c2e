try aftune-open --trace run.aft --challenge c.json --final-params --out e.h5 --quiet
aftune-verify --evidence e.h5 --challenge c.json --pubkey acme.vkey --json --quiet | jq -c '[.verdict, .checks.export.done]'
aftune-open --trace run.aft --challenge c.json --out f.h5 --json --quiet | jq -c '.disclosed.final_params'
aftune-verify --evidence f.h5 --challenge c.json --pubkey acme.vkey --json --quiet | jq -c '[.verdict, .checks.export.done]'
