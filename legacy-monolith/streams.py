"""Answers that come piece by piece: server-sent events and the CSV export."""

import json
import random
import time

from web import Response, error, now


def events(request):
    count, interval_ms = request.integer("count", 5), request.integer("interval_ms", 200)
    if count is None or interval_ms is None or not 1 <= count <= 1000 or not 0 <= interval_ms <= 60000:
        return error(400, "bad count or interval_ms")
    headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]
    return Response(200, stock_events(request.shop.catalogue.products, count, interval_ms / 1000), headers)


def stock_events(products, count, interval_s):
    for number in range(1, count + 1):
        product = random.choice(products)
        data = json.dumps({"product_id": product["id"], "stock": product["stock"], "at": now()})
        yield f"id: {number}\nevent: stock\ndata: {data}\n\n".encode("utf-8")
        if number < count:
            time.sleep(interval_s)


def orders_csv(request):
    headers = [
        ("Content-Type", "text/csv; charset=utf-8"),
        ("Content-Disposition", 'attachment; filename="orders.csv"'),
        ("Cache-Control", "no-store"),
    ]
    return Response(200, csv_pieces(request.shop.store), headers)


def csv_pieces(store):
    """Fifty rows at a time, so that the whole table is never in memory. The seeded orders only: the old ERP's limit."""
    yield b"id;created_at;status;country;net_cents;vat_cents;shipping_cents\n"
    last = 0
    while True:
        rows = store.rows("SELECT * FROM orders WHERE id > ? AND id <= 400 ORDER BY id LIMIT 50", last)
        if not rows:
            return
        last = rows[-1]["id"]
        lines = (
            ";".join(str(row[key]) for key in
                     ("id", "created_at", "status", "country", "net_cents", "vat_cents", "shipping_cents"))
            for row in rows
        )
        yield ("\n".join(lines) + "\n").encode("utf-8")
