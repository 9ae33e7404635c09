"""Remote files that are files of this machine: file:// URLs and absolute paths.

Who opens which half, what arrives, what is refused, and what a share that hangs or changes does.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import errno
import os
import pathlib
import shutil
import socket
import stat
import struct
import subprocess
import tempfile

import pytest

import bus
import test_file_worker
import wire
from share import Share

NOT_FOUND, PATH_NOT_FOUND, DENIED, INVALID = 0x80070002, 0x80070003, 0x80070005, 0x80070057


def publish(world, data=b'content\n' * 1000, uid=None, mode=0o600, name='remote'):
    """A file of that user (alice unless told) in a directory that only he may enter."""
    path = world.vault(uid) / name
    path.write_bytes(data)
    if world.root:
        owner = world.alice if uid is None else uid
        os.chown(path, owner, owner)
    path.chmod(mode)
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    return path


def url(path):
    return f'file://{path}'


def finish(job):
    job.wait('transferred')
    assert job.complete() == 0


@pytest.mark.parametrize('prefix', ['file://', 'FILE://LocalHost', ''])
def test_a_file_arrives_with_its_time(world, prefix):
    """FIL-100, FIL-107, FIL-115"""
    data = os.urandom(3_000_001)
    source, target = publish(world, data), world.vault() / 'local'
    job = world.start(f'{prefix}{source}', str(target))
    job.wait('transferred')
    entry, = job.files()
    assert (entry.total, entry.transferred) == (len(data), len(data))
    assert not target.exists()
    assert job.complete() == 0
    assert target.read_bytes() == data
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_a_url_is_decoded(world):
    """FIL-102"""
    source = publish(world, name='a b?#%ä')
    target = world.vault() / 'local'
    finish(world.start(url(str(source).replace('%', '%25').replace('a b?#', 'a%20b%3f%23')
                           .replace('ä', '%C3%A4')), str(target)))
    assert target.read_bytes() == source.read_bytes()


def test_an_empty_file_and_one_with_holes(world):
    """FIL-107, FIL-108: what is not stored is not stored twice."""
    empty, sparse = publish(world, b''), publish(world, b'begin', name='sparse')
    with sparse.open('r+b') as file:
        file.truncate(300 << 20)
        file.seek(200 << 20)
        file.write(b'middle')
    vault = world.vault()
    job = world.manager().create('job')
    job.add_all([(str(empty), f'{vault}/empty'), (url(sparse), f'{vault}/sparse')])
    job.resume()
    job.wait('transferred')
    assert job.progress.total == 300 << 20
    assert job.complete() == 0
    assert (vault / 'empty').read_bytes() == b''
    result = vault / 'sparse'
    assert result.stat().st_size == 300 << 20
    assert result.stat().st_blocks * 512 < 8 << 20
    with result.open('rb') as file:
        assert file.read(10) == b'begin' + bytes(5)
        file.seek(200 << 20)
        assert file.read(10) == b'middle' + bytes(4)


def test_a_job_may_have_both_kinds(world):
    """FIL-100"""
    web, vault = world.put(100_000), world.vault()
    source = publish(world)
    job = world.manager().create('job')
    job.add_all([(web, f'{vault}/web'), (url(source), f'{vault}/file')])
    job.resume()
    finish(job)
    assert (vault / 'web').read_bytes() == world.bytes(web)
    assert (vault / 'file').read_bytes() == source.read_bytes()


@pytest.mark.parametrize('name, says', [
    ('file://server/share/a', 'mount the share'),
    ('\\\\server\\share\\a', 'mount the share'),
    ('file:///srv/../etc/shadow', '".."'),
    ('file:///srv/%2e%2e/etc/shadow', '".."'),
    ('file:///srv/a%00', 'control character'),
    ('file:///proc/self/environ', '/proc'),
    ('/dev/sda', '/dev'),
    ('file:///srv/', 'name a file'),
])
def test_bad_names_are_refused_at_once(world, name, says):
    """FIL-101, FIL-102, FIL-103"""
    job = world.manager().create('job')
    with pytest.raises(bus.BusError) as refused:
        job.add(name, f'{world.vault()}/a')
    assert refused.value.short == 'InvalidArgument'
    assert says in refused.value.text
    assert job.files() == []


# ---- who ----

# flags: (who reads the remote file, who writes the local one)
WHO = {0: 'owner owner', bus.LOCAL_FILE: 'owner helper', bus.NETWORK: 'helper owner',
       bus.LOCAL_FILE | bus.NETWORK: 'helper helper'}


def with_helper(world, flags, token=True):
    job = world.manager().create('job')
    if token:
        fd = world.token(world.bob)
        job.set_helper_token(fd)
        os.close(fd)
    job.set_helper_flags(flags)
    return job


@pytest.mark.parametrize('flags', WHO)
def test_the_flags_say_who_reads_and_who_writes(root_world, flags):
    """FIL-107, TOK-100: source and destination are shut for everybody else."""
    world = root_world
    reader, writer = ({'owner': world.alice, 'helper': world.bob}[who] for who in WHO[flags].split())
    source, vault = publish(world, uid=reader), world.vault(writer)
    job = with_helper(world, flags)
    job.add(url(source), f'{vault}/local')
    job.resume()
    finish(job)
    assert (vault / 'local').read_bytes() == source.read_bytes()
    assert (vault / 'local').stat().st_uid == writer


@pytest.mark.parametrize('flags', WHO)
def test_nobody_else_reads(root_world, flags):
    """TOK-100, FIL-104: the other identity's right to the file is of no use."""
    world = root_world
    reader, writer = ({'owner': world.alice, 'helper': world.bob}[who] for who in WHO[flags].split())
    other = world.alice if reader == world.bob else world.bob
    source, vault = publish(world, uid=other), world.vault(writer)
    job = with_helper(world, flags)
    job.add(url(source), f'{vault}/local')
    job.resume()
    job.wait('error')
    fault = job.error()
    assert (fault.context, fault.code) == (bus.CONTEXT_REMOTE_FILE, DENIED)
    assert list(vault.iterdir()) in ([], [vault / job.files()[0].temporary])


