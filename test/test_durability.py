"""What was acknowledged is there after SIGKILL; what is counted as kept is on the disk.

The watermark is read from copies of the database.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import bus
from conftest import offset, temporary_files

MIB = 1 << 20


def kill_manager(world):
    """SIGKILL at this very moment, and wait for the successor."""
    [pid] = world.pids['bitsd']
    os.kill(pid, signal.SIGKILL)
    world.pids['bitsd'] = [world.manager().bus.wait_owner(other_than=pid)]


@pytest.fixture(autouse=True)
def known_pids(world):
    world.pids = {'bitsd': [world.manager().bus.owner_pid()]}


# DUR-15
def test_acknowledged_job_is_there(world):
    for number in range(10):
        job = world.manager().create(f'job {number}', Priority='high')
        kill_manager(world)
        again = world.manager().job(job.id)
        assert (again.get('DisplayName'), again.get('Priority')) == (f'job {number}', 'high')
    assert len(world.manager().list()) == 10


# DUR-16
def test_acknowledged_files_are_there_all_of_them(world):
    vault = world.vault()
    job = world.manager().create()
    expected = []
    for number in range(6):
        pairs = [(world.put(10), vault / f'{number}-{n}') for n in range(1 + 10 * number)]
        job.add_all(pairs)
        kill_manager(world)
        expected += [(url, str(path)) for url, path in pairs]
        assert [(f.remote_name, f.local_name) for f in job.files()] == expected


# DUR-17
def test_files_of_a_killed_call_are_there_all_or_none(world):
    vault = world.vault()
    url = world.put(10)
    for delay in (0, 0.001, 0.003, 0.01):
        job = world.manager().create()
        job.bus.send(job.path, bus.JOB, 'AddFiles', 'a(ss)',
                     [(url, str(vault / f'{delay}-{n}')) for n in range(150)])
        time.sleep(delay)         # the moment of the kill is what is tried
        kill_manager(world)
        assert len(job.files()) in (0, 150)


# DUR-18
def test_acknowledged_resume_and_suspend_hold(world):
    url = world.put(MIB, stall_after=1000)
    job = world.manager().create()
    job.add(url, world.vault() / 'a')
    for _ in range(5):
        job.resume()
        kill_manager(world)
        assert job.state in bus.ACTIVE
        job.suspend()
        kill_manager(world)
        assert job.state == 'suspended'


# DUR-19
def test_acknowledged_properties_hold(world):
    job = world.manager().create()
    for number in range(5):
        job.set('DisplayName', f'name {number}')
        kill_manager(world)
        assert job.get('DisplayName') == f'name {number}'
    job.set_helper_flags(2)
    kill_manager(world)
    assert job.helper_flags() == 2


# DUR-21
def test_acknowledged_cancel_and_complete_hold(world):
    vault = world.vault()
    for number in range(4):
        url = world.put(1000)
        job = world.start(url, vault / str(number))
        job.wait('transferred')
        (job.complete if number % 2 else job.cancel)()
        kill_manager(world)
        assert world.manager().list() == []
    assert sorted(os.listdir(vault)) == ['1', '3']


# DUR-22
def test_transferred_job_stays_transferred(world):
    url = world.put(MIB)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.manager().bus.wait_signal(lambda s: s.member == 'JobTransferred' and s.path == job.path)
    kill_manager(world)
    assert job.state == 'transferred'
    assert len(world.server.seen(world.path_of(url))) == 1
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# DUR-23
def test_transfer_goes_on_from_the_stored_watermark_after_a_kill(world):
    url = world.put(64 * MIB, rate=8 * MIB, stall_after=48 * MIB)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_requests(world.path_of(url), 1)
    watermark = bus.poll_until(lambda: world.kept(job), 'the first watermark')
    world.resource(url).stall_after = 0         # the second transfer waits before its first byte
    kill_manager(world)
    [temporary] = temporary_files(target.parent)
    stored = world.kept(job)
    assert watermark <= stored <= temporary.stat().st_size
    world.resource(url).rate = 0
    world.server.release(world.path_of(url))
    job.wait('transferred')
    second = world.server.seen(world.path_of(url))[1]
    assert offset(second) >= stored
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# DUR-24
def test_watermark_never_runs_ahead_of_the_file_nor_back(world):
    # More than the five seconds after which what comes is synced, and then until a mark was seen.
    url = world.put(48 * MIB, rate=8 * MIB, stall_after=46 * MIB)
    target = world.vault() / 'a'
    job = world.start(url, target)
    seen = []

    def look():
        mark = world.kept(job)
        found = temporary_files(target.parent)
        if mark:
            assert mark <= found[0].stat().st_size
            world.server.release(world.path_of(url))
        seen.append(mark)
        return job.state == 'transferred'
    bus.poll_until(look, 'the end of the transfer', interval=0.05)
    assert seen == sorted(seen)
    assert any(0 < mark < 48 * MIB for mark in seen)


# DUR-25
def test_file_is_synced_before_it_counts_as_kept(root_world):
    """The kernel's witness is strace on bits-file; the watermark is seen in the database."""
    world = root_world
    if not shutil.which('strace'):
        pytest.skip('needs strace')
    url = world.put(64 * MIB, rate=8 * MIB, stall_after=1000)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    [temporary] = temporary_files(target.parent)
    pids = world.playground.pids('bits-file')
    trace = world.base / 'trace'
    command = ['strace', '-f', '-y', '-ttt', '-e', 'trace=fdatasync,fsync', '-o', trace,
               *[f'-p{pid}' for pid in pids]]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        for _ in pids:
            line = strace.stderr.readline()
            if 'attached' not in line:
                strace.kill()
                pytest.skip(f'strace cannot attach: {line}')
        world.server.release(world.path_of(url))
        bus.poll_until(lambda: world.kept(job), 'the first watermark')
        seen = time.time()
        strace.terminate()
        strace.communicate()
    lines = [line for line in trace.read_text().splitlines() if temporary.name in line
             and re.search(r'= 0$|<unfinished', line)]
    assert lines, 'kept, but never synced'
    assert float(lines[0].split()[1]) < seen
    job.cancel()


