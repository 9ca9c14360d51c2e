aftune-key generate --witness --name witness.example/w1 --out w1 --no-passphrase >/dev/null
# The type byte 04 begins the key.
sed 's/+[0-9a-f]*+\(.\).*/ \1/' w1.vkey
aftune-key show w1.key | cmp - w1.vkey
aftune-key show w1.vkey | cmp - w1.vkey
try aftune-challenge --checkpoint run.aft/checkpoint --pubkey w1.vkey --plan --trace run.aft --cells 1
