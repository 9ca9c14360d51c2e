aftune-key generate --name audit.example/jane --out jane --no-passphrase >/dev/null
verify() { aftune-verify --trace run.aft --pubkey acme.vkey --quiet --threads 1 "$@" | sed -n '1s/[:;].*//p'; return "${PIPESTATUS[0]}"; }
try verify --challenge c.json --junit j.xml --attestation a.json --key jane.key
grep -c '<testcase' j.xml
grep -o '<testsuite .*' j.xml
cp a.json first.json
verify --challenge c.json --attestation a.json --key jane.key && cmp a.json first.json
# A verdict of no signed log is a failure in the XML, and has nothing to attest to.
cp -r run.aft bad.aft
sed -i '1s/acme/acne/' bad.aft/checkpoint
try aftune-verify --trace bad.aft --pubkey acme.vkey --all --json --junit k.xml --attestation b.json --key jane.key |
  grep -o '"verdict":"[A-Z]*"\|new.*\|exit.*'
grep -o '<testcase classname="aftune.check" name="signature">' k.xml
# Bad use, before any work and with nothing written or overwritten.
try verify --all --attestation x.json
try verify --all --key jane.key
try verify --all --attestation x.json --key absent
try verify --all --attestation x.json --key acme.vkey
try verify --all --attestation jane.key --key ./jane.key
try verify --challenge c.json --junit run.aft/../c.json
try verify --all --junit -
try verify --all --junit x --attestation x --key jane.key
try verify --challenge c.json --junit absent/j.xml
# Colours are for a terminal that wants them.
shown() { script -qec 'aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --quiet' /dev/null | head -n 1 | grep -c $'\x1b'; }
TERM=xterm NO_COLOR='' shown
TERM=xterm NO_COLOR=1 shown
TERM=dumb NO_COLOR='' shown
aftune-verify --trace run.aft --pubkey acme.vkey --challenge c.json --quiet | grep -c $'\x1b' || true
