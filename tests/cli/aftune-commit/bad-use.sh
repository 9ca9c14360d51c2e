try aftune-commit
try aftune-commit --trace run.aft
try aftune-commit --trace run.aft --key acme.key --kye x
try aftune-commit --trace absent --key acme.key
try aftune-commit --trace model --key acme.key
try aftune-commit --trace run.aft --key absent.key
try aftune-commit --trace run.aft --key acme.vkey
