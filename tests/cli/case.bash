# What every case may use.
set -u

# Runs a command, says its exit code, and names what appeared or vanished in the folder.
try() {
  local code=0 before
  before=$(find . | sort)
  "$@" || code=$?
  echo "exit $code"
  diff <(echo "$before") <(find . | sort) | sed -n 's/^> /new /p; s/^< /gone /p'
}

# A training run of the fixture's own job; more flags may follow.
train() {
  aftune-train --model model --init --data rows.jsonl --out new --trace new.aft --steps 2 --batch-size 4 --seq-len 48 \
    --threads 1 --quiet "$@"
}

seed=1122334455667788990011223344556677889900112233445566778899001122
