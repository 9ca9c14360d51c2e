#!/usr/bin/env python3
"""One PyTorch training step, timed: the peer of bench_step. Prints one JSON line."""
import argparse, json, time
import torch
from transformers import LlamaConfig, LlamaForCausalLM

p = argparse.ArgumentParser()
p.add_argument("--hidden", type=int, default=512)
p.add_argument("--layers", type=int, default=8)
p.add_argument("--intermediate", type=int, default=1376)
p.add_argument("--heads", type=int, default=8)
p.add_argument("--vocab", type=int, default=4096)
p.add_argument("--batch", type=int, default=8)
p.add_argument("--seq-len", type=int, default=256)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--steps", type=int, default=3)
p.add_argument("--compile", action="store_true")
a = p.parse_args()

torch.set_num_threads(a.threads)
torch.manual_seed(1)
config = LlamaConfig(hidden_size=a.hidden, num_hidden_layers=a.layers, intermediate_size=a.intermediate,
                     num_attention_heads=a.heads, num_key_value_heads=a.heads, vocab_size=a.vocab,
                     max_position_embeddings=a.seq_len, tie_word_embeddings=True, use_cache=False)
model = LlamaForCausalLM(config).float().train()
run = torch.compile(model) if a.compile else model
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
ids = torch.randint(0, a.vocab, (a.batch, a.seq_len))
times = []
for step in range(a.steps + 1):
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = run(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    times.append(time.perf_counter() - start)
print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "loss": loss.item(),
                  "warmup": times[0], "seconds": times[1:]}))
