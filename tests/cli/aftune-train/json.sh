train --json --lr 1e-3 --seed 3 | sed 's/"seconds":[0-9.e-]*/"seconds":S/'
