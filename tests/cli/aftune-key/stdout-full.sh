aftune-key show acme.vkey >/dev/full
echo "exit $?"
aftune-key --help >/dev/full
echo "exit $?"
