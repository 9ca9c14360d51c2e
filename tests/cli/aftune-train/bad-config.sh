bad() { # sed expression
  rm -rf bad
  cp -r model bad
  sed -i "$1" bad/config.json
  try train --model bad
  rm -rf new new.aft
}
train() { # --model given by the case
  aftune-train --init --data rows.jsonl --out new --trace new.aft --steps 2 --batch-size 4 --seq-len 48 --threads 1 \
    --quiet "$@"
}
try train --model absent
try train --model rows.jsonl
mkdir empty
try train --model empty
cp -r model cut
head -c 100 model/config.json >cut/config.json
try train --model cut
bad 's/"model_type": .*/"model_type": "gpt9",/'
bad 's/"hidden_size": .*/"hidden_size": "16",/'
bad 's/"hidden_size": .*/"hidden_size": -16,/'
bad 's/"hidden_size": .*/"hidden_size": 1152921504606846976,/'
bad 's/"num_hidden_layers": .*/"num_hidden_layers": 2000000000,/'
bad 's/"num_attention_heads": .*/"num_attention_heads": 0,/'
bad 's/"num_key_value_heads": .*/"num_key_value_heads": 3,/'
bad 's/"vocab_size": .*/"vocab_size": 0,/'
bad 's/"rms_norm_eps": .*/"rms_norm_eps": 1e999,/'
bad 's/"hidden_act": .*/"hidden_act": "relu",/'
bad 's/"attention_bias": .*/"attention_bias": true,/'
bad 's/"model_type": .*/"model_type": "mistral",/'
bad 's/"model_type": .*/"model_type": "mistral", "sliding_window": 4096,/'
bad 's/"model_type": .*/"model_type": "qwen2", "use_sliding_window": true,/'
bad 's/"model_type": .*/"model_type": "qwen3", "quantization_config": {"bits": 4},/'
for member in '"activation_function": "relu"' '"scale_attn_by_inverse_layer_idx": true' \
  '"reorder_and_upcast_attn": true' '"scale_attn_weights": false' '"n_embd": 32'; do
  bad "s/\"model_type\": .*/\"model_type\": \"gpt2\", $member,/"
done
bad 's/"model_type": .*/"model_type": "gpt2",/; s/"max_position_embeddings": .*/"max_position_embeddings": 40,/'
bad 's/"vocab_size": .*/"vocab_size": 100,/'
bad 's/"vocab_size": .*/"vocab_size": 257, "vocab_size": 258,/'
head -c 20000 /dev/zero | tr '\0' '[' >bad/config.json
try train --model bad
