"""What is not a rate of requests: the memory of idle connections, and what reloads do to the calls under way."""

import re
import resource
import socket
import statistics
import threading

import bench  # also runs as a program: names are looked up late

IDLE = 10_000
RELOADS = 20


def idle(running, options):
    """KiB of the proxy's memory for each idle keep-alive connection, after one request on each."""
    print(f"\nidle connections ({IDLE:,} of them, one request each)")
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    for peer, process in running:
        before = bench.resident_kib(process.pid)
        clients = open_idle(peer.plain, count)
        after = bench.resident_kib(process.pid)
        for client in clients:
            client.close()
        print(f"  {peer.name:24} {(after - before) / len(clients):8.1f} KiB each ({len(clients):,} connections)", flush=True)


def open_idle(port, count):
    """In small groups, so that the proxy needs few connections to its server."""
    request = b"GET /bench/7 HTTP/1.1\r\nHost: bench\r\n\r\n"
    clients = []
    while len(clients) < count:
        group = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(32, count - len(clients)))]
        for client in group:
            client.sendall(request)
        for client in group:
            received = b""
            while b"x" * 200 not in received:
                piece = client.recv(65536)
                if not piece:
                    raise SystemExit(f"a connection was closed after {len(clients):,}")
                received += piece
        clients += group
    return clients


def reloads(running, options):
    """Twenty reloads in twenty seconds at 64 connections, beside the same time without: failed calls and p99."""
    for peer, process in running:
        if not peer.name.startswith("starve"):
            continue
        print(f"\n{RELOADS} reloads in {RELOADS} s, 64 connections, 1,000 routes")
        ratios = []
        for number in range(max(1, options.rounds // 2)):
            calm = load(peer, RELOADS)
            stop = threading.Event()
            thread = threading.Thread(target=touch, args=(peer, stop))
            thread.start()
            busy = load(peer, RELOADS)
            stop.set()
            thread.join()
            ratios.append(busy["p99_ms"] / calm["p99_ms"])
            print(f"  {peer.name:24} failed {busy['failed']} of {busy['count']:,}; p99 {calm['p99_ms']:.2f} → "
                  f"{busy['p99_ms']:.2f} ms (× {ratios[-1]:.2f})", flush=True)
        print(f"  p99 with reloads × {statistics.median(ratios):.2f}")


def load(peer, seconds):
    out = bench.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{peer.plain}/bench/7"])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    failed = sum(map(int, errors.groups())) if errors else 0
    return {"failed": failed + (int(bad[1]) if bad else 0), "count": int(re.search(r"(\d+) requests in", out)[1]),
            "p99_ms": bench.milliseconds(out, 99)}


def touch(peer, stop):
    """Changes the file each second, so that each is a generation of its own."""
    file = peer.folder / "routes.yaml"
    text = file.read_text()
    for number in range(RELOADS):
        file.write_text(f"{text}  - match: GET /reload/{number}\n")
        if stop.wait(1):
            break
    file.write_text(text)


SCENARIOS = {"idle": idle, "reloads": reloads}
