"""The wire format between the programs (src/wire/message.h), for tests that play one of them.

The messages and their fields are read from src/wire/protocol.h, so that this file cannot say
anything else than the programs do.

    channel = Channel.connect('/run/openbits/manager')
    hello = channel.receive()                       # hello.name == 'BROKER_HELLO', hello.may_switch
    channel.send('BROKER_START_OWNER', serial=1, kind=0, uid=1000)
    channel.send('BROKER_DESCRIBE_TOKEN', serial=2, token=fd)

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import re
import socket
import struct

PROTOCOL = pathlib.Path(__file__).resolve().parent.parent / 'src' / 'wire' / 'protocol.h'
BYTES_MAX, FDS_MAX = 65536, 64
HEADER = struct.Struct('=HHI')
DESCRIPTORS = {'FD', 'FDS'}


def read_protocol(text):
    """({name: number}, {name: [(kind, field), …]}) of every message."""
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S).replace('\\\n', ' ')
    numbers = {table: int(number, 16) for number, table in
               re.findall(r'\bM\((0x[0-9a-f]+), \w+, \w+, (\w+)\)', text)}
    fields = {}
    for table, body in re.findall(r'#define FIELDS_(\w+)\([^)]*\)(.*)', text):
        fields[table] = re.findall(r'\b(U32S|U32|U64|STR|FDS|FD)\((\w+)\)', body)
    return numbers, fields


NUMBERS, FIELDS = read_protocol(PROTOCOL.read_text())
VERSION = int(re.search(r'\bPROTOCOL_VERSION = (\d+)', PROTOCOL.read_text())[1])
NAMES = {number: name for name, number in NUMBERS.items()}


def pack_string(text):
    data = text.encode(errors='surrogateescape')
    return struct.pack('=I', len(data)) + data + b'\0'


def pack_field(kind, value):
    if kind == 'U32':
        return struct.pack('=I', value)
    if kind == 'U64':
        return struct.pack('=Q', value)
    if kind == 'STR':
        return pack_string(value)
    return struct.pack('=I', len(value)) + b''.join(struct.pack('=I', v) for v in value)


DEFAULTS = {'ccache': ''}


def pack(name, serial=0, **values):
    """The bytes and the descriptors of a message; only what is in DEFAULTS may be left out."""
    for _, field in FIELDS[name]:
        if field in DEFAULTS:
            values.setdefault(field, DEFAULTS[field])
    body, fds = b'', []
    for kind, field in FIELDS[name]:
        value = values.pop(field)
        if kind in DESCRIPTORS:
            fds += [value] if kind == 'FD' else list(value)
        else:
            body += pack_field(kind, value)
    assert not values, f'{name} has no {", ".join(values)}'
    return HEADER.pack(NUMBERS[name], len(fds), serial) + body, fds


class Message:
    """A received message: name, serial, its fields as attributes. Descriptors are the caller's."""

    def __init__(self, data, fds):
        number, n_fds, self.serial = HEADER.unpack_from(data)
        assert n_fds == len(fds), 'descriptors announced and received differ'
        self.name, self._data, self._at, fds = NAMES[number], data, HEADER.size, list(fds)
        for kind, field in FIELDS[self.name]:
            if kind == 'FD':
                value = fds.pop(0)
            elif kind == 'FDS':
                value, fds = fds, []
            else:
                value = self._get(kind)
            setattr(self, field, value)
        assert self._at == len(data) and not fds, f'{self.name} is longer than its fields'

    def _take(self, form):
        value, = struct.unpack_from('=' + form, self._data, self._at)
        self._at += struct.calcsize('=' + form)
        return value

    def _get(self, kind):
        if kind in ('U32', 'U64'):
            return self._take('I' if kind == 'U32' else 'Q')
        length = self._take('I')
        if kind == 'U32S':
            return [self._take('I') for _ in range(length)]
        text = self._take(f'{length}s').decode()
        assert self._take('B') == 0
        return text


class Channel:
    """One end of a SOCK_SEQPACKET connection."""

    def __init__(self, sock, timeout=60):
        self.socket = sock
        sock.settimeout(timeout)

    @classmethod
    def connect(cls, path, timeout=60):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            raise
        return cls(sock, timeout)

    @classmethod
    def from_fd(cls, fd, timeout=60):
        return cls(socket.socket(fileno=fd), timeout)

    def send(self, name, serial=0, **values):
        self.send_raw(*pack(name, serial, **values))

    def send_raw(self, data, fds=()):
        socket.send_fds(self.socket, [data], list(fds))

    def receive_raw(self):
        data, fds, _, _ = socket.recv_fds(self.socket, BYTES_MAX, FDS_MAX)
        for fd in fds:
            os.set_inheritable(fd, False)
        return data, fds

    def receive(self):
        """The next message; EOFError when the peer has closed the connection."""
        try:
            data, fds = self.receive_raw()
        except ConnectionResetError:
            data = b''
        if not data:
            raise EOFError('the peer has closed the connection')
        return Message(data, fds)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
