# Conversations, as OpenAI's fine-tuning files have them: what the assistant says is learned.
cat >model/tokenizer_config.json <<'END'
{"chat_template": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"}
END
for i in 1 2 3 4 5; do
  printf '{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q%d"},' $i
  printf '{"role":"assistant","content":"no","weight":%d},{"role":"user","content":"r"},' $((i % 2))
  printf '{"role":"assistant","content":[{"type":"text","text":"yes %d"}]}]}\n' $i
done >chats.jsonl

chats() {
  aftune-train --model model --init --data chats.jsonl --out new --trace new.aft --steps 3 --batch-size 2 --seq-len 192 \
    --threads 1 --quiet --run-id 00112233445566778899aabbccddeeff "$@"
}
chats --pack --eval-data chats.jsonl >/dev/null
grep -o '"predicted":[0-9]*' new.aft/log.jsonl
aftune-commit --trace new.aft --key acme.key >/dev/null
aftune-verify --trace new.aft --pubkey acme.vkey --all --data chats.jsonl --export new --quiet | head -1
aftune-challenge --checkpoint new.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed --cells 2 --out d.json >/dev/null
aftune-open --trace new.aft --challenge d.json --out e.h5 --quiet >/dev/null
aftune-verify --evidence e.h5 --challenge d.json --pubkey acme.vkey --quiet | head -1
rm -r new new.aft

# A template is known or refused, once a row needs it.
echo '{"chat_template": "it was {{ messages }}"}' >model/tokenizer_config.json
try chats
train >/dev/null
