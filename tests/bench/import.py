#!/usr/bin/env python3
"""Lines of an access log a second: `starve import access-log` beside goaccess on the same file.

Each program reads the same combined log of N lines on one core, three times; the figure is the median of the user and system time.

    cargo xtask bench import              # builds and runs; goaccess (apt-get install goaccess) where it is installed
    python3 tests/bench/import.py --lines 2000000 --starve target/release/starve
"""

import argparse
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36",
    "shop-app/7.2 (Android 15)",
]
PATHS = ["/", "/api/products/{n}", "/api/products/{n}/reviews", "/api/search?q=tea+{n}", "/cart", "/static/app.{n}.js",
         "/orders/{n}/lines/{n}", "/wp-login.php", "/users/{n}/avatar.png"]


def write_log(path, lines):
    dice = random.Random(7)
    begin = int(time.time()) - 20 * 86_400
    with open(path, "w") as log:
        for number in range(lines):
            at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(begin + number * 10 * 86_400 // lines))
            target = dice.choice(PATHS).replace("{n}", str(dice.randrange(100_000)))
            status = 404 if "wp-" in target else dice.choice([200, 200, 200, 304, 500])
            log.write(f'203.0.113.{dice.randrange(256)} - - [{at}] "GET {target} HTTP/1.1" {status} '
                      f'{dice.randrange(90_000)} "https://shop.example/" "{dice.choice(AGENTS)}"\n')


def cpu_seconds(command, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(["taskset", "-c", "0", *command], cwd=folder, capture_output=True, text=True)
    wall = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, wall, after.ru_maxrss // 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--starve", default="target/release/starve")
    arguments = parser.parse_args()
    starve = Path(arguments.starve).resolve()
    goaccess = shutil.which("goaccess")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        write_log(log, arguments.lines)
        Path(folder, "routes.yaml").write_text("legacy: http://127.0.0.1:3000\n")
        print(f"{arguments.lines} lines, {log.stat().st_size / 1e6:.0f} MB, one core")
        programs = {"starve": [str(starve), "import", "access-log", "--quiet", "access.log"]}
        if goaccess:
            programs["goaccess"] = [goaccess, "access.log", "--log-format=COMBINED", "-o", "report.json", "--no-progress"]
        else:
            print("goaccess is not installed: nothing to compare with")
        for name, command in programs.items():
            rounds = []
            for _ in range(3):
                for stale in Path(folder).glob("starve.db*"):
                    stale.unlink()
                rounds.append(cpu_seconds(command, folder))
            cpu = statistics.median(round[0] for round in rounds)
            wall = statistics.median(round[1] for round in rounds)
            print(f"{name:10} {arguments.lines / cpu:>12,.0f} lines/s of CPU  {arguments.lines / wall:>12,.0f} lines/s  "
                  f"(largest so far {rounds[-1][2]} MiB)")


if __name__ == "__main__":
    main()