@pytest.mark.parametrize('flags', [bus.LOCAL_FILE, bus.NETWORK, bus.LOCAL_FILE | bus.NETWORK])
def test_without_the_token_nobody_stands_in(root_world, flags):
    """TOK-100"""
    world = root_world
    source, vault = publish(world), world.vault()
    job = with_helper(world, 0, token=False)
    job.add(url(source), f'{vault}/local')
    job.set_helper_flags(flags)
    job.resume()
    job.wait('error')
    assert job.error().code == 0x80200056
    assert not (vault / 'local').exists()


# ---- what is no file ----

def make_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


THINGS = {
    'missing': (lambda path: None, NOT_FOUND, 'No such file'),
    'nowhere/missing': (lambda path: None, PATH_NOT_FOUND, 'directory'),
    'directory': (lambda path: path.mkdir(), INVALID, 'it is a directory'),
    'fifo': (lambda path: os.mkfifo(path), INVALID, 'FIFO'),
    'socket': (make_socket, INVALID, 'socket'),
    'link': (lambda path: path.symlink_to('/etc/passwd'), INVALID, 'symbolic link'),
    'locked': (lambda path: (path.write_bytes(b'x'), path.chmod(0o200)), DENIED, 'denied'),
    'file/under': (lambda path: path.parent.write_bytes(b'x'), PATH_NOT_FOUND, 'directory'),
}


@pytest.mark.parametrize('thing', THINGS)
def test_what_is_no_readable_file_ends_the_job(root_world, thing):
    """FIL-104, FIL-105: at once, and nothing is left behind."""
    world = root_world
    make, code, says = THINGS[thing]
    source, vault = world.vault(0, mode=0o755), world.vault()
    make(source / thing)
    job = world.start(url(source / thing), f'{vault}/local')
    job.wait('error')
    fault = job.error()
    assert (fault.context, fault.code) == (bus.CONTEXT_REMOTE_FILE, code)
    assert says in fault.text
    assert job.cancel() == 0
    assert list(vault.iterdir()) == []


