"""The JSON API, customers' side: login, cart, orders, wishlist, addresses, coupons, newsletter, uploads."""

import hashlib

from api import NO_PRODUCT, SHOP, for_product, summary
from pricing import price_line, shipping_quote, shipping_zone
from web import as_json, error, now, to_integer

NO_BODY = "a JSON object is needed"


def login(request):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    customer = request.shop.store.customer_by_password(str(body.get("email", "")), str(body.get("password", "")))
    if customer is None:
        return error(401, "e-mail or password are wrong")
    session = request.shop.store.new_session(customer["id"])
    return as_json({"token": session["token"], "customer_id": customer["id"], "issued_at": now()})


def for_customers(handler):
    def guarded(request):
        customer = request.visit.customer
        return handler(request, customer) if customer else error(401, "login required")

    return guarded


# Cart


def cart(request):
    return as_json(cart_value(request))


def cart_value(request):
    by_id = request.shop.catalogue.by_id
    lines = [price_line(by_id[item["product_id"]], item["quantity"], "DE") for item in request.visit.cart()]
    gross = sum(line["gross_cents"] for line in lines)
    return {"items": lines, "gross_cents": gross, "currency": "EUR", "generated_at": now()}


def cart_add(request):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    product_id, quantity = body.get("product_id"), body.get("quantity", 1)
    if type(product_id) is not int or product_id not in request.shop.catalogue.by_id:
        return error(404, NO_PRODUCT)
    if not good_quantity(quantity):
        return error(422, "bad quantity")
    request.shop.store.add_to_cart(request.visit.ensure()["token"], product_id, quantity)
    return as_json(cart_value(request), 201)


@for_product
def cart_put(request, product):
    quantity = (request.json() or {}).get("quantity")
    if not good_quantity(quantity):
        return error(422, "bad quantity")
    request.shop.store.put_in_cart(request.visit.ensure()["token"], product["id"], quantity)
    return as_json(cart_value(request))


@for_product
def cart_delete(request, product):
    session = request.visit.session
    if session:
        request.shop.store.take_from_cart(session["token"], product["id"])
    return as_json(cart_value(request))


def good_quantity(value):
    return type(value) is int and 1 <= value <= 999


# Orders


@for_customers
def orders(request, customer):
    return as_json({"orders": request.shop.store.orders(customer["id"]), "generated_at": now()})


@for_customers
def order_post(request, customer):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    country = str(body.get("country") or customer["country"]).upper()
    lines = order_lines(request, body.get("items"), country)
    if not lines:
        return error(422, "items (product_id, quantity) and a country we send to are needed")
    weight_g = min(31500, sum(request.shop.catalogue.by_id[x["product_id"]]["weight_g"] * x["quantity"] for x in lines))
    shipping_cents, _ = shipping_quote(shipping_zone(country), weight_g, False)
    order_id = request.shop.store.new_order(customer["id"], country, lines, shipping_cents)
    location = f"http://{request.host}/api/orders/{order_id}"
    return as_json(order_value(request, order_id, customer), 201, [("Location", location)])


def order_lines(request, items, country):
    """Priced lines, or None when anything about the items or the country is wrong."""
    if not isinstance(items, list) or shipping_zone(country) is None:
        return None
    by_id = request.shop.catalogue.by_id
    for item in items:
        if not isinstance(item, dict) or type(item.get("product_id")) is not int:
            return None
        if item["product_id"] not in by_id or not good_quantity(item.get("quantity")):
            return None
    return [price_line(by_id[item["product_id"]], item["quantity"], country) for item in items]


def order_value(request, order_id, customer):
    order = request.shop.store.order(order_id, customer["id"])
    return dict(order, lines=request.shop.store.order_lines(order_id)) if order else None


def for_order(handler):
    @for_customers
    def found(request, customer):
        order = order_value(request, to_integer(request.params["id"]), customer)
        return handler(request, customer, order) if order else error(404, "no such order")

    return found


