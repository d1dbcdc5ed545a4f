#!/usr/bin/env python3
"""Kettle & Twine, the online shop. See README.md."""

import argparse
import os
import signal
import sys
import tempfile
import threading

from app import Shop
from catalogue import Catalogue
from router import Router
from routes import ROUTES
from server import Server
from store import Store


def main():
    options = arguments()
    if options.routes:
        for method, path, _ in ROUTES:
            print(method, path)
        return
    with tempfile.TemporaryDirectory(prefix="shop-") as scratch:
        folder = options.data or scratch
        os.makedirs(folder, exist_ok=True)
        run(options, folder)


def arguments():
    parser = argparse.ArgumentParser(description="Kettle & Twine, the online shop")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000, help="0 picks a free one")
    parser.add_argument("--data", help="folder of the database (default: a temporary one)")
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    parser.add_argument("--routes", action="store_true", help="print the routes and end")
    return parser.parse_args()


def run(options, folder):
    # Many threads with little to do each: hand over sooner than the default of 5 ms.
    sys.setswitchinterval(0.001)
    catalogue = Catalogue()
    store = Store(folder, catalogue)
    shop = Shop(catalogue, store)
    router = Router(ROUTES)
    server = Server(options.host, options.port, lambda request: shop.handle(router, request), options.verbose)
    asked_to_end = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: asked_to_end.set())
    threading.Thread(target=server.serve, daemon=True).start()
    print(f"listening on {server.address[0]}:{server.address[1]}", flush=True)
    asked_to_end.wait()
    server.stop()
    store.close()


if __name__ == "__main__":
    main()
