"""Login, registration, and the customer's own pages."""

import pages
from web import html, redirect, to_integer


def login(request):
    request.visit.ensure()
    fields = pages.field("email", "E-mail", "email"), pages.field("password", "Password", "password")
    form = pages.form(request, "/login", "Log in", *fields)
    return html(request, pages.page(request, "Log in", form, '<p><a href="/register">New here?</a></p>'))


def login_post(request):
    form = request.form()
    customer = request.shop.store.customer_by_password(form.get("email", ""), form.get("password", ""))
    if customer is None:
        return html(request, pages.message(request, "Log in", "E-mail or password are wrong."), 403)
    request.visit.begin(customer["id"])
    return redirect(request, "/admin" if customer["admin"] else "/account")


def logout(request):
    session = request.visit.session
    if session:
        request.shop.store.write("DELETE FROM sessions WHERE token = ?", session["token"])
    return redirect(request, "/").cookie("session", "", "Max-Age=0", "HttpOnly")


def register(request):
    request.visit.ensure()
    fields = [pages.field("name", "Name"), pages.field("email", "E-mail", "email")]
    fields.append(pages.field("password", "Password", "password"))
    return html(request, pages.page(request, "Register", pages.form(request, "/register", "Register", *fields)))


def register_post(request):
    form = request.form()
    name, email, password = form.get("name", ""), form.get("email", ""), form.get("password", "")
    if not name or "@" not in email or len(password) < 8:
        sentence = "We need a name, an e-mail address, and a password of 8 characters."
        return html(request, pages.message(request, "Register", sentence), 422)
    customer_id = request.shop.store.register(name, email, password)
    if customer_id is None:
        return html(request, pages.message(request, "Register", "That address is already known to us."), 422)
    request.visit.begin(customer_id)
    return redirect(request, "/account")


def for_customers(view):
    """Sends everybody else to the login."""

    def guarded(request):
        customer = request.visit.customer
        return view(request, customer) if customer else redirect(request, "/login")

    return guarded


@for_customers
def account(request, customer):
    facts = [(label, customer[key] or "–") for label, key in (("Name", "name"), ("E-mail", "email"), ("City", "city"))]
    out = pages.form(request, "/logout", "Log out")
    orders = '<p><a href="/account/orders">Orders</a></p>'
    return html(request, pages.page(request, "Your account", pages.table(["", ""], facts), orders, out))


@for_customers
def orders(request, customer):
    rows = [
        ((f"/account/orders/{o['id']}", f"No. {o['id']}"), o["created_at"][:10], o["status"], total(o))
        for o in request.shop.store.orders(customer["id"])
    ]
    return html(request, pages.page(request, "Your orders", pages.table(["Order", "Date", "Status", "Total"], rows)))


@for_customers
def order(request, customer):
    found = request.shop.store.order(to_integer(request.params["id"]), customer["id"])
    if found is None:
        return html(request, pages.message(request, "Not found", "There is no such order."), 404)
    by_id = request.shop.catalogue.by_id
    rows = [
        (by_id[line["product_id"]]["name"], str(line["quantity"]), line["unit_net_cents"])
        for line in request.shop.store.order_lines(found["id"])
    ]
    table = pages.table(["Product", "Quantity", "Each, net"], rows)
    sums = f"<p>Shipping {pages.money(found['shipping_cents'])}, total {pages.money(total(found))}</p>"
    return html(request, pages.page(request, f"Order no. {found['id']}", table, sums))


def total(order):
    return order["net_cents"] + order["vat_cents"] + order["shipping_cents"]


def forbidden(request):
    return html(request, pages.message(request, "No entry", "This is for the staff."), 403)


