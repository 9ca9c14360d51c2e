# Each row that cannot be answered says why, on stderr and in its place; the others are answered.
cat >prompts.jsonl <<'END'
{"id":"first","prompt":"row 1","max_tokens":3,"temperature":0}
{"prompt":"row 2","max_token":3}
not json

[]
{"prompt":"x","messages":[{"role":"user","content":"x"}]}
{"max_tokens":3}
{"prompt":""}
{"prompt":[1,2,257]}
{"prompt":{"text":"x"}}
{"prompt":"x","prompt":"y"}
{"id":7,"prompt":"x"}
{"prompt":"x","max_tokens":0}
{"prompt":"x","max_tokens":257}
{"prompt":"x","max_tokens":2.5}
{"prompt":"x","n":129}
{"prompt":"x","temperature":-1}
{"prompt":"x","temperature":"hot"}
{"prompt":"x","top_p":0}
{"prompt":"x","repetition_penalty":0}
{"prompt":"x","logit_bias":{"257":1}}
{"prompt":"x","logit_bias":{"01":1}}
{"prompt":"x","seed":18446744073709551616}
{"prompt":"x","stop":[""]}
{"prompt":"x","logprobs":21}
{"prompt":"x","stream":true}
{"messages":[]}
{"messages":[{"role":"tool","content":"x"}]}
{"messages":[{"role":"user","content":[{"type":"image_url","text":"x"}]}]}
{"messages":[{"role":"user"}]}
END
printf '{"prompt":"\xff"}\n' >>prompts.jsonl
printf '\xef\xbb\xbf{"prompt":"x"}\n' >>prompts.jsonl
jq -cn '{prompt: ("x" * 256)}' >>prompts.jsonl
printf '{"id":"last","prompt":"row 9","max_tokens":3,"temperature":0}' >>prompts.jsonl
try aftune-serve --model tuned --no-record --in prompts.jsonl --out answers
wc -l <answers
jq -ac 'if .error then [.id, .error] else [.id, .tokens] end' answers
# They leave no trace: the log has those that were answered.
try aftune-serve --model tuned --trace serve.aft --key acme.key --in prompts.jsonl --out answers 2>errors
wc -l <errors
jq -r .kind serve.aft/log.jsonl
# Rows for which there are not enough keys and values.
echo '{"prompt":"x","max_tokens":200}' | try aftune-serve --model tuned --no-record --cache 1K
# No rows at all.
try aftune-serve --model tuned --no-record </dev/null
