try aftune-inspect
try aftune-inspect --tokenize
try aftune-inspect --tokenize --model model --trace run.aft
try aftune-inspect --trace run.aft --model model
try aftune-inspect --trace absent
try aftune-inspect --trace model
try aftune-inspect --trace rows.jsonl
try aftune-inspect --tokenize --model absent
mkdir bad.aft
echo '{}' >bad.aft/log.jsonl
try aftune-inspect --trace bad.aft
head -n 3 run.aft/log.jsonl | sed '3s/"tokens"/"tokes"/' >bad.aft/log.jsonl
try aftune-inspect --trace bad.aft
cp -r run.aft cut.aft
head -c 3000 run.aft/segment-000000.h5 >cut.aft/segment-000000.h5
try aftune-inspect --trace cut.aft
