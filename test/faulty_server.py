#!/usr/bin/python3
"""A small HTTP/1.1 server that misbehaves on request.

A test registers a Resource under a path and says what goes wrong with it: cuts, stalls, lies about
the length, versions that change, statuses, redirects, broken headers. The content of a resource
follows from its path, version and size alone, so a test can say what a file must contain without
storing it. Every request is logged; tests wait for the log or for a stalled transfer on a
condition, they never sleep.

By hand: `faulty_server.py --port 8000`, then ask for /any/name?size=100000&cut_after=5000 with the
fields of Resource as the query.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import argparse
import dataclasses
import email.utils
import hashlib
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

BLOCK = 65536
FIRST_VERSION_TIME = 1_700_000_000  # Last-Modified; each later version is an hour younger
REASONS = {200: 'OK', 206: 'Partial Content', 302: 'Found', 400: 'Bad Request', 401: 'Unauthorized',
           403: 'Forbidden', 404: 'Not Found', 416: 'Range Not Satisfiable',
           429: 'Too Many Requests', 500: 'Internal Server Error', 503: 'Service Unavailable'}


def content_range(name, version, begin, end):
    """The bytes [begin, end) of a resource, in pieces of at most one block."""
    position = begin
    while position < end:
        index, skip = divmod(position, BLOCK)
        key = f'{name}|{version}|{index}'.encode()
        block = hashlib.shake_128(key).digest(min(BLOCK, skip + end - position))
        yield block[skip:]
        position += len(block) - skip


def content(name, version, size):
    """The whole resource."""
    return b''.join(content_range(name, version, 0, size))


@dataclasses.dataclass
class Resource:
    """What a path serves, and what goes wrong. Counts of requests include HEAD and ranges."""
    size: int = 1000
    version: int = 1
    name: str = ''            # of the content; the path unless given
    etag: str = 'strong'      # 'strong', 'weak' or ''
    last_modified: bool = True
    ranges: bool = True       # False: ranges are ignored, the whole file comes as 200
    framing: str = 'length'   # 'length', 'chunked', or 'close' (HTTP/1.0, ended by the connection)
    head: bool = True         # False: HEAD is answered 405
    times: int = 1 << 30      # how many requests suffer from what follows
    cut_after: int = -1       # close the connection after so many bytes of the body
    reset: bool = False       # cut with a reset instead of an orderly end
    stall_after: int = -1     # then wait for Server.release()
    length_lie: int = 0       # added to Content-Length (and to what follows 'bytes …/')
    range_lie: int = 0        # added to the offsets of Content-Range
    range_more: int = 0       # so many bytes more than were asked for, and said so
    change_at: int = 0        # from this request on (counted from 1) it is the next version
    status: int = 0           # answer with this status instead of the file
    location: str = ''        # of a redirect
    raw: str = ''             # these bytes instead of an answer, then close
    extra_headers: str = ''   # header lines, each ended by \r\n
    rate: int = 0             # bytes a second of the body, 0: as fast as possible
    retry_after: str = ''

    def etag_of(self, version):
        mark = hashlib.sha256(f'{self.name}|{version}'.encode()).hexdigest()[:16]
        return {'strong': f'"{mark}"', 'weak': f'W/"{mark}"'}.get(self.etag, '')

    def date_of(self, version):
        return email.utils.formatdate(self.time_of(version), usegmt=True)

    @staticmethod
    def time_of(version):
        return FIRST_VERSION_TIME + 3600 * (version - 1)

    def bytes(self, version=None):
        """What a client must end up with."""
        return content(self.name, version or self.version, self.size)


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict            # lower-case names
    peer_port: int           # local port of the client's socket
    connection: int          # number of the connection
    time: float
    sent: int = 0            # bytes of the body that were sent
    status: int = 0
    done: bool = False


class Server:
    """Threads; one per connection. `certificate` and `key`: files for https."""

    def __init__(self, port=0, certificate=None, key=None, address='127.0.0.1'):
        self.resources = {}
        self.requests = []
        self.stalled = {}            # path: transfers that wait for release()
        self.released = set()
        self.counts = {}
        self.news = threading.Condition()
        self.closing = False
        self.connections = {}
        self.connection_count = 0
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)
        self.listener = socket.create_server((address, port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.base = f'{"https" if self.tls else "http"}://{address}:{self.port}'
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- for tests ----

    def put(self, path, size=1000, **fields):
        """Registers a resource and returns its URL."""
        resource = Resource(size=size, **fields)
        resource.name = resource.name or path
        with self.news:
            self.resources[path] = resource
            self.counts.pop(path, None)
            self.released.discard(path)
        return self.base + path

    def url(self, path):
        return self.base + path

    def wait(self, condition, what='the server to see it', timeout=60):
        """Blocks until condition() holds; it is asked again whenever anything happens."""
        with self.news:
            if not self.news.wait_for(condition, timeout):
                raise AssertionError(f'waited {timeout} s for {what}; log: {self.requests[-5:]}')

    def seen(self, path, method='GET'):
        with self.news:
            return [r for r in self.requests if r.path == path and r.method == method]

    def wait_requests(self, path, count, method='GET', timeout=60):
        self.wait(lambda: len(self.seen(path, method)) >= count,
                  f'{count} × {method} {path}', timeout)
        return self.seen(path, method)

    def wait_stalled(self, path, count=1, timeout=60):
        """Until a transfer of the path has sent everything up to its stall."""
        self.wait(lambda: self.stalled.get(path, 0) >= count, f'a stall of {path}', timeout)
        return self.seen(path)[-1]

    def release(self, path):
        """Lets the stalled transfers of the path go on, and those to come."""
        with self.news:
            self.released.add(path)
            self.news.notify_all()

    def close(self):
        """Stops; no thread waits afterwards."""
        with self.news:
            self.closing = True
            connections = list(self.connections.values())
            self.news.notify_all()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- serving ----

    def _accept(self):
        while True:
            try:
                connection, address = self.listener.accept()
            except OSError:
                return
            with self.news:
                self.connection_count += 1
                number = self.connection_count
                self.connections[number] = connection
            threading.Thread(target=self._serve, args=(connection, address[1], number),
                             daemon=True).start()

    def _serve(self, connection, peer_port, number):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            stream = connection.makefile('rb')
            while not self.closing and self._serve_one(connection, stream, peer_port, number):
                pass
        except (OSError, ValueError):
            pass   # the client went away, which is its right
        finally:
            with self.news:
                self.connections.pop(number, None)
                self.news.notify_all()
            try:
                connection.close()
            except OSError:
                pass

    def _serve_one(self, connection, stream, peer_port, number):
        """One request; True when the connection may carry another one."""
        line = stream.readline(65536).decode('latin-1').split()
        if len(line) != 3:
            return False
        headers = {}
        while True:
            header = stream.readline(65536).decode('latin-1').strip()
            if not header:
                break
            name, _, value = header.partition(':')
            headers[name.strip().lower()] = value.strip()
        request = Request(line[0], line[1], headers, peer_port, number, time.monotonic())
        with self.news:
            count = self.counts[request.path] = self.counts.get(request.path, 0) + 1
            self.requests.append(request)
            self.news.notify_all()
        try:
            return Answer(self, connection, request, self._resource(request.path), count).send()
        finally:
            with self.news:
                request.done = True
                self.news.notify_all()

    def _resource(self, path):
        with self.news:
            resource = self.resources.get(path)
        if resource:
            return resource
        address, _, query = path.partition('?')
        fields = dict(urllib.parse.parse_qsl(query))
        if 'size' not in fields:
            return None
        types = {f.name: f.type for f in dataclasses.fields(Resource)}
        values = {name: {'int': int, 'bool': lambda v: v not in ('0', 'no', 'false'), 'str': str}[
            getattr(types[name], '__name__', types[name])](value)
            for name, value in fields.items() if name in types}
        values.setdefault('name', address)
        return Resource(**values)


class Answer:
    """One answer to one request: decides what to say, says it, goes wrong as told."""

    def __init__(self, server, connection, request, resource, count):
        self.server, self.connection, self.request = server, connection, request
        self.resource, self.count = resource, count
        self.faulty = resource is not None and count <= resource.times

    def send(self):
        resource, request = self.resource, self.request
        if resource is None:
            return self._status(404)
        if self.faulty and resource.raw:
            self.connection.sendall(resource.raw.encode('latin-1'))
            return False
        if self.faulty and resource.status:
            return self._status(resource.status)
        if request.method == 'HEAD' and not resource.head:
            return self._status(405)
        if request.method not in ('GET', 'HEAD'):
            return self._status(405)
        return self._file()

    def _begin(self, status, headers):
        """Status line and headers. HTTP/1.0 for answers that the connection's end delimits."""
        self.request.status = status
        resource = self.resource
        version = '1.0' if resource is not None and resource.framing == 'close' else '1.1'
        lines = [f'HTTP/{version} {status} {REASONS.get(status, "Unknown")}']
        lines += [f'{name}: {value}' for name, value in headers if value]
        extra = resource.extra_headers if self.faulty else ''
        self.connection.sendall(('\r\n'.join(lines) + '\r\n' + extra + '\r\n').encode('latin-1'))

    def _status(self, status):
        resource = self.resource
        body = b'' if self.request.method == 'HEAD' else f'status {status}\n'.encode()
        self._begin(status, [('Content-Length', str(len(body))),
                             ('Location', resource.location if resource else ''),
                             ('Retry-After', resource.retry_after if resource else '')])
        self.connection.sendall(body)
        return resource is None or resource.framing != 'close'

    def _file(self):
        resource, request = self.resource, self.request
        changed = resource.change_at and self.count >= resource.change_at
        version = resource.version + (1 if changed else 0)
        begin, end, status = 0, resource.size, 200
        wanted = self._range(version)
        if wanted == 'unsatisfiable':
            self._begin(416, [('Content-Range', f'bytes */{resource.size}'),
                              ('Content-Length', '0')])
            return True
        if wanted:
            (begin, end), status = wanted, 206
            end = min(resource.size, end + (resource.range_more if self.faulty else 0))
        lie = resource.length_lie if self.faulty else 0
        shift = resource.range_lie if self.faulty else 0
        headers = [('ETag', resource.etag_of(version)),
                   ('Last-Modified', resource.date_of(version) if resource.last_modified else ''),
                   ('Accept-Ranges', 'bytes' if resource.ranges else '')]
        if status == 206:
            headers.append(('Content-Range', f'bytes {begin + shift}-{end + shift - 1}/'
                                             f'{resource.size + lie}'))
        if resource.framing == 'length':
            headers.append(('Content-Length', str(end - begin + lie)))
        elif resource.framing == 'chunked':
            headers.append(('Transfer-Encoding', 'chunked'))
        self._begin(status, headers)
        if request.method == 'HEAD':
            return True
        return self._body(content_range(resource.name, version, begin, end), end - begin, lie)

    def _range(self, version):
        """(begin, end), None for the whole file, or 'unsatisfiable'."""
        resource, headers = self.resource, self.request.headers
        match = re.fullmatch(r'bytes=(\d+)-(\d*)', headers.get('range', ''))
        if not match or not resource.ranges:
            return None
        condition = headers.get('if-range')
        if condition:
            tag, date = resource.etag_of(version), resource.date_of(version)
            if not (resource.etag == 'strong' and condition == tag or
                    resource.last_modified and condition == date):
                return None
        begin = int(match[1])
        if begin >= resource.size:
            return 'unsatisfiable'
        return begin, min(resource.size, int(match[2]) + 1 if match[2] else resource.size)

    def _body(self, pieces, length, lie):
        """Sends the body and does what the resource's faults say. True: keep the connection."""
        resource = self.resource
        chunked = resource.framing == 'chunked'
        limit = length
        if self.faulty:
            for bound in (resource.cut_after, resource.stall_after):
                limit = min(limit, bound) if bound >= 0 else limit
        for piece in pieces:
            while piece:
                room = limit - self.request.sent
                if room <= 0:
                    if self.faulty and resource.stall_after == self.request.sent:
                        if not self._stall():
                            return False
                        limit = resource.cut_after if resource.cut_after >= 0 else length
                        continue
                    return self._cut()
                part = piece[:room]
                if resource.rate:
                    part = part[:max(1, resource.rate // 20)]
                    time.sleep(len(part) / resource.rate)   # the drip itself
                piece = piece[len(part):]
                self.connection.sendall(b'%x\r\n%s\r\n' % (len(part), part) if chunked else part)
                self.request.sent += len(part)
        if (self.faulty and resource.stall_after == self.request.sent and length
                and not self._stall()):
            return False
        if self.faulty and 0 <= resource.cut_after <= self.request.sent:
            return self._cut()
        if chunked:
            self.connection.sendall(b'0\r\n\r\n')
        return resource.framing != 'close' and lie == 0

    def _stall(self):
        server, path = self.server, self.request.path
        with server.news:
            server.stalled[path] = server.stalled.get(path, 0) + 1
            server.news.notify_all()
            server.news.wait_for(lambda: server.closing or path in server.released)
            server.stalled[path] -= 1
            return not server.closing

    def _cut(self):
        if self.resource.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--port', type=int, default=8000)
    parser.add_argument('--certificate', help='PEM file: serve https')
    parser.add_argument('--key', help='PEM file of its key')
    arguments = parser.parse_args()
    server = Server(arguments.port, arguments.certificate, arguments.key)
    print(f'{server.base}/name?size=100000&cut_after=5000 …', flush=True)
    printed = 0
    while True:
        server.wait(lambda: len(server.requests) > printed, timeout=1e9)
        for request in server.requests[printed:]:
            print(request.method, request.path, request.headers.get('range', ''), flush=True)
            printed += 1


if __name__ == '__main__':
    main()
