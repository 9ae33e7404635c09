"""The wall clock of bitsd and of the broker jumps by years, forth and back, while jobs with a helper
transfer and wait; test/clock.c moves it. Workers keep the right time: the broker passes them no
preloaded library.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import time

import pytest

import bus
import conftest
from wall_clock import WallClock, needs_preloading

pytestmark = needs_preloading

MIB = 1 << 20
YEARS = 20 * 365 * 86400
MAXDOWNLOAD_TIMEOUT = 0x80200054
LATE = 30    # seconds that a slow machine may be late; a clock that is wrong is so by years


@pytest.fixture(scope='module')
def clock():
    with WallClock(conftest.playground_lib.default_build()) as clock:
        yield clock


@pytest.fixture(scope='module')
def playground(nginx, clock):
    playground = conftest.new_playground(nginx, **clock.environment)
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(autouse=True)
def right_time(clock):
    clock.set(0)
    yield
    clock.set(0)


def make(world, url, **properties):
    """A job of alice; bob, where there are several users, makes the connections."""
    job = world.manager().create()
    fd = world.token(world.bob)
    job.set_helper_token(fd)
    os.close(fd)
    job.set_helper_flags(bus.NETWORK)
    for name, value in properties.items():
        job.set(name, value)
    job.add(url, world.vault() / 'a')
    return job


def expect_the_time_to_be(world, clock):
    """The daemon believes it, and goes round its loop: a job is made, and done meanwhile."""
    before = clock.now()
    job = world.manager().create(Priority='foreground')
    assert before <= job.get('Times')[0] / 1e6 <= clock.now()
    target = world.vault() / 'other'
    job.add(world.put(1000), target)
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0


def in_flight(world, **properties):
    url = world.put(MIB, stall_after=MIB // 2, times=1)
    job = make(world, url, **properties)
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    return job, url


# OPS-306
def test_transfer_goes_on_with_its_token(world, clock):
    job, url = in_flight(world, MaximumDownloadTime=3600, NoProgressTimeout=3600)
    job.wait('transferring')
    helper = job.helper_sid()
    assert helper
    for ahead in (YEARS, -YEARS, 0):
        clock.set(ahead)
        expect_the_time_to_be(world, clock)
        assert job.state == 'transferring' and job.helper_sid() == helper
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert job.complete() == 0
    assert len(world.server.seen(world.path_of(url))) == 1, 'nobody began anew'


# OPS-306: neither at once, nor in twenty years
@pytest.mark.parametrize('ahead', [YEARS, -YEARS])
def test_retry_comes_in_its_time(world, clock, ahead):
    url = world.put(1000, status=503)
    path = world.path_of(url)
    job = make(world, url, MinimumRetryDelay=5)
    job.resume()
    job.wait('transient-error')

    def due():
        """On the clock that does not jump."""
        return job.get('NextAttempt') / 1e6 - (clock.now() - time.monotonic())
    first_due = due()
    for seconds in (ahead, -ahead):
        clock.set(seconds)
        expect_the_time_to_be(world, clock)
        assert job.helper_sid()
        found = job.state, job.get('WaitingFor'), due()
        if time.monotonic() < first_due:        # or a slow machine is at the next try already
            assert found[:2] == ('transient-error', 'retry')
            assert abs(found[2] - first_due) < LATE
        if seconds == ahead:
            world.restart('bitsd')
            job = world.manager().job(job.id)
    world.resource(url).status = 0
    world.server.wait_requests(path, 2)
    first, second, *_ = [request.time for request in world.server.seen(path)]
    assert 4.9 <= second - first < 5 + LATE
    job.wait('transferred')


# OPS-306
@pytest.mark.parametrize('ahead', [YEARS, -YEARS])
def test_limit_of_time_is_kept(world, clock, ahead):
    begin = time.monotonic()
    job, _ = in_flight(world, MaximumDownloadTime=3)
    clock.set(ahead)
    expect_the_time_to_be(world, clock)
    job.wait('error')
    assert job.error().code == MAXDOWNLOAD_TIMEOUT
    assert 3 <= time.monotonic() - begin < 3 + LATE