def test_a_device_is_not_opened(root_world):
    """FIL-105"""
    world = root_world
    source = world.vault(0, mode=0o755) / 'device'
    os.mknod(source, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    source.chmod(0o666)
    job = world.start(str(source), f'{world.vault()}/local')
    job.wait('error')
    assert job.error().code == INVALID


def test_links_are_followed_on_the_way(world):
    """FIL-105"""
    source = publish(world)
    link = world.base / 'link'
    link.symlink_to(source.parent)
    target = world.vault() / 'local'
    finish(world.start(url(link / source.name), str(target)))
    assert target.read_bytes() == source.read_bytes()
    os.unlink(link)
    link.symlink_to('/proc/self/cwd')       # the kernel's own links lead past permissions
    job = world.start(url(link / 'etc/passwd'), f'{world.vault()}/local')
    job.wait('error')
    assert job.error().context == bus.CONTEXT_REMOTE_FILE


def test_a_full_disk_is_the_local_files_fault(root_world):
    """FIL-104: and after room was made Resume goes on."""
    world = root_world
    source = publish(world, os.urandom(3 << 20))
    vault = world.vault()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size=1m,mode=700,uid={world.alice}', 'small', vault],
                   check=True)
    try:
        job = world.start(str(source), f'{vault}/local')
        job.wait('error')
        fault = job.error()
        assert (fault.context, fault.code) == (bus.CONTEXT_LOCAL_FILE, 0x80070070)
        subprocess.run(['mount', '-o', 'remount,size=8m', vault], check=True)
        job.resume()
        finish(job)
        assert (vault / 'local').read_bytes() == source.read_bytes()
    finally:
        subprocess.run(['umount', '-l', vault], check=True)


# ---- a share that changes, fails, hangs ----

MIB = 1 << 20


@pytest.fixture
def share(root_world):
    folder = root_world.base / 'share'
    folder.mkdir()
    with Share(folder) as mounted:
        yield mounted


def start_shared(world, share, name='a', size=4 * MIB, hold=MIB, uid=None):
    """A job that has read what lies before `hold`, and waits for the share."""
    file = share.put(name, os.urandom(size))
    file.hold_at(hold)
    target = world.vault(uid) / 'local'
    job = world.start(url(f'{share.folder}/{name}'), str(target), uid=uid)
    file.wait_held()
    return file, job, target


def test_a_stop_keeps_what_was_copied(root_world, share):
    """FIL-106, FIL-110: Suspend is answered between two slices; the same version goes on."""
    file, job, target = start_shared(root_world, share)
    job.suspend()
    file.release()
    job.wait_until(lambda: job.progress.transferred >= MIB, 'the kept bytes')
    kept = job.progress.transferred
    assert kept < 4 * MIB
    file.reads.clear()
    job.resume()
    finish(job)
    assert min(file.reads) == kept
    assert target.read_bytes() == file.data


@pytest.mark.parametrize('grown', [False, True])
def test_a_change_in_the_middle_begins_the_file_again(root_world, share, grown):
    """FIL-106: also one that keeps size and inode."""
    file, job, target = start_shared(root_world, share)
    file.change(os.urandom(4 * MIB + 5 * grown))
    file.release()
    finish(job)
    assert target.read_bytes() == file.data
    assert file.reads.count(0) == 2


def test_a_change_while_it_rests_begins_the_file_again(root_world, share):
    """FIL-106: nothing is added to the bytes of another version."""
    file, job, target = start_shared(root_world, share)
    job.suspend()
    file.release()
    job.wait_until(lambda: job.progress.transferred >= MIB, 'the kept bytes')
    file.change(file.data[::-1])
    job.resume()
    finish(job)
    assert target.read_bytes() == file.data


def test_the_daemons_may_die_in_the_middle(root_world, share):
    """FIL-107"""
    world = root_world
    file, job, target = start_shared(world, share)
    world.restart('bitsd')
    file.release()
    job = world.manager().job(job.id)
    finish(job)
    assert target.read_bytes() == file.data


def test_a_read_error_is_tried_again(root_world, share):
    """FIL-104"""
    file, job, target = start_shared(root_world, share)
    file.fail(errno.EIO)
    job.wait('transient-error')
    fault = job.error()
    assert (fault.context, fault.code) == (bus.CONTEXT_REMOTE_FILE, 0x8007001E)
    file.error = 0
    file.release()
    job.resume()
    finish(job)
    assert target.read_bytes() == file.data


def test_a_share_that_hangs_disturbs_nobody(root_world, share):
    """ENG-100, ENG-101: the owner's other work goes on beside it, other copies after it."""
    world = root_world
    file, job, target = start_shared(world, share)
    web, vault = world.put(10_000), world.vault()
    at_once = {'Priority': ('s', 'foreground')}
    finish(world.start(web, f'{vault}/web', **at_once))
    source = publish(world, uid=world.bob)
    finish(world.start(str(source), f'{world.vault(world.bob)}/local', uid=world.bob, **at_once))
    behind = world.start(str(publish(world)), f'{vault}/behind', **at_once)
    assert behind.state in bus.ACTIVE
    assert job.cancel() == 0             # its process never answers
    finish(behind)
    assert list(target.parent.iterdir()) == []
    assert 'hangs in a remote file' in world.logs()


