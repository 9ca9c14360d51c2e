# Sourced by tests that train: a new folder, left as it ends, with a model without weights and some rows.
# shellcheck shell=bash

# Goes there.
small_job() { # demo-files rows
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work" || return
  mkdir model
  cp "$1/config.json" "$1/tokenizer.json" model/
  "$1/make-rows" "$2" >rows.jsonl
}
