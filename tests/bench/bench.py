#!/usr/bin/env python3
"""What a request costs, beside nginx, HAProxy and Envoy in the same run.

Load generator and backend run on CPU 0, the proxy with one worker on CPU 1; rounds are interleaved (A B C A B C), and the
figure is the CPU time of the proxy's processes divided by requests (or by GiB), as a ratio to nginx's in the same round.
Absolute figures depend on the machine; quote the ratios.

    cargo xtask bench                     # installs what is missing, builds, runs all cases
    python3 tests/bench/bench.py h1-64    # one case
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers
import scenarios

LOAD_CPU, PROXY_CPU = "0", "1"
TICKS = os.sysconf("SC_CLK_TCK")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_port(port, process, log):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"it ended at once; its log is {log}:\n{log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on {port}; the log is {log}")


def pinned(cpu, command, log, **options):
    with open(log, "w") as output:
        return subprocess.Popen(["taskset", "-c", cpu, *command], stdout=output, stderr=output, **options)


def family(pid):
    """A process and its children (nginx's worker)."""
    pids = [pid]
    for one in pids:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return pids


def cpu_seconds(pid):
    """Outside the kernel and inside it."""
    user = kernel = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        user, kernel = user + int(fields[11]), kernel + int(fields[12])
    return user / TICKS, kernel / TICKS


def resident_kib(pid):
    total = 0
    for one in family(pid):
        total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())[1])
    return total


def run(command):
    done = subprocess.run(["taskset", "-c", LOAD_CPU, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def milliseconds(out, percentile):
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", out).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(url, connections, seconds, *more):
    out = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url])
    if "Socket errors" in out or "Non-2xx" in out:
        print(f"warning: {url}\n{out}", file=sys.stderr)
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return {"count": requests, "p50_ms": milliseconds(out, 50), "p99_ms": milliseconds(out, 99)}


def upload(peer, seconds):
    """100 MiB at a time, as many as begin in this time."""
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        run(["curl", "-sS", "-f", "-o", "/dev/null", "-T", str(peer.folder.parent / "files" / "bench" / "100m"),
             "-H", "Expect:", f"http://127.0.0.1:{peer.plain}/up/load"])
        count += 1
    return {"count": count}


def h2load(url, connections, streams, requests):
    out = run(["h2load", f"-c{connections}", f"-m{streams}", f"-n{requests}", url])
    done = int(re.search(r"(\d+) succeeded", out)[1])
    if done != requests:
        print(f"warning: {url}\n{out}", file=sys.stderr)
    return {"count": done}




CASES = {
    "h1-64": lambda p, s: wrk(f"http://127.0.0.1:{p.plain}/bench/7", 64, s),
    "h1-1000": lambda p, s: wrk(f"http://127.0.0.1:{p.plain}/bench/7", 1000, s),
    "tls-64": lambda p, s: wrk(f"https://127.0.0.1:{p.tls}/bench/7", 64, s),
    "tls-handshake": lambda p, s: wrk(f"https://127.0.0.1:{p.tls}/bench/7", 16, s, "-H", "Connection: close"),
    "h2-10x32": lambda p, s: h2load(f"https://127.0.0.1:{p.tls}/bench/7", 10, 32, 40_000 * s),
    "down-1MiB": lambda p, s: wrk(f"http://127.0.0.1:{p.plain}/bench/1m", 16, s),
    "down-100MiB": lambda p, s: wrk(f"http://127.0.0.1:{p.plain}/bench/100m", 4, s, "--timeout", "30s"),
    "up-100MiB": upload,
}
UNIT = {"down-1MiB": ("s/GiB", 1024), "down-100MiB": ("s/GiB", 10.24), "up-100MiB": ("s/GiB", 10.24)}


def measure(case, peer, process, seconds):
    before = cpu_seconds(process.pid)
    result = CASES[case](peer, seconds)
    user, kernel = (now - then for now, then in zip(cpu_seconds(process.pid), before))
    scale = UNIT.get(case, ("µs", 1e6))[1] / max(result["count"], 1)
    result |= {"cpu": user + kernel, "cost": (user + kernel) * scale, "user": user * scale}
    return result


