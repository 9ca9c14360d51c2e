for name in 'a b' 'a+b' $'a\nb' $'\xff'; do try aftune-key generate --name "$name" --out new --no-passphrase; done
