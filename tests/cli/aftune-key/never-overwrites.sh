cp acme.key before
try aftune-key generate --name other --out acme --no-passphrase
cmp acme.key before
rm acme.key
try aftune-key generate --name other --out acme --no-passphrase
try aftune-key generate --name other --out no/such/folder --no-passphrase
