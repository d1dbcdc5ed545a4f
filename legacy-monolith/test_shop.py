#!/usr/bin/env python3
"""Drives a real server over sockets: `python3 legacy-monolith/test_shop.py`."""

import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_SECONDS = 20


class ShopTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        command = [sys.executable, os.path.join(HERE, "shop.py"), "--port", "0", "--data", cls.folder.name]
        cls.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", cls.process.stdout.readline())
        cls.port = int(found.group(1))

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        code = cls.process.wait(TIMEOUT_SECONDS)
        cls.process.stdout.close()
        cls.folder.cleanup()
        if code != 0:
            raise AssertionError(f"the shop ended with {code}")

    def setUp(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        self.cookies = {}

    def tearDown(self):
        self.connection.close()

    def call(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        answer.content = answer.read()
        for line in answer.msg.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def value(self, path, status=200):
        answer = self.call("GET", path)
        self.assertEqual(answer.status, status, path)
        self.assertEqual(answer.headers["Content-Type"], "application/json; charset=utf-8")
        return json.loads(answer.content)

    def form(self, path, **fields):
        body = "&".join(f"{name}={value}" for name, value in fields.items())
        return self.call("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def log_in(self, email="anna.weber%40example.com"):
        self.call("GET", "/login")
        return self.form("/login", email=email, password="autumn-rain")

    def raw(self, request):
        """Send bytes, then read to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SECONDS) as client:
            client.sendall(request)
            pieces = []
            while True:
                piece = client.recv(65536)
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)


class Functions(ShopTest):
    """The four endpoints that functions re-implement."""

    def test_a_product_has_the_documented_keys_in_order(self):
        product = self.value("/api/products/7")
        keys = "id slug name description category price_cents currency tags stock rating updated_at"
        self.assertEqual(list(product), keys.split())
        self.assertEqual(product["name"], "Käsebrett with Wire")
        self.assertRegex(product["updated_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_tags_come_in_more_than_one_order_but_are_the_same_set(self):
        orders = {tuple(self.value("/api/products/1")["tags"]) for _ in range(40)}
        self.assertGreater(len(orders), 1)
        self.assertEqual({frozenset(order) for order in orders}, {frozenset(("enamel", "hob", "classic"))})

    def test_products_that_are_not_there(self):
        self.assertEqual(self.value("/api/products/121", 404), {"error": "no such product"})
        self.assertEqual(self.value("/api/products/0", 404), {"error": "no such product"})
        self.assertEqual(self.value("/api/products/tea", 400), {"error": "bad product id"})

    def test_search_finds_all_words_and_names_come_first(self):
        found = self.value("/api/search?q=+Tea+&per_page=100")
        self.assertEqual(found["query"], "Tea")
        self.assertEqual(found["total"], len(found["items"]))
        named = ["tea" in item["name"].lower() for item in found["items"]]
        self.assertEqual(named, sorted(named, reverse=True))
        self.assertIn(False, named)
        self.assertEqual(self.value("/api/search?q=k%C3%A4sebrett")["items"][0]["id"], 7)

    def test_search_pages_and_refuses_bad_ones(self):
        self.assertEqual(self.value("/api/search")["total"], 120)
        self.assertEqual([i["id"] for i in self.value("/api/search?page=2&per_page=3")["items"]], [4, 5, 6])
        self.assertEqual(self.value("/api/search?page=999")["items"], [])
        self.assertEqual(self.value("/api/search?page=0&per_page=0", 400), {"error": "bad page"})
        self.assertEqual(self.value("/api/search?per_page=101", 400), {"error": "bad per_page"})

    def test_shipping_quotes_follow_the_table(self):
        quote = self.value("/api/shipping/quote?country=at&weight_g=2000&express=true")
        del quote["quoted_at"]
        self.assertEqual(
            quote,
            {"country": "AT", "zone": "near", "weight_g": 2000, "express": True, "price_cents": 990 + 1450,
             "currency": "EUR", "days": {"min": 1, "max": 2}},
        )
        self.assertEqual(self.value("/api/shipping/quote?country=DE&weight_g=2001")["price_cents"], 590)

    def test_shipping_refuses_unknown_countries_and_bad_weights(self):
        unknown, bad = {"error": "unknown country"}, {"error": "bad weight"}
        self.assertEqual(self.value("/api/shipping/quote?weight_g=0", 422), unknown)
        self.assertEqual(self.value("/api/shipping/quote?country=XX&weight_g=10", 422), unknown)
        for weight in ("", "0", "31501", "heavy", "1.5"):
            self.assertEqual(self.value(f"/api/shipping/quote?country=DE&weight_g={weight}", 422), bad)

    def test_half_a_cent_of_vat_goes_up(self):
        price = self.value("/api/products/1/price?quantity=3&country=DE")  # 73.50 × 19 % = 13.965
        self.assertEqual((price["net_cents"], price["vat_cents"], price["gross_cents"]), (7350, 1397, 8747))
        self.assertEqual(price["vat_rate"], 19)
        self.assertEqual(round(7350 * 0.19), 1396, "where Python's round() differs")

    def test_discounts_and_reduced_rates(self):
        price = self.value("/api/products/76/price?quantity=10&country=fr")  # a book at 24.50
        self.assertEqual((price["discount_percent"], price["unit_net_cents"]), (10, 2205))
        self.assertEqual((price["vat_rate"], price["vat_cents"]), (5.5, 1213))  # 220.50 × 5.5 % = 12.1275
        self.assertEqual(self.value("/api/products/1/price")["quantity"], 1)

    def test_prices_refuse_in_the_documented_order(self):
        self.assertEqual(self.value("/api/products/x/price?quantity=0", 400), {"error": "bad product id"})
        self.assertEqual(self.value("/api/products/999/price?quantity=0", 404), {"error": "no such product"})
        self.assertEqual(self.value("/api/products/1/price?quantity=0&country=XX", 422), {"error": "bad quantity"})
        self.assertEqual(self.value("/api/products/1/price?quantity=1&country=XX", 422), {"error": "unknown country"})


class Pages(ShopTest):
    def test_a_customer_buys_something(self):
        self.form("/cart/add", product_id=3, quantity=2)
        self.assertEqual(self.log_in().headers["Location"], f"http://127.0.0.1:{self.port}/account")
        self.assertIn("Beech Rolling Pin", self.call("GET", "/checkout").content.decode())
        self.assertEqual(self.form("/checkout", country="DE", csrf="wrong").status, 403)
        bought = self.form("/checkout", country="DE", csrf=self.cookies["csrf"])
        order_id = re.search(r"/checkout/thanks/(\d+)$", bought.headers["Location"]).group(1)
        self.assertIn("Beech Rolling Pin", self.call("GET", f"/account/orders/{order_id}").content.decode())
        self.assertEqual(self.value("/api/cart")["items"], [])

    def test_login_sets_three_cookies_and_a_new_session(self):
        self.call("GET", "/login")
        before = self.cookies["session"]
        answer = self.form("/login", email="anna.weber%40example.com", password="autumn-rain")
        cookies = answer.msg.get_all("Set-Cookie")
        self.assertEqual([cookie.split("=")[0] for cookie in cookies], ["session", "lang", "csrf"])
        self.assertIn("HttpOnly", cookies[0])
        self.assertNotEqual(before, self.cookies["session"])
        self.assertEqual(self.form("/login", email="anna.weber%40example.com", password="no").status, 403)

    def test_staff_pages_are_for_the_staff(self):
        self.assertTrue(self.call("GET", "/admin").headers["Location"].endswith("/login"))
        self.log_in()
        self.assertEqual(self.call("GET", "/admin").status, 403)
        self.log_in("admin%40example.com")
        self.assertEqual(self.call("GET", "/admin").status, 200)

    def test_the_staff_uploads_a_picture(self):
        self.log_in("admin%40example.com")
        picture = bytes(range(256)) * 20 + b"\r\n--almost\r\n"
        body = (
            b'--XX\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n' + self.cookies["csrf"].encode()
            + b'\r\n--XX\r\nContent-Disposition: form-data; name="picture"; filename="pan.png"\r\n\r\n' + picture
            + b"\r\n--XX--\r\n"
        )
        headers = {"Content-Type": "multipart/form-data; boundary=XX"}
        self.assertEqual(self.call("POST", "/admin/products/1/picture", body, headers).status, 302)
        self.assertIn(f"pan.png ({len(picture)} bytes)", self.call("GET", "/admin/products").content.decode())

    def test_pages_are_gzipped_when_accepted(self):
        plain = self.call("GET", "/category/books").content
        packed = self.call("GET", "/category/books", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.content), plain)

    def test_static_files_answer_conditions_and_ranges(self):
        whole = self.call("GET", "/static/logo.png")
        tag, modified = whole.headers["ETag"], whole.headers["Last-Modified"]
        self.assertEqual(self.call("GET", "/static/logo.png", headers={"If-None-Match": tag}).status, 304)
        self.assertEqual(self.call("GET", "/static/logo.png", headers={"If-Modified-Since": modified}).status, 304)
        part = self.call("GET", "/static/logo.png", headers={"Range": "bytes=10-19"})
        self.assertEqual((part.status, part.content), (206, whole.content[10:20]))
        self.assertEqual(part.headers["Content-Range"], f"bytes 10-19/{len(whole.content)}")
        self.assertEqual(self.call("GET", "/static/logo.png", headers={"Range": "bytes=999999-"}).status, 416)

    def test_html_from_outside_is_escaped(self):
        self.assertNotIn(b"<script>x", self.call("GET", "/search?q=%3Cscript%3Ex").content)

    def test_every_get_route_without_parameters_answers(self):
        listed = subprocess.run(
            [sys.executable, os.path.join(HERE, "shop.py"), "--routes"], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            method, path = line.split(" ")
            if method == "GET" and "{" not in path:
                self.assertIn(self.call("GET", path).status, (200, 302, 401, 422), path)


class Framing(ShopTest):
    def test_head_has_the_headers_of_get_and_no_body(self):
        head, get = self.call("HEAD", "/api/version"), self.call("GET", "/api/version")
        self.assertEqual(head.content, b"")
        self.assertEqual(head.headers["Content-Length"], str(len(get.content)))

    def test_streams_are_chunked_and_complete(self):
        csv = self.call("GET", "/api/exports/orders.csv")
        self.assertEqual(csv.headers["Transfer-Encoding"], "chunked")
        self.assertEqual(len(csv.content.splitlines()), 401)
        events = self.call("GET", "/api/events?interval_ms=1")
        self.assertEqual(events.content.count(b"event: stock\n"), 5)

    def test_chunked_bodies_are_understood(self):
        answer = self.call("POST", "/api/uploads", iter([b"abc", b"def"]))
        self.assertEqual(json.loads(answer.content)["size"], 6)

    def test_expect_100_continue_is_answered_before_the_body(self):
        head = b"POST /api/uploads HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
        answer = self.raw(head + b"Connection: close\r\n\r\nabc")
        self.assertTrue(answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 "), answer[:80])

    def test_unclear_framing_is_refused_and_the_connection_closed(self):
        both = b"POST /up HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"
        for request in (both, b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"):
            self.assertTrue(self.raw(request).startswith(b"HTTP/1.1 400 "), request)

    def test_http_1_0_gets_a_stream_without_chunks(self):
        answer = self.raw(b"GET /api/events?interval_ms=1 HTTP/1.0\r\n\r\n")
        self.assertNotIn(b"Transfer-Encoding", answer)
        self.assertTrue(answer.endswith(b"\n\n"))

    def test_a_client_that_leaves_early_harms_nobody(self):
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SECONDS)
            client.sendall(b"POST /api/uploads HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000\r\n\r\nab")
            client.close()
        self.assertEqual(self.call("GET", "/up").content, b"ok\n")

    def test_a_hundred_connections_are_served_at_once(self):
        wrong = []

        def visit():
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
            for number in range(5):
                client.request("GET", f"/api/products/{number + 1}")
                answer = client.getresponse()
                if answer.status != 200 or json.loads(answer.read())["id"] != number + 1:
                    wrong.append(answer.status)
            client.close()

        threads = [threading.Thread(target=visit) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)
        self.assertEqual(wrong, [])

    def test_preflights_and_wrong_methods(self):
        asked = {"Origin": "https://m.example", "Access-Control-Request-Method": "POST"}
        answer = self.call("OPTIONS", "/api/orders", headers=asked)
        self.assertEqual(answer.status, 204)
        self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
        refused = self.call("DELETE", "/api/products")
        self.assertEqual((refused.status, refused.headers["Allow"]), (405, "GET, HEAD, OPTIONS"))


class Api(ShopTest):
    def test_an_order_by_bearer_token_does_not_change_stock(self):
        before = self.value("/api/products/1/stock")["stock"]
        login = json.dumps({"email": "jonas.keller@example.com", "password": "autumn-rain"})
        token = json.loads(self.call("POST", "/api/auth/login", login).content)["token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        order = json.dumps({"country": "DE", "items": [{"product_id": 1, "quantity": 2}]})
        made = self.call("POST", "/api/orders", order, headers)
        self.assertEqual(made.status, 201)
        self.assertTrue(made.headers["Location"].startswith(f"http://127.0.0.1:{self.port}/api/orders/"))
        path = made.headers["Location"].split(str(self.port))[1]
        self.assertEqual(json.loads(self.call("GET", path, headers=headers).content)["net_cents"], 4900)
        self.assertEqual(self.call("POST", path + "/cancel", b"", headers).status, 200)
        self.assertEqual(self.call("POST", path + "/cancel", b"", headers).status, 422)
        self.assertEqual(self.value("/api/products/1/stock")["stock"], before)

    def test_customers_do_not_see_one_another(self):
        self.assertEqual(self.value("/api/orders", 401), {"error": "login required"})
        self.log_in()
        own = {order["customer_id"] for order in self.value("/api/orders")["orders"]}
        self.assertEqual(len(own), 1)
        self.assertEqual(self.value("/api/orders/999999", 404), {"error": "no such order"})

    def test_nonsense_bodies_are_refused(self):
        for path in ("/api/cart/items", "/api/products/1/reviews", "/api/coupons/check", "/api/auth/login"):
            self.assertEqual(self.call("POST", path, b"[1").status, 400, path)
        self.assertEqual(self.call("POST", "/api/cart/items", b'{"product_id": [1]}').status, 404)


del ShopTest  # the base has no tests of its own

if __name__ == "__main__":
    unittest.main()