def start_backend(folder):
    (port,) = free_ports(1)
    files = folder / "files" / "bench"
    files.mkdir(parents=True)
    (files / "7").write_bytes(b"x" * 200)
    (files / "1m").write_bytes(os.urandom(1 << 20))
    (files / "100m").write_bytes(os.urandom(1 << 20) * 100)
    (sink_port,) = free_ports(1)
    sink = pinned(LOAD_CPU, [sys.executable, str(Path(__file__).with_name("sink.py")), str(sink_port)], folder / "sink.log")
    wait_for_port(sink_port, sink, folder / "sink.log")
    config = folder / "backend.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/backend.pid; error_log stderr error; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600; default_type text/plain; sendfile on;
  client_body_temp_path {folder}/bb; proxy_temp_path {folder}/bp; fastcgi_temp_path {folder}/bf;
  uwsgi_temp_path {folder}/bu; scgi_temp_path {folder}/bs; open_file_cache max=100;
  client_max_body_size 0;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/files;
    location /up/ {{ proxy_pass http://127.0.0.1:{sink_port}; proxy_http_version 1.1; proxy_request_buffering off; }} }} }}
""")
    process = pinned(LOAD_CPU, ["nginx", "-c", str(config), "-p", str(folder)], folder / "backend.log")
    wait_for_port(port, process, folder / "backend.log")
    return [sink, process], port


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[*CASES, *scenarios.SCENARIOS], help=", ".join([*CASES, *scenarios.SCENARIOS]))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", help="comma-separated names of the proxies to run")
    parser.add_argument("--routes", action="store_true", help="compare numbers of routes instead of peers")
    parser.add_argument("--counting", action="store_true", help="compare with a build that does not count")
    parser.add_argument("--json", help="write all rounds to this file")
    options = parser.parse_args()
    for tool in ["nginx", "wrk", "h2load", "openssl", "curl", "taskset"]:
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: `cargo xtask bench` installs it")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if options.routes:
        kinds = [peers.StarveFew, peers.Starve, peers.StarveMany]
    elif options.counting:
        kinds = [peers.StarveUncounted, peers.Starve]
    else:
        kinds = peers.available()
    if options.only:
        kinds = [kind for kind in kinds if kind.name in options.only.split(",")]

    # Files in shared memory, so that no disk is measured.
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    folder = Path(tempfile.mkdtemp(prefix="starve-bench-", dir=shared))
    folder.chmod(0o755)
    processes, rounds = [], []
    try:
        backends, port = start_backend(folder)
        processes += backends
        certificate, key = peers.make_certificate(folder)
        running = []
        for kind in kinds:
            plain, tls = free_ports(2)
            peer = kind(folder / re.sub(r"\W", "", kind.name), port, plain, tls, certificate, key)
            log = peer.folder / "log"
            process = pinned(PROXY_CPU, peer.command(), log)
            processes.append(process)
            wait_for_port(plain, process, log)
            running.append((peer, process))
        for case in options.cases:
            if case in scenarios.SCENARIOS:
                scenarios.SCENARIOS[case](running, options)
                continue
            for peer, process in running:
                CASES[case](peer, 1)
            for number in range(options.rounds):
                for peer, process in running:
                    result = measure(case, peer, process, options.seconds)
                    rounds.append({"case": case, "round": number, "peer": peer.name, **result})
            names = [peer.name for peer, _ in running]
            show(case, names, rounds, options)
            if options.counting:
                show_counting(names, [one for one in rounds if one["case"] == case])
        print("resident KiB after it all: "
              + ", ".join(f"{peer.name} {resident_kib(process.pid)}" for peer, process in running))
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        Path(options.json).write_text(json.dumps(rounds, indent=1))


def show(case, names, rounds, options):
    """Medians, and the ratio to the first peer that is not the product, round by round."""
    unit = UNIT.get(case, ("µs", 0))[0]
    of = {name: [one for one in rounds if one["case"] == case and one["peer"] == name] for name in names}
    base = next((name for name in names if not name.startswith("starve")), names[0])
    print(f"\n{case} ({options.rounds} rounds of {options.seconds} s)")
    for name in names:
        costs = [one["cost"] for one in of[name]]
        ratios = [one["cost"] / other["cost"] for one, other in zip(of[name], of[base])]
        line = (f"  {name:24} {statistics.median(costs):8.2f} {unit}   × {statistics.median(ratios):.2f} of {base} "
                f"({min(ratios):.2f}–{max(ratios):.2f})")
        if "p50_ms" in of[name][0]:
            p50, p99 = (statistics.median(one[key] for one in of[name]) for key in ("p50_ms", "p99_ms"))
            line += f"   p50 {p50:.2f} ms  p99 {p99:.2f} ms"
        print(line, flush=True)


def show_counting(names, rounds):
    """What counting adds outside the kernel, where all of it happens, as a share of all CPU: the kernel's part of a request
    varies more from round to round than counting costs."""
    without, counted = ([one for one in rounds if one["peer"] == name] for name in names)
    added = [(one["user"] - other["user"]) / other["cost"] * 100 for one, other in zip(counted, without)]
    error = statistics.stdev(added) / len(added) ** 0.5 if len(added) > 1 else float("nan")
    print(f"  counting adds {statistics.mean(added):.1f} ± {error:.1f} % of the CPU, outside the kernel", flush=True)


if __name__ == "__main__":
    main()
