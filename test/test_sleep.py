"""The machine goes to sleep and wakes up: a login manager, played by the test, says so on the bus.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import pytest

import bus
import stand_ins
from conftest import new_playground

MIB = 1 << 20
STANDBY = 0x80200065


@pytest.fixture(scope='module')
def playground(nginx):
    playground = new_playground(nginx)
    playground.bus_extra = stand_ins.BUS_EXTRA
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(scope='module')
def address(playground):
    return playground.environment['DBUS_SYSTEM_BUS_ADDRESS']


@pytest.fixture
def logind(world, address):
    """It was there before bitsd, which holds a lock."""
    logind = stand_ins.Logind(address)
    world.restart('bitsd')
    holds_a_lock(logind, 1)
    yield logind
    logind.close()


def holds_a_lock(logind, count):
    """The lock of that number, and has not given it back."""
    bus.poll_until(lambda: len(logind.locks) == count, f'lock number {count}')
    assert logind.asked[-1][0] == 'sleep' and logind.asked[-1][3] == 'delay'
    assert not logind.wait_released(0)


def is_let_sleep(world, logind):
    """The last lock is given back because all is at rest, and not because patience has ended."""
    assert logind.wait_released(bus.DEADLINE), 'the lock is held'
    assert 'not at rest' not in world.logs()


def sleeps(*jobs):
    for job in jobs:
        job.wait_until(lambda: job.state == 'transient-error' and job.error().code == STANDBY)
        assert job.get('WaitingFor') == 'standby' and job.get('NextAttempt') == 0
        assert 'sleep' in job.error().text


# POL-383
def test_transfers_rest_before_the_machine_sleeps(world, logind):
    url = world.put(8 * MIB, stall_after=3 * MIB, times=1)
    job = world.start(url, world.vault() / 'a', Priority='foreground')
    background = world.start(world.put(MIB, stall_after=MIB // 2, times=1), world.vault() / 'b')
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred == 3 * MIB)
    logind.sleep(True)
    is_let_sleep(world, logind)
    # By now everything is on the disk: nothing is lost if the machine does not wake up.
    assert world.kept(job) == 3 * MIB
    sleeps(job, background)
    late = world.start(world.put(1000), world.vault() / 'c', Priority='foreground')
    sleeps(late)
    logind.sleep(False)
    for each in job, background, late:
        each.wait('transferred')        # without any delay that would end
    requests = world.server.seen(world.path_of(url))
    assert [request.headers.get('range') for request in requests] == [None, f'bytes={3 * MIB}-']
    holds_a_lock(logind, 2)
    assert job.complete() == 0


# POL-383: with nothing to do as well, again and again
def test_nothing_on_its_way(world, logind):
    for count in range(1, 4):
        holds_a_lock(logind, count)
        logind.sleep(True)
        is_let_sleep(world, logind)
        logind.sleep(False)


# POL-384: neither a job without patience, nor one that had failed before
def test_sleep_costs_no_patience(world, logind):
    url = world.put(MIB, stall_after=MIB // 2, times=1)
    job = world.start(url, world.vault() / 'a', no_progress_timeout=0,
                      Priority='foreground')
    world.server.wait_stalled(world.path_of(url))
    logind.sleep(True)
    sleeps(job)
    logind.sleep(False)
    job.wait('transferred')


# POL-383: what the login manager said is forgotten when it ends; one that comes later is held up too
def test_the_login_manager_goes(world, logind, address):
    url = world.put(MIB, stall_after=MIB // 2, times=1)
    job = world.start(url, world.vault() / 'a', Priority='foreground')
    world.server.wait_stalled(world.path_of(url))
    logind.sleep(True)
    sleeps(job)
    logind.close()
    job.wait('transferred')


# POL-383: a daemon that starts in that moment lets nothing run
def test_a_start_before_sleep(world, address):
    logind = stand_ins.Logind(address)
    try:
        logind.sleep(True)
        world.restart('bitsd')
        url = world.put(1000)
        job = world.start(url, world.vault() / 'a', Priority='foreground')
        sleeps(job)
        assert not world.server.seen(world.path_of(url))
        logind.sleep(False)
        job.wait('transferred')
    finally:
        logind.close()
