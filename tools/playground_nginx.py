"""A local nginx for tests, benchmarks and `make run`: real HTTP and HTTPS on loopback.

The ports are chosen by the kernel and kept by a bound socket of ours: with SO_REUSEPORT only a
process of nginx's user can bind them too, so nobody takes a port before nginx has it. nginx runs as
one process without privilege, and ends with its starter. The certificate comes from an authority
made on the fly: `ca_file` is what a client has to trust.

Below the document root:  /…            as it is
                          /slow/…       the same files at `slow_rate` bytes a second
                          ?rate=100k    any file at that rate
                          /redirect/…   302 to the same file without it
                          /status/NNN   that status
The access log has, a line each:
    address port status bytes "request" "user agent" "range" seconds

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from playground_supervisor import die_with_parent

CONFIG = """
daemon off;
master_process off;
pid {work}/nginx.pid;
error_log {work}/error.log notice;
lock_file {work}/lock;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    types {{ text/plain txt; text/html html; }}
    default_type application/octet-stream;
    log_format playground '$remote_addr $remote_port $status $body_bytes_sent "$request" '
                          '"$http_user_agent" "$http_range" $request_time';
    access_log {work}/access.log playground;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 30s;
    keepalive_requests 100000;
    server_tokens off;
    absolute_redirect off;
    map $arg_rate $rate {{ '' 0; default $arg_rate; }}
    server {{
        {listen}
        server_name localhost;
        ssl_certificate {work}/server.pem;
        ssl_certificate_key {work}/server.key;
        root {root};
        limit_rate $rate;
        location /slow/ {{ alias {root}/; limit_rate {slow_rate}; }}
        location /redirect/ {{ rewrite ^/redirect(/.*)$ $1 redirect; }}
        location = /status/404 {{ return 404; }}
        location = /status/403 {{ return 403; }}
        location = /status/410 {{ return 410; }}
        location = /status/500 {{ return 500; }}
        location = /status/503 {{ return 503; }}
        {extra}
    }}
}}
"""

Access = collections.namedtuple(
    "Access", "address port status bytes request user_agent range seconds")
ACCESS_LINE = re.compile(
    r'(\S+) (\d+) (\d+) (\d+) "([^"]*)" "([^"]*)" "([^"]*)" ([\d.]+)')


class Nginx:
    """root: folder to serve. uid, gid: whom it runs as (None: the caller). extra: configuration text
    inside the server block. slow_rate: nginx size, for /slow/."""

    def __init__(self, root, uid=None, gid=None, extra="", slow_rate="4m"):
        self.root = os.path.abspath(root)
        self.uid, self.gid = uid, gid if gid is not None else uid
        self.extra = extra
        self.slow_rate = slow_rate
        self.process = None
        self.work = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @staticmethod
    def available():
        return find_nginx() is not None and shutil.which("openssl") is not None

    def start(self):
        program = find_nginx()
        if program is None:
            raise RuntimeError("nginx is not installed: run tools/setup")
        self.work = temporary_folder("openbits-nginx-")
        try:
            self.make_certificates()
            with self.reserve_port() as plain, self.reserve_port() as tls:
                self.port, self.https_port = plain.getsockname()[1], tls.getsockname()[1]
                self.write_config()
                self.launch(program)
                self.wait_answer()
        except BaseException:
            self.stop()
            raise

    def launch(self, program):
        options = {}
        if self.uid is not None and os.geteuid() == 0:
            options = {"user": self.uid, "group": self.gid, "extra_groups": []}
            os.chown(self.work, self.uid, self.gid)
            for name in os.listdir(self.work):
                os.chown(os.path.join(self.work, name), self.uid, self.gid)
        parent = os.getpid()
        self.process = subprocess.Popen(
            [program, "-e", os.path.join(self.work, "error.log"), "-p", self.work,
             "-c", os.path.join(self.work, "nginx.conf")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={"PATH": os.defpath},
            preexec_fn=lambda: (signal.pthread_sigmask(signal.SIG_SETMASK, []),
                                die_with_parent(parent)),
            **options)

    def write_config(self):
        listen = ("listen 127.0.0.1:%d reuseport; listen 127.0.0.1:%d reuseport ssl http2;"
                  % (self.port, self.https_port))
        with open(os.path.join(self.work, "nginx.conf"), "w") as file:
            file.write(CONFIG.format(work=self.work, root=self.root, listen=listen,
                                     extra=self.extra, slow_rate=self.slow_rate))

    def make_certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.work, check=True,
                           stdin=subprocess.DEVNULL, capture_output=True)

        with open(os.path.join(self.work, "extensions"), "w") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=OpenBITS playground authority",
                "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-new", *key, "-subj", "/CN=localhost",
                "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", "extensions", "-out", "server.pem")
        os.chmod(os.path.join(self.work, "ca.pem"), 0o644)

    def reserve_port(self):
        """A socket that keeps a port without listening on it."""
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if self.uid is not None and os.geteuid() == 0:
            os.fchown(holder.fileno(), self.uid, self.gid)  # the kernel compares owners
        holder.bind(("127.0.0.1", 0))
        return holder

    def wait_answer(self):
        """nginx does not tell when it listens, so it is asked until it answers or ends."""
        end = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20):
                    return
            except ConnectionRefusedError:
                select.select([], [], [], 0.005)
        raise RuntimeError("nginx does not answer:\n" + self.error_log())

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.work:
            shutil.rmtree(self.work, ignore_errors=True)
            self.work = None

    @property
    def ca_file(self):
        return os.path.join(self.work, "ca.pem")

    def url(self, path, https=False):
        return "%s://127.0.0.1:%d/%s" % ("https" if https else "http",
                                         self.https_port if https else self.port,
                                         path.lstrip("/"))

    def access_log(self):
        """The finished requests so far as Access tuples."""
        with open(os.path.join(self.work, "access.log"), errors="replace") as file:
            lines = [ACCESS_LINE.match(line) for line in file]
        return [Access(m[1], int(m[2]), int(m[3]), int(m[4]), m[5], m[6], m[7], float(m[8]))
                for m in lines if m]

    def error_log(self):
        try:
            with open(os.path.join(self.work, "error.log"), errors="replace") as file:
                return file.read()
        except OSError:
            return ""


def find_nginx():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def temporary_folder(prefix):
    """A new folder that every user can enter, with a short path: sockets live there, and the path
    of one has 107 bytes. $TMPDIR is often closed to others."""
    place = tempfile.gettempdir()
    if len(place) > 50 or closed_folder(place):
        place = "/tmp"
    folder = tempfile.mkdtemp(prefix=prefix, dir=place)
    os.chmod(folder, 0o755)
    return folder


def closed_folder(path):
    """The first folder on the way up from path that other users may not enter, or None."""
    path = os.path.realpath(path)
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return path
        path = os.path.dirname(path)
    return None
