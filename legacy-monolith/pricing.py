"""Prices, VAT and shipping. Whole cents, integers only; nothing here reads the database."""

import json
import os

SEED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seed")


def load(name):
    with open(os.path.join(SEED, name), encoding="utf-8") as file:
        return json.load(file)


VAT = load("vat.json")
SHIPPING = load("shipping.json")


def half_up(numerator, denominator):
    """The accountant's rounding (2014, after the audit): half a cent goes up. Python's round() does not do that."""
    return (2 * numerator + denominator) // (2 * denominator)


def discount_percent(quantity):
    reached = [row for row in VAT["quantity_discounts"] if row["from_quantity"] <= quantity]
    return reached[-1]["discount_percent"]


def price_line(product, quantity, country):
    """Net, VAT and gross of one line of an invoice, or None for a country without a rate."""
    rates = VAT["rates"].get(country)
    if rates is None:
        return None
    rate = rates[product["vat_class"]]
    discount = discount_percent(quantity)
    unit = half_up(product["price_cents"] * (100 - discount), 100)
    net = unit * quantity
    vat = half_up(net * round(rate * 100), 10000)  # the rate in hundredths of a percent is a whole number
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


def shipping_zone(country):
    return SHIPPING["countries"].get(country)


def shipping_quote(zone_name, weight_g, express):
    """Price in cents and the days it takes; the weight is within the table."""
    zone = SHIPPING["zones"][zone_name]
    price = next(b["price_cents"] for b in zone["brackets"] if weight_g <= b["up_to_g"])
    if express:
        return price + zone["express_surcharge_cents"], zone["express_days"]
    return price, zone["days"]
