"""Uploads and their replies, over the bus, to a BITS server that keeps the rules and one that does not.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import signal

import pytest

import bus
from bus import refused
import net_worker
import wire
from bits_server import (APPLICATION, FRAGMENT_MOST, SESSION_NOT_FOUND, TOO_LARGE, BitsServer, Failure,
                         Refused)
from conftest import temporary_files

MIB = 1 << 20
LOCAL_FILE, REMOTE_FILE, REMOTE_APPLICATION = 4, 5, 7
E_LOCAL_FILE_CHANGED, E_INVALID_SERVER_RESPONSE = 0x8020001D, 0x8020001B
E_PROTOCOL_MISMATCH, E_ACCESS_DENIED = 0x80200022, 0x80070005
E_FILE_NOT_FOUND, E_EXECUTE = 0x80070002, 0x80200023


@pytest.fixture
def server(tmp_path):
    server = BitsServer(tmp_path / 'www')
    server.file('in').mkdir()
    yield server
    server.close()
    assert server.breaches == []


def source(world, content, name='source', uid=None, mode=0o600):
    """A file of that user in a directory of his own."""
    uid = world.alice if uid is None else uid
    path = world.vault(uid) / name
    path.write_bytes(content)
    path.chmod(mode)
    if world.root:
        os.chown(path, uid, uid)
    return path


def upload(world, server, content, name='in/file', job_type='upload', path=None, **options):
    job = world.manager().create('up', job_type, **options)
    job.add(server.url(name), path or source(world, content))
    return job


def stored(world, job, column):
    with world.database() as database:
        return database.execute(f'SELECT {column} FROM jobs WHERE id = ?', (job.id,)).fetchone()[0]


def finish(job, server, content, name='in/file'):
    job.wait('transferred')
    assert server.file(name).read_bytes() == content
    assert job.complete() == 0


# ---- the way of a file ----

# UPL-120, NET-120
@pytest.mark.parametrize('move_at', ['last', 'close'])
@pytest.mark.parametrize('size', [1, 5000, 3 * MIB + 17])
def test_file_arrives_identical(world, server, size, move_at):
    content = os.urandom(size)
    server.move_at = move_at
    path = source(world, content, 'a "strange: name.bin')
    job = upload(world, server, content, path=path)
    assert job.progress == (size, 0, 1, 0)
    assert job.files()[0][:3] == (server.url('in/file'), str(path), '')
    job.resume()
    job.wait('transferred')
    assert job.progress == (size, size, 1, 1)
    assert job.files()[0].completed and path.read_bytes() == content
    packets = server.packets()
    assert packets[0] == 'Create-Session' and packets[-1] == 'Close-Session'
    assert set(packets[1:-1]) == {'Fragment'}
    first = server.seen[1].headers
    assert first['content-name'] == 'a _strange_ name.bin'
    assert first['accept-encoding'] == 'identity'
    if size <= MIB:
        assert len(packets) == 3    # a small file goes in one fragment
    assert len({s.peer for s in server.seen}) == 1, 'one connection will do'
    assert server.sessions == {}
    finish(job, server, content)
    assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]


# NET-127
@pytest.mark.parametrize('move_at', ['last', 'close'])
def test_empty_file(world, server, move_at):
    server.move_at = move_at
    job = upload(world, server, b'')
    job.resume()
    finish(job, server, b'')
    assert job.progress == (0, 0, 1, 1)


# NET-128
def test_fragments_grow_with_the_line(world, server):
    path = source(world, b'')
    os.truncate(path, 1024 * MIB)       # a line that is held up now and then has time enough to show what it can
    job = upload(world, server, None, path=path)

    def sizes():
        return [s.range[1] - s.range[0] + 1 for s in server.seen if s.range]
    job.resume()
    bus.poll_until(lambda: max(sizes(), default=0) > 4 * MIB, 'a long fragment')
    job.cancel()
    server.wait_for('Cancel-Session')
    assert sizes()[0] == MIB and max(sizes()) <= FRAGMENT_MOST


# NET-132
@pytest.mark.parametrize('most', [300 * 1024, 5 * 1024])
def test_fragments_shrink_when_they_are_too_large(world, server, most):
    content = os.urandom(700 * 1024 if most > 10_000 else 40 * 1024)
    server.most_fragment = most
    job = upload(world, server, content)
    job.resume()
    finish(job, server, content)
    sizes = [s.range[1] - s.range[0] + 1 for s in server.seen if s.range and s.status == 200]
    assert max(sizes) <= most and sum(sizes) == len(content)
    assert server.count('Fragment', 413) <= 3, 'what was refused once is not tried again'


# NET-132
def test_fragment_that_cannot_shrink_any_more(world, server):
    server.most_fragment = 1000
    job = upload(world, server, os.urandom(40_000))
    job.resume()
    job.wait('error')
    assert job.error()[:2] == (REMOTE_FILE, 0x8019019D)
    assert min(s.range[1] - s.range[0] + 1 for s in server.seen if s.range) == 5 * 1024


# LIM-120, UPL-129, UPL-126
def test_rules_of_the_job(world, server):
    job = world.manager().create('up', 'upload')
    assert refused(job.complete) == 'InvalidState'
    path = source(world, b'x')
    assert refused(job.add_all, [(server.url('in/a'), path), (server.url('in/b'), path)]) == 'TooManyFiles'
    job.add(server.url('in/a'), path)
    assert refused(job.add, server.url('in/b'), path) == 'TooManyFiles'
    assert refused(job.complete) == 'InvalidState'
    assert len(job.files()) == 1
    job.resume()
    job.wait('transferred')
    mark = len(world.manager().bus.signals)
    assert job.complete() == 0
    assert refused(job.resume) == 'InvalidState'
    assert not [s for s in world.manager().bus.signals[:mark] if s.member == 'FileTransferred']


# UPL-131, FIL-120, FIL-121
def test_source_is_looked_at_when_it_is_added(world, server):
    job = world.manager().create('up', 'upload')
    vault = world.vault()
    assert refused(job.add, server.url('in/a'), vault / 'none') == 'NoSuchFile'
    assert refused(job.add, server.url('in/a'), vault) in ('AccessDenied', 'InvalidArgument')
    os.mkfifo(vault / 'fifo')
    (vault / 'link').symlink_to('/etc/passwd')
    for name, why in (('fifo', 'no regular file'), ('link', 'a symbolic link')):
        with pytest.raises(bus.BusError, match=why):
            job.add(server.url('in/a'), vault / name)
    if world.root:
        secret = source(world, b'x', uid=world.bob)
        assert refused(job.add, server.url('in/a'), secret) == 'AccessDenied'
    assert job.files() == []


# What is for downloads only
def test_calls_that_are_for_downloads(world, server):
    job = upload(world, server, b'x')
    path = source(world, b'x')
    with_ranges = world.manager().create('up', 'upload')
    assert refused(with_ranges.call, 'AddFileWithRanges', 'ssa(tt)', server.url('in/a'), str(path),
                   [(0, 1)]) == 'NotImplemented'
    assert refused(job.call, 'ReplaceRemotePrefix', 'ss', 'http://', 'https://') == 'NotImplemented'
    for name, value in (('DynamicContent', ('b', True)), ('OnDemandMode', ('b', True)),
                        ('HighPerformance', ('b', True)), ('MaxDownloadSize', ('t', 5))):
        assert refused(job.set, name, value[1], value[0]) in (
            'PropertySupportedForDownloadJobsOnly', 'NotImplemented'), name
    job.resume()
    finish(job, server, b'x')


# ---- resuming ----

# UPL-124, NET-129
def test_suspend_and_resume_go_on_with_the_session(world, server):
    content = os.urandom(4 * MIB)
    server.failures.append(Failure('Fragment', times=1, status=503))
    job = upload(world, server, content)
    job.resume()
    job.wait('transient-error')
    job.suspend()
    assert job.state == 'suspended'
    server.failures.append(Failure('Close-Session', hang=True))
    job.resume()
    server.wait_for('Close-Session')
    bus.poll_until(lambda: job.progress.transferred == len(content), 'all to be acknowledged')
    job.suspend()
    server.wait_left('Close-Session')
    server.release()
    job.resume()
    finish(job, server, content)
    assert server.count('Create-Session') == 1
    assert server.count('Ping') == 2, 'a session that is gone on with begins with a ping'


# UPL-127, NET-129
@pytest.mark.parametrize('victim', ['bitsd', 'broker', 'bits-net', 'bits-file'])
def test_killed_in_the_middle(world, server, victim):
    content = os.urandom(8 * MIB)
    job = upload(world, server, content)
    server.failures += [Failure('Fragment', times=1, headers={}), Failure('Fragment', hang=True)]
    job.resume()
    server.wait_for('Fragment', 2)
    bus.poll_until(lambda: job.progress.transferred >= MIB, 'the first fragment to count')
    if victim in ('bitsd', 'broker'):
        world.restart(victim)
        if victim == 'bitsd':
            job.bus.wait_owner()
    else:
        world.playground.kill(victim, signal.SIGKILL)
    server.release()
    finish(job, server, content)
    assert server.count('Create-Session') == 1
    if victim != 'bitsd':       # whose notes may be a second old: the server sets it right
        assert all(s.range[0] > 0 for s in server.seen[2:] if s.range), 'nothing is sent from zero again'


# NET-129: the answer is lost, not the fragment
def test_lost_acknowledgement_is_made_up_for(world, server):
    content = os.urandom(3 * MIB)
    server.failures.append(Failure('Fragment', drop_answer=True))
    job = upload(world, server, content)
    job.resume()
    finish(job, server, content)
    assert server.count('Fragment', 416) == 1


# NET-129
def test_connection_cut_within_a_fragment(world, server):
    content = os.urandom(3 * MIB)
    server.failures.append(Failure('Fragment', drop_after=100_000))
    job = upload(world, server, content)
    job.resume()
    # libcurl may have tried once more by itself
    if job.wait('transient-error', 'transferred') == 'transient-error':
        assert job.error()[:2] == (REMOTE_FILE, 0x80072EFE)
        job.resume()
    finish(job, server, content)
    assert server.count('Create-Session') == 1


# UPL-132
@pytest.mark.parametrize('packet', ['Fragment', 'Close-Session'])
def test_lost_session_begins_anew(world, server, packet):
    content = os.urandom(2 * MIB)
    server.failures.append(Failure(packet, lose_session=True))
    job = upload(world, server, content)
    job.resume()
    finish(job, server, content)
    assert server.count('Create-Session') == 2


# UPL-132
@pytest.mark.parametrize('then', ['', 'bits-net', 'bitsd'])
def test_session_that_was_closed_is_not_missed(world, server, then):
    content = os.urandom(10_000)
    server.move_at = 'close'
    server.failures.append(Failure('Close-Session', drop_answer=not then, hang_after=bool(then)))
    job = upload(world, server, content)
    job.resume()
    if then:
        server.wait_for('Close-Session')
        bus.poll_until(lambda: not server.sessions, 'the session to be closed')
        if then == 'bitsd':
            assert stored(world, job, 'upload_closing') == 1
            world.restart('bitsd')
            job.bus.wait_owner()
        else:
            world.playground.kill(then, signal.SIGKILL)
        server.release()
    finish(job, server, content)
    assert server.count('Create-Session') == 1 and server.count('Close-Session') == 2


# UPL-390
@pytest.mark.parametrize('move_at', ['last', 'close'])
@pytest.mark.parametrize('job_type', ['upload', 'upload-reply'])
def test_file_is_sent_once_whenever_the_service_dies(world, server, job_type, move_at):
    """Between the server's answers and their storing: nothing that the server cannot know twice is
    asked of it before the service has stored that it is."""
    content = os.urandom(10_000)
    server.move_at = move_at
    server.application = lambda url, data: b'reply' if job_type == 'upload-reply' else None
    server.failures.append(Failure('Fragment', hang_after=True))
    job = upload(world, server, content, job_type=job_type)
    job.resume()
    server.wait_for('Fragment')
    bus.poll_until(lambda: stored(world, job, 'upload_session'), 'the session to be stored')
    bitsd, = world.playground.pids('bitsd')
    os.kill(bitsd, signal.SIGSTOP)
    server.release()
    with contextlib.suppress(bus.Timeout):      # what must not happen has half a second to happen
        bus.poll_until(lambda: server.count('Close-Session'), 'Close-Session', timeout=0.5)
    world.restart('bitsd')
    job.bus.wait_owner()
    server.released.clear()
    server.failures.append(Failure('Close-Session', hang_after=True))
    server.wait_for('Close-Session')
    world.restart('bitsd')
    job.bus.wait_owner(other_than=bitsd)
    server.release()
    finish(job, server, content)
    assert server.count('Create-Session') == 1


# UPL-132
def test_server_that_forgets_every_session(world, server):
    server.failures.append(Failure('Fragment', lose_session=True, times=100))
    job = upload(world, server, b'x' * 100)
    job.resume()
    job.wait('transient-error')
    assert job.error()[:2] == (REMOTE_FILE, SESSION_NOT_FOUND)
    assert server.count('Create-Session') == 6


# UPL-420
def test_server_that_forgets_every_session_at_its_end(world, server):
    """That its word was never good does not make it good at the next try."""
    server.failures.append(Failure('Close-Session', lose_session=True, times=100))
    job = upload(world, server, b'x' * 100)
    job.resume()
    job.wait('transient-error')
    assert job.error()[:2] == (REMOTE_FILE, SESSION_NOT_FOUND)
    assert stored(world, job, 'upload_session') == ''
    server.failures.clear()
    job.resume()
    finish(job, server, b'x' * 100)
    assert server.count('Create-Session') == 7


# NET-422
@pytest.mark.parametrize('packet, failure, words', [
    ('Create-Session', dict(status=307), 'follows no redirect'),
    ('Fragment', dict(status=500, error=0x80070070), 'disk is full'),
    ('Fragment', dict(status=500, error=0x80070112), 'disk is full'),
])
def test_refusals_in_words(world, server, packet, failure, words):
    server.failures.append(Failure(packet, **failure))
    job = upload(world, server, b'x' * 100)
    job.resume()
    job.wait('error', 'transient-error')
    assert words in job.error().text


# ---- the source ----

# UPL-128, NET-124
@pytest.mark.parametrize('change', ['append', 'touch', 'cut'])
def test_source_that_changes(world, server, change):
    path = source(world, os.urandom(3 * MIB))
    server.failures.append(Failure('Fragment', status=503))
    job = upload(world, server, None, path=path)
    job.resume()
    job.wait('transient-error')
    if change == 'append':
        with path.open('ab') as file:
            file.write(b'more')
    elif change == 'touch':
        os.utime(path, (1, 1))
    else:
        os.truncate(path, 1000)
    job.resume()
    job.wait('error')
    error = job.error()
    assert error[:2] == (LOCAL_FILE, E_LOCAL_FILE_CHANGED) and error.local_name == str(path)
    job.resume()
    job.wait('error')
    assert refused(job.complete) == 'InvalidState'


# NET-124
@pytest.mark.parametrize('change', ['append', 'cut'])
@pytest.mark.parametrize('number', [2, 3])      # the last but one fragment, and the last
def test_source_that_changes_while_it_is_sent(world, server, change, number):
    path = source(world, os.urandom(4 * MIB))
    server.failures += [Failure('Fragment', headers={})] * (number - 1) + [Failure('Fragment', pause=True)]
    job = upload(world, server, None, path=path)
    job.resume()
    server.wait_for('Fragment', number)
    if change == 'append':
        with path.open('ab') as file:
            file.write(b'more')
    else:
        os.truncate(path, 100)
    server.release()
    job.wait('error', 'transient-error')
    assert job.state == 'error' and job.error()[:2] == (LOCAL_FILE, E_LOCAL_FILE_CHANGED)
    assert server.count('Close-Session') == 0


# UPL-130
def test_source_is_never_touched(world, server):
    for end in ('cancel', 'complete'):
        path = source(world, b'precious')
        before = path.stat()
        job = upload(world, server, None, path=path)
        if end == 'complete':
            job.resume()
            job.wait('transferred')
        assert getattr(job, end)() == 0
        after = path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert path.read_bytes() == b'precious'


# ---- what servers say ----

# NET-130, NET-131
@pytest.mark.parametrize('packet, failure, code, context, fatal', [
    ('Create-Session', dict(status=404), 0x80190194, REMOTE_FILE, True),
    ('Create-Session', dict(status=501, error=E_ACCESS_DENIED), E_ACCESS_DENIED, REMOTE_FILE, True),
    ('Create-Session', dict(status=409), E_ACCESS_DENIED, REMOTE_FILE, True),
    ('Create-Session', dict(status=403, error=E_EXECUTE), E_EXECUTE, REMOTE_FILE, True),
    ('Create-Session', dict(status=302), 0x8019012E, REMOTE_FILE, True),
    ('Create-Session', dict(status=503), 0x801901F7, REMOTE_FILE, False),
    ('Create-Session', dict(headers={'BITS-Protocol': '{0}'}), E_PROTOCOL_MISMATCH, REMOTE_FILE, True),
    ('Create-Session', dict(without=('BITS-Session-Id',)), E_INVALID_SERVER_RESPONSE, REMOTE_FILE, True),
    ('Create-Session', dict(without=('BITS-Packet-Type',)), E_INVALID_SERVER_RESPONSE, REMOTE_FILE, True),
    ('Fragment', dict(headers={'BITS-Received-Content-Range': '99999999'}), E_INVALID_SERVER_RESPONSE,
     REMOTE_FILE, True),
    ('Fragment', dict(without=('BITS-Received-Content-Range',)), E_INVALID_SERVER_RESPONSE, REMOTE_FILE, True),
    ('Fragment', dict(headers={'BITS-Received-Content-Range': '0'}, times=100), E_INVALID_SERVER_RESPONSE,
     REMOTE_FILE, True),
    ('Fragment', dict(status=500, error=TOO_LARGE), TOO_LARGE, REMOTE_FILE, True),
    ('Fragment', dict(status=500, error=0x80070112), 0x801901F4, REMOTE_FILE, False),
    ('Fragment', dict(status=403, context=APPLICATION), 0x80190193, REMOTE_APPLICATION, True),
    ('Fragment', dict(status=409, context=APPLICATION), 0x80190199, REMOTE_APPLICATION, False),
    ('Fragment', dict(status=500, context=APPLICATION), 0x801901F4, REMOTE_APPLICATION, False),
    ('Fragment', dict(status=501, context=APPLICATION), 0x801901F5, REMOTE_APPLICATION, True),
    ('Close-Session', dict(status=500), 0x801901F4, REMOTE_FILE, False),
    ('Close-Session', dict(status=404), 0x80190194, REMOTE_FILE, True),
])
def test_refusals(world, server, packet, failure, code, context, fatal):
    server.failures.append(Failure(packet, **failure))
    job = upload(world, server, b'x' * 100)
    job.resume()
    assert job.wait('error', 'transient-error') == ('error' if fatal else 'transient-error')
    assert job.error()[:2] == (context, code)
    assert job.error().text
    server.failures.clear()
    job.resume()
    if packet != 'Fragment' or 'headers' not in failure:
        finish(job, server, b'x' * 100)


# NET-131
def test_file_that_may_not_be_replaced(world, server):
    server.overwrite = False
    server.file('in/file').write_bytes(b'old')
    job = upload(world, server, b'new')
    job.resume()
    job.wait('error')
    assert job.error().code == E_ACCESS_DENIED and 'exists' in job.error().text
    assert server.file('in/file').read_bytes() == b'old'


# ---- replies ----

def reply_job(world, server, content=b'question', reply=b'answer', **options):
    server.application = lambda url, data: reply(data) if callable(reply) else reply
    return upload(world, server, content, job_type='upload-reply', **options)


# UPL-120, UPL-121, UPL-123, UPL-129, UPL-137
@pytest.mark.parametrize('size', [0, 10, 1 << 20])
def test_reply_arrives_with_complete(world, server, size):
    answer = os.urandom(size)
    path = source(world, b'question' * 1000)
    job = reply_job(world, server, None, answer, path=path)
    assert job.reply_file_name().startswith(f'{path}.reply-')
    target = world.vault() / 'the reply'
    job.set_reply_file_name(target)
    assert job.reply_progress() == (bus.SIZE_UNKNOWN, 0)
    assert refused(job.reply_data) == 'InvalidState'
    job.set('NotifyFlags', 0x11)
    job.resume()
    job.wait('transferred')
    assert server.packets() == ['Create-Session', 'Fragment', 'GET', 'Close-Session']
    assert job.progress == (8000, 8000, 1, 1) and len(job.files()) == 1
    assert job.reply_progress() == (size, size)
    assert job.reply_data() == answer
    assert not target.exists() and len(temporary_files(target.parent)) == 1
    assert refused(job.set_reply_file_name, target) == 'InvalidState'
    handle = bus.Job(world.handle(job.query_interface()), job.path)
    assert job.complete() == 0
    assert target.read_bytes() == answer and os.listdir(target.parent) == [target.name]
    assert target.stat().st_uid == world.alice
    assert handle.reply_data() == answer and handle.reply_file_name() == str(target)
    assert [s.body for s in world.manager().bus.signals
            if s.member == 'FileTransferred' and s.path == job.path] == [(1,)]
    assert server.file('in/file').read_bytes() == b'question' * 1000


# UPL-121
def test_names_of_replies(world, server):
    plain = world.manager().create('up', 'upload')
    for call in (plain.reply_file_name, plain.reply_progress, plain.reply_data):
        assert refused(call) == 'NotImplemented'
    assert refused(plain.set_reply_file_name, '') == 'NotImplemented'
    job = world.manager().create('up', 'upload-reply')
    assert job.reply_file_name() == ''
    job.set_reply_file_name('')
    assert job.reply_file_name() == ''
    assert refused(job.set_reply_file_name, 'relative') == 'InvalidArgument'
    assert refused(job.set_reply_file_name, '/nowhere/at/all') == 'PathNotFound'
    if world.root:
        assert refused(job.set_reply_file_name, world.vault(world.bob) / 'x') == 'AccessDenied'
    path = source(world, b'x')
    job.add(server.url('in/file'), path)
    automatic = job.reply_file_name()
    assert automatic.startswith(f'{path}.reply-')
    job.set_reply_file_name(path.parent / 'mine')
    world.restart('bitsd')
    job.bus.wait_owner()
    assert job.reply_file_name() == str(path.parent / 'mine')
    job.set_reply_file_name('')
    assert job.reply_file_name().startswith(f'{path}.reply-')


# UPL-123
def test_reply_that_is_too_large_for_a_message(world, server):
    job = reply_job(world, server, reply=bytes(MIB + 1))
    job.resume()
    job.wait('transferred')
    with pytest.raises(bus.BusError, match='1048577 bytes') as caught:
        job.reply_data()
    assert caught.value.short == 'TooLarge'
    assert job.reply_progress() == (MIB + 1, MIB + 1)


# UPL-125
@pytest.mark.parametrize('url', [None, 'ftp://127.0.0.1/x', 'http://[nonsense', '\\' * 3000])
def test_reply_that_cannot_be_fetched(world, server, url):
    if url:
        server.reply_url = lambda *_: url
    job = reply_job(world, server, reply=b'x' if url else None)
    job.resume()
    job.wait('error')
    assert job.error()[:2] == (REMOTE_FILE, E_INVALID_SERVER_RESPONSE)
    assert job.reply_progress() == (bus.SIZE_UNKNOWN, 0)


# UPL-138: which half failed, and how it goes on
def test_reply_that_fails_is_fetched_again(world, server):
    answer = os.urandom(3 * MIB)
    server.failures.append(Failure('GET', drop_after=2 * MIB))
    job = reply_job(world, server, reply=answer)
    job.resume()
    job.wait('transient-error')
    assert job.error().context == REMOTE_FILE and job.reply_progress()[0] == 3 * MIB
    assert job.error().local_name == job.reply_file_name()
    job.resume()
    job.wait('transferred')
    assert server.count('Create-Session') == 1 and server.count('GET') == 2
    name = job.reply_file_name()
    assert job.complete() == 0
    with open(name, 'rb') as file:
        assert file.read() == answer


# UPL-138
def test_application_that_fails_is_asked_again(world, server):
    answers = [Refused(500, 0, APPLICATION), Refused(409, 0, APPLICATION)]

    def application(_url, data):
        if answers:
            raise answers.pop()
        return data[::-1]
    job = reply_job(world, server, b'abc')
    server.application = application
    for _ in range(2):
        job.resume()
        job.wait('transient-error')
        assert job.error().context == REMOTE_APPLICATION
        assert job.reply_progress() == (bus.SIZE_UNKNOWN, 0)
    job.resume()
    job.wait('transferred')
    assert job.reply_data() == b'cba'
    assert server.count('Create-Session') == 1


# UPL-138
@pytest.mark.parametrize('victim', ['bitsd', 'bits-net', 'bits-file'])
def test_killed_while_the_reply_comes(world, server, victim):
    answer = os.urandom(3 * MIB)
    server.failures.append(Failure('GET', hang=True))
    job = reply_job(world, server, reply=answer)
    job.resume()
    server.wait_for('GET')
    if victim == 'bitsd':
        world.restart(victim)
        job.bus.wait_owner()
    else:
        world.playground.kill(victim, signal.SIGKILL)
    server.release()
    job.wait('transferred')
    name = job.reply_file_name()
    assert job.complete() == 0
    with open(name, 'rb') as file:
        assert file.read() == answer


# ---- giving up ----

# UPL-135
@pytest.mark.parametrize('job_type', ['upload', 'upload-reply'])
def test_cancel_tells_the_server(world, server, job_type):
    server.application = (lambda *_: b'reply') if job_type == 'upload-reply' else None
    server.failures += [Failure('Fragment', headers={}), Failure('Fragment', hang=True)]
    job = upload(world, server, os.urandom(3 * MIB), job_type=job_type)
    job.resume()
    server.wait_for('Fragment', 2)
    assert job.cancel() == 0
    server.wait_for('Cancel-Session')
    bus.poll_until(lambda: not server.sessions, 'the session to be gone')
    bus.poll_until(lambda: rows(world, job) == 0, 'the job to leave the store')
    assert world.manager().list() == [] or job.id not in [j['Id'] for j in world.manager().list()]


def rows(world, job):
    with world.database() as database:
        return database.execute('SELECT count(*) FROM jobs WHERE id = ?', (job.id,)).fetchone()[0]


# UPL-135, UPL-133
@pytest.mark.parametrize('restart', [False, True])
def test_cancel_is_tried_again(world, server, restart):
    server.failures += [Failure('Fragment', headers={}), Failure('Fragment', status=503)]
    job = upload(world, server, os.urandom(3 * MIB))
    job.set('MinimumRetryDelay', 5)
    job.resume()
    job.wait('transient-error')
    server.failures.append(Failure('Cancel-Session', status=503, times=1))
    assert job.cancel() == 0
    server.wait_for('Cancel-Session')
    assert refused(job.resume) in ('NotFound', 'UnknownObject', 'InvalidState')
    if restart:
        bus.poll_until(lambda: rows(world, job) == 1, 'the session to be remembered')
        world.restart('bitsd')
        world.connections.clear()
    server.wait_for('Cancel-Session', 2)
    bus.poll_until(lambda: not server.sessions and rows(world, job) == 0, 'the session to be forgotten')


# UPL-133: the server does not know it, or refuses: nothing is left to do
@pytest.mark.parametrize('failure', [dict(lose_session=True), dict(status=403), dict(status=404)])
def test_cancel_that_is_answered_is_over(world, server, failure):
    server.failures += [Failure('Fragment', headers={}), Failure('Fragment', status=503)]
    job = upload(world, server, os.urandom(3 * MIB))
    job.resume()
    job.wait('transient-error')
    server.failures.append(Failure('Cancel-Session', **failure))
    assert job.cancel() == 0
    bus.poll_until(lambda: rows(world, job) == 0, 'the job to leave the store')
    assert server.count('Cancel-Session') == 1


# UPL-135: nothing was begun, or all is over
def test_cancel_without_a_session_asks_nobody(world, server):
    job = upload(world, server, b'x')
    assert job.cancel() == 0
    job = upload(world, server, b'x')
    job.resume()
    job.wait('transferred')
    assert job.cancel() == 0
    assert server.count('Cancel-Session') == 0 and server.file('in/file').exists()


# ---- other hosts ----

# NET-121, UPL-134
def test_host_that_the_server_names(world, server):
    server.host_id, server.host_fallback = 'localhost', 3600
    job = upload(world, server, os.urandom(2 * MIB))
    job.resume()
    job.wait('transferred')
    assert server.packets()[:3] == ['Create-Session', 'Ping', 'Fragment']
    hosts = [s.headers['host'] for s in server.seen]
    assert hosts[0] == f'127.0.0.1:{server.port}'
    assert set(hosts[1:]) == {f'localhost:{server.port}'}


# NET-424, NET-420
def test_each_host_has_to_ask_for_a_user(world, server):
    """In the first request to a host nobody is shown, whoever was shown to another before."""
    server.demanding, server.host_id = True, 'localhost'
    content = os.urandom(MIB + 1)
    job = world.manager().create('up', 'upload')
    job.add(server.url('in/file').replace('//', '//paul:secret@'), source(world, content))
    job.resume()
    finish(job, server, content)
    shown = [(s.headers['host'].split(':')[0], 'authorization' in s.headers) for s in server.seen]
    assert shown[:4] == [('127.0.0.1', False), ('127.0.0.1', True), ('localhost', False), ('localhost', True)]
    assert all(who == ('localhost', True) for who in shown[4:])


# UPL-134
def test_host_that_is_not_there(world, server):
    content = os.urandom(MIB)
    server.host_id, server.host_fallback = '127.9.9.9', 0
    job = upload(world, server, content)
    job.resume()
    job.wait('transient-error')
    assert job.error()[:2] == (REMOTE_FILE, 0x80072EFD)
    job.resume()
    finish(job, server, content)
    assert server.count('Create-Session') == 1
    assert {s.headers['host'] for s in server.seen} == {f'127.0.0.1:{server.port}'}


# ---- who does it ----

def socket_uid(port):
    """The user of the local socket with that port that is connected, as the kernel knows it."""
    with open('/proc/net/tcp') as table:
        for line in table.readlines()[1:]:
            fields = line.split()
            if int(fields[1].split(':')[1], 16) == port and fields[3] == '01':
                return int(fields[7])
    raise AssertionError(f'no connection from port {port}')


# TOK-120
@pytest.mark.parametrize('flags', [0, bus.LOCAL_FILE, bus.NETWORK, bus.LOCAL_FILE | bus.NETWORK])
@pytest.mark.parametrize('with_token', [True, False])
def test_flags_decide_who_reads_and_who_connects(root_world, server, flags, with_token):
    world = root_world
    reader = world.bob if flags & bus.LOCAL_FILE else world.alice
    connector = world.bob if flags & bus.NETWORK else world.alice
    content, vault = os.urandom(2 * MIB), world.vault(reader)
    path = source(world, content, uid=reader)       # nobody else may read it
    job = world.manager().create('up', 'upload-reply')
    server.application = lambda *_: b'reply'
    if with_token or flags & bus.LOCAL_FILE:
        world.set_token(job, world.bob)
    job.set_helper_flags(flags)
    other = source(world, b'x', uid=world.alice if reader == world.bob else world.bob)
    assert refused(job.add, server.url('in/file'), other) == 'AccessDenied'
    job.add(server.url('in/file'), path)
    job.set_reply_file_name(vault / 'reply')
    if not with_token:
        job.clear_helper_token()
    server.failures.append(Failure('Fragment', hang=True))
    job.resume()
    if flags and not with_token:
        job.wait('error')
        assert job.error().code == 0x80200056 and server.seen == []
        if flags & bus.LOCAL_FILE:
            assert refused(job.set_reply_file_name, vault / 'x') == 'TokenRequired'
        return
    server.wait_for('Fragment')
    assert socket_uid(server.seen[-1].peer[1]) == connector
    server.release()
    resume_until_transferred(job)
    assert job.complete() == 0
    assert (vault / 'reply').stat().st_uid == reader
    assert (vault / 'reply').read_bytes() == b'reply'
    assert server.file('in/file').read_bytes() == content


def resume_until_transferred(job):
    while job.wait('transferred', 'transient-error') != 'transferred':
        job.resume()


# UPL-136
@pytest.mark.parametrize('lost', [False, True])
def test_cancel_is_told_by_whom_the_upload_was(root_world, server, lost):
    world = root_world
    job = upload(world, server, os.urandom(3 * MIB))
    world.set_token(job, world.bob)
    job.set_helper_flags(bus.NETWORK)
    server.failures += [Failure('Fragment', headers={}), Failure('Fragment', status=503)]
    job.resume()
    job.wait('transient-error')
    if lost:
        job.clear_helper_token()
    server.failures.append(Failure('Cancel-Session', hang=True))
    assert job.cancel() == 0
    if lost:        # by nobody, and not by the owner
        bus.poll_until(lambda: rows(world, job) == 0, 'the job to leave the store')
        assert server.count('Cancel-Session') == 0
        return
    server.wait_for('Cancel-Session')
    assert socket_uid(server.seen[-1].peer[1]) == world.bob
    server.release()


# SEC-121
def test_reply_is_not_for_everybody(root_world, server):
    world = root_world
    job = reply_job(world, server)
    job.resume()
    job.wait('transferred')
    stranger = bus.Job(world.connect(world.bob), job.path)
    for call in (stranger.reply_data, stranger.reply_file_name, stranger.reply_progress):
        assert refused(call) in ('NotFound', 'UnknownObject', 'UnknownMethod')


# ---- time ----

# NET-125
@pytest.mark.parametrize('packet', ['Create-Session', 'Fragment'])
def test_server_that_does_not_answer(tmp_path, server, packet):
    server.failures.append(Failure(packet, hang=True))
    path = tmp_path / 'source'
    path.write_bytes(b'x' * 100_000)
    fields = {field: {'STR': '', 'FDS': []}.get(kind, 0) for kind, field in wire.FIELDS['NET_UPLOAD']}
    with net_worker.Worker(OPENBITS_NET_STALL_SECONDS='1') as worker, open(path, 'rb') as file:
        worker.channel.send('NET_UPLOAD', 0, **{
            **fields, 'transfer': 1, 'url': server.url('in/file'), 'total': 100_000,
            'content_name': 'a', 'host_fallback': 2 ** 32 - 1, 'file': file.fileno(),
            'modification_time': path.stat().st_mtime_ns})
        while (message := worker.channel.receive()).name != 'NET_DONE':
            assert message.name in ('NET_SESSION', 'NET_PROGRESS')
        assert (message.outcome, message.code) == (3, 0x80072EE2)
        server.release()
