"""Fills an empty database, always with the same rows."""

import random
from datetime import datetime, timedelta

from pricing import load, price_line, shipping_quote, shipping_zone

PASSWORD = "autumn-rain"
ADMIN = "admin@example.com"
ORDERS = 400
FIRST_ORDER = datetime(2025, 1, 2, 8, 0, 0)


def seed(db, catalogue, password_hash):
    rng = random.Random(2014)
    customers = load("customers.json")
    for row in customers:
        values = (row["name"], row["email"], password_hash(row["email"], PASSWORD), row["city"], row["country"])
        db.execute("INSERT INTO customers (name, email, password, city, country) VALUES (?, ?, ?, ?, ?)", values)
    db.execute(
        "INSERT INTO customers (name, email, password, city, country, admin) VALUES ('Shop', ?, ?, '', 'DE', 1)",
        (ADMIN, password_hash(ADMIN, PASSWORD)),
    )
    seed_reviews(db, rng, catalogue, customers)
    seed_orders(db, rng, catalogue, customers)


def seed_reviews(db, rng, catalogue, customers):
    texts = load("shop.json")["reviews"]
    for product in catalogue.products:
        for _ in range(rng.randrange(5)):
            when = FIRST_ORDER + timedelta(hours=rng.randrange(9000))
            author = rng.choice(customers)["name"].split(" ")[0]
            values = (product["id"], author, rng.choice((3, 4, 4, 5, 5)), rng.choice(texts), stamp(when))
            db.execute(
                "INSERT INTO reviews (product_id, author, stars, text, created_at) VALUES (?, ?, ?, ?, ?)", values
            )


def seed_orders(db, rng, catalogue, customers):
    when = FIRST_ORDER
    for order_id in range(1, ORDERS + 1):
        when += timedelta(minutes=rng.randrange(200, 3000))
        customer_id = rng.randrange(1, len(customers) + 1)
        country = customers[customer_id - 1]["country"]
        products = rng.sample(catalogue.products, rng.randrange(1, 4))
        lines = [price_line(product, rng.choice((1, 1, 1, 2, 3, 6)), country) for product in products]
        shipping_cents, _ = shipping_quote(shipping_zone(country), 1500, False)
        net, vat = (sum(line[key] for line in lines) for key in ("net_cents", "vat_cents"))
        status = rng.choice(("shipped", "shipped", "shipped", "paid", "cancelled"))
        values = (order_id, customer_id, stamp(when), status, country, net, vat, shipping_cents)
        db.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        for line in lines:
            values = (order_id, line["product_id"], line["quantity"], line["unit_net_cents"])
            db.execute("INSERT INTO order_lines VALUES (?, ?, ?, ?)", values)


def stamp(when):
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
