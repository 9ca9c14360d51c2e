# A classifier of images: rows of pixels, or of files, of the model's size; no tokenizer.
mkdir vit
cat >vit/config.json <<'END'
{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
 "image_size": 4, "patch_size": 2, "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}
END
rows() { # classes: a file of four images
  local header='{"pixels":{"dtype":"U8","shape":[4,3,4,4],"data_offsets":[0,192]},'
  header+='"labels":{"dtype":"I32","shape":[4],"data_offsets":[192,208]}}'
  printf "\\x$(printf %x ${#header})\0\0\0\0\0\0\0%s" "$header"
  seq 100 | head -c 192
  for class in "$@"; do printf "\\x$class\0\0\0"; done
}
rows 0 1 1 0 >rows.safetensors
classify() { # rows, flags
  local data=$1
  shift
  aftune-train --model vit --init --data "$data" --out new --trace new.aft --steps 2 --batch-size 2 --threads 1 \
    --quiet --run-id 00112233445566778899aabbccddeeff "$@"
}
try aftune-train --model vit --dry-run --steps 2 --batch-size 2
classify rows.safetensors --eval-data rows.safetensors >/dev/null
grep -o '"predicted":[0-9]*' new.aft/log.jsonl
aftune-commit --trace new.aft --key acme.key >/dev/null
aftune-verify --trace new.aft --pubkey acme.vkey --all --data rows.safetensors --export new --quiet | head -1
aftune-challenge --checkpoint new.aft/checkpoint --pubkey acme.vkey --challenge-seed $seed --cells 2 --out d.json >/dev/null
aftune-open --trace new.aft --challenge d.json --out e.h5 --quiet >/dev/null
aftune-verify --evidence e.h5 --challenge d.json --pubkey acme.vkey --quiet | head -1
rm -r new new.aft

base64 -d >a.png <<'END'
iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAP0lEQVR42gE0AMv/AAAHDhUcIyoxOD9GTQAwNz5FTFNaYWhvdn0A
YGdudXyDipGYn6atAJCXnqWss7rByM/W3XkPFLl0R+uYAAAAAElFTkSuQmCC
END
printf '{"image": "a.png", "label": %s}\n' 1 '"cat"' >files.jsonl
try classify files.jsonl
rm -r new new.aft

# What no row is.
bad() { # row
  echo "$1" | cat files.jsonl - >bad.jsonl
  try classify bad.jsonl
}
bad '{"image": "a.png", "label": 2}'
bad '{"image": "a.png", "label": "bird"}'
bad '{"image": "b.png", "label": 0}'
bad '{"image": "../a.png", "label": 0}'
bad '{"text": "a"}'
head -c 60 a.png >b.png
bad '{"image": "b.png", "label": 0}'
rows 0 1 2 0 >bad.safetensors
try classify bad.safetensors
head -c 300 rows.safetensors >bad.safetensors
try classify bad.safetensors
sed -i 's/"image_size": 4/"image_size": 6/' vit/config.json
try classify rows.safetensors
try classify files.jsonl