# ---- owner, group, rights ----

OWNER, GROUP, RIGHTS, AUDIT = 1, 2, 4, 8
ACL = 'system.posix_acl_access'


def access_list(*entries):
    """The kernel's form of (tag, permissions, id) entries."""
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


def put_list(path, uid):
    """user::rw- user:UID:r-- group::r-- mask::rw- other::---"""
    try:
        os.setxattr(path, ACL, access_list((1, 6, 2 ** 32 - 1), (2, 4, uid), (4, 4, 2 ** 32 - 1),
                                           (16, 6, 2 ** 32 - 1), (32, 0, 2 ** 32 - 1)))
    except OSError as error:
        pytest.skip(f'no access lists on {path}: {error}')


def fetch_with(world, flags, source, target, **options):
    job = world.manager().create('job', **options)
    job.set('FileACLFlags', flags)
    job.add(url(source), str(target))
    job.resume()
    return job


@pytest.mark.parametrize('mode', [0o400, 0o751, 0o4755])
def test_permission_bits_are_carried(world, mode):
    """FIL-117, DUR-100: those of the source, not those of the umask; never set-user-ID."""
    source, target = publish(world, mode=mode), world.vault() / 'local'
    job = fetch_with(world, RIGHTS, source, target)
    finish(job)
    assert stat.S_IMODE(target.stat().st_mode) == mode & 0o777
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns


def test_without_flags_the_umask_decides(world):
    """FIL-117"""
    source, target = publish(world, mode=0o751), world.vault() / 'local'
    finish(world.start(url(source), str(target)))
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_an_access_list_is_carried(world):
    """FIL-118"""
    source, target = publish(world), world.vault() / 'local'
    put_list(source, 4711)
    finish(fetch_with(world, RIGHTS, source, target))
    assert os.getxattr(target, ACL) == os.getxattr(source, ACL)
    assert stat.S_IMODE(target.stat().st_mode) == 0o660


