"""The shop's public pages: browsing, cart, checkout, contact."""

import random

import pages
from pricing import price_line, shipping_quote, shipping_zone
from web import html, redirect, text, to_integer


def home(request):
    products = request.shop.catalogue.products
    picks = random.Random(4).sample(products, 12)
    welcome = "<p>Things for kitchen, garden and table that last. Sent from Leipzig since 2014.</p>"
    return html(request, pages.page(request, "Welcome", welcome, pages.tiles(picks)))


def category(request):
    catalogue = request.shop.catalogue
    found = catalogue.category(request.params["slug"])
    if found is None:
        return missing(request, "There is no such category.")
    return html(request, pages.page(request, found["name"], pages.tiles(catalogue.by_category[found["slug"]])))


def product(request):
    catalogue = request.shop.catalogue
    found = catalogue.by_slug.get(request.params["slug"])
    if found is None:
        return missing(request, "There is no such product.")
    gross = price_line(found, 1, "DE")["gross_cents"]
    reviews = request.shop.store.reviews(found["id"])
    return html(
        request,
        pages.page(
            request,
            found["name"],
            f"<p>{pages.esc(found['description'])}</p>",
            f'<p class="price" id="price">{pages.money(gross)}</p>',
            f"<p>{'In stock' if found['stock'] else 'Back in three weeks'}.</p>",
            pages.form(
                request,
                "/cart/add",
                "Into the cart",
                pages.hidden("product_id", found["id"]),
                pages.field("quantity", "Quantity", "number", 1),
            ),
            "<h2>Reviews</h2>",
            pages.table(["From", "Stars", ""], [(r["author"], "★" * r["stars"], r["text"]) for r in reviews]),
            "<h2>Goes with it</h2>",
            pages.tiles(catalogue.related(found)),
        ),
    )


def search(request):
    query = request.query.get("q", "")
    found = request.shop.catalogue.search(query)
    return html(request, pages.page(request, "Search", f"<p>{len(found)} found</p>", pages.tiles(found[:40])))


def imprint(request):
    lines = "Kettle & Twine GmbH, Karl-Heine-Straße 46, 04229 Leipzig. VAT id DE 999999999."
    return html(request, pages.message(request, "Imprint", lines))


def language(request):
    code = request.params["code"]
    if code not in ("de", "en"):
        return missing(request, "We do not speak that language.")
    return redirect(request, "/").cookie("lang", code, "Max-Age=31536000")


# Cart and checkout


def cart(request):
    rows, total = cart_rows(request)
    remove = [
        pages.form(request, "/cart/remove", f"Remove {p['name']}", pages.hidden("product_id", p["id"]))
        for p, _ in cart_products(request)
    ]
    pieces = [pages.table(["Product", "Quantity", "Sum"], rows), f"<p>Total {pages.money(total)}</p>", *remove]
    pieces.append('<p><a href="/checkout">Checkout</a></p>')
    return html(request, pages.page(request, "Your cart", *pieces))


def cart_products(request):
    by_id = request.shop.catalogue.by_id
    return [(by_id[item["product_id"]], item["quantity"]) for item in request.visit.cart()]


def cart_rows(request):
    lines = [(p, quantity, price_line(p, quantity, "DE")) for p, quantity in cart_products(request)]
    rows = [((pages.product_path(p), p["name"]), str(quantity), line["gross_cents"]) for p, quantity, line in lines]
    return rows, sum(line["gross_cents"] for _, _, line in lines)


def cart_add(request):
    form = request.form()
    product_id = to_integer(form.get("product_id", ""))
    quantity = to_integer(form.get("quantity", "1"))
    if product_id not in request.shop.catalogue.by_id or quantity is None or not 1 <= quantity <= 999:
        return html(request, pages.message(request, "Cart", "That cannot be put into the cart."), 422)
    request.shop.store.add_to_cart(request.visit.ensure()["token"], product_id, quantity)
    return redirect(request, "/cart")


