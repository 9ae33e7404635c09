"""Uploads and their replies, over the bus, to a BITS server that keeps the rules and one that does not.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import signal

import pytest

import bus
from bits_server import (APPLICATION, FRAGMENT_MOST, SESSION_NOT_FOUND, TOO_LARGE, BitsServer, Failure,
                         Refused)
from conftest import temporary_files

MIB = 1 << 20
LOCAL_FILE, REMOTE_FILE, REMOTE_APPLICATION = 4, 5, 7
E_LOCAL_FILE_CHANGED, E_INVALID_SERVER_RESPONSE = 0x8020001D, 0x8020001B
E_PROTOCOL_MISMATCH, E_ACCESS_DENIED = 0x80200022, 0x80070005
E_FILE_NOT_FOUND = 0x80070002


@pytest.fixture
def server(tmp_path):
    server = BitsServer(tmp_path / 'www')
    server.file('in').mkdir()
    yield server
    server.close()
    assert server.breaches == []


def refused(call, *arguments):
    with pytest.raises(bus.BusError) as caught:
        call(*arguments)
    return caught.value.short


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
    content = os.urandom(40 * MIB)
    job = upload(world, server, content)
    job.resume()
    finish(job, server, content)
    sizes = [s.range[1] - s.range[0] + 1 for s in server.seen if s.range]
    assert sizes[0] == MIB and max(sizes) > 4 * MIB and max(sizes) <= FRAGMENT_MOST
    assert sum(sizes) == len(content)


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


# NET-132
def test_fragment_that_cannot_shrink_any_more(world, server):
    server.most_fragment = 1000
    job = upload(world, server, os.urandom(40_000))
    job.resume()
    job.wait('error')
    assert job.error()[:2] == (REMOTE_FILE, 0x8019019D)
    assert min(s.range[1] - s.range[0] + 1 for s in server.seen if s.range) == 5 * 1024


# JOB-120
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
    server.failures.append(Failure('Fragment', drop_after=100_000, times=2))
    job = upload(world, server, content)
    job.resume()
    job.wait('transient-error')
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
            bus.poll_until(lambda: stored(world, job, 'upload_closing') == 1, 'the intention to be stored')
            world.restart('bitsd')
            job.bus.wait_owner()
        else:
            world.playground.kill(then, signal.SIGKILL)
        server.release()
    finish(job, server, content)
    assert server.count('Create-Session') == 1 and server.count('Close-Session') == 2


# UPL-132
def test_server_that_forgets_every_session(world, server):
    server.failures.append(Failure('Fragment', lose_session=True, times=100))
    job = upload(world, server, b'x' * 100)
    job.resume()
    job.wait('transient-error')
    assert job.error()[:2] == (REMOTE_FILE, SESSION_NOT_FOUND)
    assert server.count('Create-Session') == 6


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
def test_source_that_changes_while_it_is_sent(world, server):
    path = source(world, os.urandom(3 * MIB))
    server.failures.append(Failure('Fragment', headers={}, times=1))
    server.failures.append(Failure('Fragment', hang=True))
    server.application = None
    job = upload(world, server, None, path=path)
    job.resume()
    server.wait_for('Fragment', 2)
    os.truncate(path, MIB + 1)
    server.release()
    job.wait('error', 'transient-error')
    if job.state == 'transient-error':      # the connection was cut; the next look finds it
        job.resume()
        job.wait('error')
    assert job.error()[:2] == (LOCAL_FILE, E_LOCAL_FILE_CHANGED)
    assert not server.file('in/file').exists()


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
