"""How long helper tokens live: over the death of each daemon where the service manager keeps
descriptors, and no longer than that.

The playground's supervisor has such a store, as systemd has. Users who sign off need a login
manager: test_machine.py.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import signal
import socket

import pytest

import bus

MIB = 1 << 20
E_TOKEN_REQUIRED = 0x80200056
BOTH = bus.LOCAL_FILE | bus.NETWORK


@pytest.fixture
def world(root_world):
    return root_world


def stored(world, name):
    """What the service manager keeps of that daemon."""
    return world.playground.ask(do='status')['services'][name]['stored']


def kept_tokens(world, name):
    return sorted({entry for entry in stored(world, name) if entry.startswith('token-')})


def helped_job(world, flags=BOTH, token=None, **fields):
    """A job of alice that bob's token helps; not resumed."""
    vault = world.vault(world.bob if flags & bus.LOCAL_FILE else world.alice)
    url = world.put(3 * MIB, **fields)
    job = world.manager().create()
    fd = world.token(world.bob) if token is None else token
    job.set_helper_token(fd)
    if token is None:
        os.close(fd)
    job.set_helper_flags(flags)
    job.add(url, vault / 'a')
    return job, url, vault / 'a'


def in_flight(world, **fields):
    job, url, path = helped_job(world, stall_after=MIB, times=1, **fields)
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB // 2)
    return job, url, path


def finish(world, job, url, path):
    job.wait('transferred')
    assert job.complete() == 0
    assert path.read_bytes() == world.bytes(url)
    assert path.stat().st_uid == world.bob


# OPS-50, OPS-51, TOK-67
@pytest.mark.parametrize('killed', [['bitsd'], ['broker'], ['bitsd', 'broker'],
                                    ['broker', 'bitsd', 'bitsd']])
def test_transfer_with_a_token_survives_the_death_of_daemons(world, killed):
    job, url, path = in_flight(world)
    for name in killed:
        world.restart(name)
    job = world.manager().job(job.id)
    assert (job.helper_sid(), job.helper_flags()) == (f'S-1-22-1-{world.bob}', BOTH)
    finish(world, job, url, path)


# OPS-51, TOK-67
def test_both_daemons_die_at_once(world):
    job, url, path = in_flight(world)
    for name in ('bitsd', 'broker'):
        world.playground.kill(name, signal.SIGKILL)
    for name in ('broker', 'bitsd'):
        world.playground.wait_restarted(name)
    finish(world, world.manager().job(job.id), url, path)


# OPS-50: a descriptor lies in the store once, whoever uses it.
def test_one_token_for_several_jobs(world):
    token = world.token(world.bob)
    jobs = [helped_job(world, token=token) for _ in range(3)]
    os.close(token)
    assert len(kept_tokens(world, 'bitsd')) == 1
    jobs[0][0].clear_helper_token()
    jobs[1][0].cancel()
    world.restart('bitsd')
    assert world.manager().job(jobs[0][0].id).helper_sid() == ''
    job, url, path = jobs[2]
    job = world.manager().job(job.id)
    job.resume()
    finish(world, job, url, path)


# OPS-52
def test_nothing_stays_in_the_store_without_need(world):
    bus.poll_until(lambda: kept_tokens(world, 'bitsd') == kept_tokens(world, 'broker') == [],
                   'the tokens of jobs before to be let go')
    loose = world.token(world.bob)      # serves no job: it may end with the broker
    cleared, _, _ = helped_job(world)
    cancelled, _, _ = helped_job(world)
    replaced, _, _ = helped_job(world)
    done, url, path = helped_job(world)
    assert len(kept_tokens(world, 'bitsd')) == 4
    assert kept_tokens(world, 'bitsd') == kept_tokens(world, 'broker')
    cleared.clear_helper_token()
    cancelled.cancel()
    fd = world.token(world.carol)
    replaced.set_helper_token(fd)
    os.close(fd)
    done.resume()
    finish(world, done, url, path)
    bus.poll_until(lambda: len(kept_tokens(world, 'bitsd')) == 1, 'bitsd to let go of the tokens')
    bus.poll_until(lambda: kept_tokens(world, 'broker') == kept_tokens(world, 'bitsd'),
                   'the broker to let go of the tokens')
    os.close(loose)
    world.restart('bitsd')
    assert world.manager().job(replaced.id).helper_sid() == f'S-1-22-1-{world.carol}'


# TOK-58: whoever holds a copy may end the token; nobody is told while the daemon is down.
def test_token_that_ended_while_the_daemons_were_down(world):
    job, url, path = helped_job(world)
    with socket.socket(fileno=world.token(world.bob)) as token:
        job.set_helper_token(token.fileno())
        world.playground.kill('bitsd', signal.SIGKILL)
        token.shutdown(socket.SHUT_RDWR)
        world.playground.wait_restarted('bitsd')
    job = world.manager().job(job.id)
    assert job.helper_flags() == BOTH
    job.resume()
    job.wait('error')
    assert job.error().code == E_TOKEN_REQUIRED
    fd = world.token(world.bob)
    job.set_helper_token(fd)
    os.close(fd)
    job.resume()
    finish(world, job, url, path)


# ENG-62
def test_without_a_login_manager_everybody_is_signed_on(world):
    assert world.playground.log('bitsd').count('no login manager') >= 1
    job, url, path = helped_job(world)
    job.resume()
    finish(world, job, url, path)


# OPS-53
@pytest.mark.parametrize('killed', ['bitsd', 'broker'])
def test_without_a_store_the_job_says_that_it_needs_a_token(forgetful_world, killed):
    world = forgetful_world
    job, url, path = in_flight(world)
    world.restart(killed)
    job = world.manager().job(job.id)
    job.wait('error')
    assert job.error().code == E_TOKEN_REQUIRED
    assert job.helper_flags() == BOTH
    fd = world.token(world.bob)
    job.set_helper_token(fd)
    os.close(fd)
    job.resume()
    finish(world, job, url, path)
