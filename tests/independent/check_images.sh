#!/bin/bash
# images.py agrees with what aftune-train recorded of images and aftune-open shows of them.
# usage: check_images.sh PYTHON BIN-DIR PLUGIN-DIR
set -euo pipefail
python=$1 plugins=$3
export PATH=$2:$PATH
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
aftune-key generate --name audit.example/acme --out acme --no-passphrase >/dev/null
"$python" "$here/../make_images.py" dinov2 model rows.safetensors 10
echo '{"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}' >model/preprocessor_config.json
aftune-train --model model --init --data rows.safetensors --out out --trace run --steps 4 --batch-size 4 --lr 1e-3 \
  --steps-per-block 2 --seed 9 --quiet >/dev/null
aftune-commit --trace run --key acme.key >/dev/null
aftune-challenge --checkpoint run/checkpoint --pubkey acme.vkey --challenge-seed "$(printf '%064x' 1)" --all --out c.json \
  >/dev/null
aftune-open --trace run --challenge c.json --key acme.key --data rows.safetensors --model model --out e.h5 --quiet >/dev/null
"$python" "$here/images.py" e.h5 "$plugins" "$here/../../scripts"
