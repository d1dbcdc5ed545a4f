"""Requests and responses as the pages and the API see them, and the small helpers around both."""

import gzip
import json
import re
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, unquote, urlsplit

VERSION = "4.7.2"
INTEGER = re.compile(r"-?[0-9]{1,9}")


class Headers:
    def __init__(self):
        self.values = {}

    def add(self, name, value):
        self.values.setdefault(name.lower(), []).append(value)

    def get(self, name, default=None):
        values = self.values.get(name)
        return values[0] if values else default

    def all(self, name):
        return self.values.get(name, [])


class Request:
    def __init__(self, method, target, version, headers, peer):
        self.method, self.target, self.version, self.headers, self.peer = method, target, version, headers, peer
        self.body = b""
        self.params = {}
        if target.startswith(("http://", "https://")):
            parts = urlsplit(target)
            raw_path, query = parts.path or "/", parts.query
        else:
            raw_path, _, query = target.partition("?")
        self.segments = [unquote(segment) for segment in raw_path.split("/")[1:]]
        self.path = raw_path
        self.query = first_values(query)
        self.cookies = parse_cookies(headers.all("cookie"))

    @property
    def host(self):
        return self.headers.get("host", "localhost")

    def integer(self, name, default=None):
        """A query parameter as an integer; `default` when absent or empty, None when it is no integer."""
        text = self.query.get(name, "")
        return default if text == "" else to_integer(text)

    def form(self):
        return first_values(self.body.decode("utf-8", "replace"))

    def json(self):
        """The body as a JSON object, or None."""
        try:
            value = json.loads(self.body.decode("utf-8"))
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def multipart(self):
        """The parts of a form with files: name → (file name or None, bytes)."""
        boundary = re.search(r'boundary="?([^";]+)"?', self.headers.get("content-type", ""))
        if not boundary:
            return {}
        parts = {}
        for part in (b"\r\n" + self.body).split(b"\r\n--" + boundary.group(1).encode("latin-1"))[1:]:
            head, separator, content = part.partition(b"\r\n\r\n")
            head = head.decode("utf-8", "replace")
            name = re.search(r'[; ]name="([^"]*)"', head)
            if separator and name:
                file_name = re.search(r'filename="([^"]*)"', head)
                parts[name.group(1)] = (file_name.group(1) if file_name else None, content)
        return parts


class Response:
    """`body` is bytes, or a generator of bytes for an answer that is streamed."""

    def __init__(self, status, body=b"", headers=()):
        self.status, self.body, self.headers = status, body, list(headers)

    def cookie(self, name, value, *attributes):
        self.headers.append(("Set-Cookie", "; ".join([f"{name}={value}", "Path=/", *attributes])))
        return self


def html(request, text, status=200):
    body = text.encode("utf-8")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Vary", "Accept-Encoding, Cookie")]
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    return Response(status, body, headers)


def redirect(request, path):
    """Absolute, as everybody wrote them before RFC 7231."""
    return Response(302, b"", [("Location", f"http://{request.host}{path}"), ("Cache-Control", "no-store")])


def as_json(value, status=200, headers=()):
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    common = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Shop-Version", VERSION),
    ]
    return Response(status, body, common + list(headers))


def error(status, message):
    return as_json({"error": message}, status)


def text(body, kind="text/plain; charset=utf-8", status=200):
    return Response(status, body.encode("utf-8"), [("Content-Type", kind)])


def to_integer(value):
    return int(value) if INTEGER.fullmatch(value) else None


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def path_of(*segments):
    return "/" + "/".join(quote(str(segment), safe="") for segment in segments)


def first_values(encoded):
    values = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        values.setdefault(name, value)
    return values


def parse_cookies(lines):
    cookies = {}
    for line in lines:
        for pair in line.split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals:
                cookies.setdefault(name, value)
    return cookies
