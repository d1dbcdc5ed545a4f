"""The proxies that are compared, each with a configuration on the same terms: one worker, access log off,
upstream keep-alive on, Host kept, X-Forwarded-For added, the same certificate."""

import shutil
import subprocess
import sys
from pathlib import Path

ROUTES = 1_000


class Peer:
    """A proxy under test: `start` gives the command, `ports` where it listens."""

    name = ""

    def __init__(self, folder: Path, backend: int, plain: int, tls: int, certificate: Path, key: Path):
        self.folder, self.backend, self.plain, self.tls = folder, backend, plain, tls
        self.certificate, self.key = certificate, key
        folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file


class Nginx(Peer):
    name = "nginx"

    def command(self):
        config = self.write("nginx.conf", f"""
daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log stderr error; worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy; fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u;
  scgi_temp_path {self.folder}/s; proxy_request_buffering off; client_max_body_size 0;
  upstream backend {{ server 127.0.0.1:{self.backend}; keepalive 2048; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{self.plain} reuseport backlog=4096;
    listen 127.0.0.1:{self.tls} ssl http2 reuseport backlog=4096;
    ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; ssl_protocols TLSv1.3;
    http2_max_requests 1000000000;
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering on;
      proxy_max_temp_file_size 0;
    }}
  }}
}}
""")
        return ["nginx", "-c", str(config), "-p", str(self.folder)]


class HAProxy(Peer):
    name = "haproxy"

    def command(self):
        pem = self.write("both.pem", self.certificate.read_text() + self.key.read_text())
        config = self.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8000
  tune.h2.max-concurrent-streams 128
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend in
  bind 127.0.0.1:{self.plain}
  bind 127.0.0.1:{self.tls} ssl crt {pem} alpn h2,http/1.1 ssl-min-ver TLSv1.3
  default_backend out
backend out
  server s 127.0.0.1:{self.backend} pool-max-conn 2048
""")
        return ["haproxy", "-db", "-f", str(config)]


class Envoy(Peer):
    name = "envoy"

    def command(self):
        def listener(name, port, tls):
            context = f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates: [{{ certificate_chain: {{ filename: {self.certificate} }}, private_key: {{ filename: {self.key} }} }}]
""" if tls else ""
            return f"""
  - name: {name}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          use_remote_address: true
          generate_request_id: false
          route_config:
            virtual_hosts: [{{ name: all, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: out, timeout: 0s }} }}] }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
{context}"""
        config = self.write("envoy.yaml", f"""
static_resources:
  listeners:{listener("plain", self.plain, False)}{listener("tls", self.tls, True)}
  clusters:
  - name: out
    connect_timeout: 5s
    circuit_breakers: {{ thresholds: [{{ max_connections: 4096, max_pending_requests: 65536, max_requests: 65536 }}] }}
    load_assignment:
      cluster_name: out
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {self.backend} }} }} }} }}] }}]
""")
        return ["envoy", "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


class Starve(Peer):
    name = "starve"
    routes = ROUTES
    program = Path(__file__).parents[2] / "target" / "release" / "starve"

    def command(self):
        routes = "".join(f"  - match: GET,POST /r{n}/{{id:int}}\n" for n in range(self.routes))
        self.write("routes.yaml", f"""
legacy: {{ servers: ["http://127.0.0.1:{self.backend}"], timeout: {{ idle: 60s }} }}
listen:
  - address: 127.0.0.1:{self.plain}
  - address: 127.0.0.1:{self.tls}
    tls: {{ certificates: [{{ certificate: {self.certificate}, key: {self.key} }}] }}
workers: 1
admin: 127.0.0.1:0
ledger: sqlite:{self.folder}/starve.db
routes:
  - match: GET,POST /bench/{{id:int}}
{routes}""")
        if not self.program.is_file():
            sys.exit(f"no {self.program}: `cargo xtask bench` builds it")
        return [str(self.program), "--config", str(self.folder / "routes.yaml"), "run"]


class StarveUncounted(Starve):
    """The build of the feature `without-counting`."""

    name = "starve, not counting"
    program = Starve.program.with_name("starve-without-counting")


class StarveFew(Starve):
    name = "starve, 10 routes"
    routes = 10


class StarveMany(Starve):
    name = "starve, 100,000 routes"
    routes = 100_000


def available() -> list[type[Peer]]:
    """The peers that are installed, and the product."""
    found = []
    for peer in [Nginx, HAProxy, Envoy]:
        if shutil.which(peer.name):
            found.append(peer)
        else:
            print(f"{peer.name} is not installed and is left out", file=sys.stderr)
    return [Starve, *found]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed ECDSA P-256 certificate."""
    certificate, key = folder / "bench.crt", folder / "bench.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=bench.localhost", "-addext", "subjectAltName=DNS:bench.localhost", "-keyout", str(key),
         "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key
