"""A captured bitsd: this test holds the broker's channel and asks for what it must not get.

Each time nothing is started, which the process table shows, and the broker's log says why.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from broker_play import (  # noqa: E402,F401
    ALICE, BOB, CAROL, DEAD_TOKEN, FILE, NET, TEAM, UNKNOWN_OWNER, Worker, broker_fixture,
    folder_fixture, manager_fixture, needs_root)
from wire import FIELDS, HEADER, NUMBERS, pack  # noqa: E402


def fields_of(name, **given):
    """Every field of the message; those that do not matter here are empty."""
    empty = {'STR': '', 'U32': 0, 'U64': 0, 'U32S': [], 'FDS': []}
    return {field: given.get(field, empty.get(kind)) for kind, field in FIELDS[name]}


def ask(channel, name, **given):
    ask.serial += 1
    channel.send(name, serial=ask.serial, **fields_of(name, **given))
    answer = channel.receive()
    assert answer.serial == ask.serial
    return answer


ask.serial = 0


def children(broker):
    path = f'/proc/{broker.process.pid}/task/{broker.process.pid}/children'
    return pathlib.Path(path).read_text().split()


def lines_since(broker, mark):
    with broker.news:
        return '\n'.join(broker.lines[mark:])


@pytest.fixture(name='log')
def log_fixture(broker):
    """The broker's log from now on."""
    mark = len(broker.lines)
    return lambda: lines_since(broker, mark)


def assert_nothing_started(broker, before=()):
    assert children(broker) == list(before)


def assert_refused(answer, reason):
    assert (answer.name, answer.reason) == ('BROKER_REFUSED', reason)


@needs_root
@pytest.mark.parametrize('kind', [FILE, NET])
@pytest.mark.parametrize('uid', [0, CAROL, 0xffffffff, 0xfffffffe])
def test_owner_who_never_presented_himself(broker, manager, log, uid, kind):
    # SEC-96: root as little as anybody
    for _ in range(3):
        assert_refused(ask(manager, 'BROKER_START_OWNER', kind=kind, uid=uid), UNKNOWN_OWNER)
    assert_nothing_started(broker)
    broker.wait_log(f'for uid {uid} without a token')
    assert 'request refused' in log()


@needs_root
def test_knowing_one_owner_opens_no_other(broker, manager, log):
    # SEC-96
    os.close(broker.token_as(ALICE, TEAM))
    worker = Worker(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE))
    for uid in (0, BOB, ALICE + (1 << 16), ALICE ^ 1):
        assert_refused(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=uid), UNKNOWN_OWNER)
        broker.wait_log(f'for uid {uid} without a token')
    assert_nothing_started(broker, [str(worker.pid)])
    assert worker.report['uids'] == [ALICE] * 3


def forged_tokens():
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stream = socket.socketpair()
    reader, writer = os.pipe()
    os.close(writer)
    internet = socket.socket(socket.AF_INET)
    return {'socket pair': pair[0].detach(), 'its other end': pair[1].detach(),
            'stream': stream[0].detach(), 'pipe': reader, 'internet': internet.detach(),
            'device': os.open('/dev/null', os.O_RDWR), 'folder': os.open('/', os.O_PATH)}


@pytest.mark.parametrize('what', list(forged_tokens()))
@pytest.mark.parametrize('name', ['BROKER_START_TOKEN', 'BROKER_DESCRIBE_TOKEN'])
def test_forged_token(broker, manager, log, what, name):
    # SEC-96: a cookie that this broker did not hand out
    fd = forged_tokens()[what]
    assert_refused(ask(manager, name, kind=NET, token=fd), DEAD_TOKEN)
    os.close(fd)
    assert_nothing_started(broker)
    broker.wait_log('request refused')


def test_connections_of_the_broker_itself_are_no_tokens(broker, manager, log):
    # SEC-96: its own sockets, by whichever end
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(broker.token_path))
        for fd in (client.fileno(), manager.socket.fileno()):
            assert_refused(ask(manager, 'BROKER_START_TOKEN', kind=FILE, token=fd), DEAD_TOKEN)
    assert_nothing_started(broker)
    broker.wait_log('request refused')