def cart_remove(request):
    product_id = to_integer(request.form().get("product_id", ""))
    request.shop.store.take_from_cart(request.visit.ensure()["token"], product_id)
    return redirect(request, "/cart")


def checkout(request):
    if not request.visit.customer:
        return redirect(request, "/login")
    if not request.visit.cart():
        return redirect(request, "/cart")
    rows, total = cart_rows(request)
    table = pages.table(["Product", "Quantity", "Sum"], rows)
    country = request.visit.customer["country"]
    form = pages.form(request, "/checkout", "Order now", pages.field("country", "Country", value=country))
    return html(request, pages.page(request, "Checkout", table, f"<p>Total {pages.money(total)}</p>", form))


def checkout_post(request):
    customer, form = request.visit.customer, request.form()
    if not customer:
        return redirect(request, "/login")
    if not request.visit.may_post(form):
        return html(request, pages.message(request, "Checkout", "Please load the page again."), 403)
    order_id = order_cart(request, customer, form.get("country", "").upper())
    if order_id is None:
        return html(request, pages.message(request, "Checkout", "We do not send there, or the cart is empty."), 422)
    return redirect(request, f"/checkout/thanks/{order_id}")


def order_cart(request, customer, country):
    """Turn the cart into an order; its id, or None when there is nothing to send or nowhere to send it."""
    products, zone = cart_products(request), shipping_zone(country)
    if not products or zone is None:
        return None
    lines = [price_line(p, quantity, country) for p, quantity in products]
    weight_g = min(31500, sum(p["weight_g"] * quantity for p, quantity in products))
    shipping_cents, _ = shipping_quote(zone, weight_g, False)
    order_id = request.shop.store.new_order(customer["id"], country, lines, shipping_cents)
    request.shop.store.empty_cart(request.visit.session["token"])
    return order_id


def thanks(request):
    number = pages.esc(request.params["id"])
    return html(request, pages.message(request, "Thank you", f"Your order {number} is on its way."))


# Contact, robots, relics


def contact(request):
    request.visit.ensure()
    fields = pages.field("email", "Your e-mail", "email"), "<label>Text <textarea name='text'></textarea></label>"
    return html(request, pages.page(request, "Contact", pages.form(request, "/contact", "Send", *fields)))


def contact_post(request):
    form = request.form()
    if "@" not in form.get("email", "") or not form.get("text"):
        return html(request, pages.message(request, "Contact", "An e-mail address and a text, please."), 422)
    request.shop.store.write(
        "INSERT INTO messages (email, text, created_at) VALUES (?, ?, datetime('now'))", form["email"], form["text"]
    )
    return redirect(request, "/contact")


def robots(request):
    return text("User-agent: *\nDisallow: /admin\nDisallow: /cart\nSitemap: /sitemap.xml\n")


def sitemap(request):
    catalogue = request.shop.catalogue
    paths = [f"/category/{c['slug']}" for c in catalogue.categories]
    paths += [pages.product_path(p) for p in catalogue.products]
    urls = "".join(f"<url><loc>http://{pages.esc(request.host)}{path}</loc></url>" for path in paths)
    start = '<?xml version="1.0" encoding="UTF-8"?>'
    return text(f'{start}<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>', "application/xml")


def up(request):
    return text("ok\n")


def guestbook(request):
    return html(request, pages.message(request, "Guestbook", "Closed since 2017. It was nice."))


def guestbook_post(request):
    return redirect(request, "/guestbook")


def wap(request):
    card = '<wml><card title="Kettle &amp; Twine"><p>Call us: 0341 000000</p></card></wml>'
    return text(card, "text/vnd.wap.wml")


def print_view(request):
    found = request.shop.catalogue.by_slug.get(request.params["slug"])
    if found is None:
        return missing(request, "There is no such product.")
    return text(f"{found['name']}\n\n{found['description']}\n{pages.money(found['price_cents'])} net\n")


def missing(request, sentence):
    return html(request, pages.message(request, "Not found", sentence), 404)


