aftune-key generate --name audit.example/b --out b --no-passphrase >made
cmp made b.vkey
aftune-key show b.key | cmp - b.vkey
aftune-key show - <b.vkey | cmp - b.vkey
stat -c %a b.key
aftune-key show b.key --json | sed 's/"id":"[0-9a-f]\{8\}"/ID/; s/+[0-9a-f]\{8\}+[A-Za-z0-9+\/=]*/+KEY/'
