for number in 8x '' 1.5 0 -1 99999999999999999999 0x10 ' 4'; do try train --steps-per-block "$number"; done
for number in 1e-4x nan inf -1 1e999 1,5; do try train --lr "$number"; done
for number in -1 18446744073709551616 seven; do try train --seed "$number"; done
for hex in 0011 00112233445566778899AABBCCDDEEFF zz; do try train --run-id "$hex"; done
try train --nonce abc
SOURCE_DATE_EPOCH=yesterday try train
SOURCE_DATE_EPOCH=-1 try train
