"""Serves one endpoint of the shop's API over HTTP on $PORT, with the manners of the shop.

For functions in Python: keep-alive, HEAD and OPTIONS, 404 and 405 as the shop answers them, a quiet end on SIGTERM.
It knows nothing of what the endpoint answers.
"""

import json
import os
import re
import signal
import socket
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from urllib.parse import parse_qsl, unquote

SHOP_VERSION = "4.7.2"
METHODS = "GET, HEAD, OPTIONS"
INTEGER = re.compile(r"-?[0-9]{1,9}")
IDLE_SECONDS = 75
DRAIN_SECONDS = 3
MAX_IGNORED_BODY_BYTES = 64 * 1024


class Refusal(Exception):
    """An answer other than 200: its status and the text that goes into `{"error": …}`."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Query:
    def __init__(self, encoded):
        self.values = {}
        for name, value in parse_qsl(encoded, keep_blank_values=True):
            self.values.setdefault(name, value)

    def get(self, name, default=None):
        return self.values.get(name, default)

    def integer(self, name, default=None):
        """`default` when absent or empty, None when it is no integer."""
        text = self.get(name, "")
        return default if text == "" else to_integer(text)


def to_integer(text):
    return int(text) if INTEGER.fullmatch(text) else None


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def load(script, name):
    """A JSON file from the folder of the script."""
    with open(os.path.join(os.path.dirname(os.path.abspath(script)), name), encoding="utf-8") as file:
        return json.load(file)


def serve(path, handler):
    """Answers `path`, whose `{}` segments are passed on, with what `handler(query, *segments)` returns."""
    template = path.split("/")
    server = Server(address(), type("Handler", (Handler,), {"template": template, "handler": staticmethod(handler)}))
    ending = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ending.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ending.wait()
    server.drain()


def address():
    host = os.environ.get("HOST")
    return ("127.0.0.1" if host == "127.0.0.1" else "0.0.0.0", int(os.environ.get("PORT", "8080")))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, where, handler):
        self.busy = 0
        self.changed = threading.Condition()
        self.ending = False
        super().__init__(where, handler)

    def server_bind(self):
        # The base class looks up the host's name here, which nobody needs and a slow name server makes dear.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address

    def drain(self):
        """Accept nothing more and give calls that are being answered a moment to end."""
        self.ending = True
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop, which otherwise looks every half second
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + DRAIN_SECONDS
        with self.changed:
            while self.busy and time.monotonic() < deadline:
                self.changed.wait(0.1)

    def count(self, change):
        with self.changed:
            self.busy += change
            self.changed.notify_all()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    timeout = IDLE_SECONDS

    def answer(self):
        self.server.count(1)
        try:
            self.skip_body()
            self.respond()
            self.wfile.flush()
        finally:
            self.server.count(-1)

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def respond(self):
        raw_path, _, encoded = self.path.partition("?")
        segments = match(self.template, [unquote(segment) for segment in raw_path.split("/")])
        if segments is None:
            self.send(404, {"error": "not found"})
        elif self.command == "OPTIONS":
            self.send_options()
        elif self.command not in ("GET", "HEAD"):
            self.send(405, {"error": "method not allowed"}, [("Allow", METHODS)])
        else:
            try:
                self.send(200, self.handler(Query(encoded), *segments))
            except Refusal as refusal:
                self.send(refusal.status, {"error": str(refusal)})

    def send(self, status, value, further=()):
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        headers = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("Access-Control-Allow-Origin", "*"),
            ("X-Shop-Version", SHOP_VERSION),
        ]
        self.send_head(status, headers + list(further) + [("Content-Length", str(len(body)))])
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_options(self):
        headers = [("Allow", METHODS)]
        if self.headers.get("Origin"):
            headers += [
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Methods", METHODS),
                ("Access-Control-Allow-Headers", self.headers.get("Access-Control-Request-Headers", "")),
                ("Access-Control-Max-Age", "600"),
            ]
        self.send_head(204, headers)

    def send_head(self, status, headers):
        self.close_connection = self.close_connection or self.server.ending
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()

    def skip_body(self):
        """No call of these endpoints has a body; a small one is read over, any other ends the connection."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > MAX_IGNORED_BODY_BYTES:
            self.close_connection = True
        else:
            self.rfile.read(int(length))

    def log_message(self, *_):
        """The proxy logs calls."""


def match(template, segments):
    if len(template) != len(segments):
        return None
    found = []
    for wanted, segment in zip(template, segments):
        if wanted == "{}" and segment:
            found.append(segment)
        elif wanted != segment:
            return None
    return found
