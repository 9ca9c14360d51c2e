#!/usr/bin/env python3
"""The server as OpenAI's own Python client meets it.

usage: openai_test.py BIN-DIR DEMO-DIR SCRATCH [unittest argument...]
"""
import sys
import unittest

import openai

import harness

TOKEN = "secret-0123456789abcdef"
MESSAGES = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "who mends the bell?"}]


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(harness.path("tokens"), "w", opener=harness.private) as file:
            file.write(TOKEN + "\n")
        cls.server = harness.Server("openai", "--tokens", harness.path("tokens"), "--max-body", "64K")
        cls.client = cls.client_with(TOKEN)
        cls.answers = []

    @classmethod
    def client_with(cls, token):
        return openai.OpenAI(base_url=cls.server.url + "/v1", api_key=token, max_retries=0, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.server.stop() == 0, cls.server.stderr()
        verdict = harness.verify("openai", cls.answers)
        assert verdict["verdict"] == "ACCEPT", verdict

    def kept(self, response):
        self.answers.append(response.to_dict())
        return response

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["small"])
        self.assertEqual(self.client.models.retrieve("small").object, "model")

    def test_completions(self):
        seen = self.kept(self.client.completions.create(model="small", prompt=["one", "two"], n=2, max_tokens=6, seed=1,
                                                        extra_body={"ignore_eos": True, "nonce": "n-1"}))
        self.assertEqual([choice.index for choice in seen.choices], [0, 1, 2, 3])
        self.assertEqual({choice.finish_reason for choice in seen.choices}, {"length"})
        self.assertEqual(seen.usage.completion_tokens, 24)
        self.assertEqual(len(seen.choices[0].tokens), 6)

    def test_completion_stream(self):
        asked = {"model": "small", "prompt": "the smith", "max_tokens": 20, "seed": 2}
        whole = self.kept(self.client.completions.create(**asked))
        pieces = list(self.client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.text for p in pieces for c in p.choices), whole.choices[0].text)
        self.assertEqual(pieces[-1].usage, whole.usage)
        self.assertEqual([c.finish_reason for p in pieces for c in p.choices if c.finish_reason],
                         [whole.choices[0].finish_reason])

    def test_chat(self):
        seen = self.kept(self.client.chat.completions.create(model="small", messages=MESSAGES, temperature=0,
                                                             max_completion_tokens=10))
        self.assertEqual(seen.object, "chat.completion")
        self.assertEqual(seen.choices[0].message.role, "assistant")
        self.assertIsInstance(seen.choices[0].message.content, str)

    def test_chat_stream(self):
        asked = {"model": "small", "messages": MESSAGES, "max_tokens": 20, "seed": 3, "n": 2}
        whole = self.kept(self.client.chat.completions.create(**asked))
        told = ["", ""]
        with self.client.chat.completions.create(**asked, stream=True) as stream:
            for piece in stream:
                for choice in piece.choices:
                    told[choice.index] += choice.delta.content or ""
                    if choice.finish_reason:
                        self.assertEqual(choice.tokens, whole.choices[choice.index].tokens)
                        self.assertTrue(choice.receipt["signature"])
        self.assertEqual(told, [choice.message.content for choice in whole.choices])

    def test_chat_stream_helper(self):
        asked = {"model": "small", "messages": MESSAGES, "max_tokens": 40, "seed": 3, "extra_body": {"ignore_eos": True}}
        text = self.kept(self.client.chat.completions.create(**asked)).choices[0].message.content
        stop = next(c for c in text[5:] if c != "\ufffd")
        with self.client.chat.completions.stream(**asked, stop=stop) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), (text[:text.index(stop)], "stop"))

    def test_stop(self):
        asked = {"model": "small", "prompt": "the smith", "max_tokens": 40, "seed": 3, "extra_body": {"ignore_eos": True}}
        text = self.kept(self.client.completions.create(**asked)).choices[0].text
        stop = next(c for c in text[5:] if c != "\ufffd")
        choice = self.kept(self.client.completions.create(**asked, stop=[stop, "never said"])).choices[0]
        self.assertEqual((choice.text, choice.finish_reason), (text[:text.index(stop)], "stop"))

    def test_logprobs(self):
        seen = self.kept(self.client.completions.create(model="small", prompt="x", max_tokens=4, logprobs=2, seed=1,
                                                        extra_body={"ignore_eos": True})).choices[0].logprobs
        self.assertEqual([len(seen.tokens), len(seen.token_logprobs), len(seen.top_logprobs), len(seen.text_offset)],
                         [4] * 4)
        chat = self.kept(self.client.chat.completions.create(model="small", messages=MESSAGES, max_tokens=4, seed=1,
                                                             logprobs=True, top_logprobs=3,
                                                             extra_body={"ignore_eos": True})).choices[0].logprobs
        self.assertEqual(len(chat.content), 4)
        self.assertEqual(len(chat.content[0].top_logprobs), 3)
        self.assertEqual(bytes(chat.content[0].bytes).decode(errors="replace"), chat.content[0].token)

    def test_errors(self):
        create = self.client.completions.create
        with self.assertRaises(openai.BadRequestError) as seen:
            create(model="small", prompt="x", temperature=-1)
        self.assertEqual((seen.exception.param, seen.exception.type), ("temperature", "invalid_request_error"))
        with self.assertRaises(openai.BadRequestError) as seen:
            create(model="small", prompt="x", extra_body={"frobnicate": 1})
        self.assertEqual(seen.exception.param, "frobnicate")
        with self.assertRaises(openai.NotFoundError) as seen:
            create(model="gpt-4o", prompt="x")
        self.assertEqual((seen.exception.param, seen.exception.code), ("model", "model_not_found"))
        with self.assertRaises(openai.NotFoundError):
            self.client.embeddings.create(model="small", input="x")
        with self.assertRaises(openai.APIStatusError) as seen:
            create(model="small", prompt="x" * 100_000)
        self.assertEqual(seen.exception.status_code, 413)
        with self.assertRaises(openai.AuthenticationError) as seen:
            self.client_with("wrong").models.list()
        self.assertEqual(seen.exception.code, "invalid_api_key")

    def test_a_stream_that_is_left(self):
        stream = self.client.completions.create(model="small", prompt="x", max_tokens=4000, stream=True,
                                                extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
        self.kept(self.client.completions.create(model="small", prompt="still here", max_tokens=3))


if __name__ == "__main__":
    harness.start(sys.argv)
    unittest.main(verbosity=2)
