"""bits-broker for tests: a broker with a directory of its own, a manager's connection, clients of
real users, and a small script in the workers' place that tells what it is.

OPENBITS_BUILD names the meson build folder (default: build/). Without root there is one identity
only; `needs_root` skips by name what needs more.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from wire import Channel  # noqa: E402

BUILD = pathlib.Path(os.environ.get('OPENBITS_BUILD', HERE.parent / 'build'))
PROGRAM = BUILD / 'src' / 'broker' / 'bits-broker'
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason='root is needed to be several users')
PATIENCE = 60

MANAGER, ALICE, BOB, CAROL = 71000, 71001, 71002, 71003
TEAM, CLUB = 72001, 72002
FILE, NET = 0, 1
(UNKNOWN_OWNER, DEAD_TOKEN, NO_PRIVILEGE, TOO_MANY, START_FAILED) = range(5)
TOKENS_PER_USER, WORKERS_PER_USER = 256, 16

WORKER = '''#!/usr/bin/python3 -IS
import json, os, socket, sys
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
fds = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))
umask = os.umask(0)
report = {
    'name': os.path.basename(sys.argv[0]), 'pid': os.getpid(), 'sid': os.getsid(0),
    'uids': os.getresuid(), 'gids': os.getresgid(), 'groups': os.getgroups(),
    'capabilities': [int(status['Cap' + name], 16) for name in ('Inh', 'Prm', 'Eff', 'Bnd', 'Amb')],
    'no_new_privs': status['NoNewPrivs'].strip(), 'blocked': status['SigBlk'].strip(),
    'ignored': status['SigIgn'].strip(), 'environment': dict(os.environ), 'cwd': os.getcwd(),
    'umask': umask, 'fds': [fd for fd in fds if fd < 3 or os.path.exists('/proc/self/fd/%d' % fd)],
    'stdin': os.readlink('/proc/self/fd/0'), 'stdout': os.readlink('/proc/self/fd/1'),
}
channel = socket.socket(fileno=3)
channel.send(json.dumps(report).encode())
while data := channel.recv(1000):
    channel.send(data)
'''


class Broker:
    """A running bits-broker with a directory of its own."""

    started = []

    def __init__(self, folder, *options, wrapper=(), user_mode=False, environment=None):
        self.folder, self.lines = pathlib.Path(folder), []
        self.news = threading.Condition()
        self.run, self.state = self.folder / 'run', self.folder / 'state'
        self.token_path, self.manager_path = self.run / 'token', self.run / 'manager'
        self.command = [*wrapper, str(PROGRAM), f'--runtime-directory={self.run}',
                        f'--state-directory={self.state}', f'--libexec-directory={folder}/libexec',
                        '--verbose']
        uid = MANAGER if ROOT else os.geteuid()
        self.command += ['--user'] if user_mode else [f'--manager-user={uid}']
        self.command += options
        self.environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(self.folder / 'notify'))
        os.chmod(self.folder / 'notify', 0o666)
        notify.settimeout(PATIENCE)
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, env={
            **self.environment, 'NOTIFY_SOCKET': str(self.folder / 'notify')})
        self.reader = threading.Thread(target=self.read_log, args=[self.process.stderr],
                                       daemon=True)
        self.reader.start()
        Broker.started.append(self.process)
        with notify:
            try:
                assert b'READY=1' in notify.recv(1000)
            except TimeoutError:
                self.process.kill()
                self.reader.join()
                pytest.fail('no READY=1: ' + '\n'.join(self.lines))
        os.unlink(self.folder / 'notify')

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def alive(self):
        return self.process.poll() is None

    def read_log(self, stream):
        """In a thread: a broker whose log nobody reads would wait for ever."""
        for line in stream:
            with self.news:
                self.lines.append(line.decode().rstrip())
                self.news.notify_all()

    def wait_log(self, text):
        """Waits until a line, from now or before, contains the text."""
        with self.news:
            found = self.news.wait_for(lambda: any(text in line for line in self.lines), PATIENCE)
            assert found, f'"{text}" is not in the log:\n' + '\n'.join(self.lines)

    def status(self, key):
        text = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        return dict(line.split(':', 1) for line in text.splitlines())[key].strip()

    # -- as the manager --

    def connect(self, uid=None):
        """The manager's connection after its greeting."""
        uid = MANAGER if uid is None else uid
        channel = (as_effective(uid, lambda: Channel.connect(self.manager_path)) if ROOT else
                   Channel.connect(self.manager_path))
        try:
            channel.hello = channel.receive()
        except EOFError:
            channel.close()
            raise
        assert channel.hello.name == 'BROKER_HELLO'
        return channel

    # -- as a client --

    def token(self):
        """A token for this process as it is now; None when refused."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PATIENCE)
            client.connect(str(self.token_path))
            return read_token(client)

    def token_as(self, uid, gid=None, groups=(), euid_only=False):
        """A token that a process of that user captured and passed here."""
        ours, theirs = socket.socketpair()
        with ours, theirs, child(lambda: hand_over(self, theirs, uid, gid, groups, euid_only)):
            ours.settimeout(PATIENCE)
            answer, fds, _, _ = socket.recv_fds(ours, 10, 1)
        assert answer in (b'T', b'F')
        return fds[0] if fds else None


def read_token(client):
    answer, fds, _, _ = socket.recv_fds(client, 10, 4)
    assert (answer, len(fds)) in ((b'T', 1), (b'F', 0))
    return fds[0] if fds else None


def become(uid, gid=None, groups=(), euid_only=False):
    if not euid_only:
        os.setgroups(groups)
        os.setresgid(*[uid if gid is None else gid] * 3)
    os.seteuid(uid)


def hand_over(broker, connection, uid, gid, groups, euid_only):
    become(uid, gid, groups, euid_only)
    token = broker.token()
    fds = [] if token is None else [token]
    socket.send_fds(connection, [b'T' if fds else b'F'], fds)


@contextlib.contextmanager
def child(work):
    """Runs work() in a forked process; its failure is ours."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    _, status = os.waitpid(pid, 0)
    assert status == 0, 'the child failed'