@for_order
def order(request, customer, found):
    return as_json(found)


@for_order
def invoice(request, customer, found):
    gross = found["net_cents"] + found["vat_cents"] + found["shipping_cents"]
    return as_json({
        "invoice": f"KT-{found['created_at'][:4]}-{found['id']:06}",
        "order_id": found["id"],
        "customer": customer["name"],
        "gross_cents": gross,
        "lines": found["lines"],
        "issued_at": now(),
    })


@for_order
def cancel(request, customer, found):
    if found["status"] != "new":
        return error(422, f"an order that is {found['status']} cannot be cancelled")
    request.shop.store.write("UPDATE orders SET status = 'cancelled' WHERE id = ?", found["id"])
    return as_json(order_value(request, found["id"], customer))


# The customer


def customer_value(customer):
    shown = ("id", "name", "email", "city", "country", "phone")
    return dict({key: customer[key] for key in shown}, updated_at=now())


@for_customers
def me(request, customer):
    return as_json(customer_value(customer))


@for_customers
def me_patch(request, customer):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    city, phone = (str(body.get(key, customer[key])) for key in ("city", "phone"))
    request.shop.store.write("UPDATE customers SET city = ?, phone = ? WHERE id = ?", city, phone, customer["id"])
    return as_json(customer_value(request.visit.customer))


@for_customers
def addresses(request, customer):
    rows = request.shop.store.rows("SELECT * FROM addresses WHERE customer_id = ? ORDER BY id", customer["id"])
    return as_json({"addresses": rows[-20:]})


@for_customers
def address_post(request, customer):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    street, city, country = (str(body.get(key, "")) for key in ("street", "city", "country"))
    if not street or not city or shipping_zone(country) is None:
        return error(422, "street, city and country are needed")
    address_id = request.shop.store.write(
        "INSERT INTO addresses (customer_id, street, city, country) VALUES (?, ?, ?, ?)",
        customer["id"], street, city, country,
    )
    return as_json({"id": address_id, "street": street, "city": city, "country": country}, 201)


@for_customers
def wishlist(request, customer):
    rows = request.shop.store.rows("SELECT product_id FROM wishlist WHERE customer_id = ?", customer["id"])
    return as_json({"items": [summary(request.shop.catalogue.by_id[row["product_id"]]) for row in rows]})


@for_product
def wishlist_put(request, product):
    return change_wishlist(request, "INSERT OR IGNORE INTO wishlist VALUES (?, ?)", product)


@for_product
def wishlist_delete(request, product):
    return change_wishlist(request, "DELETE FROM wishlist WHERE customer_id = ? AND product_id = ?", product)


def change_wishlist(request, sql, product):
    customer = request.visit.customer
    if not customer:
        return error(401, "login required")
    request.shop.store.write(sql, customer["id"], product["id"])
    return wishlist(request)


# Coupons, newsletter, uploads


def coupon_check(request):
    body = request.json()
    if body is None:
        return error(400, NO_BODY)
    code = str(body.get("code", "")).upper()
    coupon = next((row for row in SHOP["coupons"] if row["code"] == code), None)
    if coupon is None:
        return error(404, "no such coupon")
    return as_json(dict(coupon, valid=coupon["valid_until"] >= now()[:10], checked_at=now()))


def newsletter(request):
    email = str((request.json() or request.form()).get("email", ""))
    if "@" not in email:
        return error(422, "an e-mail address is needed")
    request.shop.store.write("INSERT OR IGNORE INTO newsletter VALUES (?, ?)", email.lower(), now())
    return as_json({"email": email.lower(), "subscribed": True}, 201)


def upload(request):
    """Any file, as a form part or as the whole body; answers what arrived."""
    files = [value for name, value in request.multipart().values() if name is not None]
    content = files[0] if files else request.body
    return as_json({"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "received_at": now()}, 201)
