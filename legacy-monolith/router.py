"""Finds the handler of a request: literal paths first, then templates such as `/product/{slug}`."""

from web import Response, error


class Router:
    def __init__(self, routes):
        self.literal = {}
        self.templates = []
        for method, path, handler in routes:
            segments = path.split("/")[1:]
            if "{" in path:
                self.templates.append((method, segments, handler))
            else:
                self.literal.setdefault(path, {})[method] = handler

    def find(self, request):
        """The methods known for the path, each with its handler and parameters."""
        path = "/" + "/".join(request.segments)
        if path in self.literal:
            return {method: (handler, {}) for method, handler in self.literal[path].items()}
        found = {}
        for method, segments, handler in self.templates:
            params = match(segments, request.segments)
            if params is not None:
                found.setdefault(method, (handler, params))
        return found

    def handle(self, request):
        found = self.find(request)
        api = request.segments[0] == "api"
        if request.method == "OPTIONS" and (found or request.target == "*"):
            return options(request, found)
        if not found:
            return error(404, "not found") if api else None
        method = "GET" if request.method == "HEAD" else request.method
        if method not in found:
            refusal = error(405, "method not allowed")
            refusal.headers.append(("Allow", allowed(found)))
            return refusal
        handler, request.params = found[method]
        return handler(request)


def match(template, segments):
    last = template[-1]
    if last.endswith("*}"):
        if len(segments) < len(template):
            return None
        rest = "/".join(segments[len(template) - 1 :])
        template, segments = template[:-1], segments[: len(template) - 1]
        params = {last[1:-2]: rest}
    elif len(template) != len(segments):
        return None
    else:
        params = {}
    for wanted, found in zip(template, segments):
        if wanted[:1] == "{":
            if not found:
                return None
            params[wanted[1:-1]] = found
        elif wanted != found:
            return None
    return params


def allowed(found):
    methods = set(found) | {"OPTIONS"}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def options(request, found):
    headers = [("Allow", allowed(found))]
    if request.headers.get("origin"):
        headers += [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", allowed(found)),
            ("Access-Control-Allow-Headers", request.headers.get("access-control-request-headers", "")),
            ("Access-Control-Max-Age", "600"),
        ]
    return Response(204, b"", headers)
