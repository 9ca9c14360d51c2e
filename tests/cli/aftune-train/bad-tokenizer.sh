rm model/tokenizer.json
try train
touch model/vocab.json model/merges.txt
try train
echo '{"model":{"type":"WordPiece"}}' >model/tokenizer.json
try train
echo '[' >model/tokenizer.json
try train
