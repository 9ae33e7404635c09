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

import bus
import conftest
from configured import Configured
from wall_clock import WallClock, needs_preloading

pytestmark = needs_preloading

MIB = 1 << 20
BLOCKED_BY_POLICY = 0x8020003E
CENTRAL_EUROPE = 'CET-1CEST,M3.5.0,M10.5.0/3'
LATE = 30           # seconds that a slow machine may be late; who does not know the hour is later by far


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


def seconds(text):
    return datetime.datetime.fromisoformat(text).timestamp()


@pytest.fixture
def at(clock):
    """at('2026-03-25 07:59:58+01:00') sets the clock."""
    def set_clock(text):
        clock.set(seconds(text) - time.time())
    return set_clock


@pytest.fixture
def reached(clock):
    """Whether it is so late. Asked about what has been seen already, so a slow machine does no harm."""
    return lambda text: clock.now() >= seconds(text)


def background(world):
    """A job that transfers, and waits for the server whenever it is let."""
    job = world.start(world.put(MIB, stall_after=1000), world.vault() / 'a')
    job.wait('transferring')
    return job


def is_stopped(job):
    job.wait('transient-error')
    assert job.error().code == BLOCKED_BY_POLICY and job.get('WaitingFor') == 'policy'


def is_stopped_at(job, text):
    """To the second, by the clock of the service."""
    is_stopped(job)
    assert 0 <= job.get('ErrorTime') / 1e6 - seconds(text) < LATE


def goes_on(job):
    job.wait('transferring')


def closed(first, last):
    return (f'[Bandwidth]\nMaxInternetBandwidth=0\nMaxInternetBandwidthFrom={first}\n'
            f'MaxInternetBandwidthTo={last}\n')


# POL-205, POL-216
def test_hours_begin_and_end(world, config, at, reached):
    at('2026-03-25 07:00:00+01:00')
    config.write(closed(8, 17))
    job = background(world)
    at('2026-03-25 07:59:59+01:00')
    is_stopped_at(job, '2026-03-25 08:00:00+01:00')
    assert 'until Wednesday 17:00' in job.error().text
    foreground = world.start(world.put(1000), world.vault() / 'b', Priority='foreground')
    foreground.wait('transferred')
    at('2026-03-25 16:59:59+01:00')
    goes_on(job)
    assert reached('2026-03-25 17:00:00+01:00')


# POL-386
def test_the_clock_is_set(world, config, at, clock):
    at('2026-03-25 07:00:00+01:00')
    config.write(closed(8, 17))
    job = background(world)
    for text, check in (('2026-03-25 12:00:00+01:00', is_stopped), ('2026-03-25 18:00:00+01:00', goes_on),
                        ('2026-03-20 09:00:00+01:00', is_stopped)):
        at(text)
        check(job)
    for early in '07:59:59', '07:59:55', '07:59:30':    # a slow machine may not see the short one
        at(f'2026-03-20 {early}+01:00')
        with contextlib.suppress(bus.Timeout):
            job.wait('transferring', timeout=seconds('2026-03-20 08:00:00+01:00') - clock.now())
            break
    is_stopped_at(job, '2026-03-20 08:00:00+01:00')     # the timer knows of the new time, too


# POL-205: the hour from 2 to 3 is left out, or comes twice
def test_odd_days(world, config, at, reached):
    at('2026-03-29 01:00:00+01:00')
    config.write(closed(3, 4))
    job = background(world)
    at('2026-03-29 01:59:59+01:00')
    is_stopped_at(job, '2026-03-29 02:00:00+01:00')
    at('2026-03-29 03:59:59+02:00')
    goes_on(job)
    assert reached('2026-03-29 04:00:00+02:00')
    at('2026-10-25 01:00:00+02:00')
    config.write(closed(2, 3))
    job.wait('transferring')
    at('2026-10-25 01:59:59+02:00')
    is_stopped_at(job, '2026-10-25 02:00:00+02:00')
    at('2026-10-25 02:59:59+02:00')
    begin = time.monotonic()
    job.wait_until(lambda: time.monotonic() - begin > 1.5)      # it is 02:00 once more
    assert job.state == 'transient-error'
    at('2026-10-25 02:59:59+01:00')
    goes_on(job)
    assert reached('2026-10-25 03:00:00+01:00')


def measured(job, span):
    """Bytes a second."""
    begin, began = job.progress.transferred, time.monotonic()
    job.wait_until(lambda: time.monotonic() - began >= span)
    return (job.progress.transferred - begin) / (time.monotonic() - began)


# POL-205, POL-213: the maintenance hours of a night override what the day says
def test_the_rate_is_another_from_the_hour_on(world, config, at):
    at('2026-03-25 07:00:00+01:00')
    config.write('[Bandwidth]\nEnableBandwidthLimits=yes\nEnableMaintenanceLimits=yes\n'
                 '[WorkSchedule]\nNormalBandwidthLimit=80\n'
                 '[MaintenanceSchedule]\nNormalBandwidthLimit=8000\n')
    began = time.monotonic()
    job = world.start(world.put(128 * MIB), world.vault() / 'a')
    # By the other rate this would take five minutes; by none it would be there at once.
    done = job.wait_until(lambda: job.progress.transferred >= 3_000_000 and job.progress.transferred)
    assert done < 1_300_000 * (time.monotonic() - began) + 200_000
    at('2026-03-25 07:59:59+01:00')
    bus.poll_until(lambda: all(measured(job, 1) < 200_000 for _ in range(2)), 'the other rate')


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
    is_stopped(job)
    set_zone('Etc/GMT-12')
    goes_on(job)
    set_zone('Etc/UTC')
    is_stopped(job)
