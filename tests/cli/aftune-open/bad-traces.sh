# A trace that is not what the note seals, or lacks something: one line, and no file.
cp -r run.aft cut.aft
head -n 5 run.aft/log.jsonl >cut.aft/log.jsonl
try aftune-open --trace cut.aft --challenge c.json --out e.h5 --quiet
cp -r run.aft other.aft
sed -i '3s/"tokens":[0-9]*/"tokens":7/' other.aft/log.jsonl
try aftune-open --trace other.aft --challenge c.json --out e.h5 --quiet
cp -r run.aft less.aft
rm less.aft/segment-000002.h5
try aftune-open --trace less.aft --challenge c.json --out e.h5 --quiet
cp -r run.aft bad.aft
printf x | dd of=bad.aft/segment-000001.h5 bs=1 seek=2000 conv=notrunc status=none
try aftune-open --trace bad.aft --challenge c.json --out e.h5 --quiet
# A trace that goes on is still open to an earlier challenge.
cp -r run.aft longer.aft
echo '{"later":"lines"}' >>longer.aft/log.jsonl
try aftune-open --trace longer.aft --challenge c.json --out e.h5 --quiet
