"""The shop as its handlers see it: the catalogue, the store, and who is calling."""

import pages
import web


class Shop:
    def __init__(self, catalogue, store):
        self.catalogue = catalogue
        self.store = store

    def handle(self, router, request):
        request.shop = self
        request.visit = Visit(self.store, request)
        response = router.handle(request)
        if response is None:
            response = web.html(request, pages.message(request, "Not found", "There is nothing here."), 404)
        if request.visit.fresh:
            set_cookies(response, request.visit)
        return response


class Visit:
    """The caller's session, looked up when first asked for; from the cookie or a bearer token."""

    def __init__(self, store, request):
        self.store = store
        self.lang = request.cookies.get("lang", "en")
        bearer = request.headers.get("authorization", "")
        self.token = bearer[7:] if bearer.startswith("Bearer ") else request.cookies.get("session")
        self.fresh = False
        self.looked_up = False
        self.row = None

    @property
    def session(self):
        if not self.looked_up:
            self.row, self.looked_up = self.store.session(self.token), True
        return self.row

    @property
    def customer(self):
        session = self.session
        return self.store.customer(session["customer_id"]) if session and session["customer_id"] else None

    def ensure(self):
        """The session; a new one, with cookies in the answer, when there is none yet."""
        return self.session or self.begin(None)

    def begin(self, customer_id):
        """A new session for a login: never the token from before it. The cart comes along."""
        old = self.session
        self.row = self.store.new_session(customer_id, old["token"] if old else None)
        self.looked_up = self.fresh = True
        return self.row

    def cart(self):
        session = self.session
        return self.store.cart(session["token"]) if session else []

    def may_post(self, form):
        """Whether a form carries the session's CSRF token."""
        return bool(self.session) and form.get("csrf") == self.session["csrf"]


def set_cookies(response, visit):
    response.cookie("session", visit.session["token"], "HttpOnly", "SameSite=Lax")
    response.cookie("lang", visit.lang if visit.lang in ("de", "en") else "en", "Max-Age=31536000")
    response.cookie("csrf", visit.session["csrf"], "SameSite=Lax")
