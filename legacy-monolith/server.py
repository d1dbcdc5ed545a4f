"""A small threaded HTTP/1.1 server: one thread per connection, requests in, responses out.

It frames messages (keep-alive, chunked bodies both ways, Expect: 100-continue, HEAD) and knows nothing of the shop.
It must never let one connection's trouble reach another.
"""

import re
import socket
import sys
import threading
import time
import traceback
from email.utils import formatdate
from http import HTTPStatus

from web import Headers, Request, Response

MAX_LINE_BYTES = 16 * 1024
MAX_HEADERS = 100
MAX_BODY_BYTES = 32 * 1024 * 1024
IDLE_SECONDS = 75
DRAIN_SECONDS = 3
BACKLOG = 1024

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """The bytes are not a request this server can frame; the connection ends after the answer."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Server:
    def __init__(self, host, port, handler, verbose=False):
        self.handler = handler
        self.verbose = verbose
        self.stopping = False
        self.busy = 0
        self.idle = threading.Condition()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(BACKLOG)
        self.address = self.socket.getsockname()

    def serve(self):
        while not self.stopping:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                if not self.stopping:
                    time.sleep(0.05)  # out of descriptors: others will close soon
                continue
            thread = threading.Thread(target=self.converse, args=(connection, peer), daemon=True)
            thread.start()

    def stop(self):
        """Stop accepting and give requests that are being answered a moment to end."""
        self.stopping = True
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self.socket.close()
        deadline = time.monotonic() + DRAIN_SECONDS
        with self.idle:
            while self.busy and time.monotonic() < deadline:
                self.idle.wait(0.1)

    def converse(self, connection, peer):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(IDLE_SECONDS)
            reader = connection.makefile("rb", buffering=64 * 1024)
            while not self.stopping and self.exchange(connection, reader, peer):
                pass
        except OSError:
            pass  # the client is gone or slept too long; nobody is left to be told
        finally:
            connection.close()

    def exchange(self, connection, reader, peer):
        """One request and its answer; true when the connection may carry another."""
        try:
            head = read_head(reader)
            if head is None:
                return False
            request, keep = parse_head(head, peer)
            request.body = read_body(request, reader, connection)
        except BadRequest as error:
            answer = Response(error.status, (str(error) + "\n").encode(), [("Content-Type", "text/plain")])
            send(connection, answer, "GET", "HTTP/1.1", False)
            return False
        with self.idle:
            self.busy += 1
        try:
            started = time.monotonic()
            response = self.answer(request)
            keep = send(connection, response, request.method, request.version, keep and not self.stopping)
            if self.verbose:
                took = (time.monotonic() - started) * 1000
                sys.stderr.write(f"{request.method} {request.target} {response.status} {took:.1f} ms\n")
            return keep
        finally:
            with self.idle:
                self.busy -= 1
                self.idle.notify_all()

    def answer(self, request):
        try:
            return self.handler(request)
        except Exception:
            traceback.print_exc()
            return Response(500, b"Internal Server Error\n", [("Content-Type", "text/plain")])


def read_head(reader):
    lines = []
    while True:
        line = reader.readline(MAX_LINE_BYTES + 1)
        if not line:
            return None
        if len(line) > MAX_LINE_BYTES:
            raise BadRequest(431, "line too long")
        if line in (b"\r\n", b"\n"):
            if lines:
                return lines
            continue
        if not line.endswith(b"\n"):
            return None
        lines.append(line.rstrip(b"\r\n").decode("latin-1"))
        if len(lines) > MAX_HEADERS:
            raise BadRequest(431, "too many headers")


def parse_head(lines, peer):
    parts = lines[0].split(" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(400, "bad request line")
    method, target, version = parts
    headers = Headers()
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name):
            raise BadRequest(400, "bad header line")
        headers.add(name, value.strip(" \t"))
    if version == "HTTP/1.1" and len(headers.all("host")) != 1:
        raise BadRequest(400, "exactly one Host is needed")
    connection = headers.get("connection", "").lower()
    keep = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
    return Request(method, target, version, headers, peer), keep


def read_body(request, reader, connection):
    coding = request.headers.get("transfer-encoding")
    lengths = request.headers.all("content-length")
    if coding is None and not lengths:
        return b""
    if coding is not None and (lengths or coding.lower() != "chunked"):
        raise BadRequest(400, "bad Transfer-Encoding")
    if lengths and (len(set(lengths)) > 1 or not re.fullmatch("[0-9]{1,18}", lengths[0])):
        raise BadRequest(400, "bad Content-Length")
    if lengths and int(lengths[0]) > MAX_BODY_BYTES:
        raise BadRequest(413, "body too large")
    if request.headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    return read_exactly(reader, int(lengths[0])) if lengths else read_chunks(reader)


def read_exactly(reader, count):
    data = reader.read(count)
    if len(data) < count:
        raise ConnectionError("the client left in the middle of a body")
    return data


def read_chunks(reader):
    chunks, total = [], 0
    while True:
        size = reader.readline(1024).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            raise BadRequest(400, "bad chunk size")
        count = int(size, 16)
        total += count
        if total > MAX_BODY_BYTES:
            raise BadRequest(413, "body too large")
        if count == 0:
            while reader.readline(MAX_LINE_BYTES) not in (b"\r\n", b"\n", b""):
                pass
            return b"".join(chunks)
        chunks.append(read_exactly(reader, count))
        if reader.readline(3) not in (b"\r\n", b"\n"):
            raise BadRequest(400, "bad chunk end")


def send(connection, response, method, version, keep):
    """Write the answer; true when the connection can go on."""
    body = response.body
    streamed = not isinstance(body, bytes)
    bodiless = method == "HEAD" or response.status in (204, 304)
    if streamed and version == "HTTP/1.0":
        keep = False
    lines = [f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}"]
    lines.append(f"Date: {formatdate(usegmt=True)}")
    lines.append("Server: shop/4.7")
    lines.extend(f"{name}: {value}" for name, value in response.headers)
    if streamed and version == "HTTP/1.1":
        lines.append("Transfer-Encoding: chunked")
    elif not streamed and response.status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: keep-alive" if keep else "Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if bodiless:
        connection.sendall(head)
    elif streamed:
        connection.sendall(head)
        stream(connection, body, version == "HTTP/1.1")
    else:
        connection.sendall(head + body)
    return keep


def stream(connection, pieces, chunked):
    try:
        for piece in pieces:
            if piece:
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
    finally:
        pieces.close()
