#!/usr/bin/env python3
"""`GET /api/products/{id}/price`: net, VAT and gross of a quantity of one product."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))

from endpoint import Refusal, load, serve, to_integer

PRODUCTS = {product["id"]: product for product in load(__file__, "products.json")}
VAT = load(__file__, "vat.json")


def price(query, product_id):
    product_id = to_integer(product_id)
    if product_id is None:
        raise Refusal(400, "bad product id")
    product = PRODUCTS.get(product_id)
    if product is None:
        raise Refusal(404, "no such product")
    quantity = query.integer("quantity", 1)
    if quantity is None or not 1 <= quantity <= 999:
        raise Refusal(422, "bad quantity")
    country = (query.get("country") or "DE").upper()
    rates = VAT["rates"].get(country)
    if rates is None:
        raise Refusal(422, "unknown country")
    return line(product, quantity, country, rates[product["vat_class"]])


def line(product, quantity, country, rate):
    discount = discount_percent(quantity)
    unit = (product["price_cents"] * (100 - discount) + 50) // 100
    net = unit * quantity
    vat = round(net * rate / 100)
    return {
        "product_id": product["id"],
        "quantity": quantity,
        "country": country,
        "unit_net_cents": unit,
        "vat_rate": rate,
        "vat_cents": vat,
        "net_cents": net,
        "gross_cents": net + vat,
        "currency": "EUR",
        "discount_percent": discount,
    }


def discount_percent(quantity):
    reached = [row for row in VAT["quantity_discounts"] if row["from_quantity"] <= quantity]
    return reached[-1]["discount_percent"]


if __name__ == "__main__":
    serve("/api/products/{}/price", price)
