aftune-inspect --trace run.aft | sed 's/[0-9]* bytes/N bytes/; s/[0-9a-f]\{64\}/ROOT/; s/aftune [0-9.]*,/aftune VERSION,/'
aftune-inspect --trace run.aft --json >whole.json
# What was cut off is not counted.
rm run.aft/checkpoint
head -n 6 run.aft/log.jsonl >log && printf 'torn' >>log && mv log run.aft/log.jsonl
aftune-inspect --trace run.aft | grep -e ^log -e ^checkpoint -e ^loss | sed 's/[0-9]* bytes/N bytes/'
aftune-inspect --trace run.aft >/dev/full
echo "exit $?"
