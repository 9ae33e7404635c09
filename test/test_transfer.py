"""A download from CreateJob to Complete, over the bus, against nginx and a server that misbehaves.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import signal

import pytest

import bus
from conftest import offset, temporary_files

MIB = 1 << 20


def finish(job, *expected):
    """Complete after the job is transferred; every (path, bytes) must be there, nothing else."""
    job.wait('transferred')
    assert job.complete() == 0
    directories = set()
    for path, content in expected:
        assert path.read_bytes() == content
        directories.add(path.parent)
    for directory in directories:
        assert temporary_files(directory) == []


def resume_until_transferred(job, attempts=5):
    """A user who presses "resume" at each error."""
    for _ in range(attempts):
        if job.wait('transferred', 'transient-error', 'error') == 'transferred':
            return
        job.resume()
    job.wait('transferred')


# JOB-20, JOB-21, JOB-22
@pytest.mark.parametrize('scheme', ['http', 'https'])
def test_file_arrives_identical_and_only_at_complete(world, nginx, scheme):
    content = os.urandom(3 * MIB + 17)
    url = nginx.publish('source.bin', content, modified=1_600_000_000, scheme=scheme)
    job = world.manager().create('nightly')
    target = world.vault() / 'copy.bin'
    job.add(url, target)
    assert job.state == 'suspended'
    job.resume()
    job.wait('transferred')
    assert not target.exists()
    [temporary] = temporary_files(target.parent)
    assert temporary.name.startswith('.copy.bin.bits-')
    assert job.files()[0].temporary == str(temporary)
    assert job.complete() == 0
    assert target.read_bytes() == content
    assert int(target.stat().st_mtime) == 1_600_000_000
    assert target.stat().st_uid == world.alice
    assert os.listdir(target.parent) == ['copy.bin']


# JOB-23
def test_progress_never_goes_back_and_ends_at_the_total(world):
    size = 2 * MIB
    url = world.put(size, rate=2 * MIB, stall_after=MIB)
    job = world.manager().create()
    job.add(url, world.vault() / 'a')
    job.resume()
    seen = []

    def look():
        seen.append(job.progress)
        return job.state == 'transferred'
    job.wait_until(lambda: look() or seen[-1].transferred == MIB)
    world.server.release(world.path_of(url))
    job.wait_until(look)
    assert job.progress == (size, size, 1, 1)
    amounts = [p.transferred for p in seen]
    assert amounts == sorted(amounts)
    assert any(0 < amount < size for amount in amounts), 'no progress was to be seen on the way'
    assert all(p.total in (size, bus.SIZE_UNKNOWN) for p in seen)


# JOB-24
def test_each_file_is_announced_once_and_before_the_job(world):
    manager = world.manager()
    job = manager.create()
    vault = world.vault()
    job.set('NotifyFlags', 0x13)
    job.add_all([(world.put(1000), vault / f'f{n}') for n in range(5)])
    job.resume()
    manager.bus.wait_signal(lambda s: s.member == 'JobTransferred' and s.path == job.path)
    news = [s for s in manager.bus.signals
            if s.path == job.path and s.member in ('FileTransferred', 'JobTransferred')]
    assert sorted(s.body[0] for s in news[:-1]) == [0, 1, 2, 3, 4]
    assert [s.member for s in news].count('JobTransferred') == 1
    assert job.state == 'transferred'


# JOB-80
@pytest.mark.parametrize('flags, told', [(3, {'JobTransferred'}), (0x11, {'FileTransferred', 'JobTransferred'}),
                                         (2, set()), (0x17, set())])
def test_flags_choose_the_news(world, flags, told):
    manager = world.manager()
    job = manager.create()
    assert job.get('NotifyFlags') == 3
    job.set('NotifyFlags', flags)
    job.add(world.put(1000), world.vault() / 'a')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0      # its answer comes after whatever was told before
    assert {s.member for s in manager.bus.signals if s.path == job.path} - {'Changed'} == told


# JOB-25
def test_every_change_of_state_can_be_seen_without_asking(world):
    manager = world.manager()
    url = world.put(100_000, stall_after=50_000)
    job = manager.create()
    job.add(url, world.vault() / 'a')
    mark = len(manager.bus.signals)
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    manager.bus.wait_signal(lambda s: s.path == job.path and s.member == 'Changed', mark)
    job.wait('transferring')
    mark = len(manager.bus.signals)
    job.suspend()
    manager.bus.wait_signal(lambda s: s.path == job.path and s.member == 'Changed', mark)


# JOB-26, DUR-10
def test_suspend_keeps_the_bytes_and_resume_asks_for_the_rest(world):
    size, stall = 3 * MIB, 2 * MIB
    url = world.put(size, stall_after=stall, times=1)
    target = world.vault() / 'big'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred >= MIB)
    job.suspend()
    assert job.state == 'suspended'
    assert job.progress.transferred >= MIB
    job.resume()
    job.wait('transferred')
    first, second = world.server.seen(world.path_of(url))
    assert 'range' not in first.headers
    assert MIB <= offset(second) <= stall
    assert second.headers['if-range'] == world.resource(url).etag_of(1)
    assert second.status == 206
    finish(job, (target, world.bytes(url)))


# JOB-27
def test_cancel_removes_what_was_there(world):
    url = world.put(MIB, stall_after=MIB // 2)
    target = world.vault() / 'big'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    bus.poll_until(lambda: temporary_files(target.parent), 'the temporary file')
    assert job.cancel() == 0
    assert os.listdir(target.parent) == []
    assert job.id not in [j['Id'] for j in world.manager().list()]
    with pytest.raises(bus.BusError):
        world.manager().job(job.id)


# JOB-28
def test_cancel_after_transfer_removes_all_files(world):
    vault = world.vault()
    job = world.manager().create()
    job.add_all([(world.put(1000), vault / f'f{n}') for n in range(10)])
    job.resume()
    job.wait('transferred')
    assert len(temporary_files(vault)) == 10
    assert job.cancel() == 0
    assert os.listdir(vault) == []


# JOB-29
@pytest.mark.parametrize('hops', [1, 5])
def test_redirects_are_followed(world, hops):
    url = world.put(MIB)
    content = world.bytes(url)
    for _ in range(hops):
        url = world.put(0, status=302, location=url)
    target = world.vault() / 'a'
    finish(world.start(url, target), (target, content))


# JOB-30
@pytest.mark.parametrize('location', ['loop', 'file:///etc/passwd', 'ftp://127.0.0.1/a',
                                      'gopher://127.0.0.1/a', 'http://', '//'])
def test_redirects_to_nowhere_end_the_job(world, location):
    url = world.put(0, status=302, location=location)
    if location == 'loop':
        world.resource(url).location = url
    vault = world.vault()
    job = world.start(url, vault / 'a', no_progress_timeout=0)
    job.wait('error')
    assert job.error().context in (bus.CONTEXT_REMOTE_FILE, 6)
    assert job.error().code & 0x80000000
    job.cancel()
    assert os.listdir(vault) == []


# JOB-31, DUR-11
@pytest.mark.parametrize('validator', ['etag', 'last-modified'])
def test_cut_transfer_goes_on_with_the_same_version(world, validator):
    fields = {'etag': {}, 'last-modified': {'etag': ''}}[validator]
    url = world.put(2 * MIB, cut_after=MIB, times=1, **fields)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error')
    job.resume()
    job.wait('transferred')
    first, second = world.server.seen(world.path_of(url))
    if validator == 'etag':      # a date is no strong validator: the answer's is compared instead
        assert second.headers['if-range'] == world.resource(url).etag_of(1)
    assert second.status == 206
    assert second.headers['range'] == f'bytes={first.sent}-'
    finish(job, (target, world.bytes(url)))


# JOB-32, DUR-12
@pytest.mark.parametrize('validator', ['etag', 'last-modified'])
def test_other_version_starts_from_zero(world, validator):
    fields = {'etag': {'last_modified': False}, 'last-modified': {'etag': ''}}[validator]
    url = world.put(2 * MIB, cut_after=MIB, times=1, change_at=2, **fields)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error')
    job.resume()
    job.wait('transferred')
    assert job.progress == (2 * MIB, 2 * MIB, 1, 1)
    finish(job, (target, world.bytes(url, version=2)))


# JOB-33
def test_other_version_of_one_file_leaves_the_finished_ones_alone(world):
    good = world.put(MIB)
    url = world.put(2 * MIB, cut_after=MIB, times=1, change_at=2)
    vault = world.vault()
    job = world.start(good, vault / 'good')
    job.wait('transferred')
    job.add(url, vault / 'changing')
    job.resume()
    job.wait('transient-error')
    job.resume()
    job.wait('transferred')
    assert len(world.server.seen(world.path_of(good))) == 1
    finish(job, (vault / 'good', world.bytes(good)), (vault / 'changing', world.bytes(url, 2)))


# JOB-34
@pytest.mark.parametrize('fields', [{'ranges': False}, {'etag': '', 'last_modified': False},
                                    {'etag': 'weak', 'last_modified': False},
                                    {'framing': 'chunked'}, {'head': False}],
                         ids=['no-ranges', 'no-validators', 'weak-etag', 'chunked', 'no-head'])
def test_cut_transfer_of_a_poor_server_ends_identical(world, fields):
    url = world.put(2 * MIB, cut_after=MIB, times=1, **fields)
    target = world.vault() / 'a'
    job = world.start(url, target)
    resume_until_transferred(job)
    for request in world.server.seen(world.path_of(url)):
        assert not request.headers.get('if-range', '').startswith('W/')
        if fields.get('etag') == '' and not fields.get('last_modified', True):
            assert 'range' not in request.headers, 'nothing proves that it is the same version'
    finish(job, (target, world.bytes(url)))


# JOB-35
@pytest.mark.parametrize('framing', ['chunked', 'close'])
@pytest.mark.parametrize('size', [0, 1, 300_000])
def test_answers_without_length(world, framing, size):
    url = world.put(size, framing=framing)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transferred')
    assert job.progress == (size, size, 1, 1)
    finish(job, (target, world.bytes(url)))


# JOB-36
def test_total_is_unknown_until_the_end_of_an_answer_without_length(world):
    url = world.put(100_000, framing='chunked', stall_after=50_000)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred > 0)
    assert job.progress.total == bus.SIZE_UNKNOWN
    world.server.release(world.path_of(url))
    finish(job, (target, world.bytes(url)))


# JOB-37
def test_server_that_promises_more_than_it_sends_is_not_believed(world):
    url = world.put(MIB, length_lie=1000, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error')
    assert not target.exists()
    resume_until_transferred(job)
    finish(job, (target, world.bytes(url)))


# JOB-37
def test_nothing_beyond_the_promised_length_reaches_the_file(world):
    url = world.put(100_000, length_lie=-1000)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transferred')
    finish(job, (target, world.bytes(url)[:-1000]))


# JOB-38, DUR-13
@pytest.mark.parametrize('lie', [4096, -4096])
def test_range_at_the_wrong_place_never_reaches_the_file(world, lie):
    url = world.put(2 * MIB, cut_after=MIB // 2, range_lie=lie, times=2)
    target = world.vault() / 'a'
    job = world.start(url, target)
    resume_until_transferred(job)
    finish(job, (target, world.bytes(url)))


# JOB-39
def test_unsatisfiable_range_is_overcome(world):
    url = world.put(MIB, cut_after=MIB // 2)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error')
    world.server.put(world.path_of(url), MIB, status=416, times=1)
    job.resume()
    resume_until_transferred(job)
    finish(job, (target, world.bytes(url)))


# JOB-40
@pytest.mark.parametrize('raw', ['\x00\x01nonsense\r\n\r\n', 'HTTP/1.1 xyz\r\n\r\n',
                                 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello',
                                 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx',
                                 'HTTP/1.1 200 OK\r\nX: ' + 'a' * 2_000_000 + '\r\n\r\n',
                                 'HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\n\r\nabcd'],
                         ids=['garbage', 'status', 'negative', 'huge-length', 'huge-header',
                              'unasked-206'])
def test_broken_answers_are_errors_and_a_later_good_one_is_taken(world, raw):
    url = world.put(1000, raw=raw, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    job.wait('transient-error', 'error')
    assert job.error().context in (bus.CONTEXT_REMOTE_FILE, 6)
    job.resume()
    finish(job, (target, world.bytes(url)))


# JOB-41
def test_connection_reset_is_overcome(world):
    url = world.put(2 * MIB, cut_after=MIB, reset=True, times=2)
    target = world.vault() / 'a'
    job = world.start(url, target)
    resume_until_transferred(job)
    finish(job, (target, world.bytes(url)))


# JOB-42
def test_empty_file(world):
    url = world.put(0)
    target = world.vault() / 'empty'
    job = world.start(url, target)
    job.wait('transferred')
    assert job.progress == (0, 0, 1, 1)
    finish(job, (target, b''))


# JOB-43
def test_two_hundred_files(world):
    vault = world.vault()
    urls = [world.put(4096 + n) for n in range(200)]
    job = world.manager().create()
    job.add_all([(url, vault / f'f{n}') for n, url in enumerate(urls)])
    assert len(job.files()) == 200
    job.resume()
    job.wait('transferred')
    assert job.progress.files_transferred == 200
    finish(job, *[(vault / f'f{n}', world.bytes(url)) for n, url in enumerate(urls)])
    assert len(os.listdir(vault)) == 200


# JOB-44
def test_existing_file_is_replaced_at_complete_and_whole(world):
    url = world.put(MIB)
    target = world.vault() / 'a'
    target.write_bytes(b'old')
    os.chown(target, world.alice, -1)
    with open(target, 'rb') as before:
        job = world.start(url, target)
        job.wait('transferred')
        assert target.read_bytes() == b'old'
        finish(job, (target, world.bytes(url)))
        assert before.read() == b'old'   # a reader of the old file is not disturbed


# JOB-45
def test_destination_that_is_a_link_is_replaced_not_followed(world):
    vault = world.vault()
    (vault / 'precious').write_bytes(b'precious')
    (vault / 'link').symlink_to(vault / 'precious')
    url = world.put(1000)
    job = world.manager().create()
    try:
        job.add(url, vault / 'link')
    except bus.BusError:
        job.cancel()
    else:
        job.resume()
        if job.wait('transferred', 'error') == 'transferred':
            job.complete()
            assert (vault / 'link').read_bytes() == world.bytes(url)
            assert not (vault / 'link').is_symlink()
    assert (vault / 'precious').read_bytes() == b'precious'


# JOB-46
def test_complete_in_the_middle_keeps_finished_files(world):
    vault = world.vault()
    good, stalling = world.put(1000), world.put(MIB, stall_after=1000)
    job = world.manager().create()
    job.add_all([(good, vault / 'good'), (stalling, vault / 'half')])
    job.resume()
    job.wait_until(lambda: job.progress.files_transferred == 1)
    world.server.wait_stalled(world.path_of(stalling))
    assert job.complete() == bus.PARTIAL_COMPLETE
    assert os.listdir(vault) == ['good']
    assert (vault / 'good').read_bytes() == world.bytes(good)


# JOB-47
def test_files_added_after_the_transfer_are_fetched_by_resume(world):
    vault = world.vault()
    first, second = world.put(1000), world.put(2000)
    job = world.start(first, vault / 'first')
    job.wait('transferred')
    job.add(second, vault / 'second')
    job.resume()
    job.wait_until(lambda: job.progress.files_transferred == 2 and job.state == 'transferred')
    assert len(world.server.seen(world.path_of(first))) == 1
    finish(job, (vault / 'first', world.bytes(first)), (vault / 'second', world.bytes(second)))


# JOB-48
def test_one_background_job_at_a_time(world):
    slow, other = world.put(MIB, stall_after=1000), world.put(1000)
    vault = world.vault()
    first = world.start(slow, vault / 'first')
    world.server.wait_stalled(world.path_of(slow))
    second = world.start(other, vault / 'second')
    assert second.state == 'queued'
    world.server.release(world.path_of(slow))
    first.wait('transferred')
    second.wait('transferred')
    [request] = world.server.seen(world.path_of(other))
    log = world.server.requests
    assert log.index(request) > log.index(world.server.seen(world.path_of(slow))[0])
    assert request.time > world.server.seen(world.path_of(slow))[0].time


# JOB-49
def test_higher_priority_goes_first(world):
    slow, urgent = world.put(MIB, stall_after=MIB // 2, times=1), world.put(1000)
    vault = world.vault()
    low = world.start(slow, vault / 'low', Priority='low')
    world.server.wait_stalled(world.path_of(slow))
    high = world.start(urgent, vault / 'high', Priority='high')
    high.wait('transferred')       # although the low one has not moved and would not end
    low.wait('transferred')
    assert high.complete() == 0
    finish(low, (vault / 'low', world.bytes(slow)), (vault / 'high', world.bytes(urgent)))


# JOB-50
def test_foreground_jobs_run_together_and_beside_a_background_job(world):
    vault = world.vault()
    urls = [world.put(MIB, stall_after=1000) for _ in range(3)]
    jobs = [world.start(url, vault / str(n), Priority='normal' if n == 0 else 'foreground')
            for n, url in enumerate(urls)]
    for url in urls:
        world.server.wait_stalled(world.path_of(url))
    for url, job in zip(urls, jobs):
        world.server.release(world.path_of(url))
    for job in jobs:
        job.wait('transferred')


# JOB-51
def test_priority_can_be_changed_while_waiting(world):
    slow, other = world.put(MIB, stall_after=1000), world.put(1000)
    vault = world.vault()
    world.start(slow, vault / 'slow')
    world.server.wait_stalled(world.path_of(slow))
    waiting = world.start(other, vault / 'waiting')
    assert waiting.state == 'queued'
    waiting.set('Priority', 'foreground')
    waiting.wait('transferred')


# JOB-52, DUR-14
def test_suspended_job_survives_a_restart_of_the_manager_with_its_bytes(world):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred == MIB)
    job.suspend()
    bus.poll_until(lambda: world.kept(job) == MIB, 'the bytes to be synced')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'suspended'
    assert job.progress.transferred == MIB
    job.resume()
    job.wait('transferred')
    assert offset(world.server.seen(world.path_of(url))[1]) == MIB
    finish(job, (target, world.bytes(url)))


# JOB-53
@pytest.mark.parametrize('victim', ['bitsd', 'bits-broker', 'bits-net', 'bits-file'])
def test_running_job_survives_the_death_of(world, victim):
    url = world.put(2 * MIB, stall_after=MIB, times=1)
    target = world.vault() / 'a'
    job = world.start(url, target)
    world.server.wait_stalled(world.path_of(url))
    job.wait_until(lambda: job.progress.transferred > 0)
    if victim in ('bitsd', 'bits-broker'):
        world.restart(victim)
    else:
        world.playground.kill(victim, signal.SIGKILL)
    world.server.release(world.path_of(url))
    job = world.manager().job(job.id)
    if victim != 'bitsd':
        job.resume()    # does not wait for the retry delay
    job.wait('transferred')
    finish(job, (target, world.bytes(url)))


# JOB-54
def test_times(world):
    url = world.put(1000)
    job = world.manager().create()
    created, modified, completed = job.get('Times')
    assert created > 1_600_000_000_000_000 and completed == 0
    job.add(url, world.vault() / 'a')
    job.resume()
    job.wait('transferred')
    again, modified, completed = job.get('Times')
    assert again == created
    assert created <= completed <= modified


# JOB-404
@pytest.mark.parametrize('by', ['nothing', 'another file'])
def test_temporary_file_that_is_lost_before_complete_can_be_fetched_again(world, by):
    url, vault = world.put(1000), world.vault()
    job = world.start(url, vault / 'a')
    job.wait('transferred')
    temporary, = temporary_files(vault)
    temporary.unlink()
    if by == 'another file':
        temporary.write_bytes(b'something else')
        os.chown(temporary, world.alice, -1)
    with pytest.raises(bus.BusError, match='NoSuchFile.*resume to fetch it again'):
        job.complete()
    assert job.state == 'transferred'
    job.file().call('SetValidationState', 'b', False)
    job.resume()
    job.wait_until(lambda: job.state == 'transferred' and job.progress.files_transferred == 1)
    assert job.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)


# JOB-405
@pytest.mark.parametrize('end', ['Cancel', 'Complete'])
def test_temporary_files_that_cannot_be_removed_are_named_in_the_log(world, end):
    vault, closed = world.vault(), world.vault()
    job = world.manager().create()
    job.add(world.put(1000), vault / 'a')
    job.add(world.put(100_000, stall_after=10), closed / 'b')
    job.resume()
    job.wait_until(lambda: job.progress.files_transferred == 1 and temporary_files(closed))
    closed.chmod(0o500)
    try:
        assert job.call(end) == 0x0020001A      # BG_S_UNABLE_TO_DELETE_FILES
    finally:
        closed.chmod(0o700)
    assert job.state == {'Cancel': 'cancelled', 'Complete': 'acknowledged'}[end]
    left, = temporary_files(closed)
    assert f'cannot remove {left}: Permission denied' in world.logs()
    assert os.listdir(vault) == ([] if end == 'Cancel' else ['a'])


# JOB-400
def test_progress_is_a_modification(world):
    # Its last byte does not come: it is under way for as long as somebody looks.
    job = world.start(world.put(8 * MIB, rate=MIB, stall_after=8 * MIB - 1), world.vault() / 'a')
    job.wait_until(lambda: job.progress.transferred > 0)
    earlier, before = job.get('Times')[1], job.progress.transferred
    job.wait_until(lambda: job.progress.transferred > before)
    assert job.state == 'transferring' and job.get('Times')[1] > earlier
    job.cancel()


# JOB-55
def test_properties_are_kept_over_a_restart(world):
    job = world.manager().create('first', Priority='low', Description='of the report')
    job.set('DisplayName', 'Überschrift')
    job.set('MinimumRetryDelay', 7)
    job.set('NoProgressTimeout', 1234)
    world.restart('bitsd')
    job = world.manager().job(job.id)
    found = job.get_all()
    assert (found['DisplayName'], found['Description'], found['Priority'],
            found['MinimumRetryDelay'], found['NoProgressTimeout']) == (
        'Überschrift', 'of the report', 'low', 7, 1234)
    assert found['Type'] == 'download' and found['State'] == 'suspended'


# JOB-56
def test_minimum_retry_delay_is_raised_to_five_seconds(world):
    job = world.manager().create()
    assert job.get('MinimumRetryDelay') == 600
    assert job.get('NoProgressTimeout') == 1_209_600
    job.set('MinimumRetryDelay', 0)
    assert job.get('MinimumRetryDelay') == 5


# JOB-57
def test_calls_by_state(world):
    job = world.manager().create()
    with pytest.raises(bus.BusError) as caught:
        job.resume()
    assert caught.value.short == 'Empty'
    job.suspend()
    url = world.put(1000)
    job.add(url, world.vault() / 'a')
    job.resume()
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert job.state == 'acknowledged'
    for call in (job.resume, job.suspend, job.cancel, job.complete,
                 lambda: job.add(url, world.vault() / 'b'), lambda: job.set('DisplayName', 'x')):
        with pytest.raises(bus.BusError) as caught:
            call()
        assert caught.value.short == 'InvalidState'


# JOB-58
def test_two_jobs_with_the_same_destination_do_not_mix(world):
    vault = world.vault()
    one, two = world.put(MIB), world.put(MIB)
    first, second = world.start(one, vault / 'a'), world.start(two, vault / 'a')
    first.wait('transferred')
    second.wait('transferred')
    first.complete()
    assert (vault / 'a').read_bytes() == world.bytes(one)
    second.complete()
    assert (vault / 'a').read_bytes() == world.bytes(two)


# JOB-59
def test_manager_describes_itself(world):
    manager = world.manager()
    assert manager.get('Version')
    assert manager.get('Mode') == ('system' if world.root else 'user')
    assert os.path.exists(manager.get('TokenSocket'))
    assert 'token' in manager.call('GetErrorDescription', 'us', 0x80200056, '').lower()
