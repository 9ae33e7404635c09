"""The job store on bad days: databases of earlier versions, unreadable ones, disks that are full,
read-only or broken.

test/store/ keeps a database of each released version, as SQL. Faults of disks are real ones: a
small tmpfs, an ext4 on a loop device that is made read-only, an image that lies sparse on a tmpfs
too small for it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest

import bus
import conftest
from bus import refused
from stores import ALICE, Service, ext4, fill, tmpfs

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get('OPENBITS_BUILD', ROOT / 'build'))
STORES = pathlib.Path(__file__).resolve().parent / 'store'
as_root = pytest.mark.skipif(not conftest.ROOT, reason='needs root: mounts, several identities')


@pytest.fixture
def service(nginx):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-store-'))
    folder.chmod(0o755)
    service = Service(nginx, folder)
    yield service
    service.stop()
    shutil.rmtree(folder, ignore_errors=True)


def build(path, version=1):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript((STORES / f'version-{version}.sql').read_text())


def in_another_boot(path):
    """It was written in another life of the machine than this one, whichever this is."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        assert database.execute("UPDATE facts SET value = ? WHERE key = 'boot'", ('0' * 32,)).rowcount == 1


def rows(path, table):
    """As dictionaries, in order."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f'SELECT * FROM {table} ORDER BY 1, 2')]


# ---- earlier versions ----

def schema_version():
    text = (ROOT / 'src' / 'store' / 'database.c').read_text()
    return int(re.search(r'SCHEMA_VERSION = (\d+)', text)[1])


# DUR-56
def test_a_store_of_every_earlier_version_is_kept():
    assert sorted(path.name for path in STORES.iterdir()) == [
        f'version-{n}.sql' for n in range(1, schema_version())]


# DUR-56
@pytest.mark.parametrize('version', range(1, schema_version()))
def test_store_of_an_earlier_version_keeps_every_value(service, version):
    build(service.database, version)
    in_another_boot(service.database)
    before = {table: rows(service.database, table) for table in ('jobs', 'files')}
    assert len(before['jobs']) >= 6 and len(before['files']) >= 6
    service.start()
    service.stop()
    with contextlib.closing(sqlite3.connect(service.database)) as database:
        assert database.execute('PRAGMA user_version').fetchone() == (schema_version(),)
        assert database.execute('PRAGMA foreign_key_check').fetchall() == []
        tables = [name for name, in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    assert not [name for name in tables if name.startswith('old_')]
    for table, old in before.items():
        new = rows(service.database, table)
        assert len(new) == len(old)
        for one, other in zip(old, new):
            if table == 'files':        # numbers of devices, and bytes that were not synced, end with their boot
                one['written'] = one['kept']
                one['device'] = 0 if one['birth'] else one['device']
            assert {key: other[key] for key in one} == one
    assert list(service.state.glob('*.unreadable*')) == []


# DUR-56
@as_root
def test_jobs_of_the_first_version_are_what_they_were(service):
    build(service.database)
    manager = service.start()
    jobs = {e['DisplayName']: bus.Job(manager.bus, e['Path'], e['Id']) for e in manager.list()}
    assert sorted(jobs) == ['failed', 'helped', 'paused', 'proxies', 'transferred ☃']
    assert [job.state for _, job in sorted(jobs.items())] == [
        'error', 'suspended', 'suspended', 'suspended', 'transferred']
    assert jobs['paused'].get('Description') == 'Ein Text über mehrere\nZeilen'
    assert jobs['paused'].progress.transferred == 300 * 1024
    done = jobs['transferred ☃']
    assert [done.get(name) for name in ('MinimumRetryDelay', 'NoProgressTimeout', 'NotifyFlags')] == [77, 88, 7]
    assert done.get('CredentialCache') == 'FILE:/tmp/krb5cc_test'
    assert jobs['proxies'].call('GetProxySettings') == (
        'override', 'http://proxy.invalid:3128', '<local> *.example.org')
    assert jobs['failed'].error().code == 0x80190194
    assert jobs['helped'].helper_flags() == 3
    assert 'version 1' in service.log()


# ---- unreadable ----

def garbage(service):
    build(service.database)
    with open(service.database, 'r+b') as file:
        file.write(b'\xa5' * 512)


def truncated(service):
    build(service.database)
    os.truncate(service.database, service.database.stat().st_size // 2)


def later(service):
    build(service.database)
    with contextlib.closing(sqlite3.connect(service.database)) as database:
        database.execute('PRAGMA user_version = 4711')


def other_tables(service, version=0):
    with contextlib.closing(sqlite3.connect(service.database)) as database:
        database.executescript(f'CREATE TABLE songs (title TEXT); PRAGMA user_version = {version};')


def half_the_tables(service):
    other_tables(service, schema_version())


def old_but_other_tables(service):
    other_tables(service, 1)


def no_bytes(service):
    service.database.touch()


def no_permission(service):
    build(service.database)
    service.database.chmod(0)


def directory(service):
    service.database.mkdir()
    (service.database / 'a file').write_text('of somebody')


def only_the_log(service):
    (service.state / 'jobs.sqlite-wal').write_bytes(b'commits')


def read(path):
    """The content, also of what even its owner may not read."""
    mode = path.stat().st_mode & 0o777
    if os.access(path, os.R_OK):
        return path.read_bytes()
    path.chmod(0o600)
    data = path.read_bytes()
    path.chmod(mode)
    return data


def snapshot(folder):
    """What is there, by name, to be found again under other names."""
    return {path.name: read(path) if path.is_file() else path.lstat().st_mode
            for path in folder.iterdir()}


BITSD = BUILD / 'src' / 'bitsd' / 'bitsd'


# DUR-394
def test_store_of_a_later_version_is_not_touched(service):
    later(service)
    before = snapshot(service.state)
    ended = subprocess.run(['dbus-run-session', '--', BITSD, '--user', f'--state-directory={service.state}',
                            f'--runtime-directory={service.folder}'], capture_output=True, text=True, timeout=60,
                           check=False)
    assert ended.returncode == 78, ended
    assert 'a later version of bitsd made the job store' in ended.stderr and '4711' in ended.stderr
    after = snapshot(service.state)
    assert {name: after[name] for name in before} == before and not list(service.state.glob('*.unreadable*'))


# DUR-395
def test_second_service_on_the_same_store_is_refused(service):
    job = service.start().create('of the first')
    owner = service.state.stat()
    ended = service.playground.run(
        [str(BITSD), *([] if conftest.ROOT else ['--user']), f'--state-directory={service.state}',
         f'--runtime-directory={service.playground.runtime}/run'],
        **({'uid': owner.st_uid, 'gid': owner.st_gid, 'groups': []} if conftest.ROOT else {}))
    assert ended.returncode == 1 and 'in use' in ended.stderr, ended
    manager = service.manager()
    assert [entry['Id'] for entry in manager.list()] == [job.id]
    job.set('Description', 'it goes on')
    assert not list(service.state.glob('*.unreadable*'))


# DUR-48, DUR-265, OPS-260
@pytest.mark.parametrize('spoil', [garbage, truncated, other_tables, half_the_tables,
                                   old_but_other_tables, no_bytes, no_permission, directory,
                                   only_the_log])
def test_store_that_cannot_be_used_is_set_aside(service, spoil):
    spoil(service)
    before = snapshot(service.state)
    manager = service.start()
    aside = manager.get('StoreSetAside')
    assert re.fullmatch(re.escape(str(service.database)) + r'\.unreadable-\d{8}T\d{6}Z(-wal)?', aside)
    kept = {name.replace(pathlib.Path(aside.removesuffix('-wal')).name, 'jobs.sqlite'): value
            for name, value in snapshot(service.state).items()
            if '.unreadable-' in name and value != b''}     # SQLite's empty log is no loss
    assert kept == {name: value for name, value in before.items() if value != b''}
    assert 'It is kept as ' + aside.removesuffix('-wal') in service.log()
    assert manager.list() == []
    job = manager.create('first of the new store')
    listed = service.playground.run(['bits', 'list'], uid=ALICE if conftest.ROOT else None)
    assert listed.returncode == 0 and job.id[:8] in listed.stdout and aside in listed.stderr
    manager = service.restart()
    assert [entry['Id'] for entry in manager.list()] == [job.id]
    assert manager.get('StoreSetAside') == aside         # until somebody has seen to it
    for path in service.state.glob('*.unreadable-*'):
        path.rename(service.folder / path.name)
    manager = service.restart()
    assert manager.get('StoreSetAside') == ''
    assert [entry['Id'] for entry in manager.list()] == [job.id]


# DUR-480: a backup of the database alone, made while the service was running
@pytest.mark.parametrize('log', ['none', 'empty'])
def test_a_store_without_its_log_is_used_and_said_to_be_old(service, log):
    manager = service.start()
    manager.create('old')
    service.restart(signal.SIGTERM)
    service.manager().create('lost')
    copy = service.folder / 'copy'
    shutil.copyfile(service.database, copy)
    service.stop()
    for path in service.state.glob('jobs.sqlite*'):
        path.unlink()
    copy.rename(service.database)
    if log == 'empty':
        (service.state / 'jobs.sqlite-wal').touch()
    manager = service.start()
    assert [entry['DisplayName'] for entry in manager.list()] == ['old']
    assert 'is gone or empty' in service.log()
    assert manager.get('StoreSetAside') == ''


# DUR-480
def test_store_needs_its_log_only_while_it_is_in_use(service):
    job = service.start().create('kept')
    log = service.state / 'jobs.sqlite-wal'
    assert log.stat().st_size > 0
    assert service.restart().job(job.id)
    service.stop()
    assert not log.exists()
    manager = service.start()
    assert [entry['Id'] for entry in manager.list()] == [job.id]
    assert 'is gone or empty' not in service.log()


# DUR-265
def test_what_was_set_aside_is_never_replaced(service):
    for number in range(3):
        service.database.write_text(f'nonsense {number}' * 100)
        service.start()
        service.stop()
    kept = sorted(path.read_text()[:10] for path in service.state.glob('*.unreadable-*')
                  if path.suffix != '-wal')
    assert kept == ['nonsense 0', 'nonsense 1', 'nonsense 2']


# ---- disks ----

def create_until_refused(manager, most=5000):
    """The jobs that were acknowledged, and the error that came."""
    acknowledged = {}
    for number in range(most):
        try:
            name = f'{number} ' + 'x' * 200
            acknowledged[manager.create(name, Description='y' * 1000).id] = name
        except bus.BusError as error:
            return acknowledged, error
    raise AssertionError('the disk is never full')


# DUR-45, DUR-266, DUR-268
@as_root
def test_full_disk_loses_nothing_acknowledged_and_invents_nothing(service):
    with tmpfs(service.state.parent, '4m'):
        service.state.mkdir()
        manager = service.start()
        root = service.manager(0)
        first = root.create('before')
        filler = service.state.parent / 'filler'
        fill(filler)
        acknowledged, error = create_until_refused(root)
        assert error.short == 'DiskFull' and 'store' in error.text
        acknowledged[first.id] = 'before'
        assert {e['Id'] for e in root.list()} == set(acknowledged), 'a job that was refused is there'
        # What a smaller change finds room for is in the log, where the refused one was to go.
        more, error = create_until_refused(root)
        assert error.short == 'DiskFull'
        acknowledged |= more
        root = service.restart() and service.manager(0)
        assert {e['Id']: e['DisplayName'] for e in root.list()} == acknowledged
        filler.unlink()
        last = root.create('after')
        manager = service.restart()
        root = service.manager(0)
        assert {e['Id'] for e in root.list()} == {*acknowledged, last.id}
        for entry in root.list():
            assert bus.Job(root.bus, entry['Path']).cancel() == 0
        assert manager.get('StoreSetAside') == ''
        service.stop()


# DUR-267, JOB-260
@as_root
def test_file_system_that_turns_read_only(service):
    """As ext4 does it after an error. Nothing is set aside: the store is as good as before."""
    point = service.state.parent
    with ext4(point, service.folder / 'image', 32 << 20):
        service.state.mkdir()
        service.start()
        root = service.manager(0)
        acknowledged = {root.create(f'{n}').id for n in range(5)}
        device = subprocess.run(['findmnt', '-no', 'SOURCE', point], capture_output=True, text=True,
                                check=True).stdout.strip()
        pathlib.Path('/sys/fs/ext4', pathlib.Path(device).name, 'trigger_fs_error').write_text('test')
        subprocess.run(['mount', '-o', 'remount,abort', point], stderr=subprocess.DEVNULL, check=False)
        with pytest.raises(bus.BusError) as caught:
            for n in range(50):
                acknowledged.add(root.create(f'more {n}').id)
        assert caught.value.short in ('WriteProtected', 'WriteFault')
        assert {e['Id'] for e in root.list()} == acknowledged
        service.stop()
        subprocess.run(['umount', point], check=True)
        subprocess.run(['e2fsck', '-fy', service.folder / 'image'], capture_output=True, check=False)
        subprocess.run(['mount', '-o', 'loop', service.folder / 'image', point], check=True)
        service.start()
        root = service.manager(0)
        assert {e['Id'] for e in root.list()} == acknowledged
        assert root.get('StoreSetAside') == ''
        service.stop()


# DUR-267
@as_root
def test_disk_that_cannot_keep_its_promises(service):
    """The file system has room, the device below it has none: writes succeed, syncs fail."""
    point, below = service.state.parent, service.folder / 'below'
    below.mkdir()
    with tmpfs(below, '12m'), ext4(point, below / 'image', 64 << 20):
        service.state.mkdir()
        service.start()
        root = service.manager(0)
        acknowledged = {root.create('before').id}
        fill(below / 'filler')
        more, error = create_until_refused(root)
        acknowledged |= set(more)
        assert error.short in ('DiskFull', 'WriteProtected', 'WriteFault')
        service.stop()
        (below / 'filler').unlink()
        subprocess.run(['umount', '--lazy', point], check=True)
        subprocess.run(['e2fsck', '-fy', below / 'image'], capture_output=True, check=False)
        subprocess.run(['mount', '-o', 'loop', below / 'image', point], check=True)
        service.start()
        root = service.manager(0)
        assert acknowledged <= {e['Id'] for e in root.list()}
        service.stop()


# ---- a store that is moved under the service's feet ----

def is_refused_for_its_place(service, manager, told):
    assert refused(manager.create) == 'WriteFault'
    assert service.log().count(told) == 1
    assert refused(manager.create) == 'WriteFault'
    assert service.log().count(told) == 1, 'once is enough'


# DUR-481
@pytest.mark.parametrize('instead', ['nothing', 'an empty folder', 'another store'])
def test_folder_that_is_moved_away_takes_nothing_until_it_is_back(service, instead):
    manager = service.start()
    ids = [manager.create('before').id]
    away = service.folder / 'away'
    service.state.rename(away)
    if instead != 'nothing':
        shutil.copytree(away, service.state, ignore=None if instead == 'another store' else
                        lambda folder, names: names)
    is_refused_for_its_place(service, manager, 'was moved, removed or replaced')
    shutil.rmtree(service.state, ignore_errors=True)
    away.rename(service.state)
    ids.append(manager.create('after').id)
    assert sorted(entry['Id'] for entry in service.restart().list()) == sorted(ids)


# DUR-481: and its log, which the database of that name does not belong to, is not touched.
def test_service_that_ends_without_its_folder_leaves_what_is_in_its_place(service):
    manager = service.start()
    job = manager.create('before')
    away = service.folder / 'away'
    service.state.rename(away)
    service.state.mkdir()
    log = service.state / 'jobs.sqlite-wal'
    log.write_bytes(b'of another store')
    service.stop()
    assert log.read_bytes() == b'of another store'
    shutil.rmtree(service.state)
    away.rename(service.state)
    assert [entry['Id'] for entry in service.start().list()] == [job.id]


# DUR-481
@pytest.mark.parametrize('instead', ['nothing', 'another log'])
def test_log_that_is_removed_is_stored_by_a_restart(service, instead):
    manager = service.start()
    job = manager.create('before')
    log = service.state / 'jobs.sqlite-wal'
    log.unlink()
    if instead == 'another log':
        log.write_bytes(b'of another store')
    with open(log if instead == 'another log' else os.devnull, 'rb') as other:
        is_refused_for_its_place(service, manager, 'was removed or replaced')
        assert [entry['Id'] for entry in service.restart(signal.SIGTERM).list()] == [job.id]
        assert os.fstat(other.fileno()).st_nlink == 1, 'it was deleted'
