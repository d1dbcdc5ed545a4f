#!/usr/bin/env python3
"""Instructions per proxied request outside the kernel, counted by callgrind: a figure that other work on the machine does not
change, so that a few percent more show.

    cargo xtask bench instructions                          # builds, installs what is missing, counts
    python3 tests/bench/instructions.py --functions 40      # and which functions they are spent in

It fails when a case costs more than is written in MOST, or than `--max N`: a change that costs more has to say so there.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import peers

WARM_UP, COUNTED = 2_000, 4_000
# Five percent above what was measured last: libraries and compilers differ a little.
MOST = {"h1": 25_500, "h2": 50_500, "tls": 37_000}
CASES = {
    "h1": lambda p, n: ["h2load", "--h1", "-c16", f"-n{n}", f"http://127.0.0.1:{p.plain}/bench/7"],
    "h2": lambda p, n: ["h2load", "-c2", "-m16", f"-n{n}", f"https://127.0.0.1:{p.tls}/bench/7"],
    "tls": lambda p, n: ["h2load", "--h1", "-c16", f"-n{n}", f"https://127.0.0.1:{p.tls}/bench/7"],
}


def control(pid, *words):
    done = subprocess.run(["callgrind_control", *words, str(pid)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"callgrind_control {' '.join(words)}: {done.stderr or done.stdout}")


def dumps(folder):
    return sorted(folder.glob("callgrind.out.*"), key=lambda file: file.stat().st_mtime)


def total(file):
    text = file.read_text(errors="replace")
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
    return int(found[1]) if found else 0


def count(peer, process, case):
    """Instructions of one case, and the dump that they stand in."""
    bench.run(CASES[case](peer, WARM_UP))
    control(process.pid, "-i", "on")
    control(process.pid, "-z")
    bench.run(CASES[case](peer, COUNTED))
    before = dumps(peer.folder)
    control(process.pid, "-d")
    control(process.pid, "-i", "off")
    # A file per thread; the one worker is by far the busiest.
    until = time.monotonic() + 30
    while dumps(peer.folder) == before and time.monotonic() < until:
        time.sleep(0.05)
    dump = max((file for file in dumps(peer.folder) if file not in before), key=total)
    return total(dump) / COUNTED, dump


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=["h1"], help=", ".join(CASES))
    parser.add_argument("--max", type=float, help="fail above this many instructions per request, in place of MOST")
    parser.add_argument("--functions", type=int, default=0, help="show so many functions")
    parser.add_argument("--without-counting", action="store_true", help="of the build that does not count")
    parser.add_argument("--inclusive", action="store_true", help="with what the functions call")
    options = parser.parse_args()
    for tool in ["nginx", "h2load", "valgrind", "openssl"]:
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: `cargo xtask bench` installs it")
    folder = Path(tempfile.mkdtemp(prefix="starve-bench-"))
    folder.chmod(0o755)
    processes, too_many = [], []
    try:
        backends, port = bench.start_backend(folder)
        processes += backends
        certificate, key = peers.make_certificate(folder)
        plain, tls = bench.free_ports(2)
        kind = peers.StarveUncounted if options.without_counting else peers.Starve
        peer = kind(folder / "starve", port, plain, tls, certificate, key)
        log = peer.folder / "log"
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes",
                    f"--callgrind-out-file={peer.folder}/callgrind.out.%p"]
        process = bench.pinned("0-1", valgrind + peer.command(), log, cwd=peer.folder)
        processes.append(process)
        bench.wait_for_port(plain, process, log)
        for case in options.cases:
            instructions, dump = count(peer, process, case)
            print(f"{case}: {instructions:,.0f} instructions per request", flush=True)
            most = options.max or MOST[case]
            if instructions > most:
                too_many.append(f"{case}: more than {most:,.0f} instructions per request")
            if options.functions:
                how = ["--inclusive=yes"] if options.inclusive else []
                shown = subprocess.run(["callgrind_annotate", *how, str(dump)], capture_output=True, text=True).stdout
                rows = [row for row in shown.splitlines() if re.match(r"\s*[\d,]+ \(", row)]
                print("\n".join(row[:150] for row in rows[: options.functions]))
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
    if too_many:
        sys.exit("\n".join(too_many))


if __name__ == "__main__":
    main()
