#!/usr/bin/env python3
"""`GET /api/shipping/quote`: what it costs to send a parcel, and how long it takes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))

from endpoint import Refusal, load, now, serve

TABLE = load(__file__, "shipping.json")


def quote(query):
    country = query.get("country", "").upper()
    zone_name = TABLE["countries"].get(country)
    if zone_name is None:
        raise Refusal(422, "unknown country")
    weight_g = query.integer("weight_g")
    if weight_g is None or not 1 <= weight_g <= TABLE["max_weight_g"]:
        raise Refusal(422, "bad weight")
    express = query.get("express") in ("1", "true", "yes")
    zone = TABLE["zones"][zone_name]
    price_cents = next(b["price_cents"] for b in zone["brackets"] if weight_g <= b["up_to_g"])
    if express:
        price_cents += zone["express_surcharge_cents"]
    return {
        "country": country,
        "zone": zone_name,
        "weight_g": weight_g,
        "express": express,
        "price_cents": price_cents,
        "currency": TABLE["currency"],
        "days": zone["express_days" if express else "days"],
        "quoted_at": now(),
    }


if __name__ == "__main__":
    serve("/api/shipping/quote", quote)
