serve() { aftune-serve --model tuned "$@" <<<'{"prompt":"x","max_tokens":1}'; }
recorded() { serve --trace serve.aft --key acme.key "$@"; }
try aftune-serve
try aftune-serve --modle tuned
try serve
try serve --no-record --trace serve.aft --key acme.key
try serve --trace serve.aft
try serve --no-record --key acme.key
try serve --no-record --resume
try serve --no-record --keep-open
try serve --no-record --lineage lineage.json
try serve --no-record --run-id 00
try serve --no-record --numerics i14:64
try serve --no-record --device tpu
try serve --no-record --default-tokens 9 --max-tokens 8
try serve --no-record --batch 0
try serve --no-record --cache 3X
try serve --no-record --quiet --quiet
try recorded --merge-delay 1
# What is not there, or is something else. Nothing is made.
try aftune-serve --model absent --no-record
try aftune-serve --model model --no-record
mkdir vit
cat >vit/config.json <<'END'
{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
 "image_size": 4, "patch_size": 2, "num_labels": 2}
END
try aftune-serve --model vit --no-record
try serve --no-record --in absent
try serve --no-record --out absent/answers
try serve --no-record --in rows.jsonl --out ./rows.jsonl
try serve --trace serve.aft --key absent
try serve --trace serve.aft --key acme.vkey
try recorded --out acme.key
try recorded --lineage absent
try recorded --lineage acme.vkey
try recorded --lineage c.json
# A trace is not written over, whatever it is of.
try serve --trace run.aft --key acme.key
try serve --trace run.aft --key acme.key --resume
mkdir full
echo >full/file
try serve --trace full --key acme.key
mkdir locked
chmod a-w locked
# Whoever may do everything may write there too: without privileges.
try setpriv --bounding-set=-all --inh-caps=-all aftune-serve --model tuned --trace locked/serve.aft --key acme.key </dev/null
# A template that is not known, one that writes the date, and several.
cp -r tuned other
template() { jq -cn --arg t "$1" '{chat_template: $t}' >other/tokenizer_config.json; }
template '{% for message in messages %}{{ message.content }}{% endfor %}'
try aftune-serve --model other --no-record
template '{{ strftime_now("%d %b %Y") }}'
try aftune-serve --model other --no-record
echo '{"chat_template":[{"name":"default","template":"x"}]}' >other/tokenizer_config.json
try aftune-serve --model other --no-record
