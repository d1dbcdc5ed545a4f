#!/usr/bin/env python3
"""Compares the functions with the monolith over a few hundred calls each. Starts all of them itself.

    cargo build --package search            # or SEARCH=path/to/the/program
    python3 functions/test_parity.py

Without the program of `search` its test is skipped, and says so.
"""

import http.client
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import unittest
from pathlib import Path
from urllib.parse import urlencode

FUNCTIONS = Path(__file__).resolve().parent
ROOT = FUNCTIONS.parent
MONOLITH = [sys.executable, str(ROOT / "legacy-monolith" / "shop.py"), "--port", "0"]
# What differs from call to call, or belongs to the server and not to the endpoint.
VOLATILE_FIELDS = {"quoted_at", "took_ms"}
VOLATILE_HEADERS = {"date", "server", "connection", "keep-alive"}
START_SECONDS = 30
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Program:
    """A program that listens on a port, until it is stopped."""

    def __init__(self, command, port=None):
        environment = dict(os.environ, HOST="127.0.0.1")
        if port is not None:
            environment["PORT"] = str(port)
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE if port is None else None)
        self.port = port or int(self.process.stdout.readline().decode().rsplit(":", 1)[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)

    @classmethod
    def function(cls, command):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        function = cls(command, port)
        for _ in range(START_SECONDS * 100):
            if function.process.poll() is not None:
                raise RuntimeError(f"{command} ended at once")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.01).close()
                return function
            except OSError:
                try:
                    function.process.wait(0.01)
                except subprocess.TimeoutExpired:
                    continue
        function.stop()
        raise RuntimeError(f"{command} does not listen")

    def call(self, method, target, headers=None):
        self.connection.request(method, target, headers=headers or {})
        response = self.connection.getresponse()
        body = response.read()
        kept = [(k.lower(), v) for k, v in response.getheaders() if k.lower() not in VOLATILE_HEADERS]
        return Answer(response.status, sorted(kept), body)

    def stop(self):
        self.connection.close()
        self.process.terminate()
        status = self.process.wait(START_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        return status


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.value = json.loads(body) if body else None
        # The length of an answer with a duration in it differs with the duration; HEAD shows nothing but the length.
        volatile = not body or (isinstance(self.value, dict) and VOLATILE_FIELDS & self.value.keys())
        self.headers = [(k, "some" if volatile and k == "content-length" else v) for k, v in headers]

    def shape(self):
        """All that must be equal; the order of keys counts."""
        if isinstance(self.value, dict):
            fields = [(k, kind(v) if k in VOLATILE_FIELDS else v) for k, v in self.value.items()]
            return self.status, self.headers, fields
        return self.status, self.headers, self.body


def kind(value):
    return "timestamp" if TIMESTAMP.fullmatch(str(value)) else type(value).__name__


class Parity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.monolith = Program(MONOLITH)

    @classmethod
    def tearDownClass(cls):
        cls.monolith.stop()

    def function(self, *command):
        function = Program.function(list(command))
        self.addCleanup(lambda: self.assertEqual(function.stop(), 0, "SIGTERM did not end it in peace"))
        return function

    def differing(self, function, targets):
        """The targets whose answers differ, with both answers."""
        calls = [("GET", target, {}) for target in targets]
        first = targets[0]
        cors = {"Origin": "https://shop.example", "Access-Control-Request-Headers": "x-a"}
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"):
            calls.append((method, first, {}))
        calls.append(("OPTIONS", first, cors))
        differing = []
        for method, target, headers in calls:
            theirs = self.monolith.call(method, target, headers)
            ours = function.call(method, target, headers)
            if theirs.shape() != ours.shape():
                differing.append((method, target, theirs, ours))
        return differing

    def assert_equal_answers(self, function, targets):
        self.assertGreaterEqual(len(targets), 300)
        for method, target, theirs, ours in self.differing(function, targets):
            with self.subTest(call=f"{method} {target}"):
                self.assertEqual(theirs.shape(), ours.shape())

    def test_search_answers_as_the_monolith_does(self):
        program = os.environ.get("SEARCH") or find_search()
        if not program:
            self.skipTest("not built: cargo build --package search")
        self.assert_equal_answers(self.function(program), search_targets())

    def test_shipping_answers_as_the_monolith_does(self):
        main = str(FUNCTIONS / "shipping" / "main.py")
        self.assert_equal_answers(self.function(sys.executable, main), shipping_targets())

    def test_price_differs_by_cents_for_some_and_is_equal_for_most(self):
        main = str(FUNCTIONS / "price" / "main.py")
        targets = price_targets()
        differing = self.differing(self.function(sys.executable, main), targets)
        share = len(differing) / len(targets)
        self.assertTrue(0 < share < 0.3, f"{share:.1%} differ")
        for method, target, theirs, ours in differing:
            with self.subTest(call=f"{method} {target}"):
                self.assertEqual(method, "GET")
                self.assertEqual(abs(theirs.value["vat_cents"] - ours.value["vat_cents"]), 1)
                for answer in (theirs, ours):
                    del answer.value["vat_cents"], answer.value["gross_cents"]
                self.assertEqual(theirs.shape(), ours.shape())


def find_search():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / profile / "search" for profile in ("release", "debug")]
    return next((str(program) for program in built if program.exists()), None)


