"""A BITS server: the upload protocol over HTTP/1.1, as a server of its own for the tests.

There is none to install. This one keeps the rules of the protocol's server side (sessions, offsets,
the order of checks, replies of an application behind it), refuses whatever a client may not send,
and writes every breach into `breaches`, which a test looks at when it is over. It fails where and
when a test says so.

    server = BitsServer(folder)
    url = server.url('in/report.txt')
    server.failures.append(Failure('Fragment', status=503))   # the next one of those
    server.application = lambda url, data: b'the reply'       # notification by value

Where a file lies: <folder>/in/report.txt, moved there as `move_at` says: at the last fragment, as
the product's documentation has it, or at Close-Session, as the open specification has it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import dataclasses
import http.server
import pathlib
import re
import select
import socket
import threading
import time
import urllib.parse
import uuid

PROTOCOL = '{7df0354d-249b-430f-820d-3d2a9bef4931}'
FRAGMENT_LEAST, FRAGMENT_MOST = 5 * 1024, 13 * 1024 * 1024
PACKETS = ('Create-Session', 'Ping', 'Fragment', 'Close-Session', 'Cancel-Session')
SESSION_NOT_FOUND, TOO_LARGE, ACCESS_DENIED, INVALID = 0x8020001F, 0x80200020, 0x80070005, 0x80070057
APPLICATION = 7


class Refused(Exception):
    def __init__(self, status, error=0, context=5, why='', **headers):
        super().__init__(why)
        self.status, self.error, self.context, self.headers = status, error, context, headers


@dataclasses.dataclass
class Failure:
    """What happens to the next packet of that kind."""
    packet: str
    status: int = 0             # answered with, nothing is done
    error: int = 0
    context: int = 5
    drop_after: int = -1        # bytes of the body, then the connection is cut
    drop_answer: bool = False   # all is done, but nobody hears of it
    hang: bool = False          # nothing is done, no answer before release()
    pause: bool = False         # goes on after release()
    hang_after: bool = False    # all is done, no answer before release()
    headers: dict = dataclasses.field(default_factory=dict)     # instead of the right ones
    without: tuple = ()         # headers that are left out
    lose_session: bool = False
    times: int = 1


@dataclasses.dataclass
class Session:
    id: str
    path: str
    data: bytearray = dataclasses.field(default_factory=bytearray)
    total: int = -1
    complete: bool = False      # and the application is content
    reply: bytes = None
    busy: bool = False


@dataclasses.dataclass
class Seen:
    packet: str
    path: str
    headers: dict
    status: int = 0
    range: tuple = None         # first, last, total
    peer: tuple = None
    left: bool = False          # while its packet hung, the client hung up


class BitsServer:
    def __init__(self, folder, host='127.0.0.1', port=0):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.overwrite, self.move_at = True, 'last'
        self.host_id = self.host_fallback = None
        self.most_upload = self.most_fragment = None
        self.application = None     # (url, data) -> bytes, None for no reply, or raises Refused
        self.reply_url = None       # (server, session) -> what the client is told
        self.forbidden = self.fully_strict = False
        self.demanding = False      # whoever shows nobody is asked who he is
        self.sessions, self.failures, self.seen, self.breaches = {}, [], [], []
        self.arrived = []           # (when, bytes) of bodies, piece by piece
        self.lock = threading.Condition()
        self.released = threading.Event()
        self.http = Listener((host, port), Handler)
        self.http.owner = self
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.release()
        self.http.shutdown()
        self.http.server_close()

    def url(self, name, host='127.0.0.1', port=None):
        return f'http://{host}:{port or self.port}/{name}'

    def file(self, name):
        return self.folder / name

    def release(self):
        """Whatever hangs goes on."""
        self.released.set()

    def count(self, packet, status=None):
        with self.lock:
            return sum(s.packet == packet and status in (None, s.status) for s in self.seen)

    def wait_for(self, packet, count=1, timeout=60):
        with self.lock:
            assert self.lock.wait_for(lambda: self.count_locked(packet) >= count, timeout), \
                f'no {packet}: {[s.packet for s in self.seen]}'

    def wait_left(self, packet, timeout=60):
        """Until the client of a packet that hangs has hung up."""
        with self.lock:
            assert self.lock.wait_for(lambda: any(s.packet == packet and s.left for s in self.seen), timeout), \
                f'nobody leaves {packet}'

    def count_locked(self, packet):
        return sum(s.packet == packet for s in self.seen)

    def packets(self):
        return [s.packet for s in self.seen]

    def forget(self):
        """As a server that was installed anew."""
        with self.lock:
            self.sessions.clear()

    # ---- the protocol ----

    def breach(self, why):
        self.breaches.append(why)
        raise Refused(400, INVALID, why=why)

    def take_failure(self, packet):
        with self.lock:
            for failure in self.failures:
                if failure.packet == packet:
                    failure.times -= 1
                    if failure.times <= 0:
                        self.failures.remove(failure)
                    return failure
        return None

    def check_headers(self, packet, headers, version):
        """What no client may send."""
        if version != 'HTTP/1.1':
            self.breach(f'{version}')
        for name, value in headers.items():
            if len(value) > 4096:
                self.breach(f'{name} is too long')
        if packet not in PACKETS:
            self.breach(f'packet type {packet!r}')
        if 'content-length' not in headers or not headers['content-length'].isdigit():
            self.breach('no Content-Length')
        for name in ('transfer-encoding', 'expect', 'content-type', 'content-encoding'):
            if name in headers:
                self.breach(f'{name}: {headers[name]}')
        if not headers.get('user-agent') or not headers.get('host') or 'accept' not in headers:
            self.breach('User-Agent, Host or Accept is missing')
        if packet in ('Create-Session', 'Ping') and 'bits-session-id' in headers:
            self.breach(f'{packet} with a session')
        if packet not in ('Create-Session', 'Ping') and not headers.get('bits-session-id'):
            self.breach(f'{packet} without a session')
        if packet != 'Create-Session' and 'bits-supported-protocols' in headers:
            self.breach(f'protocols with {packet}')
        if packet != 'Fragment':
            if int(headers['content-length']) != 0:
                self.breach(f'{packet} with a body')
            if 'content-range' in headers or 'content-name' in headers:
                self.breach(f'{packet} with headers of a fragment')

    def find(self, headers):
        session = self.sessions.get(headers['bits-session-id'])
        if not session:
            raise Refused(500, SESSION_NOT_FOUND)
        return session

    def create(self, path, headers, _body):
        protocols = re.split(r'[ ,]+', headers.get('bits-supported-protocols', '').strip())
        if PROTOCOL.lower() not in [p.lower() for p in protocols]:
            self.breach('no common protocol')
        if self.forbidden:
            raise Refused(403, ACCESS_DENIED)
        target = self.target(path)
        if not target.parent.is_dir():
            raise Refused(404)
        if target.exists() and not self.overwrite:
            raise Refused(409)
        session = Session('{' + str(uuid.uuid4()).upper() + '}', path)
        self.sessions[session.id] = session
        answer = {'BITS-Protocol': PROTOCOL, 'BITS-Session-Id': session.id,
                  'Accept-Encoding': 'identity'}
        if self.host_id:
            answer['BITS-Host-Id'] = self.host_id
            if self.host_fallback is not None:
                answer['BITS-Host-Id-Fallback-Timeout'] = str(self.host_fallback)
        return answer

    def target(self, path):
        name = urllib.parse.unquote(path.split('?')[0]).lstrip('/')
        target = (self.folder / name).resolve()
        assert target.is_relative_to(self.folder.resolve())
        return target

    def parse_range(self, headers):
        value, length = headers.get('content-range', ''), int(headers['content-length'])
        if value == 'bytes */0':
            if length:
                self.breach('a body for no bytes')
            return 0, -1, 0
        match = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+)', value)
        if not match:
            self.breach(f'Content-Range: {value!r}')
        first, last, total = map(int, match.groups())
        if not first <= last < total or last - first + 1 != length:
            self.breach(f'Content-Range: {value!r} with {length} bytes')
        if length > FRAGMENT_MOST or (length < FRAGMENT_LEAST and last != total - 1):
            self.breach(f'a fragment of {length} bytes')
        return first, last, total

    def fragment(self, path, headers, body):
        name = headers.get('content-name', '')
        if not name or len(name) > 260 or re.search(r'[\\/:*?"<>|]', name):
            self.breach(f'Content-Name: {name!r}')
        first, last, total = self.parse_range(headers)
        session = self.find(headers)
        if session.path != path:
            self.breach(f'session of {session.path} at {path}')
        if session.total not in (-1, total):
            self.breach(f'total was {session.total}, is {total}')
        if self.most_upload is not None and total > self.most_upload:
            raise Refused(500, TOO_LARGE)
        session.total = total
        wanted = {'BITS-Received-Content-Range': str(len(session.data))}
        if session.complete:        # and the answer was lost
            return self.completed(session)
        if first != len(session.data):
            # Of a file that is here the last fragment asks for the application's word anew.
            if not (len(session.data) == total and last == total - 1):
                raise Refused(416, **wanted)
        else:
            session.data += body
        if len(session.data) < total:
            return {'BITS-Received-Content-Range': str(len(session.data))}
        if self.application:
            session.reply = self.application(path, bytes(session.data))
        if self.move_at == 'last' or self.application:
            self.move(session)
        session.complete = True
        return self.completed(session)

    def completed(self, session):
        answer = {'BITS-Received-Content-Range': str(session.total)}
        if session.reply is not None:
            answer['BITS-Reply-URL'] = (self.reply_url(self, session) if self.reply_url else
                                        f'BITS-Sessions\\Replies\\{session.id}\\responsefile.bin')
        return answer

    def move(self, session):
        self.target(session.path).write_bytes(session.data)

    def close_session(self, _path, headers, _body):
        session = self.find(headers)
        if session.complete and self.move_at == 'close':
            self.move(session)
        del self.sessions[session.id]
        return {}

    def cancel(self, _path, headers, _body):
        del self.sessions[self.find(headers).id]
        return {}

    def reply(self, path):
        match = re.search(r'BITS-Sessions/Replies/(%7B[^/]+%7D)/responsefile.bin$', path)
        session = match and self.sessions.get(urllib.parse.unquote(match[1]))
        return session.reply if session else None


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def handle_error(self, *_):
        pass            # a client that hung up


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 120

    def log_message(self, *_):
        pass

    @property
    def owner(self):
        return self.server.owner

    def cut(self):
        self.close_connection = True
        with_socket = self.connection
        try:
            with_socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def answer(self, status, headers, without=()):
        headers = {'BITS-Packet-Type': 'Ack', **headers, 'Content-Length': '0'}
        self.send_response(status)
        for name, value in headers.items():
            if name not in without:
                self.send_header(name, value)
        self.end_headers()

    def read_body(self, headers, failure):
        length = int(headers.get('content-length') or 0)
        if failure and failure.drop_after >= 0:
            self.rfile.read(min(length, failure.drop_after))
            return None
        body = bytearray()
        while len(body) < length and (piece := self.rfile.read1(min(length - len(body), 1 << 20))):
            body += piece
            self.owner.arrived.append((time.monotonic(), len(piece)))
        return bytes(body) if len(body) == length else None

    def do_BITS_POST(self):
        owner = self.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        packet = headers.get('bits-packet-type', '')
        seen = Seen(packet, self.path, headers, peer=self.client_address)
        failure = owner.take_failure(packet)
        match = re.fullmatch(r'bytes (\d+)-(\d+)/(\d+)', headers.get('content-range', ''))
        seen.range = tuple(map(int, match.groups())) if match else None
        with owner.lock:
            owner.seen.append(seen)
            owner.lock.notify_all()
        length = int(headers.get('content-length') or 0)
        if packet == 'Fragment' and owner.most_fragment and length > owner.most_fragment:
            seen.status = 413
            self.answer(413, {}, without=('BITS-Packet-Type',))     # as a proxy in front says it
            self.cut()
            return
        body = self.read_body(headers, failure)
        if body is None:
            self.cut()
            return
        if failure and failure.hang:
            self.hang(seen)
            self.cut()
            return
        if failure and failure.pause:
            owner.released.wait()
        seen.status, answer = self.handle_packet(packet, headers, body, failure)
        if failure and failure.hang_after:
            owner.released.wait()
        if failure and (failure.drop_answer or failure.hang_after):
            self.cut()
            return
        if failure:
            answer.update(failure.headers)
        self.answer(seen.status, answer, failure.without if failure else ())

    def hang(self, seen):
        owner = self.owner
        while not owner.released.is_set() and not seen.left:
            if select.select([self.connection], [], [], 0.05)[0]:
                with owner.lock:
                    seen.left = True        # one request at a time: there is nothing else to read
                    owner.lock.notify_all()
        owner.released.wait()

    def handle_packet(self, packet, headers, body, failure):
        owner = self.owner
        actions = {'Create-Session': owner.create, 'Ping': lambda *_: {}, 'Fragment': owner.fragment,
                   'Close-Session': owner.close_session, 'Cancel-Session': owner.cancel}
        try:
            owner.check_headers(packet, headers, self.request_version)
            if owner.demanding and 'authorization' not in headers:
                raise Refused(401, **{'WWW-Authenticate': 'Basic realm="x"'})
            if failure and failure.lose_session:
                owner.forget()
            if failure and failure.status:
                raise Refused(failure.status, failure.error, failure.context)
            with owner.lock:
                session = owner.sessions.get(headers.get('bits-session-id'))
                if session and session.busy:
                    owner.breach('two requests of one session at a time')
                if session:
                    session.busy = True
                try:
                    return 200, actions[packet](self.path, headers, body)
                finally:
                    if session:
                        session.busy = False
        except Refused as refused:
            answer = dict(refused.headers)
            if refused.error or refused.context == APPLICATION:
                answer['BITS-Error-Code'] = answer['BITS-Error'] = f'0x{refused.error:x}'
                answer['BITS-Error-Context'] = f'0x{refused.context:x}'
            return refused.status, answer

    def do_GET(self):
        owner = self.owner
        seen = Seen('GET', self.path, {n.lower(): v for n, v in self.headers.items()}, 200,
                    peer=self.client_address)
        failure = owner.take_failure('GET')
        with owner.lock:
            owner.seen.append(seen)
            owner.lock.notify_all()
        data = owner.reply(self.path)
        if failure and failure.hang:
            owner.released.wait()
        if data is None or (failure and failure.status):
            seen.status = failure.status if failure and failure.status else 404
            self.send_response(seen.status)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        first = int((re.fullmatch(r'bytes=(\d+)-', seen.headers.get('range', '')) or [0, 0])[1])
        self.send_response(206 if first else 200)
        if first:
            self.send_header('Content-Range', f'bytes {first}-{len(data) - 1}/{len(data)}')
        self.send_header('ETag', '"reply"')
        self.send_header('Content-Length', str(len(data) - first))
        self.end_headers()
        if failure and failure.drop_after >= 0:
            self.wfile.write(data[first:failure.drop_after])
            self.cut()
            return
        self.wfile.write(data[first:])
