"""The JSON API, catalogue side: products, categories, search, prices, shipping, tables."""

import random
import time

from catalogue import any_order
from pricing import SHIPPING, VAT, load, price_line, shipping_quote, shipping_zone
from web import VERSION, as_json, error, now, to_integer

SHOP = load("shop.json")
STARTED = time.time()
NO_PRODUCT = "no such product"


def for_product(handler):
    """Reads `{id}`; the handler gets the product."""

    def found(request):
        product_id = to_integer(request.params["id"])
        if product_id is None:
            return error(400, "bad product id")
        product = request.shop.catalogue.by_id.get(product_id)
        return handler(request, product) if product else error(404, NO_PRODUCT)

    return found


def summary(product):
    return {key: product[key] for key in ("id", "slug", "name", "price_cents")}


# Products


def products(request):
    bounds = paging(request)
    if not isinstance(bounds, tuple):
        return bounds
    page, per_page = bounds
    found = request.shop.catalogue.products
    if request.query.get("category"):
        found = request.shop.catalogue.by_category.get(request.query["category"], [])
    highest = request.integer("max_price", 10**9)
    if highest is None:
        return error(400, "bad max_price")
    found = [product for product in found if product["price_cents"] <= highest]
    items = found[(page - 1) * per_page : page * per_page]
    listed = [dict(summary(p), tags=any_order(p["tags"]), in_stock=p["stock"] > 0) for p in items]
    answer = {"page": page, "per_page": per_page, "total": len(found), "items": listed, "generated_at": now()}
    return as_json(answer)


def paging(request):
    """(page, per_page), or the answer that refuses them."""
    page = request.integer("page", 1)
    if page is None or page < 1:
        return error(400, "bad page")
    per_page = request.integer("per_page", 20)
    if per_page is None or not 1 <= per_page <= 100:
        return error(400, "bad per_page")
    return page, per_page


@for_product
def product(request, found):
    return as_json({
        "id": found["id"],
        "slug": found["slug"],
        "name": found["name"],
        "description": found["description"],
        "category": found["category"],
        "price_cents": found["price_cents"],
        "currency": found["currency"],
        "tags": any_order(found["tags"]),
        "stock": found["stock"],
        "rating": found["rating"],
        "updated_at": now(),
    })


@for_product
def price(request, found):
    quantity = request.integer("quantity", 1)
    if quantity is None or not 1 <= quantity <= 999:
        return error(422, "bad quantity")
    line = price_line(found, quantity, (request.query.get("country") or "DE").upper())
    return as_json(line) if line else error(422, "unknown country")


@for_product
def stock(request, found):
    return as_json({"product_id": found["id"], "stock": found["stock"], "warehouse": "LEJ", "checked_at": now()})


@for_product
def related(request, found):
    others = request.shop.catalogue.related(found)
    return as_json({"product_id": found["id"], "items": any_order([summary(p) for p in others])})


@for_product
def reviews(request, found):
    return as_json({"product_id": found["id"], "reviews": request.shop.store.reviews(found["id"])})


@for_product
def review_post(request, found):
    body = request.json()
    if body is None:
        return error(400, "a JSON object is needed")
    stars, text = body.get("stars"), body.get("text")
    if type(stars) is not int or not 1 <= stars <= 5 or not isinstance(text, str) or not text:
        return error(422, "stars (1 to 5) and text are needed")
    author, created_at = str(body.get("author") or "anonymous"), now()
    review_id = request.shop.store.write(
        "INSERT INTO reviews (product_id, author, stars, text, created_at) VALUES (?, ?, ?, ?, ?)",
        found["id"], author, stars, text, created_at,
    )
    return as_json({"id": review_id, "product_id": found["id"], "stars": stars, "created_at": created_at}, 201)


# Categories and search


def categories(request):
    catalogue = request.shop.catalogue
    rows = [dict(row, products=len(catalogue.by_category[row["slug"]])) for row in catalogue.categories]
    return as_json({"categories": rows, "generated_at": now()})


def category(request):
    found = request.shop.catalogue.category(request.params["slug"])
    if found is None:
        return error(404, "no such category")
    return as_json(dict(found, products=[summary(p) for p in request.shop.catalogue.by_category[found["slug"]]]))


def search(request):
    started = time.perf_counter()
    bounds = paging(request)
    if not isinstance(bounds, tuple):
        return bounds
    page, per_page = bounds
    query = request.query.get("q", "").strip()
    found = request.shop.catalogue.search(query)
    items = [summary(p) for p in found[(page - 1) * per_page : page * per_page]]
    answer = {"query": query, "page": page, "per_page": per_page, "total": len(found), "items": items}
    answer["took_ms"] = round((time.perf_counter() - started) * 1000, 2)
    return as_json(answer)


def suggest(request):
    query = request.query.get("q", "")
    return as_json({"query": query, "suggestions": request.shop.catalogue.suggest(query)})


def recommendations(request):
    """The same for a visitor all day long, in any order."""
    seed = f"{request.cookies.get('session', '')}{now()[:10]}"
    items = random.Random(seed).sample(request.shop.catalogue.products, 6)
    return as_json({"items": any_order([summary(p) for p in items]), "model": "bestsellers-2016", "generated_at": now()})


# Shipping and tables


def quote(request):
    country = request.query.get("country", "").upper()
    zone = shipping_zone(country)
    if zone is None:
        return error(422, "unknown country")
    weight_g = request.integer("weight_g")
    if weight_g is None or not 1 <= weight_g <= SHIPPING["max_weight_g"]:
        return error(422, "bad weight")
    express = request.query.get("express") in ("1", "true", "yes")
    price_cents, days = shipping_quote(zone, weight_g, express)
    return as_json({
        "country": country,
        "zone": zone,
        "weight_g": weight_g,
        "express": express,
        "price_cents": price_cents,
        "currency": SHIPPING["currency"],
        "days": days,
        "quoted_at": now(),
    })


def tax_rates(request):
    return as_json({"rates": VAT["rates"], "valid_at": now()[:10]})


def currencies(request):
    return as_json({"base": "EUR", "currencies": any_order(SHOP["currencies"]), "updated_at": now()})


def stores(request):
    return as_json({"stores": SHOP["stores"]})


def stats(request):
    row = request.shop.store.row("SELECT count(*) AS orders, sum(net_cents) AS net_cents FROM orders")
    uptime_s = int(time.time() - STARTED)
    return as_json(dict(row, products=len(request.shop.catalogue.products), uptime_s=uptime_s, generated_at=now()))


def version(request):
    return as_json({"version": VERSION, "api": 2, "built_at": "2023-11-06T16:20:00.000Z"})
