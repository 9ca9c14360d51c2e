echo 'correct horse' >right
echo 'battery staple' >wrong
AFTUNE_PASSPHRASE_FILE=right aftune-key generate --name b --out b >/dev/null
head -n 1 b.key
AFTUNE_PASSPHRASE_FILE=right aftune-key show b.key | cmp - b.vkey
AFTUNE_PASSPHRASE_FILE=wrong try aftune-key show b.key
AFTUNE_PASSPHRASE_FILE=absent try aftune-key show b.key
# No terminal: nothing to ask.
try setsid aftune-key show b.key
try setsid aftune-key generate --name c --out c
