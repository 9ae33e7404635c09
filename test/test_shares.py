"""Files on shares that hang: whoever closes such a file may wait for ever, and neither bitsd nor the
broker must.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import array
import contextlib
import ctypes
import mmap
import os
import pathlib
import signal
import socket
import subprocess
import sys

import jeepney
import pytest

import bus
from bus import refused
from share import Share

SO_PASSRIGHTS = 83
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
STRAYS = 256            # that a user may leave behind


@pytest.fixture
def world(root_world):
    return root_world


@contextlib.contextmanager
def mounted(world, **options):
    folder = world.base / 'share'
    folder.mkdir()
    try:
        made = Share(folder, **options)
    except OSError as error:
        pytest.skip(f'no FUSE here: {error}')
    with made:
        yield made


@pytest.fixture
def share(world):
    with mounted(world) as made:
        yield made


@contextlib.contextmanager
def opened(share):
    share.put('file', b'content')
    fd = os.open(f'{share.folder}/file', os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def stopped(world, name):
    [pid] = world.playground.pids(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def hold_closing_by(share, world, name):
    with share.changed:
        share.holds_closing = set(world.playground.pids(name))


def running(world, name):
    return [pid for pid in world.playground.pids(name)
            if pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z']


# SEC-370: a job is suspended whose worker for the network has just died, so that the last descriptors
# outside of its workers are bitsd's.
def test_share_that_hangs_when_a_file_is_closed_stops_nobody_else(world, share):
    share.put('a', os.urandom(1000))
    job, other = world.manager().create('u', 'upload'), world.manager(world.carol)
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(20)
        job.add(f'http://127.0.0.1:{server.getsockname()[1]}/a', f'{share.folder}/a')
        job.resume()
        connection, _ = server.accept()
    with connection, stopped(world, 'broker'):      # no other worker is started
        world.playground.kill('bits-net', signal.SIGKILL)
        bus.poll_until(lambda: not running(world, 'bits-net'), 'bits-net to end')
        with share.changed:
            share.holds_closing = True
        suspended = job.bus.send(job.path, bus.JOB, 'Suspend')
        share.wait_closing(1)
        other.create().cancel()     # bitsd waits for the share by now, or not
        share.release_closing()
    job.bus.reply(suspended)


# ---- files that clients send to bitsd ----

def as_token(connection, job, fd):
    return connection.send(job.path, bus.TOKEN_OPTIONS, 'SetHelperToken', 'h', fd)


def as_command_line(connection, job, fd):
    return connection.send(job.path, bus.JOB, 'SetSealedNotifyCmdLine', 'h', fd)


def unasked(connection, job, fd):
    return connection.send(job.path, bus.JOB, 'Suspend', 'hh', fd, fd)


def for_nothing_that_is(connection, job, fd):
    return connection.send('/nowhere', bus.JOB, 'Nothing', 'h', fd)


def with_a_signal(connection, job, fd):
    connection.send(job.path, bus.JOB, 'Nothing', 'h', fd, kind=jeepney.MessageType.signal)
    return connection.send(job.path, bus.JOB, 'Nothing')


def state(connection, job):
    return connection.call(job.path, bus.PROPERTIES, 'Get', 'ss', bus.JOB, 'State')[1]


# SEC-480: over the bus as well, whose daemon closes the file before bitsd does: the share knows who
# asks, and lets that one go on.
@pytest.mark.parametrize('send', [as_token, as_command_line, unasked, for_nothing_that_is,
                                  with_a_signal])
@pytest.mark.parametrize('way', ['bus', 'handle'])
def test_file_on_a_share_that_hangs_is_sent(world, share, way, send):
    job, other = world.manager().create(), world.manager(world.carol)
    connection = world.handle(world.manager().open(job.id)) if way == 'handle' else job.bus
    hold_closing_by(share, world, 'bitsd')
    with opened(share) as fd:
        serial = send(connection, job, fd)
        share.wait_closing(1)
        other.create().cancel()
        with pytest.raises(bus.BusError):
            connection.reply(serial)
        assert state(connection, job) == 'suspended'
        share.release_closing()


# SEC-480: before there is any message, and as an urgent byte, which the kernel drops in passing.
@pytest.mark.parametrize('flags', [0, socket.MSG_OOB], ids=['in turn', 'urgent'])
def test_file_on_a_share_that_hangs_is_sent_with_the_authentication(world, share, flags):
    job, other = world.manager().create(), world.manager(world.carol)
    hold_closing_by(share, world, 'bitsd')
    with opened(share) as fd, socket.socket(fileno=world.manager().open(job.id)) as handle:
        handle.sendmsg([b'\0'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))],
                       flags)
        with contextlib.suppress(BrokenPipeError):
            handle.sendall(b'AUTH ANONYMOUS\r\n')
        share.wait_closing(1)
        other.create().cancel()
        share.release_closing()


# LIM-480
def test_files_that_cannot_be_closed_are_bounded(world, share):
    job, other = world.manager().create(), world.manager(world.carol).create()
    handle = world.handle(world.manager().open(job.id))
    hold_closing_by(share, world, 'bitsd')
    with opened(share) as fd:
        sent = 0
        with pytest.raises(bus.Disconnected):
            while sent < 2 * STRAYS:
                refused(handle.call, job.path, bus.JOB, 'Suspend', 'h' * 8, *[fd] * 8)
                sent += 8
        assert sent + 8 >= STRAYS
        assert refused(world.manager().open, job.id) == 'LimitsExceeded'
        os.close(world.manager(world.carol).open(other.id))     # nobody else's limit
        share.release_closing()
        world.wait_for_room(job)


# ---- files that are dropped unread ----

# Changes the file in memory at a word. A process of its own, as its end waits for the share.
MAPPER = '''
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
print(flush=True)
for line in sys.stdin:
    memory[:7] = b'changed'
    print(flush=True)
'''


@contextlib.contextmanager
def written_to(share):
    """Gives a function that sends the last reference of an opened file whose changed content is
    still in memory: the end of that reference writes it, and waits."""
    share.put('file', bytes(mmap.PAGESIZE), 0o666)
    path = f'{share.folder}/file'
    mapper = subprocess.Popen([sys.executable, '-c', MAPPER, path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    mapper.stdout.readline()
    fd = os.open(path, os.O_RDWR)
    with share.changed:
        share.holds_writing = True

    def give_away(sock):
        socket.send_fds(sock, [b'x'], [fd])
        os.close(fd)
        mapper.stdin.write(b'\n')
        mapper.stdin.flush()
        mapper.stdout.readline()
    try:
        yield give_away
    finally:
        share.release_writing()
        mapper.communicate(timeout=bus.DEADLINE)


# SEC-481: what follows on nonsense is not read any more.
def test_handle_ends_with_a_file_unread(world):
    with mounted(world, writeback=True) as share:
        job, other = world.manager().create(), world.manager(world.carol)
        handle = socket.socket(fileno=world.manager().open(job.id))
        with written_to(share) as give_away, open('/dev/null', 'rb') as null:
            with stopped(world, 'bitsd'):
                handle.sendall(b'nonsense\r\n')
                socket.send_fds(handle, [b'x'], [null.fileno()])    # a read ends here
                give_away(handle)
            handle.close()
            share.wait_writing()
            other.create().cancel()


def listener_of(world):
    """The broker's own socket for everybody."""
    libc = ctypes.CDLL(None, use_errno=True)
    [broker] = world.playground.pids('broker')
    pidfd = libc.syscall(SYS_PIDFD_OPEN, broker, 0)
    try:
        for number in map(int, os.listdir(f'/proc/{broker}/fd')):
            if not os.readlink(f'/proc/{broker}/fd/{number}').startswith('socket:'):
                continue
            sock = socket.socket(fileno=libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0))
            if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM and \
                    str(sock.getsockname()).endswith('/token'):
                return sock
            sock.close()
    finally:
        os.close(pidfd)
    raise AssertionError('the broker has no such socket')


def connect_to_broker(world):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(os.path.join(world.playground.runtime, 'run', 'token'))
    return sock


# SEC-483: as kernels before 6.16 are, which let everything in.
def test_broker_is_sent_a_file_that_it_never_reads(world):
    with mounted(world, writeback=True) as share, listener_of(world) as listener:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 1)
        with written_to(share) as give_away:
            with stopped(world, 'broker'), connect_to_broker(world) as client:
                give_away(client)
            share.wait_writing()
            os.close(world.token(world.carol))
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)


# SEC-483
def test_broker_lets_no_descriptor_in_where_the_kernel_can_refuse_it(world):
    with listener_of(world) as listener:
        try:
            listener.getsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS)
        except OSError:
            pytest.skip('the kernel is older than 6.16')
    with stopped(world, 'broker'), connect_to_broker(world) as client, \
            open('/dev/null', 'rb') as null, pytest.raises(PermissionError):
        socket.send_fds(client, [b'x'], [null.fileno()])
