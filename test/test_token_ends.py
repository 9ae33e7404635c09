"""Tokens that somebody who holds a copy shuts down while they serve: at once nobody acts under them.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib
import signal
import socket
import time

import pytest

import bus
from conftest import offset, temporary_files

MIB = 1 << 20
E_TOKEN_REQUIRED = 0x80200056
BOTH = bus.LOCAL_FILE | bus.NETWORK
TOKENS = 50         # of one user, as many as he may have jobs


@pytest.fixture
def world(root_world):
    return root_world


def workers_of(world, uid):
    """Worker processes of that user that have not ended."""
    found = []
    for kind in ('bits-net', 'bits-file'):
        for pid in world.playground.pids(kind):
            with contextlib.suppress(OSError):
                path = pathlib.Path(f'/proc/{pid}')
                if path.stat().st_uid == uid or f'\t{uid}\t' in (path / 'status').read_text():
                    found.append(pid)
    return found


def wait_no_worker_of(world, uid):
    bus.poll_until(lambda: not workers_of(world, uid), f'the workers of {uid} to end')


class Helped:
    """A job of alice with a token of which the test keeps a copy."""

    def __init__(self, world, flags, uid=None, token=None, **fields):
        self.world = world
        uid = uid or world.bob
        self.token = token or socket.socket(fileno=world.token(uid))
        self.path = world.vault(uid if flags & bus.LOCAL_FILE else world.alice) / 'a'
        self.url = world.put(4 * MIB, **fields)    # what is left stalls again
        self.job = world.manager().create()
        self.job.set('Priority', 'foreground')      # not one after the other
        self.job.set_helper_token(self.token.fileno())
        self.job.set_helper_flags(flags)
        self.job.add(self.url, self.path)

    def in_flight(self):
        self.job.resume()
        self.world.server.wait_stalled(self.world.path_of(self.url))
        self.job.wait_until(lambda: self.job.progress.transferred >= MIB // 2)
        return self

    def end_token(self):
        self.token.shutdown(socket.SHUT_RDWR)

    def refresh(self):
        fd = self.world.token(self.world.bob)
        self.job.set_helper_token(fd)
        os.close(fd)
        self.job.resume()

    def finish(self):
        self.job.wait('transferred')
        assert self.job.complete() == 0
        assert self.path.read_bytes() == self.world.bytes(self.url)


@pytest.fixture
def helped(world):
    with contextlib.ExitStack() as stack:
        def make(*arguments, **fields):
            one = Helped(world, *arguments, **fields)
            stack.enter_context(one.token)
            return one
        yield make


# TOK-370
@pytest.mark.parametrize('flags', [bus.LOCAL_FILE, bus.NETWORK, BOTH])
def test_running_transfer_is_stopped_at_once_and_keeps_its_bytes(world, helped, flags):
    one = helped(flags, stall_after=MIB, times=1).in_flight()
    one.end_token()
    one.job.wait('error')       # by that alone: the server would hold the transfer for ever
    error = one.job.error()
    assert error.code == E_TOKEN_REQUIRED and 'shut down' in error.text
    assert one.job.helper_sid() == '' and one.job.helper_flags() == flags
    wait_no_worker_of(world, world.bob)
    one.refresh()
    one.finish()
    assert MIB // 2 <= offset(world.server.seen(world.path_of(one.url))[1]) <= MIB


# TOK-370: another token of the same user is another one; a job without flags needs none.
def test_others_go_on(world, helped):
    ended = helped(bus.NETWORK, stall_after=MIB, times=1).in_flight()
    other = helped(bus.NETWORK, stall_after=MIB, times=1).in_flight()
    idle = helped(0, token=ended.token.dup(), stall_after=MIB, times=1).in_flight()
    resting = helped(bus.NETWORK, token=ended.token.dup())
    ended.end_token()
    ended.job.wait('error')
    for one in (idle, resting):
        one.job.wait_until(lambda one=one: one.job.helper_sid() == '')
    assert resting.job.state == 'suspended'
    assert other.job.helper_sid() == f'S-1-22-1-{world.bob}'
    assert [other.job.state, idle.job.state] == ['transferring'] * 2
    for one in (other, idle):
        world.server.release(world.path_of(one.url))
        one.finish()
        assert len(world.server.seen(world.path_of(one.url))) == 1
    resting.job.resume()
    resting.job.wait('error')
    assert resting.job.error().code == E_TOKEN_REQUIRED


# TOK-371: the worker that is to give the name stands still, and is gone a second later.
def test_while_complete_runs(world, helped):
    one = helped(bus.LOCAL_FILE)
    keeps_the_worker = helped(bus.LOCAL_FILE, token=one.token.dup(), stall_after=MIB).in_flight()
    one.job.resume()
    one.job.wait('transferred')
    [worker] = [pid for pid in workers_of(world, world.bob)]
    os.kill(worker, signal.SIGSTOP)
    serial = one.job.bus.send(one.job.path, bus.JOB, 'Complete')
    one.job.get('State')        # the call before this one has begun
    one.end_token()
    with pytest.raises(bus.BusError) as caught:
        one.job.bus.reply(serial)
    assert caught.value.short == 'TokenRequired'
    wait_no_worker_of(world, world.bob)
    keeps_the_worker.job.wait('error')
    assert not one.path.exists() and len(temporary_files(one.path.parent)) == 1
    assert one.job.state in ('transferred', 'suspended')
    one.refresh()
    one.finish()
    assert one.path.stat().st_uid == world.bob


# TOK-370: the token comes back from the store of descriptors, and is watched again.
@pytest.mark.parametrize('when', ['before', 'during', 'after'])
def test_bitsd_restarts(world, helped, when):
    one = helped(BOTH, stall_after=MIB).in_flight()
    if when == 'before':
        one.end_token()
        world.restart('bitsd')
    elif when == 'during':
        world.playground.kill('bitsd', signal.SIGKILL)
        one.end_token()
        world.playground.wait_restarted('bitsd')
    else:
        world.restart('bitsd')
        world.manager().job(one.job.id).wait('transferring')
        one.end_token()
    one.job = world.manager().job(one.job.id)
    one.job.wait('error')
    assert one.job.error().code == E_TOKEN_REQUIRED
    wait_no_worker_of(world, world.bob)
    world.server.release(world.path_of(one.url))
    one.refresh()
    one.finish()


def open_descriptors(world):
    [pid] = world.playground.pids('bitsd')
    return len(os.listdir(f'/proc/{pid}/fd'))


# TOK-372
def test_many_at_once_cost_nobody_else(world, helped):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    job = world.start(url, world.vault(world.carol) / 'a', uid=world.carol)
    world.server.wait_stalled(world.path_of(url))
    before = open_descriptors(world)
    many = [helped(bus.NETWORK) for _ in range(TOKENS)]
    shared = [helped(bus.NETWORK, token=many[0].token.dup()) for _ in range(5)]
    begin = time.monotonic()
    for one in many:
        one.end_token()
    for one in many + shared:
        bus.poll_until(lambda one=one: one.job.helper_sid() == '', 'the token to be let go')
    assert time.monotonic() - begin < 20
    bus.poll_until(lambda: open_descriptors(world) <= before + 5, 'the descriptors to be closed')
    world.server.release(world.path_of(url))
    job.wait('transferred')
    assert job.complete() == 0
    assert len(world.server.seen(world.path_of(url))) == 1
