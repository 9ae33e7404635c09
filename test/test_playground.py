"""tools/playground does what it says, and leaves nothing behind. So do the Makefile's helpers.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tools'))

import playground_lib  # noqa: E402

SWITCHES = playground_lib.may_switch_identity()
needs_root = pytest.mark.skipif(not SWITCHES, reason='needs root: several identities')


def playground(*arguments, **options):
    options.setdefault('timeout', 60)
    return subprocess.run([str(ROOT / 'tools/playground'), *map(str, arguments)], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **options)


def processes_with(text):
    """Processes that bear it in their environment or on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            content = b''.join(pathlib.Path('/proc', pid, name).read_bytes()
                               for name in ('environ', 'cmdline'))
        except OSError:
            continue
        if text.encode() in content and int(pid) != os.getpid():
            found.append(content)
    return found


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, 'it did not come true'
        select.select([], [], [], 0.02)


# OPS-04
@pytest.mark.parametrize('command, status', [('exit 0', 0), ('exit 7', 7), ('kill -SEGV $$', 139)])
def test_status_is_the_commands_and_nothing_is_printed(command, status):
    result = playground('--', 'sh', '-c', command)
    assert (result.returncode, result.stdout, result.stderr) == (status, '', '')


# OPS-04
def test_mistakes_on_the_command_line_are_told():
    assert playground('--nonsense', 'true').stderr.startswith('playground: what is --nonsense?')
    assert playground().returncode == 125
    result = playground('--', '/nonexistent/program')
    assert result.returncode == 127 and 'No such file' in result.stderr
    result = playground('--build', '/nonexistent', '--', 'true')
    assert result.returncode == 125 and 'make build' in result.stderr


# OPS-05
def test_command_finds_the_service_and_the_program():
    result = playground('--', 'sh', '-c', 'command -v bits && bits list && echo $DBUS_SYSTEM_BUS_ADDRESS'
                        ' && echo $DBUS_SESSION_BUS_ADDRESS && ls $OPENBITS_PLAYGROUND')
    assert result.returncode == 0, result.stderr
    lines = result.stdout.split()
    assert lines[0].endswith('/bin/bits')
    assert lines[-5] == lines[-4] and lines[-5].startswith('unix:path=')
    assert lines[-3:] == ['config', 'log', 'state']


# OPS-06
def test_nothing_is_left_behind():
    result = playground('--', 'sh', '-c', 'echo $OPENBITS_PLAYGROUND; sleep 1000 & setsid sleep 1000 &')
    folder = os.path.dirname(result.stdout.strip())
    assert os.path.basename(folder).startswith('openbits-')
    assert not os.path.exists(folder)
    assert not processes_with(folder)


