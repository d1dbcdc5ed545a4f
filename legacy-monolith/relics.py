"""What nobody is known to call any more, and nobody dared to delete."""

import re

from api import NO_PRODUCT, SHOP, for_product, summary
from web import as_json, error, now, text, to_integer
from pages import esc, product_path

XML = '<?xml version="1.0" encoding="UTF-8"?>'


def v1_products(request):
    return as_json([v1_product_value(product) for product in request.shop.catalogue.products])


@for_product
def v1_product(request, product):
    return as_json(v1_product_value(product))


def v1_product_value(product):
    return {"sku": f"KT{product['id']:05}", "title": product["name"], "price": f"{product['price_cents'] / 100:.2f}"}


def v1_order(request):
    customer = request.visit.customer
    order = customer and request.shop.store.order(to_integer(request.params["id"]), customer["id"])
    return as_json({"order_no": order["id"], "state": order["status"]}) if order else error(404, "no such order")


def ws_stock(request):
    """A stock query for the till of 2015, which spoke something like SOAP."""
    wanted = re.search(rb"<productId>([0-9]{1,9})</productId>", request.body)
    product = request.shop.catalogue.by_id.get(int(wanted.group(1))) if wanted else None
    if product is None:
        return text(f"{XML}<fault>{NO_PRODUCT}</fault>", "text/xml; charset=utf-8", 404)
    body = f"<stockResponse><productId>{product['id']}</productId><stock>{product['stock']}</stock></stockResponse>"
    return text(XML + body, "text/xml; charset=utf-8")


def coupons(request):
    return as_json({"coupons": SHOP["coupons"]})


def gift_card(request):
    card = next((row for row in SHOP["gift_cards"] if row["code"] == request.params["code"]), None)
    return as_json(dict(card, checked_at=now())) if card else error(404, "no such gift card")


def daily_stats(request):
    day = request.params["date"]
    row = request.shop.store.row("SELECT count(*) AS orders FROM orders WHERE created_at LIKE ?", day[:10] + "%")
    return as_json(dict(row, date=day))


def affiliate_clicks(request):
    return as_json({"affiliate": request.params["code"], "clicks": 0, "programme": "ended 2019"})


def products_xml(request):
    rows = "".join(f'<product id="{p["id"]}">{esc(p["name"])}</product>' for p in request.shop.catalogue.products)
    return text(f"{XML}<products>{rows}</products>", "application/xml")


def google_feed(request):
    items = "".join(
        f"<item><title>{esc(row['name'])}</title><link>http://{esc(request.host)}{product_path(row)}</link></item>"
        for row in map(summary, request.shop.catalogue.products)
    )
    return text(f'{XML}<rss version="2.0"><channel>{items}</channel></rss>', "application/rss+xml")
