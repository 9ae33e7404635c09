"""`bits watch`, and what keeps it up to date: news of the queue, on the bus and in the library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import re
import select
import signal
import subprocess
import termios
import time

import pytest

import bus
from test_cli import Terminal, Tunnel, bits, jobs  # noqa: F401
from test_create_jobs import create, spec
from test_library import as_alice
from test_library import bits as loaded  # noqa: F401

ADDED, REMOVED, CHANGED, GONE, BACK = range(5)
QUEUE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


def watch(world, *arguments):
    """`bits watch` of alice in a pipe."""
    mode = [] if world.root else ['--user']
    options = {'uid': world.alice} if world.root else {}
    return world.playground.popen(['bits', *mode, 'watch', *map(str, arguments)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, **options)


def read_line(stream, deadline):
    """Byte by byte: what is read ahead would be invisible to select()."""
    line = b''
    while not line.endswith(b'\n'):
        assert select.select([stream], [], [], max(0, deadline - time.monotonic()))[0], line
        byte = os.read(stream.fileno(), 1)
        assert byte, line
        line += byte
    return line.decode()


def read_until(stream, pattern):
    """The lines up to one that has the pattern."""
    deadline, lines = time.monotonic() + 30, []
    while not lines or not re.search(pattern, lines[-1]):
        lines.append(read_line(stream, deadline))
    return ''.join(lines)


def sleeps_without_limit(pid):
    """The process stands in a poll whose time limit is the null pointer: nothing but news can wake it."""
    words = open(f'/proc/{pid}/syscall').read().split()
    return words[0] not in ('running', '-1') and words[3] == '0x0' and int(words[2], 16) == 4


def wait_asleep(process):
    bus.poll_until(lambda: sleeps_without_limit(process.pid), 'a watch that sleeps')


def test_watch_in_a_pipe(world, bits):
    """CLI-280: named jobs are watched until they have left the queue."""
    url, vault = world.put(1_000_000, stall_after=500_000), world.vault()
    bits('create', 'another')
    ident = bits('get', '--detach', url, vault / 'file').stdout.strip()
    world.server.wait_stalled(world.path_of(url))
    mode = [] if world.root else ['--user']
    options = {'uid': world.alice} if world.root else {}
    process = world.playground.popen(['bits', *mode, 'watch', ident], stdout=subprocess.PIPE, text=True, **options)
    assert ident[:8] in process.stdout.readline() + process.stdout.readline()
    bits('cancel', ident)
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0 and 'another' not in rest and rest.rstrip().endswith('no jobs')
    bits('watch', '--interval', '0', status=2)


def test_watch_on_a_terminal(world, bits):
    """CLI-280: in place, with rates; Ctrl-C ends the watching and nothing else."""
    url, vault = world.put(64_000_000, rate=500_000), world.vault()
    ident = bits('get', '--detach', url, vault / 'file').stdout.strip()
    terminal = Terminal(world, 'watch')
    output = terminal.read_until(rb'[0-9.]+ .iB/s')
    assert '\033[H' in output and ident[:8] in output and 'RATE' in output
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert jobs(bits)[0]['state'] == 'transferring'


def test_watch_that_cannot_go_on(root_world, bits, tmp_path):
    """CLI-422: a name of no job, output that nobody can read, a bus that is gone."""
    assert "no job 'nobody'" in bits('watch', 'nobody', status=1).stderr
    world, ident = root_world, bits('create', 'one').stdout.strip()
    for mode in ([], ['--json'], [ident]):
        with open('/dev/full', 'w') as full:
            process = world.playground.popen(['bits', 'watch', *mode], uid=world.alice, stdout=full,
                                             stderr=subprocess.PIPE, text=True)
            assert 'cannot write the output' in process.communicate(timeout=30)[1]
            assert process.returncode == 1
    address = world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS']
    with Tunnel(tmp_path / 'bus', re.match('unix:path=([^,]+)', address)[1]) as tunnel:
        process = world.playground.popen(
            ['bits', 'watch', '--interval', '86400'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={'DBUS_SYSTEM_BUS_ADDRESS': f'unix:path={tunnel.path}'})
        assert 'no jobs' in process.stdout.readline()
    assert 'cannot list the jobs' in process.communicate(timeout=30)[1]
    assert process.returncode == 1


def test_watch_on_a_dumb_terminal(world, bits):
    """CLI-422: lists follow each other, without a word that it would not obey."""
    bits('create', 'a')
    terminal = Terminal(world, 'watch', term='dumb')
    assert '\033' not in terminal.read_until(rb'suspended')
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0


# ---- by news alone ----

def test_idle_watch_calls_nobody(world, bits):    # noqa: F811
    """CLI-492: while nothing moves it sleeps without a time limit, in a pipe and on a terminal, and news wake it."""
    ident = bits('create', 'first').stdout.strip()
    process, terminal = watch(world), Terminal(world, 'watch')
    read_until(process.stdout, 'first')
    terminal.read_until(b'first')
    wait_asleep(process)
    wait_asleep(terminal.process)
    bits('create', 'second')
    read_until(process.stdout, 'second')
    terminal.read_until(b'second')
    bits('set', ident, 'priority=low')
    read_until(process.stdout, 'first .* low ')
    read_until(process.stdout, 'second')
    bits('cancel', 'second')
    assert 'second' not in read_until(process.stdout, 'first')
    wait_asleep(process)
    wait_asleep(terminal.process)
    for one in (process, terminal.process):
        one.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0].strip() == '' and process.returncode == 0
    assert terminal.end() == 0


def test_watch_is_bounded_and_says_nothing_twice(world, bits):    # noqa: F811
    """CLI-492: hundreds of changes are a few lists, the last of which has them all; what a list does not show makes
    none."""
    manager = world.manager()
    job = manager.create('one of them')
    process = watch(world, '--json')
    read_until(process.stdout, '^}')
    began = time.monotonic()
    for n in range(300):
        job.set('Priority', ('low', 'high')[n % 2])
    job.set('Description', 'nobody lists this')
    job.set('Priority', 'foreground')
    seen = read_until(process.stdout, '"foreground"') + read_until(process.stdout, '^}')
    assert seen.count('"jobs"') <= (time.monotonic() - began) / 0.45 + 2
    manager.call('Subscribe')
    for text in ('nor this', 'nor that', 'at all'):     # each half a second after the one before: time for a look
        mark = len(manager.bus.signals)
        job.set('Description', text)
        manager.bus.wait_signal(lambda s: s.member == 'Changed' and s.path == bus.ROOT, mark)
    manager.create('the next')
    seen = read_until(process.stdout, 'the next') + read_until(process.stdout, '^}')
    assert seen.count('"jobs"') == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_rate_ends_with_the_bytes(world, bits):    # noqa: F811
    """CLI-492: no list claims a rate while nothing comes; then it sleeps, though the job is transferring."""
    url = world.put(4_000_000, rate=500_000, stall_after=2_000_000)
    ident = bits('get', '--detach', url, world.vault() / 'file').stdout.strip()
    process = watch(world)
    read_until(process.stdout, rf'{ident[:8]} .* transferring .*iB/s')
    world.server.wait_stalled(world.path_of(url))
    read_until(process.stdout, rf'{ident[:8]} .* transferring (?!.*iB/s)')
    wait_asleep(process)
    world.server.release(world.path_of(url))
    read_until(process.stdout, rf'{ident[:8]} .* transferred ')
    process.kill()
    process.communicate()


def test_rate_of_get_falls_without_a_call(world, bits):    # noqa: F811
    """CLI-493: the bar of a transfer is redrawn from what is known; a job that waits is not looked at."""
    url = world.put(100_000, status=503)
    terminal = Terminal(world, 'get', url, world.vault() / 'file')
    terminal.read_until(rb'0x801901F7')
    bus.poll_until(lambda: sleeps_without_limit(terminal.process.pid), 'a get that sleeps')
    terminal.process.send_signal(signal.SIGINT)
    terminal.end()
    url = world.put(4_000_000, rate=1_000_000, stall_after=2_000_000)
    terminal = Terminal(world, 'get', url, world.vault() / 'other')
    world.server.wait_stalled(world.path_of(url))
    daemons = world.playground.pids('bitsd')
    for pid in daemons:     # whoever asked it would wait for it
        os.kill(pid, signal.SIGSTOP)
    try:
        terminal.output = b''
        terminal.read_until(rb'(?s)(\r[^\r]*iB/s.*){3}')
    finally:
        for pid in daemons:
            os.kill(pid, signal.SIGCONT)
    terminal.process.send_signal(signal.SIGINT)
    terminal.end()


# ---- the terminal ----

def screen_with(terminal, text):
    """The lines of the last drawing, as soon as there is a whole one that ends with the text."""
    output = terminal.read_until(re.escape(text).encode() + rb'\033\[K\r\n\033\[J\033\[\?7h')
    return re.sub(r'\033\[[?0-9;]*[a-zA-Z]', '', output.rsplit('\033[H', 1)[1]).splitlines()


def test_a_thousand_jobs_and_another_size(root_world, bits):    # noqa: F811
    """CLI-492: what has no room is counted; what moves comes first; another size is another drawing, without a call."""
    world = root_world
    create(world.manager(0), [spec(f'job {n}') for n in range(999)])
    url = world.put(2_000_000, stall_after=1_000_000)
    bits('get', '--detach', url, world.vault(uid=0) / 'moving', uid=0)
    world.server.wait_stalled(world.path_of(url))
    terminal = Terminal(world, 'watch', rows=12, uid=0)
    lines = screen_with(terminal, 'and 993 more')
    assert len(lines) == 11 and ' moving ' in lines[3] and lines[-1] == 'and 993 more'
    wait_asleep(terminal.process)
    daemons = world.playground.pids('bitsd')
    for pid in daemons:
        os.kill(pid, signal.SIGSTOP)
    try:
        terminal.resize(20, 44)
        terminal.process.send_signal(signal.SIGWINCH)     # of a terminal that is nobody's the kernel sends none
        lines = screen_with(terminal, 'and 985 more')
    finally:
        for pid in daemons:
            os.kill(pid, signal.SIGCONT)
    assert len(lines) == 19 and ' moving ' in lines[3]
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 0


def test_q_ends_it_and_the_terminal_is_as_it_was(world, bits):    # noqa: F811
    """CLI-492: other keys do nothing, and none is shown."""
    bits('create', 'a')
    terminal = Terminal(world, 'watch')
    terminal.read_until(b'suspended')
    assert not termios.tcgetattr(terminal.master)[3] & (termios.ECHO | termios.ICANON)
    os.write(terminal.master, b'xyz')
    wait_asleep(terminal.process)
    assert b'xyz' not in terminal.output
    os.write(terminal.master, b'q')
    terminal.read_until(None)
    assert termios.tcgetattr(terminal.master)[3] & termios.ECHO
    assert terminal.process.wait(30) == 0


def test_whoever_reads_it_has_left(world, bits):    # noqa: F811
    """CLI-492: a watch into a pipe that nobody reads ends, though nothing happens."""
    bits('create', 'a')
    process = watch(world)
    read_until(process.stdout, 'suspended')
    wait_asleep(process)
    process.stdout.close()
    assert process.wait(30) == 0


# ---- the service comes and goes ----

def test_watch_outlives_the_service(world, bits):    # noqa: F811
    """CLI-492: it is told by the bus when the service is back, asks nobody meanwhile, and hears of what comes then."""
    bits('create', 'before')
    process = watch(world)
    read_until(process.stdout, 'before')
    world.restart('bitsd')
    read_until(process.stderr, 'went away')
    bits('create', 'after')
    read_until(process.stdout, 'after')
    wait_asleep(process)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == '' and process.returncode == 0


# ---- on the bus ----

def heard(connection, mark=0):
    return [s for s in connection.signals[mark:] if s.member == 'Changed' and s.path == bus.ROOT]


def test_changed_is_for_those_who_may_see(root_world):
    """CLI-490: an administrator hears of all jobs, a user of his own; nobody who did not ask."""
    world = root_world
    connections = {uid: world.connect(uid) for uid in (0, world.alice, world.bob)}
    for connection in connections.values():
        bus.Manager(connection).call('Subscribe')
    silent = world.connect(world.alice)
    job = world.manager(world.alice).create()
    job.set('Priority', 'low')
    for uid in (0, world.alice):
        connections[uid].wait_signal(lambda s: s.member == 'Changed' and s.path == bus.ROOT)
    for connection in (connections[world.bob], silent):
        bus.Manager(connection).list()
        connection.drain()
        assert heard(connection) == []


def test_changed_is_paced_and_the_last_change_is_told(world):
    """CLI-490: two a second at most for however many jobs."""
    manager = world.manager()
    manager.call('Subscribe')
    created = [manager.create(str(n)) for n in range(30)]
    began, times = time.monotonic(), []
    mark = len(manager.bus.signals)
    for job in created * 10:
        job.set('Priority', 'low')
    manager.list()
    manager.bus.drain()
    assert len(heard(manager.bus, mark)) <= (time.monotonic() - began) / 0.5 + 1
    for job in created[:3]:
        mark = len(manager.bus.signals)
        job.set('Priority', 'high')
        manager.bus.wait_signal(lambda s: s.member == 'Changed' and s.path == bus.ROOT, mark)
        times.append(time.monotonic())
    assert times[2] - times[0] > 0.8


# ---- in the library ----

@pytest.fixture
def library(loaded):    # noqa: F811
    return loaded


def process(library, manager, events, wanted):    # noqa: F811
    deadline = time.monotonic() + 30
    while wanted not in events:
        assert time.monotonic() < deadline, events
        if library('manager_process', manager) == 0:
            select.select([library('manager_fd', manager)], [], [], 1)


def test_news_of_the_queue(world, library):    # noqa: F811
    """CLI-491: made, changed, gone, the service away and back; nothing after the end."""
    with as_alice(world):
        manager = library.new('manager_open' if world.root else 'manager_open_user')
    events = []

    @QUEUE_CALLBACK
    def on_event(_, event, job, __):
        events.append((event, job.decode() if job else None))
    assert library('manager_set_callback', manager, on_event, None) == 0
    job = world.manager().create('news')
    process(library, manager, events, (ADDED, job.id))
    job.set('Priority', 'low')
    process(library, manager, events, (CHANGED, None))
    job.cancel()
    process(library, manager, events, (REMOVED, job.id))
    world.restart('bitsd')
    process(library, manager, events, (BACK, None))
    assert events.index((GONE, None)) < events.index((BACK, None))
    again = world.manager().create('again')
    process(library, manager, events, (ADDED, again.id))
    library('manager_set_callback', manager, None, None)
    del events[:]
    world.manager().create('unheard')
    time_left = library.new('manager_list_jobs', manager, 0)
    while library('manager_process', manager) > 0:
        pass
    assert events == []
    library.lib.bits_job_list_free.argtypes = [ctypes.c_void_p]
    library.lib.bits_job_list_free(time_left)
    library.lib.bits_manager_close(manager)


def test_callback_that_closes_its_manager(world, library):    # noqa: F811
    """CLI-491"""
    with as_alice(world):
        manager = library.new('manager_open' if world.root else 'manager_open_user')
    closed = []

    @QUEUE_CALLBACK
    def on_event(which, *_):
        library.lib.bits_manager_close(which)
        closed.append(True)
    library('manager_set_callback', manager, on_event, None)
    world.manager().create('news')
    while not closed:
        if library('manager_process', manager) == 0 and not closed:
            select.select([library('manager_fd', manager)], [], [], 1)