# OPS-06
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_behind_by_a_signal(number):
    process = subprocess.Popen(
        [str(ROOT / 'tools/playground'), '--', 'sh', '-c',
         'sleep 1000 & echo $OPENBITS_PLAYGROUND; exec setsid -w sleep 1000'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with process:
        folder = os.path.dirname(process.stdout.readline().strip())
        process.send_signal(number)
        status = process.wait(30)
    assert status == (-signal.SIGKILL if number == signal.SIGKILL else 128 + number)
    wait_until(lambda: not os.path.exists(folder) and not processes_with(folder))


# OPS-07
def test_daemons_run_with_the_privileges_of_their_units():
    def status(pid):
        lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
        return dict(line.split(':\t', 1) for line in lines if ':\t' in line)

    with playground_lib.Playground() as world:
        [bitsd], [broker], [bus] = map(world.pids, ('bitsd', 'bits-broker', 'dbus'))
        manager, starter = status(bitsd), status(broker)
        assert manager['NoNewPrivs'] == starter['NoNewPrivs'] == '1'
        if not SWITCHES:
            assert manager['Uid'] == starter['Uid'] == '\t'.join([str(os.geteuid())] * 4)
            return
        for name in ('CapPrm', 'CapEff', 'CapInh', 'CapBnd', 'CapAmb'):
            assert int(manager[name], 16) == 0
        assert starter['Uid'].split()[0] == '0'
        assert int(starter['CapEff'], 16) == 1 << 5 | 1 << 6 | 1 << 7     # KILL, SETGID, SETUID
        users = [int(manager['Uid'].split()[1]), int(status(bus)['Uid'].split()[1])]
        assert users[0] != users[1] and 0 not in users
        for uid in users:
            with pytest.raises(KeyError):
                pwd.getpwuid(uid)
        state = os.stat(os.path.join(world.directory, 'state', 'openbits'))
        assert (state.st_uid, state.st_mode & 0o777) == (users[0], 0o700)


# OPS-07
@needs_root
def test_root_can_have_one_identity_too():
    with playground_lib.Playground(user_mode=True) as world:
        [pid] = world.pids('bitsd')
        assert os.stat(f'/proc/{pid}').st_uid == 0
        assert world.run(['bits', 'list']).returncode == 0


# OPS-07
@needs_root
def test_commands_can_be_other_users():
    with playground_lib.Playground() as world:
        result = world.run(['sh', '-c', 'id -u; bits list'], uid='games', check=True)
        assert result.stdout.splitlines()[0] == '5'


# OPS-08
@pytest.mark.parametrize('name', ['bitsd', 'bits-broker'])
def test_a_daemon_that_dies_is_started_again(name):
    with playground_lib.Playground() as world:
        for _ in range(3):
            before = world.kill(name)
            world.wait_restarted(name)
            assert world.pids(name) not in ([], before)
        assert world.run(['bits', 'list']).returncode == 0


# OPS-06: while it listens to somebody it is told to stop, and a daemon dies: it hears of both at once
def test_stop_that_comes_together_with_the_death_of_a_daemon():
    world = playground_lib.Playground()
    world.start()
    supervisor = world.supervisor
    descriptors = f'/proc/{supervisor.pid}/fd'
    before = len(os.listdir(descriptors))       # while nobody is connected
    [bitsd] = world.pids('bitsd')
    wait_until(lambda: len(os.listdir(descriptors)) <= before)
    try:
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            first.connect(os.path.join(world.runtime, 'control'))
            wait_until(lambda: len(os.listdir(descriptors)) > before)
            second.connect(os.path.join(world.runtime, 'control'))
            second.sendall(b'{"do": "stop"}\n')
            os.kill(bitsd, signal.SIGKILL)
            wait_until(lambda: pathlib.Path(f'/proc/{bitsd}/stat').read_text().rsplit(')', 1)[1].split()[0] == 'Z')
            first.sendall(b'{"do": "status"}\n')
            second.settimeout(60)
            assert b'failures' in second.recv(4096)
        assert supervisor.wait(60) == 0
    finally:
        supervisor.kill()
        world.cleanup()


# OPS-09
def test_kept_folder_keeps_jobs_and_logs(tmp_path):
    # Not below tmp_path: pytest's folder is closed to the daemon's user.
    folder = pathlib.Path('/tmp', f'openbits-kept-{os.getpid()}')
    try:
        playground('--keep', folder, '--', 'bits', 'create', 'lasting').check_returncode()
        assert (folder / 'log/bitsd.log').exists()
        result = playground('--keep', folder, '--', 'bits', 'list')
        assert 'lasting' in result.stdout, result.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if SWITCHES:
        closed = tmp_path / 'closed'
        closed.mkdir(0o700)
        result = playground('--keep', closed, '--', 'true')
        assert result.returncode == 125 and 'may not enter' in result.stderr


# ---- daemons that misbehave: small stand-ins instead of the real ones ----

READY = """#!/usr/bin/python3
import os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ['NOTIFY_SOCKET'])
notify.send(b'READY=1')
print(os.environ.get('LISTEN_FDNAMES', ''), flush=True)
"""
WAIT = 'while True: signal.pause()\n'


@pytest.fixture
def stand_ins(tmp_path):
    """Makes a build folder whose daemons are these programs."""
    def make(bitsd=READY + WAIT, broker=READY + WAIT):
        for folder, name, text in (('bitsd', 'bitsd', bitsd), ('broker', 'bits-broker', broker)):
            path = tmp_path / 'src' / folder / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            path.chmod(0o755)
        return tmp_path
    return make


# OPS-04
def test_daemon_that_does_not_start_is_shown(stand_ins):
    result = playground('--build', stand_ins('#!/bin/sh\necho the reason\nexit 3\n'), '--', 'true')
    assert result.returncode == 125
    assert 'bitsd ended before it was ready: ended with status 3' in result.stderr
    assert 'the reason' in result.stderr


# OPS-04
@pytest.mark.parametrize('end', ['os.kill(os.getpid(), signal.SIGSEGV)\n', 'sys.exit(3)\n'])
def test_daemon_that_crashes_is_a_failure(stand_ins, end):
    build = stand_ins(READY + end)
    result = playground('--build', build, '--', 'sh', '-c',
                        'until grep -q "bitsd.*\\(killed\\|status 3\\)" $OPENBITS_PLAYGROUND/log/supervisor.log; do'
                        ' sleep 0.02; done')
    assert result.returncode == 125
    assert 'bitsd was killed by SIGSEGV' in result.stderr or 'status 3' in result.stderr


# OPS-04
def test_sanitizer_report_is_a_failure(stand_ins):
    report = 'print("x.c:7:3: runtime error: signed integer overflow", flush=True)\n'
    reports = READY.replace('notify.send', report + 'notify.send')      # before anything can end it
    result = playground('--build', stand_ins(reports + WAIT), '--', 'true')
    assert result.returncode == 125
    assert 'signed integer overflow' in result.stderr


# OPS-08
def test_stored_descriptors_come_back_after_a_death(stand_ins):
    store = ('if "kept" not in os.environ.get("LISTEN_FDNAMES", ""):\n'
             '    socket.send_fds(notify, [b"FDSTORE=1\\nFDNAME=kept"], [os.pipe()[0]])\n')
    with playground_lib.Playground(build=str(stand_ins(READY + store + WAIT))) as world:
        wait_until(lambda: world.log('bitsd').count('\n') == 1)
        world.kill('bitsd', signal.SIGTERM)
        world.wait_restarted('bitsd')
        wait_until(lambda: world.log('bitsd').count('\n') == 2)
        assert world.log('bitsd') == '\nkept\n'


# ---- the local server ----

# OPS-15
@pytest.mark.skipif(not playground_lib.Nginx.available(), reason='nginx is not installed')
def test_nginx_serves_and_tells_who_asked():
    folder = pathlib.Path(subprocess.check_output(['mktemp', '-d'], text=True).strip())
    folder.chmod(0o755)
    (folder / 'file').write_bytes(b'x' * 5000)
    (folder / 'file').chmod(0o644)
    try:
        with playground_lib.Nginx(folder, uid=33 if SWITCHES else None) as server:
            trusted = ssl.create_default_context(cafile=server.ca_file)
            for https in (False, True):
                with urllib.request.urlopen(server.url('file', https), context=trusted) as answer:
                    assert len(answer.read()) == 5000
            with pytest.raises(urllib.error.URLError):
                urllib.request.urlopen(server.url('file', True)).close()
            pid, entries = server.process.pid, server.access_log()
            assert os.stat(f'/proc/{pid}').st_uid == (33 if SWITCHES else os.geteuid())
            assert [entry.status for entry in entries] == [200, 200]
            assert entries[0].user_agent.startswith('Python') and entries[0].port > 0
        assert not os.path.exists(f'/proc/{pid}')
    finally:
        shutil.rmtree(folder)


# OPS-01
def test_setup_does_nothing_when_nothing_is_missing():
    result = subprocess.run([str(ROOT / 'tools/setup'), 'build', 'run', 'check'], text=True,
                            stdin=subprocess.DEVNULL, capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, '', '')


# OPS-01
def test_setup_tells_an_ordinary_user_what_is_missing(tmp_path):
    """A dpkg-query that knows of no package, and an id that is nobody special."""
    for name, text in (('dpkg-query', 'exit 1'), ('id', 'echo 12345')):
        (tmp_path / name).write_text(f'#!/bin/sh\n{text}\n')
        (tmp_path / name).chmod(0o755)
    result = subprocess.run([str(ROOT / 'tools/setup'), 'build'], text=True, capture_output=True,
                            env={'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    assert result.returncode == 1
    assert 'missing: ' in result.stderr and 'libcurl4-openssl-dev' in result.stderr
    assert 'apt-get install -y --no-install-recommends' in result.stderr
