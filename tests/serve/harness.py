"""What the tests of the server share: a small model, a server on it, plain HTTP, and the verdict on its log."""
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys

BIN = DEMO = WORK = ""


def start(argv):
    """Takes BIN-DIR DEMO-DIR SCRATCH from argv, and makes model and key in SCRATCH. Leaves argv for unittest."""
    global BIN, DEMO, WORK
    if len(argv) < 4:
        sys.exit(f"usage: {argv[0]} BIN-DIR DEMO-DIR SCRATCH [unittest argument...]")
    BIN, DEMO, WORK = (os.path.abspath(p) for p in argv[1:4])
    del argv[1:4]
    subprocess.run(["rm", "-rf", WORK], check=True)
    os.makedirs(path("base"))
    make_model()
    tool("aftune-key", "generate", "--name", "audit.example/acme", "--out", path("acme"), "--no-passphrase")


def path(*parts):
    return os.path.join(WORK, *parts)


def private(name, flags):
    """For open(): a file that is its owner's alone."""
    return os.open(name, flags, 0o600)


def tool(name, *arguments, **options):
    return subprocess.run([os.path.join(BIN, name), *map(str, arguments)], check=True, capture_output=True, text=True,
                          **options).stdout


def make_model():
    """Random weights and one step of training: what it says is noise, and always the same noise."""
    with open(os.path.join(DEMO, "config.json")) as file:
        config = json.load(file)
    config.update(hidden_size=16, intermediate_size=32, num_hidden_layers=2, head_dim=4, max_position_embeddings=8192)
    with open(path("base", "config.json"), "w") as file:
        json.dump(config, file)
    with open(os.path.join(DEMO, "tokenizer.json")) as source, open(path("base", "tokenizer.json"), "w") as file:
        file.write(source.read())
    with open(path("rows.jsonl"), "w") as file:
        file.write(json.dumps({"text": "the smith mends the small bell"}) + "\n")
    tool("aftune-train", "--model", path("base"), "--init", "--data", path("rows.jsonl"), "--out", path("small"),
         "--steps", 1, "--batch-size", 1, "--seq-len", 16, "--seed", 7, "--no-record", "--quiet")


class Server:
    """aftune-serve on a port of its own choice."""

    def __init__(self, trace, *flags, **how):
        self.trace = trace
        record = ["--trace", path(trace), "--key", path("acme.key")] if trace else ["--no-record"]
        with open(self.errors(), "w") as errors:
            self.process = subprocess.Popen(
                [os.path.join(BIN, "aftune-serve"), "--model", path("small"), "--listen", "0", "--threads", "1",
                 *record, *map(str, flags)], stdout=subprocess.PIPE, stderr=errors, text=True, **how)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", line)
        assert match, (line, self.stderr())
        self.port = int(match[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def errors(self):
        return path(f"{self.trace or 'none'}.stderr")

    def stderr(self):
        with open(self.errors()) as file:
            return file.read()

    def stop(self, how=signal.SIGTERM):
        """Exit code. A second call is nothing."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code

    def ask(self, method, where, body=None, headers=None, timeout=60, **how):
        """Status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            if isinstance(body, dict):
                body = json.dumps(body).encode()
            connection.request(method, where, body=body, headers=headers or {}, **how)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def post(self, where, body, status=200):
        seen, _, text = self.ask("POST", where, body)
        assert seen == status, (seen, text)
        return json.loads(text)

    def stream(self, where, body):
        """The JSON of a stream's events, which must end as they should."""
        status, headers, text = self.ask("POST", where, {**body, "stream": True})
        assert status == 200 and headers["Content-Type"] == "text/event-stream", (status, headers, text)
        events = text.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""], events[-2:]
        return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def streamed_choices(events):
    """What a stream says, in the form of the choices of a response that is not streamed."""
    choices = {}
    for event in events:
        for piece in event["choices"]:
            choice = choices.setdefault(piece["index"], {"index": piece["index"], "text": ""})
            choice["text"] += piece["text"] if "text" in piece else piece["delta"].get("content", "")
            choice.update({key: value for key, value in piece.items() if key in (
                "ask", "endpoint", "tokens", "receipt", "finish_reason") and value is not None})
    return [choices[i] for i in sorted(choices)]


def verify(trace, answers, *flags):
    """The verdict on a trace, with every cell of the answers whose receipts are given."""
    receipts = path(trace + ".receipts.jsonl")
    with open(receipts, "w") as file:
        for answer in answers:
            file.write(json.dumps(answer) + "\n\n")
    done = subprocess.run([os.path.join(BIN, "aftune-verify"), "--trace", path(trace), "--model", path("small"),
                           "--pubkey", path("acme.vkey"), "--receipt", receipts, "--json", *(flags or ["--all"])],
                          capture_output=True, text=True)
    assert done.returncode in (0, 1, 3), done.stderr
    return json.loads(done.stdout)
