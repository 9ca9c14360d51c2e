head -c 20 acme.key >short.key
head -c 20 acme.vkey >short.vkey
printf 'PRIVATE+KEY+a+00000000+AAAA\n' >forged.key
printf 'aftune-secret-key/1\nname a\n' >cut.key
head -c 100000 /dev/zero >zeros.key
mkdir folder
for file in absent short.key short.vkey forged.key cut.key zeros.key folder; do try aftune-key show "$file"; done
