# Whether built without CUDA, without a driver or with some GPUs: there are no thousand.
for name in cuda:999 cuda:x cuda: cuda9; do
  try train --device $name 2>line
  sed "s/^\(aftune-train: error: --device cuda:999: \).*/\1why/" line >&2
  test "$(wc -l <line)" = 1 || echo "more than a line"
  rm line
done