def transferred_job(world, count=120):
    vault = world.vault()
    urls = [world.put(2000 + n) for n in range(count)]
    job = world.manager().create()
    job.add_all([(url, vault / f'{n:03}') for n, url in enumerate(urls)])
    job.resume()
    job.wait('transferred')
    return job, vault, urls


def still_listed(world, job):
    return job.id in [entry['Id'] for entry in world.manager().list()]


def kill_during(world, job, member, victim, delay):
    """Sends the call, kills the victim after the delay, gives the answer (or the lack of one)."""
    serial = job.bus.send(job.path, bus.JOB, member)
    time.sleep(delay)             # the moment of the kill is what is tried
    if victim == 'bitsd':
        kill_manager(world)
    elif victim == 'bits-broker':
        world.restart('bits-broker')
    else:
        world.playground.kill(victim)
    try:
        return job.bus.reply(serial)
    except bus.BusError as error:
        return error.short


# DUR-26
@pytest.mark.parametrize('victim', ['bitsd', 'bits-broker', 'bits-file'])
@pytest.mark.parametrize('delay', [0, 0.002, 0.01, 0.05])
def test_complete_that_is_killed_in_the_middle(world, victim, delay):
    job, vault, urls = transferred_job(world)
    answer = kill_during(world, job, 'Complete', victim, delay)
    if victim == 'bitsd':
        # What had begun goes on by itself; a call that arrives meanwhile waits or is harmless.
        if still_listed(world, job):
            try:
                answer = job.complete()
            except bus.BusError as error:
                assert error.short in ('NotFound', 'UnknownObject', 'InvalidState')
    elif answer != 0:
        assert job.state == 'transferred', answer
        assert job.complete() == 0
    bus.poll_until(lambda: not still_listed(world, job), 'the end of the job')
    assert sorted(os.listdir(vault)) == [f'{n:03}' for n in range(len(urls))]
    for number, url in enumerate(urls):
        assert (vault / f'{number:03}').read_bytes() == world.bytes(url)


# DUR-27
@pytest.mark.parametrize('victim', ['bitsd', 'bits-broker', 'bits-file'])
@pytest.mark.parametrize('delay', [0, 0.002, 0.01, 0.05])
def test_cancel_that_is_killed_in_the_middle(world, victim, delay):
    job, vault, _ = transferred_job(world)
    answer = kill_during(world, job, 'Cancel', victim, delay)
    if victim == 'bitsd':
        if still_listed(world, job):
            try:
                job.cancel()
            except bus.BusError as error:
                assert error.short in ('NotFound', 'UnknownObject', 'InvalidState')
    else:
        assert answer == 0
    bus.poll_until(lambda: not still_listed(world, job), 'the end of the job')
    assert os.listdir(vault) == []


# DUR-28
def test_restarts_in_a_row_change_nothing(world):
    vault = world.vault()
    urls = [world.put(50_000, stall_after=20_000) for _ in range(3)]
    jobs = [world.start(url, vault / str(n), Priority='foreground') for n, url in enumerate(urls)]
    for _ in range(20):
        kill_manager(world)
    for url in urls:
        world.server.release(world.path_of(url))
    for number, job in enumerate(jobs):
        job.wait('transferred')
        assert job.complete() == 0
        assert (vault / str(number)).read_bytes() == world.bytes(urls[number])
    assert len(os.listdir(vault)) == 3


# DUR-29
def test_orderly_end_keeps_everything_too(world):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred > 0)
    before = world.manager().bus.owner_pid()
    world.playground.kill('bitsd', signal.SIGTERM)
    world.manager().bus.wait_owner(other_than=before)
    world.playground.wait_restarted('bitsd')
    job.wait('transferred')
    assert job.complete() == 0
    assert target.read_bytes() == world.bytes(url)