def as_effective(uid, work):
    os.seteuid(uid)
    try:
        return work()
    finally:
        os.seteuid(0)


@pytest.fixture(name='folder')
def folder_fixture():
    """A directory that every user may enter, with workers that report."""
    path = pathlib.Path(tempfile.mkdtemp(prefix='openbits-broker-'))
    path.chmod(0o755)
    (path / 'libexec').mkdir(mode=0o755)
    for name in ('bits-file', 'bits-net'):
        (path / 'libexec' / name).write_text(WORKER)
        (path / 'libexec' / name).chmod(0o755)
    yield path
    while Broker.started:    # what a failed test left behind
        process = Broker.started.pop()
        process.kill()
        process.wait()
    shutil.rmtree(path)


@pytest.fixture(name='broker')
def broker_fixture(folder):
    b = Broker(folder, user_mode=not ROOT)
    yield b
    if b.alive():
        assert b.stop() == 0


@pytest.fixture(name='manager')
def manager_fixture(broker):
    with broker.connect() as channel:
        yield channel


def ask(channel, name, **fields):
    ask.serial += 1
    channel.send(name, serial=ask.serial, **fields)
    answer = channel.receive()
    assert answer.serial == ask.serial
    return answer


ask.serial = 0


def refusal(answer):
    assert answer.name == 'BROKER_REFUSED', answer.name
    return answer.reason


class Worker:
    """A worker that was started, as its manager sees it."""

    def __init__(self, answer):
        assert answer.name == 'BROKER_WORKER', f'refused: {answer.reason} {answer.error}'
        self.pid = answer.pid
        self.channel = Channel.from_fd(answer.channel)
        self.report = json.loads(self.channel.socket.recv(65536))
        assert self.report['pid'] == self.pid

    def lives(self):
        """A worker that was sent SIGKILL answers no more."""
        try:
            self.channel.socket.send(b'there?')
            return self.channel.socket.recv(100) == b'there?'
        except (BrokenPipeError, ConnectionResetError):
            return False

    def close(self):
        self.channel.close()


def start(channel, name, **fields):
    return Worker(ask(channel, name, **fields))


def describe(channel, token):
    answer = ask(channel, 'BROKER_DESCRIBE_TOKEN', token=token)
    assert answer.name == 'BROKER_TOKEN', f'refused: {answer.reason}'
    return answer


def own_worker(broker, manager):
    return start(manager, 'BROKER_START_TOKEN', kind=FILE, token=broker.token())


def private_mount(mounts):
    """A command line that runs what follows with other files in place of some, {path: other}."""
    script = ' && '.join(f'{{ umount -l {path} 2>/dev/null; mount --bind {new} {path}; }}'
                         for path, new in mounts.items())
    wrapper = ['unshare', '--mount', 'sh', '-c', script + ' && exec "$@"', 'sh']
    if subprocess.run([*wrapper, 'true'], capture_output=True).returncode:
        pytest.skip('no mount namespace here')
    return wrapper
