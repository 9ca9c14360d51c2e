# SIGINT ends the run after the step at hand: nothing is exported, and the trace can be gone on with.
job() {
  SOURCE_DATE_EPOCH=1700000000 aftune-train --model model --init --data rows.jsonl --out new --trace new.aft --steps 400 \
    --batch-size 1 --seq-len 16 --steps-per-block 4 --snapshot-interval 2 --run-id 00112233445566778899aabbccddeeff \
    --threads 1 --quiet "$@"
}
job --json >steps &
pid=$(while ! [ -s steps ]; do sleep 0.02; done; pgrep -P $! aftune-train || echo $!)
kill -INT "$pid"
wait
tail -n 1 steps | grep -o '"done":[a-z]*'
ls new 2>&1
job --resume | sed 1d
aftune-inspect --trace new.aft | grep -o '^log .*leaves'
