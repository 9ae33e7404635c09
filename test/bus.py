"""The tests' own D-Bus client: the bus, handles, tokens, and other users' identities.

One small class speaks D-Bus over any socket: to the bus (EXTERNAL authentication, Hello) or peer to
peer over a handle's descriptor (ANONYMOUS, no bus). On top of it stand Manager and Job, which read
like the interfaces in data/*.xml. Nothing here knows what is right: it calls, and raises what it is
told. Marshalling is Debian's python3-jeepney.

impersonate() changes the identity of the calling thread only, as a service does it on Linux;
run_as() runs a function in a process that has become somebody else for good.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import array
import collections
import contextlib
import ctypes
import os
import pickle
import selectors
import signal
import socket
import struct
import time
import traceback

import jeepney
import jeepney.fds
import jeepney.low_level

NAME = 'org.openbits.BITS1'
ROOT = '/org/openbits/BITS1'
MANAGER = NAME + '.Manager'
JOB = NAME + '.Job'
FILE = NAME + '.File'
TOKEN_OPTIONS = NAME + '.TokenOptions'
HTTP_OPTIONS = NAME + '.HttpOptions'
PROPERTIES = 'org.freedesktop.DBus.Properties'
INTROSPECTABLE = 'org.freedesktop.DBus.Introspectable'

DEADLINE = 60            # seconds that anything may take before a test gives up
SIZE_UNKNOWN = 2 ** 64 - 1
LOCAL_FILE, NETWORK, CLIENT_CERTIFICATE = 0x1, 0x2, 0x10000   # helper token flags
ACTIVE = ('queued', 'connecting', 'transferring', 'transient-error')

PARTIAL_COMPLETE = 0x00200017
CONTEXT_QUEUE_MANAGER, CONTEXT_LOCAL_FILE, CONTEXT_REMOTE_FILE = 2, 4, 5


class BusError(Exception):
    """An error reply. `short` is the last part of its name: 'NotFound'."""

    def __init__(self, name, text):
        super().__init__(f'{name}: {text}')
        self.name, self.text = name, text
        self.short = name.rsplit('.', 1)[-1]


def refused(call, *arguments):
    """The short name of the error that a call ends with."""
    try:
        call(*arguments)
    except BusError as error:
        return error.short
    raise AssertionError('nobody refused it')


class Disconnected(ConnectionError):
    """The other end of the connection is gone."""


class Timeout(AssertionError):
    """The deadline of a wait has passed."""


Signal = collections.namedtuple('Signal', 'path interface member body')
JobFault = collections.namedtuple('JobFault', 'context code text remote_name local_name')
FileEntry = collections.namedtuple('FileEntry',
                                   'remote_name local_name temporary total transferred completed')
FileProgress = collections.namedtuple('FileProgress', 'total transferred completed')
Progress = collections.namedtuple('Progress', 'total transferred files_total files_transferred')


# ---- connections ----

class Connection:
    """D-Bus over one connected socket. Used by one thread."""

    def __init__(self, sock, destination=None):
        self.sock = sock
        self.destination = destination     # None: peer to peer
        self.signals = []                  # every signal, in the order of arrival
        self.unique_name = None
        self._watches_owner = False
        self._ahead = b''                  # to be sent in front of the next call
        self._replies = {}
        self._serial = 0
        self._parser = jeepney.Parser()
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)

    @classmethod
    def to_bus(cls, address):
        """Connects to a message bus as the identity of the calling thread."""
        path = next(part.split('=', 1)[1] for part in address.split(':', 1)[1].split(',')
                    if part.startswith('path='))
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        user = str(effective_uid()).encode().hex()
        cls._authenticate(sock, f'EXTERNAL {user}')
        connection = cls(sock, NAME)
        connection.unique_name = connection.call(
            '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello',
            destination='org.freedesktop.DBus')
        return connection

    @classmethod
    def to_handle(cls, fd, hasty=False):
        """Takes the descriptor of a handle and speaks on it. hasty: what ends the authentication
        goes out together with the first call, as the protocol allows it."""
        sock = socket.socket(fileno=fd)
        sock.setblocking(True)
        try:
            cls._authenticate(sock, f'ANONYMOUS {b"test".hex()}', begin=not hasty)
        except BaseException:
            sock.close()
            raise
        connection = cls(sock)
        connection._ahead = b'BEGIN\r\n' if hasty else b''
        return connection

    @staticmethod
    def _authenticate(sock, mechanism, begin=True):
        sock.settimeout(DEADLINE)
        buffer = b''

        def line():
            nonlocal buffer
            while b'\r\n' not in buffer:
                data = sock.recv(4096)
                if not data:
                    raise Disconnected('during authentication')
                buffer += data
            first, buffer = buffer.split(b'\r\n', 1)
            return first
        try:
            sock.sendall(b'\0AUTH ' + mechanism.encode() + b'\r\n')
            answer = line()
            if not answer.startswith(b'OK '):
                raise PermissionError(f'authentication refused: {answer}')
            sock.sendall(b'NEGOTIATE_UNIX_FD\r\n')
            assert line() == b'AGREE_UNIX_FD'
            if begin:
                sock.sendall(b'BEGIN\r\n')
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Disconnected(str(error)) from error
        sock.settimeout(None)

    def close(self):
        self._selector.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    interactive = False      # calls may ask the user to authenticate

    def send(self, path, interface, member, signature='', *arguments, destination=None,
             kind=jeepney.MessageType.method_call):
        """Sends a call without waiting; gives the serial for reply()."""
        fields = {jeepney.HeaderFields.path: path, jeepney.HeaderFields.interface: interface,
                  jeepney.HeaderFields.member: member,
                  jeepney.HeaderFields.destination: destination or self.destination,
                  jeepney.HeaderFields.signature: signature}
        flags = jeepney.MessageFlag.allow_interactive_authorization if self.interactive else 0
        header = jeepney.Header(jeepney.Endianness.little, kind, flags, 1, -1, -1,
                                {key: value for key, value in fields.items() if value})
        message = jeepney.Message(header, arguments)
        self._serial += 1
        fds = array.array('i')
        data = self._ahead + message.serialise(serial=self._serial, fds=fds)
        self._ahead = b''
        try:
            sent = self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
                                     if fds else [])
            self.sock.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Disconnected(str(error)) from error
        return self._serial

    def reply(self, serial, timeout=DEADLINE):
        """The reply to a call: nothing, one value, or a tuple."""
        deadline = time.monotonic() + timeout
        while serial not in self._replies:
            self._receive(deadline)
        message = self._replies.pop(serial)
        if message.header.message_type is jeepney.MessageType.error:
            raise BusError(message.header.fields[jeepney.HeaderFields.error_name],
                           message.body[0] if message.body else '')
        body = message.body
        return None if not body else body[0] if len(body) == 1 else body

    def call(self, *arguments, destination=None, timeout=DEADLINE):
        return self.reply(self.send(*arguments, destination=destination), timeout)

    def wait_signal(self, matches, since=0, timeout=DEADLINE):
        """The first signal from index `since` on for which matches(signal) holds."""
        deadline = time.monotonic() + timeout
        while True:
            for index in range(since, len(self.signals)):
                if matches(self.signals[index]):
                    return self.signals[index]
            since = len(self.signals)
            self._receive(deadline)

    def drain(self):
        """Reads what has arrived, without waiting. A round trip before it makes it complete."""
        while self._selector.select(0):
            self._receive(time.monotonic() + DEADLINE)

    def wait_end(self, timeout=DEADLINE):
        """Blocks until the other end closes the connection."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self._receive(deadline)
        except Disconnected:
            return

    def _receive(self, deadline):
        """Reads until one message is complete and files it."""
        while True:
            message = self._parser.get_next_message()
            if message:
                break
            if not self._selector.select(max(0, deadline - time.monotonic())):
                raise Timeout('no message in time')
            try:
                data, ancillary, _, _ = self.sock.recvmsg(self._parser.bytes_desired(),
                                                          jeepney.fds.fds_buf_size())
            except ConnectionResetError as error:
                raise Disconnected(str(error)) from error
            if not data:
                raise Disconnected('end of the connection')
            self._parser.add_data(data, jeepney.fds.FileDescriptor.from_ancdata(ancillary))
        fields = message.header.fields
        if message.header.message_type is jeepney.MessageType.signal:
            self.signals.append(Signal(fields[jeepney.HeaderFields.path],
                                       fields[jeepney.HeaderFields.interface],
                                       fields[jeepney.HeaderFields.member], message.body))
        elif jeepney.HeaderFields.reply_serial in fields:
            self._replies[fields[jeepney.HeaderFields.reply_serial]] = message

    # ---- the bus itself ----

    def _driver(self, member, signature='', *arguments):
        return self.call('/org/freedesktop/DBus', 'org.freedesktop.DBus', member, signature,
                         *arguments, destination='org.freedesktop.DBus')

    def add_match(self, rule):
        self._driver('AddMatch', 's', rule)

    def owner_pid(self):
        """The process that owns the service's name; 0 without one."""
        try:
            return self._driver('GetConnectionUnixProcessID', 's', NAME)
        except BusError:
            return 0

    def wait_owner(self, other_than=0, timeout=DEADLINE):
        """Blocks until a process other than that one owns the service's name."""
        if not self._watches_owner:
            self.add_match("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                           f"arg0='{NAME}'")
            self._watches_owner = True
        deadline = time.monotonic() + timeout
        while True:
            mark = len(self.signals)
            pid = self.owner_pid()
            if pid and pid != other_than:
                return pid
            self.wait_signal(lambda s: s.member == 'NameOwnerChanged', mark,
                             deadline - time.monotonic())


# ---- the service ----

class Manager:
    """org.openbits.BITS1.Manager over a connection to the bus."""

    def __init__(self, bus):
        self.bus = bus

    def call(self, member, signature='', *arguments):
        return self.bus.call(ROOT, MANAGER, member, signature, *arguments)

    def create(self, name='a job', job_type='download', **options):
        signatures = {'Priority': 's', 'Description': 's'}
        identifier, path = self.call('CreateJob', 'ssa{sv}', name, job_type, {
            key: value if isinstance(value, tuple) else (signatures[key], value)
            for key, value in options.items()})
        return Job(self.bus, path, identifier)

    def job(self, identifier):
        return Job(self.bus, self.call('GetJob', 's', identifier), identifier)

    def open(self, identifier):
        """A handle's descriptor, the caller's to close."""
        return self.call('OpenJob', 's', identifier).to_raw_fd()

    def list(self, **filters):
        """Dictionaries of plain values."""
        signatures = {'AllUsers': 'b', 'State': 's'}
        jobs = self.call('ListJobs', 'a{sv}', {
            key: value if isinstance(value, tuple) else (signatures[key], value)
            for key, value in filters.items()})
        return [{key: value for key, (_, value) in job.items()} for job in jobs]

    def get(self, name):
        return self.bus.call(ROOT, PROPERTIES, 'Get', 'ss', MANAGER, name)[1]


class Job:
    """A job's interfaces, on the bus or over a handle."""

    def __init__(self, bus, path, identifier=None):
        self.bus, self.path = bus, path
        self.id = identifier

    def call(self, member, signature='', *arguments, interface=JOB):
        return self.bus.call(self.path, interface, member, signature, *arguments)

    def get(self, name):
        return self.bus.call(self.path, PROPERTIES, 'Get', 'ss', JOB, name)[1]

    def get_all(self):
        found = self.bus.call(self.path, PROPERTIES, 'GetAll', 's', JOB)
        return {key: value for key, (_, value) in found.items()}

    def set(self, name, value, signature=None):
        signature = signature or ('s' if isinstance(value, str) else 'u')
        self.bus.call(self.path, PROPERTIES, 'Set', 'ssv', JOB, name, (signature, value))

    def introspect(self):
        return self.bus.call(self.path, INTROSPECTABLE, 'Introspect')

    def add(self, url, local_name):
        self.call('AddFile', 'ss', url, str(local_name))

    def add_all(self, pairs):
        self.call('AddFiles', 'a(ss)', [(url, str(name)) for url, name in pairs])

    def add_ranges(self, url, local_name, ranges):
        self.call('AddFileWithRanges', 'ssa(tt)', url, str(local_name), ranges)

    def file(self, index=0):
        return File(self.bus, f'{self.path}/file/{index}')

    def files(self):
        return [FileEntry(*entry) for entry in self.call('ListFiles')]

    def suspend(self):
        self.call('Suspend')

    def resume(self):
        self.call('Resume')

    def cancel(self):
        return self.call('Cancel')

    def complete(self):
        return self.call('Complete')

    def set_reply_file_name(self, name):
        self.call('SetReplyFileName', 's', str(name))

    def reply_file_name(self):
        return self.call('GetReplyFileName')

    def reply_progress(self):
        return self.call('GetReplyProgress')

    def reply_data(self):
        """The bytes; the descriptor they came in is gone."""
        fd, length = self.call('GetReplyData')
        fd = fd.to_raw_fd()
        try:
            data = os.pread(fd, length + 1, 0)
        finally:
            os.close(fd)
        assert len(data) == length
        return data

    def error(self):
        return JobFault(*self.call('GetError'))

    def take_ownership(self):
        self.call('TakeOwnership')

    def query_interface(self, interface=JOB):
        return self.call('QueryInterface', 's', interface).to_raw_fd()

    @property
    def state(self):
        return self.get('State')

    @property
    def progress(self):
        return Progress(*self.get('Progress'))

    # helper token

    def set_helper_token(self, fd):
        self.call('SetHelperToken', 'h', fd, interface=TOKEN_OPTIONS)

    def clear_helper_token(self):
        self.call('ClearHelperToken', interface=TOKEN_OPTIONS)

    def set_helper_flags(self, flags):
        self.call('SetHelperTokenFlags', 'u', flags, interface=TOKEN_OPTIONS)

    def helper_flags(self):
        return self.call('GetHelperTokenFlags', interface=TOKEN_OPTIONS)

    def helper_sid(self):
        return self.call('GetHelperTokenSid', interface=TOKEN_OPTIONS)

    # waiting

    def wait(self, *states, timeout=DEADLINE):
        """Blocks until the job is in one of the states. Woken by the job's signals; fails at once
        when the job has come to rest in a state that it does not leave by itself."""
        return self.wait_until(lambda: self._arrived(states), f'{"/".join(states)}', timeout)

    def _arrived(self, states):
        state = self.state
        if state in states:
            return state
        if state not in ACTIVE:
            raise AssertionError(f'job came to rest in "{state}", not {states}: {self._fault()}')
        return None

    def wait_until(self, condition, what='the condition', timeout=DEADLINE):
        """Asks condition() again after each signal of the job; gives its first true value."""
        deadline = time.monotonic() + timeout
        while True:
            mark = len(self.bus.signals)
            remaining = deadline - time.monotonic()
            value = condition()
            if value:
                return value
            if remaining <= 0:
                raise Timeout(f'waited {timeout} s for {what}; the job is "{self.state}", '
                              f'{self.progress}, {self._fault()}')
            with contextlib.suppress(Timeout):
                self.bus.wait_signal(lambda s: s.path == self.path, mark, min(remaining, 2))

    def _fault(self):
        try:
            return self.error()
        except BusError as error:
            return error.short


class File:
    """One file of a job, on the bus or over a handle."""

    def __init__(self, bus, path):
        self.bus, self.path = bus, path

    def call(self, member, signature='', *arguments):
        return self.bus.call(self.path, FILE, member, signature, *arguments)

    def get(self, name):
        return self.bus.call(self.path, PROPERTIES, 'Get', 'ss', FILE, name)[1]

    def ranges(self):
        return self.call('GetFileRanges')

    def filled(self):
        return self.call('GetFilledFileRanges')

    def request(self, *ranges):
        self.call('RequestFileRanges', 'a(tt)', list(ranges))

    @property
    def progress(self):
        return FileProgress(*self.get('Progress'))


# ---- identities ----

_NUMBERS = {'x86_64': (116, 119, 117), 'aarch64': (159, 149, 147)}
_libc = ctypes.CDLL(None, use_errno=True)
_thread = __import__('threading').local()


def effective_uid():
    """Of the calling thread."""
    return getattr(_thread, 'uid', os.geteuid())


def _syscall(number, *arguments):
    if _libc.syscall(number, *arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


@contextlib.contextmanager
def impersonate(uid, gid=None, groups=()):
    """The calling thread alone acts as that user meanwhile: raw system calls, because the C
    library's functions change every thread of the process. Only root can."""
    if uid == effective_uid():
        yield
        return
    setgroups, setresgid, setresuid = _NUMBERS[os.uname().machine]
    gid = uid if gid is None else gid
    before = os.getgroups()

    def set_groups(numbers):
        listed = (ctypes.c_uint32 * len(numbers))(*numbers)
        _syscall(setgroups, len(numbers), listed)
    set_groups(list(groups))
    _syscall(setresgid, -1, gid, -1)
    _syscall(setresuid, -1, uid, -1)
    _thread.uid = uid
    try:
        yield
    finally:
        _syscall(setresuid, -1, 0, -1)
        _syscall(setresgid, -1, 0, -1)
        set_groups(before)
        del _thread.uid


def run_as(uid, function, *arguments, gid=None):
    """Calls function in a forked process that has become that user for good; gives its result or
    raises its exception here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if uid != os.geteuid():
                os.setgroups([])
                os.setresgid(*[uid if gid is None else gid] * 3)
                os.setresuid(uid, uid, uid)
            result = (True, function(*arguments))
        except BaseException as error:
            error.add_note(traceback.format_exc()) if hasattr(error, 'add_note') else None
            result = (False, error)
        try:
            data = pickle.dumps(result)
        except Exception:
            data = pickle.dumps((False, RuntimeError(repr(result))))
        os.close(reader)
        with os.fdopen(writer, 'wb') as stream:
            stream.write(data)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as stream:
        data = stream.read()
    os.waitpid(child, 0)
    if not data:
        raise RuntimeError('the child died without an answer')
    succeeded, value = pickle.loads(data)
    if not succeeded:
        raise value
    return value


BusError.__reduce__ = lambda self: (BusError, (self.name, self.text))


def capture_token(path):
    """Connects to the broker's public socket as the calling thread's identity; the token's
    descriptor, or PermissionError when the broker refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(path)
        data, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(struct.calcsize('i')))
    fds = array.array('i')
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
    if data != b'T':
        raise PermissionError(f'the broker answered {data!r}')
    assert len(fds) == 1
    return fds[0]


# ---- waiting for what sends no events ----

def process_state(pid):
    """The letter that proc(5) has for it; X when there is no such process."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rsplit(')', 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):     # the latter: it ended between open and read
        return 'X'


def stop_process(pid):
    """SIGSTOP, and the process stands still when this returns: kill() alone comes back earlier."""
    os.kill(pid, signal.SIGSTOP)
    poll_until(lambda: process_state(pid) in 'TtZX', f'process {pid} to stop')


@contextlib.contextmanager
def standing_still(pids):
    """The processes do nothing meanwhile; one that ends by then is nobody's loss."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            stop_process(pid)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def poll_until(condition, what, timeout=DEADLINE, interval=0.01):
    """For the few things that nobody announces (a process that ends, /proc): asks until true."""
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline      # a machine that stood still is asked once more
        value = condition()
        if value:
            return value
        if late:
            raise Timeout(f'waited {timeout} s for {what}')
        time.sleep(interval)
