bad() {
  rm -rf bad.aft
  mkdir bad.aft
  printf '%b' "$1" >bad.aft/log.jsonl
  try aftune-commit --trace bad.aft --key acme.key
  rm -rf bad.aft
}
bad ''
bad 'not json\n'
bad '{}\n'
bad '{"kind":"manifest"}\n'
bad '\n'
bad 'torn'
bad "$(head -n 2 run.aft/log.jsonl | sed 's/\\/\\\\/g')\ntorn"
mkdir linked.aft
ln -s ../run.aft/log.jsonl linked.aft/log.jsonl
try aftune-commit --trace linked.aft --key acme.key
