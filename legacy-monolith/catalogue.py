"""The catalogue, read once at start and never changed: products, categories and how they are found."""

import random
import re

from pricing import load


class Catalogue:
    def __init__(self):
        rows = load("catalogue.json")
        self.categories = rows["categories"]
        self.products = rows["products"]
        self.by_id = {product["id"]: product for product in self.products}
        self.by_slug = {product["slug"]: product for product in self.products}
        self.by_category = {category["slug"]: [] for category in self.categories}
        for product in self.products:
            self.by_category[product["category"]].append(product)

    def category(self, slug):
        return next((category for category in self.categories if category["slug"] == slug), None)

    def search(self, query):
        """Products in which every word is found; those with all words in the name come first."""
        words = query.lower().split()
        named, others = [], []
        for product in self.products:
            name = product["name"].lower()
            if all(word in name for word in words):
                named.append(product)
            elif all(found(word, name, product) for word in words):
                others.append(product)
        return named + others

    def suggest(self, start):
        words = {word for p in self.products for word in re.findall(r"\w{3,}", p["name"].lower())}
        return sorted(word for word in words if word.startswith(start.strip().lower()))[:8]

    def related(self, product):
        """The four of the same category with the most tags in common."""
        others = [p for p in self.by_category[product["category"]] if p is not product]
        others.sort(key=lambda p: (-len(set(p["tags"]) & set(product["tags"])), p["id"]))
        return others[:4]


def found(word, name, product):
    return (
        word in name
        or word in product["description"].lower()
        or any(word in tag for tag in product["tags"])
        or word == product["category"]
    )


def any_order(values):
    """Nobody ever asked for an order, so there is none: the old tag table had no index either."""
    return random.sample(values, len(values))
