"""Times of jobs, and what they wait for, in the running service. The rules themselves are tested in
src/core, with the time as an argument.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

MAXDOWNLOAD_TIMEOUT = 0x80200054
SIZE = 2_000_000


# JOB-223
def test_maximum_download_time_ends_a_job(world):
    url = world.put(SIZE, stall_after=SIZE // 2)
    job = world.manager().create('job')
    assert job.get('MaximumDownloadTime') == 7776000
    job.set('MaximumDownloadTime', 1)
    job.add(url, world.vault() / 'a')
    job.resume()
    job.wait('error')
    assert job.error().code == MAXDOWNLOAD_TIMEOUT
    assert job.error().context == 2        # general queue manager
    world.server.release(world.path_of(url))
    job.set('MaximumDownloadTime', 100)
    job.resume()
    job.wait('transferred')
    job.set('MaximumDownloadTime', 0)
    assert job.get('MaximumDownloadTime') == 7776000


# ENG-220, ENG-223, JOB-225
def test_retry_goes_on_over_a_restart(world):
    began = time.time()
    job = world.start(world.put(1000, status=503), world.vault() / 'a')
    job.wait('transient-error')
    before = job.get('NextAttempt')
    assert 590 < before / 1e6 - time.time() < 670
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'transient-error'
    assert job.get('WaitingFor') == 'retry'
    # The service's absence does not count, nor what a crash lets it forget of its clock: that was
    # noted with the job, if a second had passed since it was noted before.
    assert -0.5 < job.get('NextAttempt') / 1e6 - before / 1e6 < time.time() - began + 1


# ENG-220: the time without progress is over although half of it was before the restart.
def test_patience_goes_on_over_a_restart(world):
    url = world.put(1000, status=503)
    job = world.manager().create('job')
    job.set('MinimumRetryDelay', 5)
    job.set('NoProgressTimeout', 9)
    job.add(url, world.vault() / 'a')
    job.resume()
    world.server.wait_requests(world.path_of(url), 2)      # the second is five seconds after the first
    job.wait('transient-error')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    job.wait('error')
    assert len(world.server.seen(world.path_of(url))) == 2  # anew, it would have asked again


# JOB-224
def test_waiting_is_told_as_a_word(world):
    url = world.put(SIZE, stall_after=SIZE // 2)
    first = world.start(url, world.vault() / 'a')
    world.server.wait_stalled(world.path_of(url))
    second = world.start(world.put(10), world.vault() / 'b')
    assert second.get('WaitingFor') == 'turn'
    assert second.get('WaitReason') == 'waits for its turn'
    assert first.get('WaitingFor') == ''
    assert first.get('NextAttempt') == 0
    world.server.release(world.path_of(url))
    second.wait('transferred')
    assert second.get('WaitingFor') == ''