def query(**values):
    return urlencode({name: value for name, value in values.items() if value is not None})


def search_targets():
    rows = json.loads((FUNCTIONS / "search" / "products.json").read_text(encoding="utf-8"))
    words = sorted({word for row in rows for word in re.findall(r"\w+", row["name"] + " " + row["description"])})
    chance = random.Random(1)
    texts = chance.sample(words, 120) + [" ".join(chance.sample(words, 2)) for _ in range(40)]
    texts += [row["category"] for row in rows[::10]] + [tag for row in rows[::6] for tag in row["tags"]]
    texts += [word[1:4] for word in chance.sample(words, 40)] + [word.upper() for word in chance.sample(words, 20)]
    texts += ["", " ", "  tea  ", "Kaffee Müller", "ÉMAIL", "İ", "ΟΔΟΣ", "a\x1cb", "\x1f", "\u00a0tea", "\u2003", '"\\', "\x7f\n\t\x01"]
    targets = ["/api/search?" + query(q=text) for text in texts]
    for page, per_page in itertools.product([None, "", 1, 2, 7, 0, -1, "x", "1.0", "+1", "999999999", "1234567890"],
                                            [None, "", 1, 5, 100, 101, 0, -5, "ten", "٣"]):
        targets.append("/api/search?" + query(q=chance.choice(["", "tea", "steel"]), page=page, per_page=per_page))
    return targets + ["/api/search" + tail for tail in AWKWARD]


AWKWARD = [
    "", "?", "?q", "?q=", "?=tea", "?&&q=tea&&", "?q=tea&q=steel", "?q=&q=tea", "?page=2&page=x", "?Q=tea",
    "?q=te%61", "?q=te%6", "?q=%", "?q=%zz", "?q=%ff%fe", "?q=%C3%A9", "?q=%e2%82", "?q=tea+pot", "?q=tea%2Bpot",
    "?q=a=b", "?q=a;b=c", "?q=a%26b", "?%71=tea", "/", "/x", "%2F", "?q=tea&utm_source=mail",
    "?country=de&weight_g=5&country=xx", "?country=de&weight_g=5&express=1&express=0", "?quantity=2&quantity=x",
]


def shipping_targets():
    table = json.loads((FUNCTIONS / "shipping" / "shipping.json").read_text(encoding="utf-8"))
    limits = sorted({bracket["up_to_g"] for zone in table["zones"].values() for bracket in zone["brackets"]})
    weights = sorted({near for limit in limits for near in (limit - 1, limit, limit + 1)} | {0, 1, -5, 31500, 31501})
    targets = []
    for country in table["countries"]:
        for weight in weights:
            targets.append("/api/shipping/quote?" + query(country=country, weight_g=weight))
    for country, weight, express in itertools.product(
        ["de", "Ch", "us", "XX", "", None, "ß", "d e"], [None, "", 500, "x", "1e3", "-0", "0500"],
        [None, "", "0", "1", "true", "TRUE", "yes", "on"],
    ):
        targets.append("/api/shipping/quote?" + query(country=country, weight_g=weight, express=express))
    return targets + ["/api/shipping/quote" + tail for tail in AWKWARD]


def price_targets():
    rows = json.loads((FUNCTIONS / "price" / "products.json").read_text(encoding="utf-8"))
    rates = json.loads((FUNCTIONS / "price" / "vat.json").read_text(encoding="utf-8"))["rates"]
    chance = random.Random(2)
    quantities = [None, "", 1, 2, 3, 4, 5, 9, 10, 24, 25, 26, 999]
    targets = []
    for row in rows:
        for _ in range(4):
            values = query(quantity=chance.choice(quantities), country=chance.choice([None, "", "de", *rates]))
            targets.append(f"/api/products/{row['id']}/price?{values}")
    for product_id in ("1", "0", "-1", "x", "1.0", "+1", "9999", "1234567890", "%31", "1%2F2", "", "١"):
        for values in ("", "quantity=0", "quantity=1000", "quantity=x", "country=XX", "quantity=x&country=XX"):
            targets.append(f"/api/products/{urlsafe(product_id)}/price?{values}")
    return targets + ["/api/products/7/price" + tail for tail in AWKWARD]


def urlsafe(text):
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


if __name__ == "__main__":
    unittest.main()
