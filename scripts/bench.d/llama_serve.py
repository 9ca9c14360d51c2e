#!/usr/bin/env python3
"""Prefill and decoding of a GGUF file with llama.cpp (PyPI: xllamacpp), by its own timings: a peer of bench-serve, with
whose JSON keys it answers."""
import argparse, json, statistics, threading
import xllamacpp

p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--prompt", type=int, default=128)
p.add_argument("--steps", type=int, default=32)
a = p.parse_args()


def server(sequences):
    params = xllamacpp.CommonParams()
    params.model.path = a.model
    params.n_ctx = sequences * 1024
    params.n_parallel = sequences
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = a.threads
    params.verbosity = 0
    return xllamacpp.Server(params)


def rates(sequences):
    """Of the sequences together, which start together."""
    llama, timings = server(sequences), []

    def complete(first):
        answer = llama.handle_completions({
            "prompt": [1, *((first + 7 * i) % 4000 + 300 for i in range(a.prompt - 1))], "n_predict": a.steps + 1,
            "ignore_eos": True, "temperature": 0, "samplers": ["top_k"], "top_k": 1, "cache_prompt": False})
        timings.append((json.loads(answer) if isinstance(answer, str) else answer)["timings"])

    threads = [threading.Thread(target=complete, args=(37 * n,)) for n in range(sequences)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sequences * statistics.median(t[f"{phase}_per_second"] for t in timings) for phase in ("prompt", "predicted")]


prefill, one = rates(1)
print(json.dumps({"prefill": prefill, "decode 1": one, "decode 8": rates(8)[1]}))
