tune() {
  aftune-train --model bad --data rows.jsonl --out new --trace new.aft --steps 2 --batch-size 4 --seq-len 48 --threads 1 \
    --quiet
}
fresh() { rm -rf bad && cp -r tuned bad; }
fresh && rm bad/model.safetensors
try tune
fresh && : >bad/model.safetensors
try tune
fresh && head -c 5 tuned/model.safetensors >bad/model.safetensors
try tune
fresh && head -c 1000 tuned/model.safetensors >bad/model.safetensors
try tune
fresh && head -c -4 tuned/model.safetensors >bad/model.safetensors
try tune
fresh && printf '\377\377\377\377\377\377\377\177' | dd of=bad/model.safetensors conv=notrunc status=none
try tune
fresh && sed -i 's/model.norm.weight/model.nurm.weight/' bad/model.safetensors
try tune
fresh && sed -i '0,/"F32"/s//"F64"/' bad/model.safetensors
try tune
fresh && sed -i 's/"hidden_size": .*/"hidden_size": 24,/' bad/config.json
try tune
fresh && rm bad/model.safetensors && echo '{"weight_map":{"model.norm.weight":"../../etc/passwd"}}' >bad/model.safetensors.index.json
try tune
