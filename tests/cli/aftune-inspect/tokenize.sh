tokens() { aftune-inspect --tokenize --model model; }
printf '%s\n' '"abc"' '""' '"two\nlines \u00e9 \ud83d\ude00"' | tokens
printf '%s\n' '"good"' 'bad' | try tokens
printf '%s\n' '3' | try tokens
printf '"\xff"\n' | try tokens
printf '"no line end"' | tokens
