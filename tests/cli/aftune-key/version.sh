for tool in key train commit challenge verify inspect; do aftune-$tool --version | sed 's/[0-9.]*$/VERSION/'; done
