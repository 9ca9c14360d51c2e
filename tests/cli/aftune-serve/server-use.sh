serve() { aftune-serve --model tuned --no-record "$@"; }
try serve --name x
try serve --tokens tokens
try serve --no-auth
try serve --timeout 5
try serve --max-queue 5
try serve --max-body 1K
try serve --listen 0 --in rows.jsonl
try serve --listen 0 --out answers
try serve --listen 0 --max-body 0
try serve --listen 0 --max-body 5M
try serve --listen 0 --connections 0
try serve --listen 0 --timeout 0
try serve --listen 0 --max-queue 0
# Others than this machine only where it is said how.
try serve --listen 0.0.0.0:0
try serve --listen '[::]:0'
for address in '' x 65536 host.example:80 ::1:80 127.0.0.1; do try serve --listen "$address"; done
# Tokens that would protect nothing.
try serve --listen 0 --tokens absent
umask 077
echo short >tokens
try serve --listen 0 --tokens tokens
: >tokens
try serve --listen 0 --tokens tokens
echo long-enough-0123456789 >tokens
try serve --listen 0 --tokens tokens --no-auth
chmod 644 tokens
try serve --listen 0 --tokens tokens
# An address that cannot be had leaves no trace.
try aftune-serve --model tuned --trace serve.aft --key acme.key --listen 192.0.2.1:80 --no-auth
