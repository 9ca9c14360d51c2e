rows() {
  printf '%b' "$1" >bad.jsonl
  try aftune-train --model model --init --data bad.jsonl --out new --trace new.aft --steps 2 --batch-size 1 --seq-len 48 \
    --threads 1 --quiet
}
good='{"text":"a good row"}\n'
rows ''
rows "$good\n$good"
rows "$good{\"text\":\"crlf\"}\r\n"
rows "${good}not json\n"
rows "$good{\"text\":3}\n"
rows "$good{\"txet\":\"typo\"}\n"
rows "$good{\"text\":\"both\",\"prompt\":\"a\",\"completion\":\"b\"}\n"
rows "$good{\"prompt\":\"alone\"}\n"
rows "$good{\"text\":\"\\\\xff\"}\n"
rows "$good{\"text\":\"bad utf-8 \\xff\"}\n"
rows "$good{\"text\":\"twice\",\"text\":\"twice\"}\n"
rows "$good\"text\"\n"
rows "$good{\"prompt\":\"this prompt is longer than the forty-eight tokens that are kept\",\"completion\":\"x\"}\n"
try aftune-train --model model --init --data absent.jsonl --out new --trace new.aft --steps 2
try aftune-train --model model --init --data model --out new --trace new.aft --steps 2
