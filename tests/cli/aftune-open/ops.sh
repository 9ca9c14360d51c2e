try aftune-open --trace run.aft --challenge c.json --ops 1,1 --key acme.key --out ops.json --quiet
jq -c '[.type, .cell, (.ops | length), (.ops[4] | .op, .at, .step, .row, .tokens, (.in | length), (.out | length))]' ops.json
# Threads cannot be seen in it, nor that the run is kept elsewhere.
cp -r run.aft copy.aft
aftune-open --trace copy.aft --challenge c.json --ops 1,1 --key acme.key --out again.json --threads 3 --quiet --json
cmp ops.json again.json && echo same
# A cell that the challenge does not ask for is no one's to know.
for cell in {0..3},{0..2}; do
  aftune-open --trace run.aft --challenge c.json --ops "$cell" --key acme.key --out "$cell.json" --quiet >/dev/null 2>&1 &&
    echo "$cell"
done
