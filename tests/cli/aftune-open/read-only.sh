# Whoever may do everything may write a folder without write permission too: without privileges.
open() { setpriv --bounding-set=-all --inh-caps=-all aftune-open --trace run.aft --challenge c.json --out e.h5 --quiet "$@"; }
chmod a-w run.aft
find run.aft -type f | sort | xargs sha256sum >before
try open
try open --disclosed run.aft/counted
try open --disclosed absent/counted
try open --disclosed rows.jsonl
try open --disclosed e.h5
try open --disclosed counted
find run.aft -type f | sort | xargs sha256sum | cmp - before && echo untouched
jq '.cells | length' counted
rm e.h5
try open --disclosed counted >/dev/null
jq '.cells | length' counted
chmod u+w run.aft
