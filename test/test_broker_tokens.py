"""Tokens as their users see them: what is captured, how long it lives, how many there may be.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import errno
import json
import os
import pathlib
import platform
import socket
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from bus import poll_until, standing_still  # noqa: E402
from broker_play import (  # noqa: E402,F401
    ALICE, BOB, CAROL, CLUB, DEAD_TOKEN, FILE, MANAGER, PATIENCE, TEAM, TOKENS_PER_USER, ask,
    become, broker_fixture, child, describe, folder_fixture, hand_over, manager_fixture,
    needs_root, read_token, refusal, start)


# ---- capture ----

@needs_root
@pytest.mark.parametrize('uid, gid, groups', [
    (ALICE, ALICE, ()), (ALICE, TEAM, (CLUB, TEAM)), (0, 0, (0,))])
def test_token_names_the_connecting_user(broker, manager, uid, gid, groups):
    # TOK-10
    token = broker.token_as(uid, gid, groups)
    answer = describe(manager, token)
    assert (answer.uid, answer.gid, answer.session) == (uid, gid, '')
    worker = start(manager, 'BROKER_START_TOKEN', kind=FILE, token=token)
    assert worker.report['groups'] == sorted(groups)


@needs_root
def test_token_shows_the_effective_user_alone(broker, manager):
    # TOK-10: seteuid() and nothing else; the group is still the one of before
    answer = describe(manager, broker.token_as(BOB, euid_only=True))
    assert (answer.uid, answer.gid) == (BOB, os.getegid())


@needs_root
def test_token_is_captured_per_thread(broker, manager):
    # TOK-11: one thread impersonates by the bare system call, the process stays root
    number = {'x86_64': 117, 'aarch64': 147}.get(platform.machine())
    if number is None:
        pytest.skip(f'number of setresuid on {platform.machine()} is not known here')
    tokens = {}

    def impersonate():
        assert ctypes.CDLL(None).syscall(number, -1, CAROL, -1) == 0
        tokens['carol'] = broker.token()

    thread = threading.Thread(target=impersonate)
    thread.start()
    thread.join()
    tokens['root'] = broker.token()
    assert describe(manager, tokens['carol']).uid == CAROL
    assert describe(manager, tokens['root']).uid == 0


@needs_root
def test_token_keeps_the_identity_of_the_connect(broker, manager):
    # TOK-12: what the client becomes afterwards changes nothing, neither does passing the token on
    ours, theirs = socket.socketpair()

    def impersonate_and_return():
        os.seteuid(ALICE)
        token = broker.token()
        os.seteuid(0)
        socket.send_fds(theirs, [b'x'], [token])

    with ours, theirs, child(impersonate_and_return):
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    assert describe(manager, fds[0]).uid == ALICE


@pytest.fixture
def session_scope():
    """A control group as the login manager makes one for a session."""
    hierarchies = [path for path in map(pathlib.Path, ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'))
                   if (path / 'cgroup.controllers').exists()]
    root = (hierarchies or [pathlib.Path('/nowhere')])[0]
    path = root / 'openbits-test.slice' / f'session-t{os.getpid()}.scope'
    try:
        path.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f'no control group can be made: {error}')
    yield path
    path.rmdir()
    path.parent.rmdir()


@needs_root
def test_token_names_the_login_session(broker, manager, session_scope):
    # TOK-18
    ours, theirs = socket.socketpair()

    def sign_on_and_capture():
        (session_scope / 'cgroup.procs').write_text(str(os.getpid()))
        hand_over(broker, theirs, ALICE, None, (), False)

    with ours, theirs, child(sign_on_and_capture):
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    assert describe(manager, fds[0]).session == f't{os.getpid()}'


def test_client_that_has_ended_gets_no_token(broker):
    # TOK-18: its process number may be another's by now, and with it the session
    ours, theirs = socket.socketpair()
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.getsockopt(socket.SOL_SOCKET, 77, 4)    # SO_PEERPIDFD
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            pytest.skip('SO_PEERPIDFD needs kernel 6.5')
    with ours, theirs, client:
        with standing_still([broker.process.pid]), child(lambda: client.connect(str(broker.token_path))):
            pass
        client.settimeout(PATIENCE)
        assert read_token(client) is None


@needs_root
def test_manager_gets_no_token(broker):
    # SEC-48
    assert broker.token_as(MANAGER) is None


def test_client_is_served_without_being_read(broker):
    # TOK-13: a megabyte waits, the answer comes all the same, and then the end
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(str(broker.token_path))
        flood = threading.Thread(target=send_quietly, args=[client, bytes(1 << 20)])
        flood.start()
        token = read_token(client)
        assert token is not None
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b''
        flood.join(PATIENCE)
        assert not flood.is_alive()
    os.close(token)
    again = broker.token()
    assert again is not None
    os.close(again)


def send_quietly(client, data):
    with contextlib.suppress(OSError):
        client.sendall(data)


def test_silent_clients_do_not_delay_others(broker):
    # TOK-13: clients that connect and never read
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(50)]
    for client in silent:
        client.connect(str(broker.token_path))
    token = broker.token()
    assert token is not None
    os.close(token)
    for client in silent:
        client.close()


# ---- life ----

def test_token_lives_as_long_as_a_copy(broker, manager):
    # TOK-14
    token = broker.token()
    cookie = describe(manager, token).cookie
    copy = os.dup(token)
    os.close(token)
    assert describe(manager, copy).cookie == cookie
    os.close(copy)
    broker.wait_log(f'token {cookie} of uid {os.geteuid()} has ended')


def test_tokens_differ(broker, manager):
    # TOK-12
    tokens = [broker.token() for _ in range(20)]
    assert len({describe(manager, token).cookie for token in tokens}) == 20
    for token in tokens:
        os.close(token)


def test_token_carries_no_data(broker):
    # TOK-14: stuffed into its own queue it would never end
    token = socket.socket(fileno=broker.token())
    with token, pytest.raises(BrokenPipeError):
        socket.send_fds(token, [b'x'], [token.fileno()])


def test_token_ended_by_shutdown_is_dead(broker, manager):
    # TOK-14
    with socket.socket(fileno=broker.token()) as token:
        cookie = describe(manager, token.fileno()).cookie
        token.shutdown(socket.SHUT_RDWR)
        broker.wait_log(f'token {cookie} of uid {os.geteuid()} has ended')
        assert refusal(ask(manager, 'BROKER_DESCRIBE_TOKEN', token=token.fileno())) == DEAD_TOKEN


def foreign_descriptors():
    reader, writer = os.pipe()
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return {'pipe': reader, 'other end': writer, 'socket pair': pair[0].detach(),
            'its end': pair[1].detach(), 'file': os.open('/dev/null', os.O_RDONLY),
            'directory': os.open('/', os.O_RDONLY)}


@pytest.mark.parametrize('request_name', ['BROKER_DESCRIBE_TOKEN', 'BROKER_START_TOKEN'])
def test_foreign_descriptor_is_a_dead_token(broker, manager, request_name):
    # TOK-15
    extra = {'kind': FILE} if request_name == 'BROKER_START_TOKEN' else {}
    for fd in foreign_descriptors().values():
        assert refusal(ask(manager, request_name, token=fd, **extra)) == DEAD_TOKEN
        os.close(fd)


def test_token_of_an_earlier_broker_is_dead(broker):
    # TOK-15
    token = broker.token()
    broker.stop()
    broker.start()
    with broker.connect() as channel:
        assert refusal(ask(channel, 'BROKER_DESCRIBE_TOKEN', token=token)) == DEAD_TOKEN
    os.close(token)


@needs_root
def test_flood_of_one_user_leaves_room_for_another(broker):
    # TOK-16: ten thousand connections, the tokens kept
    ours, theirs = socket.socketpair()

    def flood():
        become(ALICE)
        tokens = [token for token in (broker.token() for _ in range(10000)) if token is not None]
        theirs.send(json.dumps(len(tokens)).encode())
        theirs.recv(1)

    with ours, theirs, child(flood):
        ours.settimeout(600)
        assert json.loads(ours.recv(100)) == TOKENS_PER_USER
        assert broker.token_as(ALICE) is None
        token = broker.token_as(BOB)
        assert token is not None
        os.close(token)
        ours.send(b'x')
    # the end of the process ended its tokens, and the user may have new ones
    os.close(poll_until(lambda: broker.token_as(ALICE), 'room for a token', PATIENCE))
