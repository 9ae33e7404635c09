"""The hours of the bandwidth policies: what is in force is another when the hour begins, when somebody
sets the clock or moves the machine to another time zone; without a restart, and on the two odd days
of a year. test/clock.c moves the clock of bitsd.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import datetime
import os
import pathlib
import subprocess
import tempfile
import time

import pytest

import conftest
from configured import Configured
from wall_clock import WallClock, needs_preloading

pytestmark = needs_preloading

MIB = 1 << 20
BLOCKED_BY_POLICY = 0x8020003E
CENTRAL_EUROPE = 'CET-1CEST,M3.5.0,M10.5.0/3'
LATE = 3            # seconds that a slow machine may be late


@pytest.fixture(scope='module')
def clock():
    with WallClock(conftest.playground_lib.default_build()) as clock:
        yield clock


@pytest.fixture(scope='module')
def playground(nginx, clock):
    playground = conftest.new_playground(nginx, TZ=CENTRAL_EUROPE, **clock.environment)
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(autouse=True)
def right_time(clock):
    clock.set(0)
    yield
    clock.set(0)


@pytest.fixture
def config(world):
    configured = Configured(world.playground)
    yield configured
    configured.clear()


@pytest.fixture
def at(clock):
    """at('2026-03-25 07:59:58+01:00') sets the clock."""
    def set_clock(text):
        clock.set(datetime.datetime.fromisoformat(text).timestamp() - time.time())
    return set_clock


def background(world):
    """A job that transfers, and waits for the server whenever it is let."""
    job = world.start(world.put(MIB, stall_after=1000), world.vault() / 'a')
    job.wait('transferring')
    return job


def is_stopped(job, since, earliest=0):
    """`earliest`: seconds from then, not before."""
    job.wait('transient-error')
    assert earliest - 0.5 < time.monotonic() - since < earliest + LATE
    assert job.error().code == BLOCKED_BY_POLICY and job.get('WaitingFor') == 'policy'


def goes_on(job, since, earliest=0):
    job.wait('transferring')
    assert earliest - 0.5 < time.monotonic() - since < earliest + LATE


def closed(first, last):
    return (f'[Bandwidth]\nMaxInternetBandwidth=0\nMaxInternetBandwidthFrom={first}\n'
            f'MaxInternetBandwidthTo={last}\n')


# POL-205, POL-216
def test_hours_begin_and_end(world, config, at):
    at('2026-03-25 07:00:00+01:00')
    config.write(closed(8, 17))
    job = background(world)
    at('2026-03-25 07:59:59+01:00')
    is_stopped(job, time.monotonic(), 1)
    assert 'until Wednesday 17:00' in job.error().text
    foreground = world.start(world.put(1000), world.vault() / 'b', Priority='foreground')
    foreground.wait('transferred')
    at('2026-03-25 16:59:59+01:00')
    goes_on(job, time.monotonic(), 1)


# POL-386
def test_the_clock_is_set(world, config, at):
    at('2026-03-25 07:00:00+01:00')
    config.write(closed(8, 17))
    job = background(world)
    for text, check in (('2026-03-25 12:00:00+01:00', is_stopped), ('2026-03-25 18:00:00+01:00', goes_on),
                        ('2026-03-20 09:00:00+01:00', is_stopped), ('2026-03-20 07:59:59+01:00', goes_on)):
        at(text)
        check(job, time.monotonic())
    is_stopped(job, time.monotonic(), 0.5)      # the timer knows of the new time, too


# POL-205: the hour from 2 to 3 is left out, or comes twice
def test_odd_days(world, config, at):
    at('2026-03-29 01:00:00+01:00')
    config.write(closed(3, 4))
    job = background(world)
    at('2026-03-29 01:59:59+01:00')
    is_stopped(job, time.monotonic(), 1)
    at('2026-03-29 03:59:59+02:00')
    goes_on(job, time.monotonic(), 1)
    at('2026-10-25 01:00:00+02:00')
    config.write(closed(2, 3))
    job.wait('transferring')
    at('2026-10-25 01:59:59+02:00')
    is_stopped(job, time.monotonic(), 1)
    at('2026-10-25 02:59:59+02:00')
    begin = time.monotonic()
    job.wait_until(lambda: time.monotonic() - begin > 1.5)      # it is 02:00 once more
    assert job.state == 'transient-error'
    at('2026-10-25 02:59:59+01:00')
    goes_on(job, time.monotonic(), 1)


def measured(job, seconds):
    """Bytes a second."""
    begin, began = job.progress.transferred, time.monotonic()
    job.wait_until(lambda: time.monotonic() - began >= seconds)
    return (job.progress.transferred - begin) / (time.monotonic() - began)


# POL-205, POL-213: the maintenance hours of a night override what the day says
def test_the_rate_is_another_from_the_hour_on(world, config, at):
    at('2026-03-25 07:00:00+01:00')
    config.write('[Bandwidth]\nEnableBandwidthLimits=yes\nEnableMaintenanceLimits=yes\n'
                 '[WorkSchedule]\nNormalBandwidthLimit=800\n'
                 '[MaintenanceSchedule]\nNormalBandwidthLimit=8000\n')
    job = world.start(world.put(64 * MIB), world.vault() / 'a')
    job.wait_until(lambda: job.progress.transferred >= 200_000)
    fast = measured(job, 1)
    at('2026-03-25 07:59:59+01:00')
    begin = time.monotonic()
    job.wait_until(lambda: time.monotonic() - begin > 2)
    slow = measured(job, 1)
    assert 700_000 < fast < 1_300_000 and slow < 200_000, (fast, slow)


@contextlib.contextmanager
def private_etc():
    """/etc of this process and its children is a copy."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryDirectory(prefix='openbits-etc-') as folder:
        subprocess.run(['cp', '-a', '/etc/.', folder], check=True, stdin=subprocess.DEVNULL)
        os.chmod(folder, 0o755)
        assert libc.mount(folder.encode(), b'/etc', None, conftest.MS_BIND, None) == 0
        try:
            yield
        finally:
            assert libc.umount2(b'/etc', 2) == 0


def set_zone(name):
    """As timedatectl does it."""
    new = pathlib.Path('/etc/.localtime-new')
    new.symlink_to(f'/usr/share/zoneinfo/{name}')
    new.rename('/etc/localtime')


@pytest.fixture
def moving_world(nginx, server):
    """Its machine goes from one time zone to another."""
    if not conftest.ROOT:
        pytest.skip('needs root: an /etc of its own')
    if 'TZ' in os.environ or not pathlib.Path('/usr/share/zoneinfo/Etc/GMT-12').exists():
        pytest.skip('needs the zones of the machine')
    with private_etc():
        set_zone('Etc/UTC')
        playground = conftest.new_playground(nginx)
        playground.start()
        try:
            world = conftest.World(playground, server)
            yield world
            world.close()
        finally:
            playground.stop(check=False)


# POL-386: night and day change places
def test_the_machine_is_in_another_time_zone(moving_world):
    world, config = moving_world, Configured(moving_world.playground)
    hour = time.gmtime().tm_hour
    config.write(closed((hour - 6) % 24, (hour + 6) % 24))
    job = world.start(world.put(MIB, stall_after=1000), world.vault() / 'a')
    is_stopped(job, time.monotonic())
    set_zone('Etc/GMT-12')
    goes_on(job, time.monotonic())
    set_zone('Etc/UTC')
    is_stopped(job, time.monotonic())
