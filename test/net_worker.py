"""
What the tests of bits-net share: the worker at one end of its channel, and a server that says
exactly what a test wants it to say.
"""
import collections
import os
import pathlib
import select
import socket
import subprocess
import threading

import wire

BUILD = pathlib.Path(os.environ.get("OPENBITS_BUILD", pathlib.Path(__file__).parents[1] / "build"))
PROGRAM = BUILD / "src/net/bits-net"
PATIENCE = 20
SERIAL = 7
UNKNOWN = 2**64 - 1

# A message as a tuple, so that a test can compare all its fields at once.
TUPLES = {name: collections.namedtuple(name, [field for _, field in fields])
          for name, fields in wire.FIELDS.items()}


def start_fields(transfer, url="http://127.0.0.1/", offset=0, total=UNKNOWN, etag="", date="",
                 flags=0, part=0, end=UNKNOWN, position=None, limit=UNKNOWN, **more):
    return {"transfer": transfer, "url": url, "flags": flags, "part": part, "offset": offset, "end": end,
            "position": offset if position is None else position, "limit": limit, "total": total,
            "etag": etag, "last_modified": date,
            "proxy_usage": 0, "proxy_list": "", "proxy_bypass": "", "security": 0, "method": "",
            "validation": "", "secrets": 0, "secret_files": [],
            **more}


class Worker:
    """bits-net with our end of its channel; `before` is a command for the shell that becomes it,
    `wrapper` a program around that shell."""

    def __init__(self, before="true", wrapper=(), program=PROGRAM, **environment):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = wire.Channel(ours, PATIENCE)
        clean = {name: value for name, value in os.environ.items()
                 if not name.lower().endswith("_proxy")}
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [*wrapper, "/bin/bash", "-c",
                 f'{before} && exec "$0" 3<&{number} {number}<&-', program],
                pass_fds=[number], cwd="/", env={**clean, **environment},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.next_id = 1
        self.hello = self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.log = self.process.stderr.read().decode()
            print(self.log)
            self.process.stderr.close()
        assert "Sanitizer" not in self.log and self.process.returncode in (0, 1), (self.process.returncode, self.log)

    def receive(self):
        """The next message, None at the end."""
        try:
            m = self.channel.receive()
        except EOFError:
            return None
        assert m.serial == (0 if m.name == "WORKER_HELLO" else SERIAL)
        return TUPLES[m.name](*(getattr(m, field) for field in TUPLES[m.name]._fields))

    def start(self, url, path, transfer=None, **fields):
        """Sends NET_START with a descriptor of the path; gives the transfer's number."""
        if transfer is None:
            transfer, self.next_id = self.next_id, self.next_id + 1
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            self.channel.send("NET_START", SERIAL, file=fd,
                              **start_fields(transfer, url, **fields))
        finally:
            os.close(fd)
        return transfer

    def stop(self, transfer):
        self.channel.send("NET_STOP", SERIAL, transfer=transfer)

    def wait(self, kind):
        """Everything up to a message of that kind, which is the last item."""
        seen = []
        while not seen or type(seen[-1]).__name__ != kind:
            seen.append(self.receive())
            assert seen[-1] is not None, "the worker ended"
        return seen

    def fetch(self, *arguments, **options):
        """One transfer: what NET_STARTED said, or None, and NET_DONE."""
        transfer = self.start(*arguments, **options)
        seen = [m for m in self.wait("NET_DONE") if type(m).__name__ != "NET_PROGRESS"]
        assert len(seen) <= 2 and all(m.transfer == transfer for m in seen)
        return seen[0] if len(seen) == 2 else None, seen[-1]

    def ends(self):
        """The worker closes the channel and exits; its status."""
        while self.receive() is not None:
            pass
        return self.process.wait(PATIENCE)

    def is_silent(self):
        """Nothing was sent before the answer to a request made now."""
        return not select.select([self.channel.socket], [], [], 0)[0]


# ---- the server ----

class Request:
    def __init__(self, text):
        first, *lines = text.split("\r\n")
        self.method, self.path, self.version = first.split(" ")
        self.headers = {}
        for line in lines:
            name, value = line.split(": ", 1)
            assert name.lower() not in self.headers
            self.headers[name.lower()] = value


def answer(status="200 OK", body=b"", length=True, version="HTTP/1.1", **headers):
    """An answer's bytes; header names have _ for -."""
    lines = [f"{version} {status}"]
    if length:
        lines.append(f"Content-Length: {len(body) if length is True else length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def redirect(to, status="302 Found", body=b"moved"):
    return answer(status, body, Location=to)


def part(content, offset, total=None, **headers):
    total = len(content) if total is None else total
    headers.setdefault("Content_Range", f"bytes {offset}-{len(content) - 1}/{total}")
    return answer("206 Partial Content", content[offset:], **headers)


class Server:
    """`routes[path]` is the bytes to send, or a function of the request and a `send` function. The
    connection stays open after an answer unless the function returns False. put(), cut() and hang()
    give the URL of the route that they make."""

    def __init__(self, context=None):
        self.routes, self.requests, self.connections = {}, [], 0
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.socket.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self.changed = threading.Condition()
        self.released = threading.Event()  # set when the test is over
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.released.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reader:
                while self.serve_one(connection, reader):
                    pass
        except (OSError, ValueError):
            pass  # the worker hung up: most tests of faults end so

    def serve_one(self, connection, reader):
        lines = []
        while (line := reader.readline()) not in (b"\r\n", b""):
            lines.append(line.decode().rstrip("\r\n"))
        if not lines:
            return False
        request = Request("\r\n".join(lines))
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        route = self.routes[request.path]
        if callable(route):
            return route(request, connection.sendall) is not False
        connection.sendall(route)
        return True

    def cut(self, path, data):
        """Serves the bytes and closes."""
        def route(_, send):
            send(data)
            return False
        self.routes[path] = route
        return self.url + path

    def hang(self, path, data):
        """Serves the bytes and then nothing."""
        def route(_, send):
            send(data)
            self.released.wait(60)
            return False
        self.routes[path] = route
        return self.url + path

    def put(self, path, data):
        self.routes[path] = data
        return self.url + path

    @property
    def last(self):
        return self.requests[-1]
