#!/bin/sh
# h5dump reads what write_segment wrote, through the filter plugin: h5dump_reads_segment.sh WRITE_SEGMENT PLUGINS
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" "$folder/s.h5"
export HDF5_PLUGIN_PATH="$2"
expect() {
  h5dump -y -w 200 -d "$1" "$folder/s.h5" >"$folder/out"
  grep -q "^ *$2\$" "$folder/out" || { echo "$1: not found: $2"; cat "$folder/out"; exit 1; }
}
expect /steps/12/tokens '0, 1, 4, 9, 16, 25, 36'
expect /state/scalar '0'
expect /state/brain '12, 13, 14'
h5dump -y -w 200 -m %.1f -d /state/packed -s 2,199997 -c 1,3 "$folder/s.h5" | tr -d ' \n' |
  grep -q '299998.5,299999.0,299999.5'
