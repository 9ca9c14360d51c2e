try aftune-key
try aftune-key genrate
try aftune-key frobnicate
try aftune-key generate
try aftune-key generate --out new
try aftune-key generate --nam x --out new
try aftune-key generate --name x --name y --out new
try aftune-key generate --name x --out
try aftune-key generate --name --out new
try aftune-key generate --name x --out new --no-passphrase=yes
try aftune-key generate --name x --out new surplus
try aftune-key show
try aftune-key show acme.key acme.vkey
try aftune-key --verbose
AFTUNE_ISA=sse2 try aftune-key show acme.vkey
