"""Files of `static/`, read once, with validators, conditional requests and single ranges."""

import hashlib
import os
import re
from email.utils import formatdate, parsedate_to_datetime

import pages
from web import Response, html

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png",
         ".ico": "image/x-icon"}


class File:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.content = file.read()
        self.kind = KINDS[os.path.splitext(path)[1]]
        self.etag = '"%s"' % hashlib.sha256(self.content).hexdigest()[:16]
        self.modified = formatdate(int(os.path.getmtime(path)), usegmt=True)


FILES = {name: File(os.path.join(FOLDER, name)) for name in os.listdir(FOLDER)}


def static(request):
    file = FILES.get(request.params["path"])
    if file is None:
        return html(request, pages.message(request, "Not found", "There is no such file."), 404)
    return serve(request, file)


def favicon(request):
    return serve(request, FILES["favicon.ico"])


def serve(request, file):
    headers = [
        ("Content-Type", file.kind),
        ("ETag", file.etag),
        ("Last-Modified", file.modified),
        ("Cache-Control", "public, max-age=3600"),
        ("Accept-Ranges", "bytes"),
    ]
    if unchanged(request, file):
        return Response(304, b"", headers)
    size = len(file.content)
    wanted = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", request.headers.get("range", ""))
    if not wanted or wanted.groups() == ("", "") or not range_applies(request, file):
        return Response(200, file.content, headers)
    first, last = wanted.groups()
    if first == "":
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last or size - 1), size - 1)
    if start > end:
        return Response(416, b"", [("Content-Range", f"bytes */{size}")])
    headers.append(("Content-Range", f"bytes {start}-{end}/{size}"))
    return Response(206, file.content[start : end + 1], headers)


def unchanged(request, file):
    known = request.headers.get("if-none-match")
    if known is not None:
        return known == "*" or file.etag in [tag.strip().replace("W/", "") for tag in known.split(",")]
    since = request.headers.get("if-modified-since")
    try:
        return since is not None and parsedate_to_datetime(file.modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False


def range_applies(request, file):
    return request.headers.get("if-range", file.etag) in (file.etag, file.modified)
