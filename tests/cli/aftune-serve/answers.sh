# Of fixed weights and seeds these are the same bits on every machine, in the order of the rows.
cat >prompts.jsonl <<'END'
{"id":"greedy","prompt":"row 1 of","max_tokens":12,"temperature":0,"ignore_eos":true}
{"id":"short","prompt":"row 2 of","max_tokens":1,"temperature":0}
{"id":"sampled","prompt":"row 3 of","max_tokens":8,"seed":5,"temperature":0.9,"top_p":0.95,"top_k":40,"min_p":0.001}
{"id":"two","prompt":[114,111,119],"max_tokens":5,"n":2,"seed":-1,"logprobs":1}
{"id":"chat","messages":[{"role":"system","content":"rows"},{"role":"user","content":"row 4"}],"max_tokens":6,"seed":18446744073709551615}
{"id":"parts","messages":[{"role":"user","content":[{"type":"text","text":"row"},{"type":"text","text":"5"}]}],"max_tokens":3,"seed":7}
{"id":"penalties","prompt":"aaaa","max_tokens":6,"seed":8,"repetition_penalty":1.5,"frequency_penalty":0.5,"presence_penalty":0.25,"logit_bias":{"97":9}}
{"prompt":"no id","max_tokens":2,"temperature":0,"nonce":"c0ffee","stop":null}
END
serve() { aftune-serve --model tuned --no-record --quiet "$@"; }
serve --in prompts.jsonl --threads 1 >answers
jq -ac '[.id, .ask, .prompt_tokens, .finish_reason, .text]' answers
jq -c '.tokens' answers
jq -c 'select(.logprobs).logprobs' answers
# Nothing of how they are run is in them.
serve --in - --threads 2 --batch 1 --pass-tokens 3 --out company <prompts.jsonl && cmp answers company && echo same
sed -n 3p prompts.jsonl | serve --cache 64K | jq -c .tokens
# An answer ends with a token of the model's ends, before a stop string, or when there is no more room.
echo '{"prompt":"row 1","max_tokens":9,"temperature":0,"logit_bias":{"256":1000}}' | serve | jq -c '[.finish_reason, .text, .tokens]'
echo '{"prompt":"row 1 of","max_tokens":12,"temperature":0,"logit_bias":{"97":1000},"stop":["zz","aa"]}' | serve |
  jq -c '[.finish_reason, .text, .tokens]'
jq -cn '{prompt: ("x" * 250), max_tokens: 99, temperature: 0, ignore_eos: true}' | serve |
  jq -c '[.finish_reason, .prompt_tokens, (.tokens | length)]'
# --max-tokens and --default-tokens bound and complete a row; another profile is another arithmetic.
echo '{"prompt":"x","temperature":0,"ignore_eos":true}' | serve --default-tokens 3 --max-tokens 5 | jq '.tokens | length'
sed -n 4p prompts.jsonl | serve --numerics f32 | jq -c .logprobs[0]
# Without a seed it follows from the request and the period: the same request gets the same answer, a nonce another.
{ yes '{"prompt":"row","max_tokens":8}' | head -2; echo '{"prompt":"row","max_tokens":8,"nonce":"1"}'; } | serve |
  jq -c .tokens | sort | uniq -c | sed 's/\[.*//'
