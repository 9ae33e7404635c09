"""A network that says which proxies it has: a name server, and a host that serves wpad.dat.

Everything is in a network namespace of the test's; the machine's own resolver asks this name server,
by a resolv.conf of the test's. Needs root.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import http.server
import socket
import struct
import threading

import networks

NAME_SERVER, PLACE, FILES = '10.99.1.53', '10.99.1.1', '10.99.1.2'
ADDRESSES = (NAME_SERVER, PLACE, FILES)
DOMAIN = 'lab.example.org'
A_RECORD = 1


class NameServer:
    """Answers from `addresses`; `asked` are the names that it heard, in their order."""

    def __init__(self):
        self.addresses, self.asked = {}, []
        self.silent = set()         # names to which it says nothing
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((NAME_SERVER, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self):
        self.socket.sendto(b'', (NAME_SERVER, 53))      # no query: the end
        self.thread.join()
        self.socket.close()

    def serve(self):
        while True:
            query, sender = self.socket.recvfrom(4096)
            if len(query) < 12:
                return
            name, end = self.name_in(query)
            kind, = struct.unpack_from('>H', query, end)
            self.asked.append(name)
            if name not in self.silent:
                self.socket.sendto(self.answer(query, name, kind, end + 4), sender)

    @staticmethod
    def name_in(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        return '.'.join(labels), at + 1

    def answer(self, query, name, kind, end):
        address = self.addresses.get(name)
        records = b''
        if address and kind == A_RECORD:
            records = struct.pack('>HHHIH', 0xc00c, A_RECORD, 1, 60, 4) + socket.inet_aton(address)
        flags = 0x8580 if address else 0x8583       # no such name
        return (query[:2] + struct.pack('>HHHHH', flags, 1, bool(records), 0, 0) + query[12:end] + records)


class Place:
    """Port 80 of the host wpad: serves `script`, as `status`. `visits`: (path, header lines, uid of
    the process that came)."""

    def __init__(self):
        self.visits = []
        self.serve_script('')
        place = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                place.visits.append((self.path, dict(self.headers), owner_of(*self.client_address)))
                self.send_response(place.status)
                for name, value in place.headers.items():
                    if value is not None:
                        self.send_header(name, value)
                if 'Content-Length' not in place.headers:
                    self.send_header('Content-Length', str(len(place.script)))
                self.end_headers()
                with contextlib.suppress(OSError):      # whoever came may have had enough
                    self.wfile.write(place.script)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((PLACE, 80), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05})
        self.thread.start()

    def serve_script(self, script, status=200, **headers):
        """None for a header: it is left out."""
        self.script = script if isinstance(script, bytes) else script.encode()
        self.status = status
        self.headers = {name.replace('_', '-'): value for name, value in headers.items()}
        self.visits.clear()

    def answer(self, text):
        """A script that always says this."""
        self.serve_script(f'function FindProxyForURL(url, host) {{ return "{text}"; }}')

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def owner_of(address, port):
    """The user whose socket that is, by the kernel's word."""
    local = '%08X:%04X' % (struct.unpack('=I', socket.inet_aton(address))[0], port)
    with open('/proc/thread-self/net/tcp') as table:
        for line in table:
            fields = line.split()
            if fields[1] == local:
                return int(fields[7])
    return None


class WpadSite:
    def __init__(self, network):
        self.network = network
        self.names = NameServer()
        self.place = Place()

    def restore(self):
        """wpad.<domain>, and a server for files."""
        self.names.addresses = {f'wpad.{DOMAIN}': PLACE, 'files.example.org': FILES}
        self.names.silent = set()
        self.names.asked.clear()
        self.place.answer('DIRECT')

    def close(self):
        self.place.close()
        self.names.close()


@contextlib.contextmanager
def wpad_site():
    with networks.Network() as network, networks.Network() as outside:
        for address in ADDRESSES:
            network.ip(f'address add {address}/32 dev lo')
        network.link('up0', outside, 'up1')         # that there is a network
        outside.ip('link set up1 up')
        network.ip('address add 10.99.2.1/24 dev up0')
        network.ip('link set up0 up')
        network.ip('route add default dev up0')
        with networks.file_in_place('/etc/resolv.conf',
                                    f'nameserver {NAME_SERVER}\nsearch {DOMAIN}\noptions timeout:1 attempts:1\n'), \
                networks.file_in_place('/etc/nsswitch.conf', 'hosts: files dns\npasswd: files\ngroup: files\n'):
            with network.entered():
                site = WpadSite(network)
            site.restore()
            try:
                yield site
            finally:
                site.close()
