# What a client can do with no more than its answer, its request and the provider's key.
echo '{"prompt":"row 1 of","max_tokens":6,"temperature":0}' >request
aftune-serve --model tuned --trace serve.aft --key acme.key --in request --out answer --run-id 00112233445566778899aabbccddeeff \
  --keep-open
jq -c '.receipt | [.index, .key, .origin]' answer
# The digests are those of the bytes that were sent and of what came back (docs/serving.md).
[ "$(head -c -1 request | b3sum --no-names)" = "$(jq -r .receipt.request answer)" ] && echo request
jq -cjS '{ask, endpoint, finish: .finish_reason, text, tokens}' answer >exchange
[ "$(b3sum --no-names exchange)" = "$(jq -r .receipt.answer answer)" ] && echo answer
[ "$(jq -r .base.root serve.aft/log.jsonl | head -1)" = "$(jq -r .receipt.model answer)" ] && echo model
# The leaf is hashed as RFC 6962 says.
{ printf '\0'; sed -n 2p serve.aft/log.jsonl | head -c -1; } | sha256sum | cut -c 1-64 >hash
[ "$(cat hash)" = "$(jq -r .receipt.leaf answer)" ] && echo leaf
# The signed lines, and the key under which they verify.
jq -r '.receipt | "aftune-receipt/1", .origin, .index, .leaf, .model, .request, .answer, .time, .merge_by' answer >signed
{ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; cut -d + -f 3- acme.vkey | base64 -d | tail -c 32; } >public.der
jq -r .receipt.signature answer | base64 -d >signature
openssl pkeyutl -verify -pubin -keyform DER -inkey public.der -rawin -in signed -sigfile signature
# The receipt is for what was sent, and not for something else that agrees with the log.
judge() { aftune-verify --trace serve.aft --model tuned --pubkey acme.vkey --all --json --quiet "$@" >verdict; rc=$?
  jq -r '.verdict, (.reasons[] | "\(.code) (\(.class))"), (.unchecked[] | select(startswith("request:")))' verdict
  echo "exit $rc"; }
judge --receipt answer
judge --receipt answer --requests request
echo '{"prompt":"row 2 of","max_tokens":6,"temperature":0}' >other
judge --receipt answer --requests other
aftune-verify --trace serve.aft --model tuned --pubkey acme.vkey --all --requests request
aftune-verify --trace serve.aft --model tuned --pubkey acme.vkey --all --receipt answer --witness acme.vkey
