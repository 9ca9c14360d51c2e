rm model/tokenizer.json
try train
echo '{"model":{"type":"WordPiece"}}' >model/tokenizer.json
try train
echo '[' >model/tokenizer.json
try train