def test_dead_token(broker, manager, log):
    # SEC-96: ended by shutdown, and one of an earlier broker
    with socket.socket(fileno=broker.token()) as token:
        assert ask(manager, 'BROKER_DESCRIBE_TOKEN', token=token.fileno()).name == 'BROKER_TOKEN'
        token.shutdown(socket.SHUT_RDWR)
        broker.wait_log('has ended')
        assert_refused(ask(manager, 'BROKER_START_TOKEN', kind=FILE, token=token.fileno()),
                       DEAD_TOKEN)
    assert_nothing_started(broker)
    old = broker.token()
    broker.stop(signal.SIGKILL)
    broker.start()
    with broker.connect() as channel:
        assert_refused(ask(channel, 'BROKER_START_TOKEN', kind=FILE, token=old), DEAD_TOKEN)
    os.close(old)
    assert_nothing_started(broker)
    broker.wait_log('request refused')


def breaches():
    start, _ = pack('BROKER_START_OWNER', **fields_of('BROKER_START_OWNER', uid=0))
    return {
        'worker kind': (pack('BROKER_START_OWNER',
                             **fields_of('BROKER_START_OWNER', kind=7, uid=ALICE))[0], 'malformed'),
        'cut': (start[:-1], 'malformed'),
        'left over': (start + b'\0', 'malformed'),
        'no token': (HEADER.pack(NUMBERS['BROKER_START_TOKEN'], 0, 1), 'malformed'),
        'greeting': (pack('BROKER_HELLO', version=1, may_switch=1, uid=0)[0], 'not permitted'),
        'answer': (pack('BROKER_REFUSED', reason=0, error=0)[0], 'not permitted'),
        'meant for a worker': (HEADER.pack(NUMBERS['FILE_COMMIT'], 0, 1), 'not permitted'),
        'unknown': (HEADER.pack(0x7fff, 0, 1), 'not permitted'),
        'garbage': (os.urandom(64), 'is cut'),
        'one byte': (b'x', 'is cut'),
    }


@pytest.mark.parametrize('what', list(breaches()))
def test_breach_starts_nothing_and_ends_the_connection(broker, what, log):
    # SEC-96, SEC-44
    data, why = breaches()[what]
    with broker.connect() as channel:
        channel.send_raw(data)
        with pytest.raises(EOFError):
            channel.receive()
    broker.wait_log("the manager's connection is cut")
    assert why in log()
    assert_nothing_started(broker)
    assert broker.alive()


def test_foreign_processes_are_not_ended(broker, manager, log):
    # SEC-96, SEC-46
    victim = subprocess.Popen(['sleep', '1000'])
    try:
        for pid in (victim.pid, broker.process.pid, os.getpid(), 1, 0, 0xffffffff):
            manager.send('BROKER_END_WORKER', pid=pid)
            broker.wait_log(f'process {pid} is not ended: no worker of ours')
        assert victim.poll() is None and broker.alive()
    finally:
        victim.kill()
        victim.wait()
    assert_nothing_started(broker)


@needs_root
def test_second_connection_gets_nothing_either(broker, manager, log):
    # SEC-96, SEC-41
    for uid in (None, 0, ALICE):
        with pytest.raises((EOFError, PermissionError)):
            broker.connect(uid)
    broker.wait_log('a second manager is refused')
    broker.wait_log('uid 0 tried to connect as the manager')
    assert_nothing_started(broker)


# ---- the ledger, while the broker runs ----

@needs_root
def test_removed_entry_holds_at_once(broker, manager, log):
    # SEC-95
    os.close(broker.token_as(ALICE, TEAM))
    Worker(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE)).close()
    (broker.state / 'owners' / str(ALICE)).unlink()
    assert_refused(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE), UNKNOWN_OWNER)
    broker.wait_log(f'uid {ALICE} was removed from the ledger')
    os.close(broker.token_as(ALICE, TEAM))
    assert (broker.state / 'owners' / str(ALICE)).exists()
    Worker(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE)).close()
