# A server says where it is, ends well when it is told to, and leaves a sealed log.
aftune-serve --model tuned --trace serve.aft --key acme.key --listen 0 >out &
until [ -s out ]; do sleep 0.05; done
sed 's/[0-9]*$/PORT/' out
kill -TERM $!
wait $!
echo "exit $?"
tail -n 1 serve.aft/log.jsonl | grep -c serving-final
sed -n 2p serve.aft/checkpoint
