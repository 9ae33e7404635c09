"""Who may do what, asked of the running processes in the middle of a transfer: their identities and
capabilities as the kernel shows them, and attempts that `inject` makes in them (test/inject.c).

An attempt that fails proves something only if it would have worked without the sandbox. So the same
attempts are made in an ordinary process of the same user, where each must succeed.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import os
import pathlib
import platform
import shutil
import socket
import subprocess

import pytest

import bus

MIB = 1 << 20
CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7
SWITCHING = 1 << CAP_KILL | 1 << CAP_SETGID | 1 << CAP_SETUID
EX_SOFTWARE = 70
REFUSED = ('EPERM', 'EACCES')

pytestmark = pytest.mark.skipif(platform.machine() != 'x86_64', reason='needs x86_64: inject')


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


needs_landlock = pytest.mark.skipif(landlock_abi() < 1, reason='needs a kernel with Landlock')


def status(pid):
    """/proc/PID/status: the fields, numbers where they are some."""
    fields = dict(line.split(':', 1) for line in
                  pathlib.Path(f'/proc/{pid}/status').read_text().splitlines() if ':' in line)
    for name in ('Uid', 'Gid', 'Groups'):
        fields[name] = [int(number) for number in fields[name].split()]
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        fields[name] = int(fields[name], 16)
    for name in ('NoNewPrivs', 'Seccomp'):
        fields[name] = int(fields[name])
    return fields


class Scene:
    """alice's download that bob fetches, stalled half-way; the four processes; attempts in them."""

    def __init__(self, world):
        self.world, self.playground = world, world.playground
        built = pathlib.Path(self.playground.build, 'test', 'inject')
        if not built.exists():
            pytest.skip(f'no {built}')
        self.program = shutil.copy(built, world.base / 'inject')
        os.chmod(self.program, 0o755)
        self.ordinary_processes = []
        self.vault = world.vault(world.alice)
        self.start_transfer()
        self.bitsd, = self.playground.pids('bitsd')
        self.broker, = self.playground.pids('broker')
        self.file = self.worker('bits-file', world.alice)
        self.net = self.worker('bits-net', world.bob)

    def start_transfer(self):
        world = self.world
        self.url = world.put(MIB, stall_after=MIB // 2)
        self.job = world.manager().create()
        self.job.add(self.url, self.vault / 'file')
        token = world.token(world.bob)
        self.job.set_helper_token(token)
        os.close(token)
        self.job.set_helper_flags(bus.NETWORK)
        self.job.resume()
        world.server.wait_stalled(world.path_of(self.url))

    def finish(self):
        """Lets the transfer end: the processes that were asked still work."""
        self.world.server.release(self.world.path_of(self.url))
        self.job.wait('transferred')
        assert self.job.complete() == 0
        assert (self.vault / 'file').read_bytes() == self.world.bytes(self.url)

    def worker(self, kind, uid):
        for pid in self.playground.pids(kind):
            with contextlib.suppress(OSError):      # an idle one, of an earlier job, may end any time
                if status(pid)['Uid'][0] == uid:
                    return pid
        raise AssertionError(f'no {kind} of {uid}')

    def ordinary(self, uid):
        """An ordinary process of that user, without a sandbox."""
        process = self.playground.popen(['sleep', '600'], uid=uid)
        self.ordinary_processes.append(process)
        bus.poll_until(lambda: status(process.pid)['Name'].strip() == 'sleep', 'the exec of sleep')
        return process.pid

    def ask(self, pid, *question):
        """One attempt in a process: 'ok' or the errno's name."""
        result = subprocess.run([self.program, str(pid), *map(str, question)], text=True,
                                capture_output=True, timeout=60)
        assert result.returncode == 0, result.stderr
        if question[0] == 'create':
            made = pathlib.Path(question[1])
            assert made.exists() == (result.stdout.strip() == 'ok')
            made.unlink(missing_ok=True)
        return result.stdout.strip()

    def assert_only_the_sandbox_refuses(self, pid, attempts, uid):
        """Each attempt is refused in pid and works in an ordinary process of that user."""
        control = self.ordinary(uid)
        for attempt in attempts:
            assert self.ask(control, *attempt) == 'ok', f'{attempt} proves nothing'
            assert self.ask(pid, *attempt) in REFUSED, attempt

    def public_names(self):
        """Attempts to create where everybody may."""
        name = f'{self.world.base.name}-new'
        return [('create', f'/tmp/{name}'), ('create', f'/dev/shm/{name}')]

    def file_of(self, uid, mode):
        """A file of that user in a directory that everybody may enter and write."""
        directory = self.world.vault(uid, mode=0o777)
        path = directory / 'file'
        path.write_bytes(b'x')
        os.chown(path, uid, uid)
        path.chmod(mode)
        return path

    def close(self):
        for process in self.ordinary_processes:
            process.kill()
            process.wait()


@pytest.fixture
def scene(root_world):
    scene = Scene(root_world)
    yield scene
    scene.close()


# ---- what the kernel shows ----

# SEC-42
def test_each_process_has_one_identity(scene):
    world, playground = scene.world, scene.playground
    for pid, uid in ((scene.file, world.alice), (scene.net, world.bob),
                     (scene.bitsd, playground.manager_uid), (scene.broker, 0)):
        shown = status(pid)
        assert shown['Uid'] == [uid] * 4
        assert shown['Gid'] == [uid] * 4
        if pid != scene.broker:
            assert 0 not in shown['Groups']
    assert status(scene.net)['Groups'] == []    # the token was captured without any


# SEC-40, SEC-43, SEC-10
def test_only_the_broker_has_capabilities_and_those_are_three(scene):
    for pid in (scene.file, scene.net, scene.bitsd):
        shown = status(pid)
        assert [shown[name] for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')] == [0] * 4
    shown = status(scene.broker)
    assert shown['CapEff'] == shown['CapPrm'] == SWITCHING
    assert shown['CapInh'] == shown['CapAmb'] == 0
    for pid in (scene.broker, scene.file, scene.net):
        assert status(pid)['CapBnd'] & ~SWITCHING == 0
    for pid in (scene.broker, scene.file, scene.net, scene.bitsd):
        assert status(pid)['NoNewPrivs'] == 1


# SEC-10: 2 is a filter. The broker has none, because its workers would inherit it.
def test_all_but_the_broker_have_a_system_call_filter(scene):
    assert [status(pid)['Seccomp'] for pid in (scene.bitsd, scene.file, scene.net)] == [2, 2, 2]


# SEC-18
def test_worker_of_root_has_no_capability(scene):
    world = scene.world
    scene.job.suspend()     # one background job at a time
    vault = world.vault(0)
    url = world.put(MIB, stall_after=1000)
    job = world.start(url, vault / 'file', uid=0)
    world.server.wait_stalled(world.path_of(url))
    for kind in ('bits-file', 'bits-net'):
        shown = status(scene.worker(kind, 0))
        assert [shown[name] for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')] == [0] * 4
    assert scene.ask(scene.worker('bits-file', 0), 'open-read', scene.file_of(world.bob, 0o600)) \
        == 'EACCES'
    net = scene.worker('bits-net', 0)
    assert scene.ask(net, 'socket', int(socket.AF_UNIX)) == 'EPERM'     # PID 1 obeys uid 0
    if landlock_abi() >= 1:
        assert scene.ask(net, 'open-read', '/etc/shadow') == 'EACCES'
    assert scene.ask(scene.ordinary(0), 'open-read', '/etc/shadow') == 'ok'
    job.cancel()


# ---- bits-net ----

# SEC-12
def test_network_worker_cannot_create_or_write_a_path(scene):
    world = scene.world
    own = scene.file_of(world.bob, 0o600)
    attempts = [*scene.public_names(), ('create', own.parent / 'new'), ('open-write', own),
                ('create', scene.file_of(world.alice, 0o644).parent / 'new'),
                ('open-write', '/dev/null')]
    scene.assert_only_the_sandbox_refuses(scene.net, attempts, world.bob)
    assert scene.ask(scene.net, 'create', scene.vault / 'new') == 'EACCES'
    scene.finish()


# SEC-12
@needs_landlock
def test_network_worker_sees_no_files_but_its_list(scene):
    world = scene.world
    attempts = [('open-read', scene.file_of(world.bob, 0o600)),
                ('open-read', scene.file_of(world.alice, 0o644)), ('open-read', '/tmp'),
                ('open-read', '/proc/1/cmdline')]
    scene.assert_only_the_sandbox_refuses(scene.net, attempts, world.bob)
    assert scene.ask(scene.net, 'open-read', '/etc/hosts') == 'ok'


# SEC-12
def test_network_worker_connects_but_gets_no_other_socket(scene):
    port = scene.url.split(':')[2].split('/')[0]
    assert scene.ask(scene.net, 'connect-inet', '127.0.0.1', port) == 'ok'
    root = scene.ordinary(0)
    for family in (socket.AF_PACKET, socket.AF_VSOCK):
        assert scene.ask(root, 'socket', int(family)) != 'EPERM'
        assert scene.ask(scene.net, 'socket', int(family)) == 'EPERM'
    scene.finish()


# ---- bits-file ----

# SEC-11
def test_file_worker_has_no_sockets(scene):
    world = scene.world
    port = scene.url.split(':')[2].split('/')[0]
    attempts = [('socket', int(socket.AF_UNIX)), ('socket', int(socket.AF_INET)),
                ('socket', int(socket.AF_INET6)), ('socket', int(socket.AF_NETLINK)),
                ('connect-inet', '127.0.0.1', port),
                ('connect-unix', world.manager().get('TokenSocket'))]
    scene.assert_only_the_sandbox_refuses(scene.file, attempts, world.alice)
    scene.finish()


# SEC-11, SEC-42
def test_file_worker_has_the_rights_of_its_identity_and_no_more(scene):
    world = scene.world
    assert scene.ask(scene.file, 'create', scene.vault / 'new') == 'ok'
    assert scene.ask(scene.file, 'open-read', scene.file_of(world.bob, 0o600)) == 'EACCES'
    assert scene.ask(scene.file, 'create', world.vault(world.bob) / 'new') == 'EACCES'


# SEC-10: not by a program, not by an identity. One's own number is no change, and yet.
@pytest.mark.parametrize('which', ['file', 'net', 'bitsd'])
def test_no_exec_and_no_change_of_identity(scene, which):
    pid = getattr(scene, which)
    uid = status(pid)['Uid'][0]
    attempts = [('exec', '/bin/true'), ('setuid', uid)]
    scene.assert_only_the_sandbox_refuses(pid, attempts, uid)
    assert scene.ask(pid, 'setuid', 0) == 'EPERM'
    scene.finish()


# SEC-17
def test_workers_cannot_be_traced_by_their_own_user(scene):
    scope = pathlib.Path('/proc/sys/kernel/yama/ptrace_scope')
    if scope.exists() and int(scope.read_text()) > 0:
        pytest.skip('this kernel lets nobody trace: nothing to be seen')
    for uid, pid in ((scene.world.alice, scene.file), (scene.world.bob, scene.net)):
        def trace(victim, uid=uid):
            return scene.playground.run([scene.program, str(victim), 'open-read', '/'], uid=uid)
        assert trace(scene.ordinary(uid)).stdout == 'ok\n'
        refused = trace(pid)
        assert refused.returncode == 1 and 'cannot trace' in refused.stderr


# ---- bitsd ----

# SEC-13
def test_manager_uses_no_network(scene):
    port = scene.url.split(':')[2].split('/')[0]
    attempts = [('connect-inet', '127.0.0.1', port), ('socket', int(socket.AF_INET6)),
                ('socket', int(socket.AF_NETLINK))]
    scene.assert_only_the_sandbox_refuses(scene.bitsd, attempts, scene.playground.manager_uid)
    token_socket = scene.world.manager().get('TokenSocket')
    assert scene.ask(scene.bitsd, 'connect-unix', token_socket) == 'ok'
    scene.finish()


# SEC-13: not even files that everybody may read, or directories that all may write.
@needs_landlock
def test_manager_opens_no_file_of_a_user(scene):
    world = scene.world
    public = scene.file_of(world.alice, 0o666)
    attempts = [('open-read', public), ('open-write', public), ('create', public.parent / 'new'),
                *scene.public_names()]
    scene.assert_only_the_sandbox_refuses(scene.bitsd, attempts, scene.playground.manager_uid)
    assert scene.ask(scene.bitsd, 'open-read', scene.file_of(world.alice, 0o600)) == 'EACCES'
    scene.finish()


# ---- bits-broker ----

# SEC-40: uid 0 without CAP_DAC_OVERRIDE reads nobody else's files.
def test_broker_reads_no_file_of_a_user(scene):
    private = scene.file_of(scene.world.alice, 0o600)
    inside = scene.vault / 'private'
    inside.write_bytes(b'x')
    root = scene.ordinary(0)
    for attempt in (('open-read', private), ('open-write', private), ('open-read', inside),
                    ('create', scene.vault / 'new')):
        assert scene.ask(root, *attempt) == 'ok'
        assert scene.ask(scene.broker, *attempt) == 'EACCES', attempt


# SEC-40: what it is for.
def test_broker_can_become_another_identity(scene):
    assert scene.ask(scene.broker, 'setuid', scene.world.alice) == 'ok'
    assert status(scene.broker)['Uid'] == [0, 0, 0, 0]
    scene.finish()


# ---- sandboxes that do not hold ----

def run_worker(playground, kind, answer):
    """Runs a worker until the end of its channel, under strace, which gives one call an answer in
    the kernel's stead; (its first message, its status, what it logged)."""
    if not shutil.which('strace'):
        pytest.skip('needs strace')
    program = os.path.join(playground.runtime, 'libexec', kind)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    option = f'inject={answer}' if answer else 'trace=none'
    with ours, subprocess.Popen(['strace', '-o', '/dev/null', '-e', option, program], cwd='/',
                                preexec_fn=lambda: os.dup2(theirs.fileno(), 3), pass_fds=[3],
                                stderr=subprocess.PIPE, text=True,
                                env={**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'}) as process:
        theirs.close()
        ours.settimeout(bus.DEADLINE)
        hello = ours.recv(4096)
        ours.shutdown(socket.SHUT_RDWR)
        text = process.communicate(timeout=bus.DEADLINE)[1]
    return hello, process.returncode, text


# SEC-14: a kernel with a hole, and one that refuses a filter.
@pytest.mark.parametrize('kind', ['bits-file', 'bits-net'])
@pytest.mark.parametrize('answer', ['io_uring_enter:retval=0', 'seccomp:error=EINVAL'])
def test_worker_in_a_broken_sandbox_never_says_hello(root_playground, kind, answer):
    hello, returncode, text = run_worker(root_playground, kind, answer)
    assert (hello, returncode) == (b'', EX_SOFTWARE), text


# SEC-15: as it is; the oldest supported kernel (Landlock ABI 2); Landlock switched off.
@pytest.mark.parametrize('kind', ['bits-file', 'bits-net'])
@pytest.mark.parametrize('answer', [None, 'landlock_create_ruleset:retval=2:when=1+2',
                                    'landlock_create_ruleset:error=EOPNOTSUPP'],
                         ids=['this', 'oldest', 'none'])
def test_worker_starts_on_older_kernels_and_says_what_is_missing(root_playground, kind, answer):
    hello, returncode, text = run_worker(root_playground, kind, answer)
    assert hello != b'' and returncode == 0, text
    assert ('Landlock' in text) == (answer is not None or landlock_abi() < 6), text