def test_a_list_of_the_folder_gives_way(world):
    """FIL-118: a source without a list gives the file none."""
    source, target = publish(world, mode=0o640), world.vault() / 'local'
    put_list(source, 4711)
    default = os.getxattr(source, ACL)
    os.removexattr(source, ACL)
    source.chmod(0o640)
    os.setxattr(target.parent, 'system.posix_acl_default', default)
    finish(fetch_with(world, RIGHTS, source, target))
    assert ACL not in os.listxattr(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_group_of_the_writer_is_carried(root_world):
    """FIL-116"""
    world = root_world
    source, vault = publish(world, uid=world.alice), world.vault(world.bob)
    os.chown(source, world.alice, 4242)
    job = world.manager().create('job')
    fd = world.token(world.bob, groups=(4242,))
    job.set_helper_token(fd)
    os.close(fd)
    job.set_helper_flags(bus.LOCAL_FILE)
    job.set('FileACLFlags', GROUP | RIGHTS | AUDIT)
    job.add(url(source), f'{vault}/local')
    job.resume()
    finish(job)
    result = (vault / 'local').stat()
    assert (result.st_uid, result.st_gid) == (world.bob, 4242)


@pytest.mark.parametrize('flags', [OWNER, GROUP])
def test_what_may_not_be_given_is_tried_again(root_world, flags):
    """FIL-116, FIL-119: and without the wish the file that is there is enough."""
    world = root_world
    source, vault = publish(world, uid=world.bob, mode=0o644), world.vault()
    source.parent.chmod(0o755)
    os.chown(source, world.bob, 4242)
    job = fetch_with(world, flags, source, vault / 'local')
    job.wait('transient-error')
    fault = job.error()
    assert (fault.context, fault.code) == (bus.CONTEXT_LOCAL_FILE, DENIED)
    assert 'FileACLFlags' in fault.text
    assert job.progress.transferred == source.stat().st_size
    job.set('FileACLFlags', 0)
    job.resume()
    finish(job)
    assert (vault / 'local').read_bytes() == source.read_bytes()


def test_the_flags_are_a_property(world):
    """JOB-100"""
    job = world.manager().create('job')
    assert job.get('FileACLFlags') == 0
    for flags in (16, 2 ** 31, 15 + 16):
        with pytest.raises(bus.BusError) as refused:
            job.set('FileACLFlags', flags, 'u')
        assert refused.value.short == 'InvalidArgument'
    assert job.get('FileACLFlags') == 0
    job.set('FileACLFlags', 15, 'u')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.get('FileACLFlags') == 15
    job.add(world.put(1000), f'{world.vault()}/web')      # ignored for http
    job.resume()
    job.wait('transferred')
    with pytest.raises(bus.BusError) as refused:
        job.set('FileACLFlags', 0, 'u')
    assert refused.value.short == 'InvalidState'


def test_rights_are_those_at_the_end(root_world, share):
    """FIL-109"""
    world = root_world
    file = share.put('a', os.urandom(MIB))
    file.hold_at(MIB // 2)
    target = world.vault() / 'local'
    job = fetch_with(world, RIGHTS, f'{share.folder}/a', target)
    file.wait_held()
    file.mode = 0o600
    file.release()
    finish(job)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


# ---- the command ----

def run_bits(world, *arguments, cwd, status=0):
    mode, options = ([], {'uid': world.alice}) if world.root else (['--user'], {})
    result = world.playground.run(['bits', *mode, *map(str, arguments)], cwd=cwd, **options)
    assert result.returncode == status, (result.stdout, result.stderr)
    return result


@pytest.mark.parametrize('form', ['file://{0}', '{0}', '{0.name}', './{0.name}'])
def test_the_command_takes_paths(world, form):
    """CLI-100"""
    source, vault = publish(world, name='a b%20c'), world.vault()
    address = form.format(source)
    if '://' in address:
        address = address.replace('%', '%25').replace(' ', '%20')
    run_bits(world, 'get', address, vault, cwd=source.parent)
    assert (vault / 'a b%20c').read_bytes() == source.read_bytes()
    job = world.manager().create('job')
    run_bits(world, 'add', job.id, address, vault / 'second', cwd=source.parent)
    assert len(job.files()) == 1


def test_the_command_says_what_is_wrong(world):
    """CLI-100"""
    vault = world.vault()
    result = run_bits(world, 'get', f'file://{vault}/missing', 'a', cwd=vault, status=1)
    for part in ('ERROR_FILE_NOT_FOUND', 'remote file', 'No such file', f'file://{vault}/missing'):
        assert part in result.stderr
    result = run_bits(world, 'get', 'file://server/a', 'a', cwd=vault, status=1)
    assert 'mount the share' in result.stderr


# ---- bits-file itself ----

@pytest.fixture
def copier():
    """A bits-file, and the channel to it."""
    with test_file_worker.Worker() as worker:
        worker.hello()
        channel = wire.Channel(worker.channel)
        channel.pid = worker.process.pid
        yield channel


def start(channel, path, target, number=1, offset=0, version=''):
    channel.send('COPY_START', serial=number, transfer=number, path=str(path), offset=offset,
                 version=version, limit=2 ** 64 - 1, file=target.fileno())


def until(channel, *names):
    while True:
        message = channel.receive()
        if message.name in names:
            return message
        assert message.name == 'NET_PROGRESS'


@pytest.mark.parametrize('there', ['/tmp', '/dev/shm'])
def test_content_goes_from_file_to_file(copier, tmp_path, there):
    """FIL-107: within a file system and between two; what an earlier life left behind is cut off."""
    source = tmp_path / 'source'
    source.write_bytes(os.urandom(5 * MIB + 1))
    with tempfile.NamedTemporaryFile(dir=there) as target:
        target.write(source.read_bytes()[:MIB] + bytes(9 * MIB))
        target.flush()
        start(copier, source, target)
        started = until(copier, 'NET_STARTED')
        assert (started.offset, started.total, started.resumable) == (0, 5 * MIB + 1, 1)
        done = until(copier, 'COPY_DONE')
        assert done.written == 5 * MIB + 1
        assert (done.owner, done.group) == (source.stat().st_uid, source.stat().st_gid)
        assert open(target.name, 'rb').read() == source.read_bytes()
        start(copier, source, target, number=2, offset=MIB, version=started.etag)
        assert until(copier, 'NET_STARTED').offset == MIB
        assert until(copier, 'COPY_DONE').written == 5 * MIB + 1
        assert open(target.name, 'rb').read() == source.read_bytes()


@pytest.mark.parametrize('change', ['size', 'time', 'inode'])
def test_another_version_is_told_before_a_byte_is_written(copier, tmp_path, change):
    """FIL-106"""
    source = tmp_path / 'source'
    source.write_bytes(bytes(MIB))
    with tempfile.NamedTemporaryFile() as target:
        start(copier, source, target)
        version = until(copier, 'NET_STARTED').etag
        until(copier, 'COPY_DONE')
        time = source.stat().st_mtime_ns
        if change == 'size':
            source.write_bytes(bytes(MIB + 1))
        elif change == 'inode':
            other = tmp_path / 'other'
            other.write_bytes(bytes(MIB))
            other.rename(source)
        os.utime(source, ns=(time, time + (change == 'time')))
        target.truncate(MIB // 2)
        start(copier, source, target, number=2, offset=MIB // 2, version=version)
        done = until(copier, 'NET_DONE')
        assert (done.outcome, done.written) == (2, MIB // 2)
        assert os.stat(target.name).st_size == MIB // 2


def test_requests_are_answered_while_it_copies(copier, tmp_path):
    """FIL-110: and copies share the process."""
    source = tmp_path / 'source'
    source.write_bytes(bytes(1) + os.urandom(MIB) * 100)
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        with bus.standing_still([copier.pid]):      # or it might be done before it is asked
            start(copier, source, one, 1)
            start(copier, source, other, 2)
            copier.send('FILE_CHECK', serial=3, local_name=str(tmp_path / 'x'))
        names = []
        while names.count('COPY_DONE') < 2:
            names.append(copier.receive().name)
        assert names.index('FILE_RESULT') < names.index('COPY_DONE')
        assert names.count('NET_STARTED') == 2
        copier.send('NET_STOP', serial=4, transfer=1)     # crosses the end: no breach
        copier.send('FILE_CHECK', serial=5, local_name=str(tmp_path / 'x'))
        assert copier.receive().serial == 5


@pytest.mark.parametrize('what', ['twice', 'offset', 'no file'])
def test_nonsense_ends_it(copier, tmp_path, what):
    """FIL-31"""
    source = tmp_path / 'source'
    source.write_bytes(os.urandom(MIB) * 64)
    with tempfile.TemporaryFile() as target:
        if what == 'twice':
            with bus.standing_still([copier.pid]):
                start(copier, source, target)
                start(copier, source, target)
        elif what == 'offset':
            start(copier, source, target, offset=2 ** 63)
        else:
            data, _ = wire.pack('COPY_START', 1, transfer=1, path='/a', offset=0, version='', limit=0, file=0)
            copier.send_raw(data[:2] + bytes(2) + data[4:])
        with pytest.raises(EOFError):
            while True:
                assert copier.receive().name in ('NET_STARTED', 'NET_PROGRESS')


def test_a_target_that_cannot_take_it_is_the_local_files_fault(copier, tmp_path):
    """FIL-104: a descriptor for reading, one that is no file; a list that is none."""
    source = tmp_path / 'source'
    source.write_bytes(bytes(10))
    with open(source, 'rb') as readable:
        start(copier, source, readable)
        done = until(copier, 'NET_DONE')
        assert (done.outcome, done.context) == (3, bus.CONTEXT_LOCAL_FILE)
    read, write = os.pipe()
    with open(write, 'wb') as pipe:
        start(copier, source, pipe, 2)
        done = until(copier, 'NET_DONE')
        assert (done.outcome, done.context, done.code) == (3, bus.CONTEXT_LOCAL_FILE, INVALID)
    os.close(read)
    start_list = wire.pack('FILE_ATTRIBUTES', 9, flags=4, modification_time=0, modification_nsec=0,
                           owner=0, group=0, mode=0o600, acl='xyz', file=0)[0]
    with tempfile.TemporaryFile() as target:
        copier.send_raw(start_list, [target.fileno()])
        assert copier.receive().error == errno.EBADMSG


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_the_copier_acts_as_its_user(tmp_path):
    """FIL-107: it reads what he may read, and writes the descriptor that it was handed."""
    folder = pathlib.Path(tempfile.mkdtemp(dir='/tmp'))
    folder.chmod(0o711)
    try:
        for name, uid in (('his', test_file_worker.USER), ('root', 0)):
            (folder / name).write_bytes(name.encode())
            os.chown(folder / name, uid, uid)
            (folder / name).chmod(0o600)
        with test_file_worker.Worker(user=test_file_worker.USER, group=test_file_worker.USER,
                                     extra_groups=[]) as worker, \
                open(folder / 'target', 'w+b') as target:
            worker.hello()
            channel = wire.Channel(worker.channel)
            start(channel, folder / 'his', target)
            until(channel, 'NET_STARTED')
            until(channel, 'COPY_DONE')
            assert target.read() == b'his'
            start(channel, folder / 'root', target, 2)
            assert until(channel, 'NET_DONE').code == DENIED
    finally:
        shutil.rmtree(folder)
