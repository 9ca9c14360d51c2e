aftune-inspect --trace run.aft | grep ^disclosed
aftune-open --trace run.aft --challenge c.json --out e.h5 --json --quiet | jq -c .disclosed
# The same cells again disclose nothing new.
aftune-open --trace run.aft --challenge c.json --out f.h5 --json --quiet | jq -c .disclosed
aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --all --fresh --out all.json >/dev/null
echo '{"version":1,"max_blocks_disclosed":3}' >policy.json
try aftune-open --trace run.aft --challenge all.json --out g.h5 --policy policy.json --quiet
aftune-inspect --trace run.aft --json | jq -c .disclosed
aftune-inspect --trace run.aft | grep ^disclosed
# Ten at once are all counted.
cp run.aft/disclosed before
rm run.aft/disclosed
for i in 0 1 2 3 4 5 6 7 8 9; do
  aftune-challenge --checkpoint run.aft/checkpoint --pubkey acme.vkey --cells 2 --out "c$i.json" --challenge-seed \
    "00000000000000000000000000000000000000000000000000000000000000a$i" >/dev/null
done
for i in 0 1 2 3 4 5 6 7 8 9; do
  aftune-open --trace run.aft --challenge "c$i.json" --out "e$i.h5" --threads 1 --quiet >/dev/null &
done
wait
for i in 0 1 2 3 4 5 6 7 8 9; do
  aftune-verify --evidence "e$i.h5" --challenge "c$i.json" --pubkey acme.vkey --json --quiet | jq -c '.sampled[] | [.block, .step_block]'
done | sort -u >cells
jq '.cells | length' run.aft/disclosed | diff - <(wc -l <cells) && echo all counted
# A damaged count is not begun again.
echo '{}' >run.aft/disclosed
try aftune-open --trace run.aft --challenge c.json --out h.h5
try aftune-inspect --trace run.aft
