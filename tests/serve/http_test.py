#!/usr/bin/env python3
"""The server as a plain HTTP client meets it: what it answers, what it refuses, and that its log holds.

usage: http_test.py BIN-DIR DEMO-DIR SCRATCH [unittest argument...]
"""
import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import unittest

import harness

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "independent"))
import log_root

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
LONG = {"prompt": "on and on", "max_tokens": 4000, "ignore_eos": True, "temperature": 0}


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


class Served(unittest.TestCase):
    """Tests of one server, whose log is audited with all their answers when they are done."""
    flags = []
    trace = None

    @classmethod
    def setUpClass(cls):
        cls.trace = cls.__name__
        cls.answers = []
        cls.server = harness.Server(cls.trace, "--default-tokens", 32, *cls.flags)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, (code, cls.server.stderr())
        assert cls.server.stderr() == "", cls.server.stderr()
        if cls.answers:
            verdict = harness.verify(cls.trace, cls.answers)
            assert verdict["verdict"] == "ACCEPT", verdict

    def complete(self, body, where=COMPLETIONS):
        answer = self.server.post(where, body)
        self.answers.append(answer)
        return answer

    def gauge(self, name):
        _, _, text = self.server.ask("GET", "/metrics")
        return int(float([line for line in text.decode().splitlines() if line.startswith(name + " ")][0].split()[1]))

    def refused(self, status, body, where=COMPLETIONS, method="POST", headers=None, **how):
        seen, _, text = self.server.ask(method, where, body, headers, **how)
        self.assertEqual(seen, status, text)
        error = json.loads(text)["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertTrue(error["message"])
        return error


class Answers(Served):
    def test_completion(self):
        answer = self.complete({"model": "small", "prompt": "the smith", "max_tokens": 12, "temperature": 0,
                                "ignore_eos": True})
        self.assertEqual(answer["object"], "text_completion")
        self.assertEqual(answer["model"], "small")
        self.assertRegex(answer["id"], "^cmpl-")
        self.assertLess(abs(answer["created"] - time.time()), 60)
        self.assertEqual(answer["usage"], {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21})
        choice, = answer["choices"]
        self.assertEqual(choice["index"], 0)
        self.assertEqual(choice["finish_reason"], "length")
        self.assertIsNone(choice["logprobs"])
        self.assertEqual(len(choice["tokens"]), 12)
        self.assertIn("signature", json.dumps(choice["receipt"]))

    def test_default_length_is_openais(self):
        answer = self.complete({"prompt": "the smith", "ignore_eos": True})
        self.assertEqual(answer["usage"]["completion_tokens"], 16)

    def test_chat(self):
        answer = self.complete({"messages": [{"role": "user", "content": "who mends the bell?"}], "temperature": 0,
                                "max_completion_tokens": 9, "ignore_eos": True}, CHAT)
        self.assertEqual(answer["object"], "chat.completion")
        choice, = answer["choices"]
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertIsInstance(choice["message"]["content"], str)
        self.assertEqual(answer["usage"]["completion_tokens"], 9)

    def test_a_stream_says_what_an_answer_says(self):
        for where, body in [
                (COMPLETIONS, {"prompt": ["one", "two"], "n": 2, "max_tokens": 24, "seed": 5, "stop": ["q", "zz"]}),
                (CHAT, {"messages": [{"role": "user", "content": "sing"}], "n": 2, "max_tokens": 24, "seed": 5})]:
            whole = self.complete(body, where)
            events = self.server.stream(where, {**body, "stream_options": {"include_usage": True}})
            self.assertEqual({event["id"] for event in events}, {events[0]["id"]})
            self.assertEqual(events[-1]["usage"], whole["usage"])
            self.assertEqual(events[-1]["choices"], [])
            self.assertTrue(all(event["usage"] is None for event in events[:-1]))
            streamed = harness.streamed_choices(events)
            self.assertEqual(len(streamed), len(whole["choices"]))
            for told, choice in zip(streamed, whole["choices"]):
                self.answers.append(told)
                self.assertEqual(told["text"], choice["text"] if "text" in choice else choice["message"]["content"])
                self.assertEqual(told["tokens"], choice["tokens"])
                self.assertEqual(told["finish_reason"], choice["finish_reason"])

    def test_tokens_come_one_by_one(self):
        events = self.server.stream(COMPLETIONS, {"prompt": "x", "max_tokens": 50, "ignore_eos": True, "seed": 1})
        self.answers.extend(harness.streamed_choices(events))
        self.assertGreater(len(events), 10)

    def test_choices_are_in_order(self):
        answer = self.complete({"prompt": ["aa", "bb", "cc"], "n": 2, "max_tokens": 4, "ignore_eos": True, "seed": 9})
        self.assertEqual([c["index"] for c in answer["choices"]], list(range(6)))
        self.assertEqual([c["ask"] for c in answer["choices"]], list(range(6)))
        self.assertEqual(answer["usage"]["prompt_tokens"], 6)
        self.assertEqual(answer["usage"]["completion_tokens"], 24)
        self.assertNotEqual(answer["choices"][0]["tokens"], answer["choices"][1]["tokens"])
        alone = self.complete({"prompt": "bb", "n": 1, "max_tokens": 4, "ignore_eos": True, "seed": 9})
        self.assertEqual(alone["choices"][0]["tokens"], answer["choices"][2]["tokens"])

    def test_stop(self):
        body = {"prompt": "the smith", "max_tokens": 40, "seed": 3, "ignore_eos": True}
        text = self.complete(body)["choices"][0]["text"]
        stop = next(c for c in text[5:] if c != "\ufffd")
        choice = self.complete({**body, "stop": stop})["choices"][0]
        self.assertEqual(choice["text"], text[:text.index(stop)])
        self.assertEqual(choice["finish_reason"], "stop")

    def test_logprobs(self):
        body = {"max_tokens": 5, "ignore_eos": True, "seed": 4}
        answer = self.complete({**body, "prompt": "ab", "logprobs": 3})
        seen = answer["choices"][0]["logprobs"]
        self.assertEqual({k: len(v) for k, v in seen.items()},
                         {"tokens": 5, "token_logprobs": 5, "top_logprobs": 5, "text_offset": 5})
        self.assertTrue(all(-20 < value <= 0 for value in seen["token_logprobs"]))
        self.assertTrue(all(1 <= len(top) <= 3 for top in seen["top_logprobs"]))
        self.assertEqual(seen["text_offset"][0], 0)
        self.assertEqual(sorted(seen["text_offset"]), seen["text_offset"])
        events = self.server.stream(COMPLETIONS, {**body, "prompt": "ab", "logprobs": 3})
        self.answers.extend(harness.streamed_choices(events))
        streamed = {key: sum((e["choices"][0]["logprobs"][key] for e in events if e["choices"][0]["logprobs"]), [])
                    for key in seen}
        self.assertEqual(streamed, seen)
        messages = [{"role": "user", "content": "ab"}]
        answer = self.complete({**body, "messages": messages, "logprobs": True, "top_logprobs": 2}, CHAT)
        content = answer["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(content), 5)
        for entry in content:
            self.assertEqual(set(entry), {"token", "bytes", "logprob", "top_logprobs"})
            self.assertEqual(len(entry["top_logprobs"]), 2)
            self.assertEqual(bytes(entry["bytes"]).decode(errors="replace"), entry["token"])
        answer = self.complete({**body, "messages": messages, "logprobs": True}, CHAT)
        self.assertEqual(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])

    def test_a_connection_takes_more_than_one_request(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with contextlib.closing(connection):
            for _ in range(20):
                connection.request("GET", "/v1/models")
                model, = json.loads(connection.getresponse().read())["data"]
                self.assertEqual((model["id"], model["object"]), ("small", "model"))
            body = b'{"prompt":"x","max_tokens":2}'
            pieces = [body[:5], body[5:]]
            connection.request("POST", COMPLETIONS, body=iter(pieces), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})
            self.answers.append(json.loads(connection.getresponse().read()))
            self.assertEqual(len(self.answers[-1]["choices"]), 1)

    def test_models_health_and_metrics(self):
        self.assertEqual(self.server.ask("GET", "/v1/models/small")[0], 200)
        self.assertEqual(self.refused(404, None, "/v1/models/large", "GET")["code"], "model_not_found")
        status, _, text = self.server.ask("GET", "/healthz")
        self.assertEqual((status, json.loads(text)), (200, {"status": "ok"}))
        self.complete({"prompt": "x", "max_tokens": 3, "ignore_eos": True})
        status, headers, text = self.server.ask("GET", "/metrics")
        self.assertIn("version=0.0.4", headers["Content-Type"])
        lines = text.decode().splitlines()
        self.assertTrue(any(line.startswith('aftune_responses_total{route="/v1/completions",status="200"}')
                            for line in lines))
        self.assertGreater(self.gauge("aftune_answers_recorded_total"), 0)
        self.assertGreaterEqual(self.gauge("aftune_connections"), 1)
        for line in lines:
            self.assertRegex(line, r'^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^}]*\})? [-+.e0-9]+)$')

    def test_many_at_once_are_not_mixed_up(self):
        def one(i):
            body = {"prompt": f"number {i % 8}", "max_tokens": 16, "seed": i % 8, "ignore_eos": True}
            return i % 8, self.complete(body)["choices"][0]["tokens"]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            seen = list(pool.map(one, range(64)))
        for number in range(8):
            self.assertEqual(len({tuple(tokens) for i, tokens in seen if i == number}), 1)


class Refusals(Served):
    flags = ["--max-body", "64K", "--timeout", 2, "--name", "mine", "--max-tokens", 4096]

    def test_bad_json(self):
        for body in (b"", b"{", b"[]", b'{"prompt":"x"} x', b'\xef\xbb\xbf{"prompt":"x"}', b'{"prompt":"x","prompt":"y"}'):
            self.assertIsNone(self.refused(400, body)["param"])

    def test_invalid_utf8(self):
        for body in (b'{"prompt":"\xff"}', b'{"prompt":"\xed\xa0\x80"}', b'{"prompt":"\\ud800"}'):
            self.assertEqual(self.refused(400, body)["type"], "invalid_request_error")

    def test_fields(self):
        for param, change in {
                "temperature": {"temperature": -1}, "top_p": {"top_p": 2}, "n": {"n": 0}, "stop": {"stop": 5},
                "max_tokens": {"max_tokens": 100000}, "logprobs": {"logprobs": 100}, "prompt": {"prompt": 7},
                "frobnicate": {"frobnicate": 1}, "stream_options": {"stream_options": {}},
                "seed": {"seed": "x"}, "stream": {"stream": "yes"}, "echo": {"echo": True}}.items():
            self.assertEqual(self.refused(400, {"prompt": "x", **change})["param"], param)
        self.assertEqual(self.refused(400, {"prompt": "x " * 5000})["param"], "prompt")
        self.assertEqual(self.refused(400, {"messages": "x"}, CHAT)["param"], "messages")
        self.assertEqual(self.refused(400, {"messages": [{"role": "robot", "content": "x"}]}, CHAT)["param"], "messages")

    def test_model(self):
        error = self.refused(404, {"prompt": "x", "model": "gpt-4o"})
        self.assertEqual((error["code"], error["param"]), ("model_not_found", "model"))
        self.answers.append(self.server.post(COMPLETIONS, {"prompt": "x", "model": "mine"}))

    def test_paths_and_methods(self):
        self.assertEqual(self.refused(404, None, "/v1/embeddings", "GET")["code"], "unknown_url")
        self.assertEqual(self.refused(404, {"x": 1}, "/" + "a" * 4000)["code"], "unknown_url")
        self.refused(405, None, COMPLETIONS, "GET")
        self.refused(405, {"prompt": "x"}, "/v1/models")
        status, headers, _ = self.server.ask("DELETE", COMPLETIONS)
        self.assertEqual((status, headers["Allow"]), (405, "POST"))

    def test_large_bodies(self):
        self.refused(413, b'{"prompt":"' + b"x" * 70_000 + b'"}')
        self.refused(413, b'{"prompt":"' + b"x" * 3_000_000 + b'"}')
        self.refused(413, (b"x" * 10_000 for _ in range(100)), headers={"Transfer-Encoding": "chunked"},
                     encode_chunked=True)

    def test_what_is_no_http(self):
        for sent, status in {b"GET / HTTP/9.9\r\n\r\n": b"400", b"nonsense\r\n\r\n": b"400",
                             b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 40_000 + b"\r\n\r\n": b"431",
                             b"POST /v1/completions HTTP/1.1\r\n\r\n": b"411",
                             b"POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n":
                                 b"400",
                             b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": b"400"}.items():
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
                client.sendall(sent)
                self.assertEqual(client.recv(1000).split()[1], status, sent[:60])

    def test_compressed_bodies(self):
        body = gzip.compress(b'{"prompt":"x","max_tokens":2}')
        status, _, text = self.server.ask("POST", COMPLETIONS, body, {"Content-Encoding": "gzip"})
        self.assertEqual(status, 200)
        self.answers.append(json.loads(text))
        # Small as it is sent, large as it is.
        self.refused(413, gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})

    def test_a_body_that_drips(self):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 50000\r\n\r\n")
            start = time.monotonic()
            while not select.select([client], [], [], 0.1)[0]:
                client.sendall(b" ")
                self.assertLess(time.monotonic() - start, 10)
            self.assertEqual(client.recv(1000).split()[1], b"408")

    def test_slow_clients(self):
        for sent in (b"POST /v1/compl", b"POST /v1/completions HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as slow:
                slow.sendall(sent)
                start = time.monotonic()
                self.answers.append(self.server.post(COMPLETIONS, {"prompt": "meanwhile"}))
                self.assertEqual(slow.recv(1000).split()[1], b"408")
                self.assertLess(time.monotonic() - start, 10)

    def test_a_client_that_leaves_has_its_answers_cancelled(self):
        cancelled = 'aftune_answers_total{end="cancelled"}'
        before = self.gauge(cancelled)
        for stream in (True, False):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
                body = json.dumps({**LONG, "stream": stream}).encode()
                client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                if stream:
                    self.assertIn(b"200", client.recv(100))
                else:
                    wait_until(lambda: self.gauge("aftune_answers_running") == 1)
            before += 1
            wait_until(lambda: self.gauge(cancelled) == before)
        self.assertEqual(self.gauge("aftune_answers_running"), 0)
        self.answers.append(self.server.post(COMPLETIONS, {"prompt": "still here"}))

    def test_a_client_that_reads_nothing_is_given_up(self):
        cancelled = 'aftune_answers_total{end="cancelled"}'
        before = self.gauge(cancelled)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.closing(client):
            client.connect(("127.0.0.1", self.server.port))
            body = json.dumps({**LONG, "stream": True, "logprobs": 20, "n": 4}).encode()
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            wait_until(lambda: self.gauge(cancelled) == before + 4, 60)
        self.answers.append(self.server.post(COMPLETIONS, {"prompt": "still here"}))


class Tokens(Served):
    token = "secret-0123456789abcdef"

    @classmethod
    def setUpClass(cls):
        with open(harness.path("tokens"), "w", opener=harness.private) as file:
            file.write(f"# of the tests\n{cls.token}\n")
        cls.flags = ["--tokens", harness.path("tokens")]
        super().setUpClass()

    def test_only_who_has_one_is_answered(self):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": self.token}):
            self.assertEqual(self.refused(401, {"prompt": "x"}, headers=headers)["code"], "invalid_api_key")
            self.refused(401, None, "/metrics", "GET", headers)
        status, _, text = self.server.ask("POST", COMPLETIONS, {"prompt": "x"}, {"Authorization": f"Bearer {self.token}"})
        self.assertEqual(status, 200)
        self.answers.append(json.loads(text))
        self.assertEqual(self.server.ask("GET", "/healthz")[0], 200)


class Queue(Served):
    flags = ["--batch", 1, "--max-queue", 2]

    def test_a_full_queue_is_said_to_be(self):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(self.complete, {**LONG, "max_tokens": 2000})]
            wait_until(lambda: self.gauge("aftune_answers_running") == 1)
            asked += [pool.submit(self.complete, {**LONG, "max_tokens": 5}) for _ in range(2)]
            wait_until(lambda: self.gauge("aftune_answers_waiting") == 2)
            self.assertEqual(self.refused(429, {"prompt": "x"})["code"], "queue_full")
            self.assertEqual({answer.result()["choices"][0]["finish_reason"] for answer in asked}, {"length"})


class Proofs(Served):
    flags = ["--checkpoint-answers", 1]

    def test_a_leaf_is_proven_once_it_is_sealed(self):
        answer = self.complete({"prompt": "x"})
        receipt = answer["choices"][0]["receipt"]
        where = f"/v1/receipts/{receipt['index']}"
        wait_until(lambda: self.server.ask("GET", where)[0] == 200)
        proof = self.server.ask("GET", where)[2].decode()
        self.assertTrue(proof.startswith("c2sp.org/tlog-proof@v1\n"), proof[:40])
        note = self.server.ask("GET", "/v1/checkpoint")[2].decode()
        self.assertTrue(proof.endswith(note))
        self.assertEqual(note.splitlines()[0], receipt["origin"])
        self.assertEqual(self.refused(404, None, "/v1/receipts/99", "GET")["code"], "not_sealed")
        for index in ("x", "-1", "1x", "99999999999999999999"):
            self.refused(400, None, f"/v1/receipts/{index}", "GET")


class Ends(unittest.TestCase):
    def test_what_runs_ends_well(self):
        server = harness.Server("ends")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            whole = pool.submit(server.post, COMPLETIONS, {**LONG, "max_tokens": 1500})
            streamed = pool.submit(server.stream, COMPLETIONS, {**LONG, "max_tokens": 1500})
            wait_until(lambda: b"aftune_answers_running 2" in server.ask("GET", "/metrics")[2])
            self.assertEqual(server.stop(), 0)
            answers = [whole.result(), *harness.streamed_choices(streamed.result())]
        self.assertEqual(len(answers[1]["tokens"]), 1500)
        self.assertEqual(harness.verify("ends", answers)["verdict"], "ACCEPT")

    def test_a_second_signal_cancels(self):
        server = harness.Server("cancels")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            whole = pool.submit(server.ask, "POST", COMPLETIONS, LONG)
            streamed = pool.submit(server.ask, "POST", COMPLETIONS, {**LONG, "stream": True})
            wait_until(lambda: b"aftune_answers_running 2" in server.ask("GET", "/metrics")[2])
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            self.assertEqual(server.stop(signal.SIGINT), 0)
            self.assertEqual(whole.result()[0], 503)
            self.assertIn(b'"code":"stopping"', streamed.result()[2])
        self.assertEqual(server.stderr(), "")

    # No answer is given that is not in the log, and what was given stays in it.
    def test_a_log_that_cannot_be_written(self):
        def little_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        # Python ignores the signal that comes with the limit, and so does then what it starts.
        server = harness.Server("full", restore_signals=False, preexec_fn=little_room)
        answers, status = [], 200
        while status == 200:
            self.assertLess(len(answers), 100)
            status, _, text = server.ask("POST", COMPLETIONS, {"prompt": "x"})
            if status == 200:
                answers.append(json.loads(text))
        self.assertEqual((status, json.loads(text)["error"]["code"]), (500, "answer_failed"))
        self.assertIn("could not be recorded", json.loads(text)["error"]["message"])
        status, _, text = server.ask("POST", COMPLETIONS, {"prompt": "x"})
        self.assertEqual((status, json.loads(text)["error"]["code"]), (500, "recording_failed"))
        self.assertEqual(server.ask("GET", "/healthz")[0], 503)
        self.assertEqual(server.stop(), 2)
        self.assertIn("aftune-serve: error: ", server.stderr())
        server = harness.Server("full", "--resume")
        answers.append(server.post(COMPLETIONS, {"prompt": "x"}))
        self.assertEqual(server.stop(), 0)
        self.assertGreater(len(answers), 3)
        self.assertEqual(harness.verify("full", answers)["verdict"], "ACCEPT")

    # Every answer that a client has is in the log that is gone on with, whenever the process was killed.
    def test_killed_and_resumed(self):
        answers, notes = [], []

        def load(server, count):
            def one(i):
                try:
                    answers.append(server.post(COMPLETIONS, {"prompt": f"p{i}", "max_tokens": 8, "seed": i}))
                except (OSError, http.client.HTTPException):
                    pass
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                for i in range(count):
                    pool.submit(one, i)

        for life in range(3):
            flags = ["--checkpoint-answers", 8, "--keep-open"] + (["--resume"] if life else [])
            server = harness.Server("killed", *flags)
            notes.append(server.ask("GET", "/v1/checkpoint")[2])
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                busy = pool.submit(load, server, 400)
                before = len(answers)
                wait_until(lambda: len(answers) > before + 40)
                with open(harness.path("killed", "checkpoint"), "rb") as file:
                    notes.append(file.read())
                server.stop(signal.SIGKILL)
                busy.result()
        server = harness.Server("killed", "--checkpoint-answers", 8, "--resume")
        self.assertEqual(server.stop(), 0)
        with open(harness.path("killed", "log.jsonl"), "rb") as file:
            leaves = file.read().splitlines()
        for note in notes:
            _, size, root = note.decode().splitlines()[:3]
            self.assertEqual(base64.b64encode(log_root.root(leaves[:int(size)])).decode(), root)
        self.assertGreater(len(answers), 120)
        self.assertEqual(harness.verify("killed", answers)["verdict"], "ACCEPT")


if __name__ == "__main__":
    harness.start(sys.argv)
    unittest.main(verbosity=2)
