"""bits-broker as bitsd and its workers see it: under which identity workers run, who may ask for
them, and what a manager that breaks the rules can reach.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import errno
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from broker_play import (  # noqa: E402,F401
    ALICE, BOB, Broker, CAROL, CLUB, FILE, MANAGER, NET, NO_PRIVILEGE, PATIENCE, ROOT, START_FAILED,
    TEAM, TOO_MANY, UNKNOWN_OWNER, WORKERS_PER_USER, Worker, ask, broker_fixture, describe,
    folder_fixture, manager_fixture, needs_root, own_worker, private_mount, refusal, start)
from wire import Channel, HEADER, NUMBERS, VERSION, pack  # noqa: E402


# ---- workers ----

@needs_root
@pytest.mark.parametrize('kind, name', [(FILE, 'bits-file'), (NET, 'bits-net')])
def test_token_worker_is_exactly_the_captured_identity(broker, manager, kind, name):
    # TOK-17, SEC-42
    token = broker.token_as(ALICE, TEAM, (CLUB, 4))
    report = start(manager, 'BROKER_START_TOKEN', kind=kind, token=token).report
    assert report['name'] == name
    assert report['uids'] == [ALICE] * 3 and report['gids'] == [TEAM] * 3
    assert report['groups'] == [4, CLUB]


@needs_root
@pytest.mark.parametrize('uid', [0, ALICE])
def test_worker_has_no_capability(broker, manager, uid):
    # SEC-43: root's workers neither
    report = start(manager, 'BROKER_START_TOKEN', kind=FILE, token=broker.token_as(uid)).report
    assert report['uids'] == [uid] * 3
    assert report['capabilities'] == [0] * 5
    assert report['no_new_privs'] == '1'


@needs_root
def test_broker_keeps_three_capabilities(broker):
    # SEC-40: SETGID, SETUID, KILL
    three = 1 << 5 | 1 << 6 | 1 << 7
    assert {int(broker.status(key), 16) for key in ('CapPrm', 'CapEff')} == {three}
    assert {int(broker.status(key), 16) for key in ('CapBnd', 'CapInh', 'CapAmb')} == {0}
    assert broker.status('NoNewPrivs') == '1'


def test_worker_finds_the_agreed_surroundings(folder):
    # SEC-49
    broker = Broker(folder, user_mode=not ROOT, environment={
        'SECRET': 'x', 'HTTP_PROXY': 'http://stranger', 'http_proxy': 'http://proxy:3128',
        'LD_PRELOAD': '', 'SSL_CERT_FILE': '/ca.pem'})
    with broker.connect() as manager:
        report = own_worker(broker, manager).report
    environment = report['environment']
    assert environment['LANG'] == 'C.UTF-8' and '/usr/bin' in environment['PATH']
    assert environment['http_proxy'] == 'http://proxy:3128'
    assert environment['SSL_CERT_FILE'] == '/ca.pem'
    assert not {'SECRET', 'HTTP_PROXY', 'LD_PRELOAD', 'HOME', 'NOTIFY_SOCKET'} & set(environment)
    assert report['cwd'] == '/' and report['umask'] == 0o022
    assert report['fds'] == [0, 1, 2, 3]
    assert report['stdin'] == report['stdout'] == '/dev/null'
    assert report['sid'] == report['pid']
    assert int(report['blocked'], 16) == 0
    broker.stop()


@needs_root
def test_unknown_owner_is_refused_until_presented(broker, manager):
    # SEC-45
    assert refusal(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=CAROL)) == UNKNOWN_OWNER
    os.close(broker.token_as(CAROL, TEAM, (CLUB,)))
    worker = start(manager, 'BROKER_START_OWNER', kind=FILE, uid=CAROL)
    # nobody's account: the group of the presentation, no other
    assert worker.report['uids'] == [CAROL] * 3 and worker.report['gids'] == [TEAM] * 3
    assert worker.report['groups'] == []


@needs_root
def test_nobody_is_never_an_owner(broker, manager):
    # SEC-45: to setresuid() this number means "stay root"
    assert refusal(ask(manager, 'BROKER_START_OWNER', kind=FILE, uid=0xffffffff)) == UNKNOWN_OWNER


@needs_root
def test_manager_is_never_an_owner(broker):
    # SEC-48: not even by a ledger from when another user was the manager
    broker.stop()
    (broker.state / 'owners' / str(MANAGER)).write_text(f'{MANAGER} {MANAGER} 1\n')
    broker.start()
    with broker.connect() as channel:
        answer = ask(channel, 'BROKER_START_OWNER', kind=NET, uid=MANAGER)
        assert refusal(answer) == UNKNOWN_OWNER


@needs_root
@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGKILL])
def test_ledger_survives_a_restart(broker, how):
    # SEC-50
    os.close(broker.token_as(CAROL, TEAM))
    broker.stop(how)
    broker.start()
    with broker.connect() as channel:
        worker = start(channel, 'BROKER_START_OWNER', kind=NET, uid=CAROL)
        assert worker.report['gids'] == [TEAM] * 3
        assert refusal(ask(channel, 'BROKER_START_OWNER', kind=NET, uid=BOB)) == UNKNOWN_OWNER


@needs_root
def test_ledger_is_private_and_written_once(broker):
    # SEC-50
    os.close(broker.token_as(CAROL, TEAM))
    entry = broker.state / 'owners' / str(CAROL)
    first = entry.stat()
    assert (broker.state / 'owners').stat().st_mode & 0o7777 == 0o700
    assert first.st_mode & 0o777 == 0o600 and first.st_uid == 0
    os.close(broker.token_as(CAROL, CLUB))
    again = entry.stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert entry.read_text().split()[:2] == [str(CAROL), str(TEAM)]


@needs_root
def test_sloppy_impersonation_leaves_no_root_group(broker, manager):
    # SEC-51: the effective user alone was changed, root's group is not his
    os.close(broker.token_as(BOB, euid_only=True))
    report = start(manager, 'BROKER_START_OWNER', kind=FILE, uid=BOB).report
    assert report['uids'] == [BOB] * 3
    assert 0 not in report['gids'] and report['groups'] == []


@needs_root
def test_owner_groups_are_the_accounts_of_now(folder):
    # SEC-51: from the account database at each start, whatever the presentation looked like
    passwd, group = folder / 'passwd', folder / 'group'
    account = f'bb-alice:x:{ALICE}:{TEAM}::/:/bin/false\n'
    passwd.write_text(pathlib.Path('/etc/passwd').read_text() + account)
    base = pathlib.Path('/etc/group').read_text()
    group.write_text(base + f'bb-club:x:{CLUB}:bb-alice\n')
    wrapper = private_mount({'/etc/passwd': passwd, '/etc/group': group})
    broker = Broker(folder, wrapper=wrapper)
    os.close(broker.token_as(ALICE, 4, (5, 6)))
    with broker.connect() as manager:
        report = start(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE).report
        assert report['gids'] == [TEAM] * 3 and sorted(report['groups']) == sorted({TEAM, CLUB})
        with open(group, 'w') as file:
            file.write(base)
        report = start(manager, 'BROKER_START_OWNER', kind=FILE, uid=ALICE).report
        assert report['groups'] == [TEAM]
    broker.stop()


@needs_root
def test_slow_account_database_delays_one_start_only(folder):
    # SEC-55: /etc/passwd is a pipe that nobody writes to
    os.mkfifo(folder / 'passwd')
    wrapper = private_mount({'/etc/passwd': folder / 'passwd'})
    broker = Broker(folder, wrapper=wrapper)
    token = broker.token_as(ALICE)
    with broker.connect() as manager:
        manager.send('BROKER_START_OWNER', serial=77, kind=FILE, uid=ALICE)
        assert describe(manager, token).uid == ALICE
        start(manager, 'BROKER_START_TOKEN', kind=FILE, token=token)
        os.close(os.open(folder / 'passwd', os.O_WRONLY))
        answer = manager.receive()
        assert answer.serial == 77
        assert Worker(answer).report['gids'] == [ALICE] * 3
    broker.stop()


def test_program_that_is_missing_is_told(broker, manager):
    # SEC-47
    (broker.folder / 'libexec' / 'bits-net').unlink()
    answer = ask(manager, 'BROKER_START_TOKEN', kind=NET, token=broker.token())
    assert refusal(answer) == START_FAILED and answer.error == errno.ENOENT


@needs_root
def test_program_that_the_user_may_not_run_is_told(broker, manager):
    # SEC-42: by the rights of the worker's user, not of the broker's
    (broker.folder / 'libexec' / 'bits-net').chmod(0o700)
    answer = ask(manager, 'BROKER_START_TOKEN', kind=NET, token=broker.token_as(ALICE))
    assert refusal(answer) == START_FAILED and answer.error == errno.EACCES


@needs_root
def test_workers_of_one_user_are_bounded(broker, manager):
    # SEC-52
    alice, bob = broker.token_as(ALICE), broker.token_as(BOB)
    workers = [start(manager, 'BROKER_START_TOKEN', kind=FILE, token=alice)
               for _ in range(WORKERS_PER_USER)]
    assert refusal(ask(manager, 'BROKER_START_TOKEN', kind=FILE, token=alice)) == TOO_MANY
    start(manager, 'BROKER_START_TOKEN', kind=FILE, token=bob)
    workers[0].close()
    broker.wait_log(f'[{workers[0].pid}] of uid {ALICE} ended')
    start(manager, 'BROKER_START_TOKEN', kind=FILE, token=alice)


def gone(pid):
    return not os.path.exists(f'/proc/{pid}')


def test_killed_worker_is_reaped_and_logged(broker, manager):
    # SEC-47
    worker = own_worker(broker, manager)
    os.kill(worker.pid, signal.SIGKILL)
    broker.wait_log(f'[{worker.pid}] of uid {os.geteuid()} ended by signal 9')
    assert own_worker(broker, manager).pid != worker.pid
    assert gone(worker.pid)


def test_end_worker_ends_it(broker, manager):
    # SEC-46
    worker = own_worker(broker, manager)
    manager.send('BROKER_END_WORKER', pid=worker.pid)
    assert worker.channel.socket.recv(10) == b''
    broker.wait_log(f'[{worker.pid}] of uid {os.geteuid()} ended by signal 9')


def test_end_worker_reaches_no_other_process(broker, manager):
    # SEC-46
    victim, bystander = subprocess.Popen(['sleep', '1000']), own_worker(broker, manager)
    for pid in (victim.pid, 0, 1, broker.process.pid, 0xffffffff):
        manager.send('BROKER_END_WORKER', pid=pid)
    worker = own_worker(broker, manager)
    assert victim.poll() is None and broker.alive() and bystander.lives()
    manager.send('BROKER_END_WORKER', pid=worker.pid)
    broker.wait_log(f'[{worker.pid}] of uid {os.geteuid()} ended by signal 9')
    manager.send('BROKER_END_WORKER', pid=worker.pid)
    own_worker(broker, manager)
    assert bystander.lives()
    victim.kill()
    victim.wait()


def test_workers_survive_the_broker(broker, manager):
    # SEC-47: the channel is between the worker and bitsd
    worker = own_worker(broker, manager)
    broker.stop()
    assert worker.lives()
    worker.close()
    broker.start()


# ---- the manager's connection ----

def test_greeting(broker, manager):
    assert manager.hello.version == VERSION and manager.hello.uid == os.geteuid()
    assert manager.hello.may_switch == int(ROOT)


def malformed():
    end = NUMBERS['BROKER_END_WORKER']
    good, _ = pack('BROKER_END_WORKER', pid=1)
    start_owner, _ = pack('BROKER_START_OWNER', kind=0, uid=1)
    return {
        'too short': b'x',
        'unknown type': HEADER.pack(0x7777, 0, 1),
        'answer instead of request': pack('BROKER_REFUSED', reason=0, error=0)[0],
        'greeting': pack('BROKER_HELLO', version=1, may_switch=1, uid=0)[0],
        'for a worker': pack('FILE_CHECK', local_name='/etc/shadow')[0],
        'no fields': HEADER.pack(end, 0, 1),
        'a byte left over': good + b'x',
        'announced descriptor': HEADER.pack(end, 1, 1) + good[HEADER.size:],
        'token without token': HEADER.pack(NUMBERS['BROKER_DESCRIBE_TOKEN'], 0, 1),
        'unknown worker': pack('BROKER_START_OWNER', kind=2, uid=1)[0],
        'cut off': start_owner[:-1],
        'garbage': bytes(range(200)),
        'too long': good + bytes(66000),
    }


@pytest.mark.parametrize('what', list(malformed()))
def test_breach_cuts_the_connection_not_the_broker(broker, what):
    # SEC-44
    with broker.connect() as channel:
        channel.send_raw(malformed()[what])
        with pytest.raises(EOFError):
            channel.receive()
    broker.wait_log("the manager's connection is cut")
    with broker.connect() as channel:
        own_worker(broker, channel)


def test_descriptors_where_none_belong_are_a_breach(broker):
    # SEC-44
    with broker.connect() as channel:
        data, _ = pack('BROKER_END_WORKER', pid=1)
        channel.send_raw(HEADER.pack(NUMBERS['BROKER_END_WORKER'], 1, 1) + data[HEADER.size:], [0])
        with pytest.raises(EOFError):
            channel.receive()
    assert broker.alive()


@needs_root
@pytest.mark.parametrize('uid', [0, ALICE])
def test_only_the_manager_may_connect(broker, uid):
    # SEC-41: root is not the manager either
    if uid == ALICE:
        with pytest.raises(PermissionError):
            broker.connect(uid)
        os.chmod(broker.manager_path, 0o666)
    with pytest.raises(EOFError):
        broker.connect(uid)
    broker.wait_log(f'uid {uid} tried to connect as the manager')
    broker.connect().close()


def test_one_manager_at_a_time(broker, manager):
    # SEC-41: the second is refused while the first lives, and takes its place when it is dead
    with pytest.raises(EOFError):
        broker.connect()
    own_worker(broker, manager)
    manager.close()
    with broker.connect() as channel:
        own_worker(broker, channel)


def test_one_broker_a_directory(broker):
    second = subprocess.run(broker.command, capture_output=True, timeout=PATIENCE)
    assert second.returncode == 1 and b'another broker' in second.stderr
    own = broker.token()
    assert own is not None
    os.close(own)


def test_sockets_of_the_service_manager(folder):
    # SEC-53
    listeners = {name: socket.socket(socket.AF_UNIX, kind) for name, kind in
                 (('manager', socket.SOCK_SEQPACKET), ('token', socket.SOCK_STREAM))}
    for name, listener in listeners.items():
        listener.bind(str(folder / name))
        os.chmod(folder / name, 0o666)
        listener.listen()
    fds = {name: os.dup(listener.fileno()) for name, listener in listeners.items()}
    script = (f'exec 3<&{fds["manager"]} 4<&{fds["token"]}; export LISTEN_PID=$$; exec "$@"')
    for fd in fds.values():
        os.set_inheritable(fd, True)
    broker = PassedBroker(folder, script, list(fds.values()))
    own = broker.token()
    with broker.connect() as channel:
        assert describe(channel, own).uid == os.geteuid()
    assert not broker.run.exists()
    broker.stop()


class PassedBroker(Broker):
    """A broker that gets its sockets as descriptors 3 and 4."""

    def __init__(self, folder, script, fds):
        self.fds = fds
        super().__init__(folder, wrapper=['bash', '-c', script, 'bash'], user_mode=not ROOT,
                         environment={'LISTEN_FDS': '2', 'LISTEN_FDNAMES': 'manager:token'})
        self.token_path, self.manager_path = self.folder / 'token', self.folder / 'manager'

    def start(self):
        popen = subprocess.Popen
        try:
            subprocess.Popen = lambda *a, **k: popen(*a, pass_fds=self.fds, **k)
            super().start()
        finally:
            subprocess.Popen = popen


# ---- one identity ----

@pytest.fixture
def lonely(folder):
    """A broker with one identity."""
    b = Broker(folder, user_mode=True)
    yield b
    assert b.stop() == 0


def connect_own(broker):
    channel = Channel.connect(broker.manager_path)
    channel.hello = channel.receive()
    return channel


def test_user_mode_serves_its_own_user(lonely):
    # SEC-54
    with connect_own(lonely) as channel:
        assert channel.hello.may_switch == 0
        report = start(channel, 'BROKER_START_OWNER', kind=FILE, uid=os.geteuid()).report
        assert report['uids'] == [os.geteuid()] * 3
        assert report['capabilities'][:3] == [0, 0, 0]
        own_worker(lonely, channel)
        other = ask(channel, 'BROKER_START_OWNER', kind=FILE, uid=os.geteuid() + 1)
        assert refusal(other) == NO_PRIVILEGE
    assert not (lonely.state / 'owners').exists()


@needs_root
def test_user_mode_gives_others_no_token(lonely):
    # SEC-54
    assert lonely.token_as(ALICE) is None


@needs_root
def test_ordinary_user_needs_no_option(folder):
    # SEC-54: without the right to switch, system mode is the same
    os.chown(folder, ALICE, ALICE)
    broker = Broker(folder, f'--manager-user={ALICE}',
                    wrapper=['setpriv', f'--reuid={ALICE}', f'--regid={ALICE}', '--clear-groups'])
    broker.wait_log('one identity only')
    with broker.connect(ALICE) as channel:
        assert (channel.hello.may_switch, channel.hello.uid) == (0, ALICE)
        token = broker.token_as(ALICE)
        worker = start(channel, 'BROKER_START_TOKEN', kind=FILE, token=token)
        assert worker.report['uids'] == [ALICE] * 3
        assert refusal(ask(channel, 'BROKER_START_OWNER', kind=FILE, uid=0)) == NO_PRIVILEGE
    broker.stop()


@needs_root
def test_withheld_setpcap_is_no_hole(folder):
    # SEC-43: a service manager gave no more than what is needed; root's worker gains nothing
    kept = '-all,+setuid,+setgid,+kill,+chown'
    broker = Broker(folder, wrapper=['setpriv', f'--bounding-set={kept}'])
    with broker.connect() as channel:
        report = start(channel, 'BROKER_START_TOKEN', kind=FILE, token=broker.token_as(0)).report
        assert report['capabilities'][:3] == [0, 0, 0]
    broker.stop()
