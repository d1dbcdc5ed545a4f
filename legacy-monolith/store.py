"""Everything that changes: customers, sessions, carts, orders, reviews, in one SQLite database.

One connection and one lock: statements are short, and SQLite takes one writer at a time anyway.
"""

import hashlib
import os
import secrets
import sqlite3
import threading

from seeding import seed
from web import now

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, password TEXT, city TEXT,
  country TEXT, phone TEXT DEFAULT '', admin INTEGER DEFAULT 0);
CREATE TABLE addresses (id INTEGER PRIMARY KEY, customer_id INTEGER, street TEXT, city TEXT, country TEXT);
CREATE TABLE sessions (token TEXT PRIMARY KEY, customer_id INTEGER, csrf TEXT, created_at TEXT);
CREATE TABLE cart_items (session TEXT, product_id INTEGER, quantity INTEGER, PRIMARY KEY (session, product_id));
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, created_at TEXT, status TEXT, country TEXT,
  net_cents INTEGER, vat_cents INTEGER, shipping_cents INTEGER);
CREATE TABLE order_lines (order_id INTEGER, product_id INTEGER, quantity INTEGER, unit_net_cents INTEGER);
CREATE TABLE reviews (id INTEGER PRIMARY KEY, product_id INTEGER, author TEXT, stars INTEGER, text TEXT, created_at TEXT);
CREATE TABLE wishlist (customer_id INTEGER, product_id INTEGER, PRIMARY KEY (customer_id, product_id));
CREATE TABLE newsletter (email TEXT PRIMARY KEY, created_at TEXT);
CREATE TABLE messages (id INTEGER PRIMARY KEY, email TEXT, text TEXT, created_at TEXT);
CREATE TABLE pictures (product_id INTEGER PRIMARY KEY, file_name TEXT, size INTEGER, sha256 TEXT);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX order_lines_order ON order_lines (order_id);
CREATE INDEX reviews_product ON reviews (product_id);
"""


def password_hash(email, password):
    return hashlib.sha256(f"{email.lower()}:{password}".encode("utf-8")).hexdigest()


class Store:
    def __init__(self, folder, catalogue):
        path = os.path.join(folder, "shop.db")
        fresh = not os.path.exists(path)
        self.lock = threading.RLock()
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
        if fresh:
            self.db.executescript(SCHEMA)
            with self.db:
                self.db.execute("BEGIN")
                seed(self.db, catalogue, password_hash)

    def close(self):
        with self.lock:
            self.db.close()

    def rows(self, sql, *values):
        with self.lock:
            return [dict(row) for row in self.db.execute(sql, values)]

    def row(self, sql, *values):
        with self.lock:
            row = self.db.execute(sql, values).fetchone()
        return dict(row) if row else None

    def write(self, sql, *values):
        """Run one statement; the new row's id."""
        with self.lock:
            return self.db.execute(sql, values).lastrowid

    # Sessions and customers

    def session(self, token):
        return self.row("SELECT * FROM sessions WHERE token = ?", token) if token else None

    def new_session(self, customer_id=None, carry_cart_from=None):
        token, csrf = secrets.token_hex(16), secrets.token_hex(8)
        self.write("INSERT INTO sessions VALUES (?, ?, ?, ?)", token, customer_id, csrf, now())
        if carry_cart_from:
            self.write("UPDATE cart_items SET session = ? WHERE session = ?", token, carry_cart_from)
        return self.session(token)

    def customer(self, customer_id):
        return self.row("SELECT * FROM customers WHERE id = ?", customer_id)

    def customer_by_password(self, email, password):
        wanted = password_hash(email, password)
        return self.row("SELECT * FROM customers WHERE email = ? AND password = ?", email.lower(), wanted)

    def register(self, name, email, password):
        """The new customer's id, or None when the address is taken."""
        try:
            return self.write(
                "INSERT INTO customers (name, email, password, city, country) VALUES (?, ?, ?, '', 'DE')",
                name, email.lower(), password_hash(email, password),
            )
        except sqlite3.IntegrityError:
            return None

    # Carts

    def cart(self, token):
        return self.rows(
            "SELECT product_id, quantity FROM cart_items WHERE session = ? ORDER BY product_id", token
        )

    def put_in_cart(self, token, product_id, quantity):
        self.write("INSERT OR REPLACE INTO cart_items VALUES (?, ?, ?)", token, product_id, quantity)

    def add_to_cart(self, token, product_id, quantity):
        self.write(
            "INSERT INTO cart_items VALUES (?, ?, ?) ON CONFLICT (session, product_id) DO UPDATE"
            " SET quantity = min(999, quantity + excluded.quantity)",
            token, product_id, quantity,
        )

    def take_from_cart(self, token, product_id):
        self.write("DELETE FROM cart_items WHERE session = ? AND product_id = ?", token, product_id)

    def empty_cart(self, token):
        self.write("DELETE FROM cart_items WHERE session = ?", token)

    # Orders

    def new_order(self, customer_id, country, lines, shipping_cents):
        """Store priced lines (see `pricing.price_line`) as one order; its id."""
        net, vat = (sum(line[key] for line in lines) for key in ("net_cents", "vat_cents"))
        with self.lock, self.db:
            self.db.execute("BEGIN")
            order_id = self.write(
                "INSERT INTO orders (customer_id, created_at, status, country, net_cents, vat_cents,"
                " shipping_cents) VALUES (?, ?, 'new', ?, ?, ?, ?)",
                customer_id, now(), country, net, vat, shipping_cents,
            )
            for line in lines:
                values = (order_id, line["product_id"], line["quantity"], line["unit_net_cents"])
                self.write("INSERT INTO order_lines VALUES (?, ?, ?, ?)", *values)
        return order_id

    def order(self, order_id, customer_id):
        return self.row("SELECT * FROM orders WHERE id = ? AND customer_id = ?", order_id, customer_id)

    def orders(self, customer_id, limit=20):
        return self.rows("SELECT * FROM orders WHERE customer_id = ? ORDER BY id DESC LIMIT ?", customer_id, limit)

    def order_lines(self, order_id):
        return self.rows("SELECT * FROM order_lines WHERE order_id = ? ORDER BY product_id", order_id)

    # Reviews

    def reviews(self, product_id):
        return self.rows("SELECT * FROM reviews WHERE product_id = ? ORDER BY id DESC LIMIT 20", product_id)
