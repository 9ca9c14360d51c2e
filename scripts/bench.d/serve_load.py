#!/usr/bin/env python3
"""A server under load: many connections at once ask for answers, streamed and not, and every answer is checked: it is
the one that the same request has when it is asked alone, and its receipt holds against the log that the server leaves.
Prints answers, tokens a second, latencies, and the server's memory at the start, in the middle and at the end.

Usage: serve_load.py BUILD [--connections N] [--seconds N] [--model DIR] [--max-tokens N]
Exit 1 if an answer is lost, is another's, or does not hold. Without --model a small one with random weights is made.
"""
import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import bench_model

KINDS = 16  # of requests; answers of a kind are all the same

parser = argparse.ArgumentParser()
parser.add_argument("build")
parser.add_argument("--connections", type=int, default=64)
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--model")
parser.add_argument("--max-tokens", type=int, default=24)
parser.add_argument("--threads", type=int, default=1)
args = parser.parse_args()


def tool(name, *arguments):
    return subprocess.run([bench_model.tool(args.build, name), *map(str, arguments)], check=True, capture_output=True,
                          text=True).stdout


def small_model(work):
    demo = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo.d")
    base = os.path.join(work, "base")
    os.makedirs(base)
    shutil.copy(os.path.join(demo, "tokenizer.json"), base)
    with open(os.path.join(demo, "config.json")) as source, open(os.path.join(base, "config.json"), "w") as file:
        json.dump({**json.load(source), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                   "head_dim": 16}, file)
    rows = os.path.join(work, "rows.jsonl")
    with open(rows, "w") as file:
        file.write('{"text": "the smith mends the small bell"}\n')
    tool("aftune-train", "--model", base, "--init", "--data", rows, "--out", os.path.join(work, "model"), "--steps", 1,
         "--batch-size", 1, "--seq-len", 16, "--no-record", "--quiet")
    return os.path.join(work, "model")


class Load:
    def __init__(self, port):
        self.port = port
        self.expected = [None] * KINDS
        self.sent = self.lost = self.wrong = self.tokens = 0
        self.answers, self.latencies = [], []

    def body(self, number):
        kind = number % KINDS
        # Every second is streamed; it must say the same.
        body = {"prompt": f"question {kind}", "max_tokens": args.max_tokens, "seed": kind, "stream": number // KINDS % 2 == 1}
        return kind, json.dumps(body).encode()

    async def ask(self, reader, writer, number):
        kind, body = self.body(number)
        self.sent += 1
        start = time.monotonic()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head)
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length:
            choice, = json.loads(await reader.readexactly(int(length[1])))["choices"]
        else:
            choice = await self.read_stream(reader)
        self.latencies.append(time.monotonic() - start)
        said = (choice["text"], choice["tokens"], choice["finish_reason"])
        if self.expected[kind] is None:
            self.expected[kind] = said
        self.wrong += said != self.expected[kind]
        self.tokens += len(choice["tokens"])
        self.answers.append(json.dumps({key: choice[key] for key in (
            "text", "tokens", "finish_reason", "endpoint", "ask", "receipt")}))

    async def read_stream(self, reader):
        text, body = "", b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        *events, done, _ = body.decode().split("\n\n")
        if done != "data: [DONE]":
            raise RuntimeError(done)
        for event in events:
            choice, = json.loads(event.removeprefix("data: "))["choices"]
            text += choice["text"]
        return {**choice, "text": text}

    async def client(self, first, step, end):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        number = first
        while time.monotonic() < end:
            try:
                await self.ask(reader, writer, number)
            except (OSError, EOFError, RuntimeError, ValueError) as problem:
                self.lost += 1
                print(f"lost: {problem!r}", file=sys.stderr)
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
            number += step
        writer.close()

    async def run(self, rss):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        for number in range(KINDS):
            await self.ask(reader, writer, number)
        writer.close()
        start = time.monotonic()
        end = start + args.seconds

        async def watch():
            for part in range(5):
                await asyncio.sleep(max(0, start + part * args.seconds / 4 - 0.2 - time.monotonic()))
                print(f"after {time.monotonic() - start:5.1f} s: {len(self.answers):7} answers, "
                      f"resident memory {rss() / 1024:.1f} MiB", flush=True)
        # Kinds advance by an odd step, so that each client asks all of them.
        await asyncio.gather(watch(), *(self.client(i, args.connections + 1, end) for i in range(args.connections)))
        return time.monotonic() - start


def start_server(work, model):
    server = subprocess.Popen(
        [bench_model.tool(args.build, "aftune-serve"), "--model", model, "--listen", "0", "--trace",
         os.path.join(work, "trace"), "--key", os.path.join(work, "acme.key"), "--threads", str(args.threads),
         "--connections", str(args.connections + 1), "--batch", str(args.connections)],
        stdout=subprocess.PIPE, text=True)
    return server, int(server.stdout.readline().rsplit(":", 1)[1])


def rss_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def main():
    work = tempfile.mkdtemp(prefix="aftune-bench-")
    try:
        tool("aftune-key", "generate", "--name", "audit.example/acme", "--out", os.path.join(work, "acme"),
             "--no-passphrase")
        model = args.model or small_model(work)
        server, port = start_server(work, model)
        load = Load(port)
        seconds = asyncio.run(load.run(lambda: rss_of(server.pid)))
        server.send_signal(signal.SIGTERM)
        code = server.wait()
        load.latencies.sort()
        print(f"{args.connections} connections, {seconds:.1f} s: {load.sent} requests, {len(load.answers)} answers, "
              f"{load.lost} lost, {load.wrong} another's; {len(load.answers) / seconds:.0f} answers/s, "
              f"{load.tokens / seconds:.0f} tokens/s; latency median {load.latencies[len(load.latencies) // 2]:.3f} s, "
              f"p99 {load.latencies[len(load.latencies) * 99 // 100]:.3f} s; server's exit code {code}")
        receipts = os.path.join(work, "answers.jsonl")
        with open(receipts, "w") as file:
            file.write("\n".join(load.answers) + "\n\n")
        verdict = subprocess.run(
            [bench_model.tool(args.build, "aftune-verify"), "--trace", os.path.join(work, "trace"), "--model", model,
             "--pubkey", os.path.join(work, "acme.vkey"), "--receipt", receipts, "--challenge-seed", os.urandom(32).hex(),
             "--cells", "64", "--json"], capture_output=True, text=True)
        if verdict.returncode not in (0, 1, 3):
            sys.exit(verdict.stderr)
        said = json.loads(verdict.stdout)
        print(f"aftune-verify of all {len(load.answers)} receipts and 64 cells: {said['verdict']}; receipts "
              f"{said['log_checks']['receipt']}; {said['reasons'][:5]}")
        sys.exit(1 if load.lost or load.wrong or code or verdict.returncode else 0)
    finally:
        shutil.rmtree(work)


main()
