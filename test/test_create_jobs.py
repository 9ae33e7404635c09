"""CreateJobs: many jobs with their files in one call, all or none.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import os
import signal
import time

import pytest

import bus
import conftest

PER_CALL, PER_USER, FILES_PER_JOB = 1000, 60, 200


def spec(name='a job', job_type='download', files=(), **options):
    return (name, job_type, {key: ('s', value) for key, value in options.items()},
            [(url, str(path)) for url, path in files])


def create(manager, specs):
    return manager.call('CreateJobs', 'a(ssa{sv}a(ss))', specs)


def refused(manager, specs):
    with pytest.raises(bus.BusError) as caught:
        create(manager, specs)
    return caught.value.short, caught.value.text


# LIB-260
def test_jobs_are_what_the_single_calls_would_have_made(world):
    vault = world.vault()
    urls = [world.put(100 * n) for n in range(5)]
    pairs = [(url, vault / str(n)) for n, url in enumerate(urls)]
    created = create(world.manager(), [
        spec('first', files=pairs[:3], Priority='high', Description='three files'),
        spec('second', files=pairs[3:]), spec('third')])
    assert [path for _, path in created] == [entry['Path'] for entry in world.manager().list()]
    jobs = [world.manager().job(identifier) for identifier, _ in created]
    assert [job.get('DisplayName') for job in jobs] == ['first', 'second', 'third']
    assert (jobs[0].get('Priority'), jobs[0].get('Description')) == ('high', 'three files')
    assert (jobs[1].get('Priority'), jobs[1].get('Description')) == ('normal', '')
    assert [len(job.files()) for job in jobs] == [3, 2, 0]
    assert {job.state for job in jobs} == {'suspended'}
    jobs[0].resume()
    jobs[0].wait('transferred')
    assert jobs[0].complete() == 0
    for url, path in pairs[:3]:
        assert path.read_bytes() == world.bytes(url)


# LIB-260
def test_subscribers_hear_of_every_job(world):
    manager = world.manager()
    manager.call('Subscribe')
    mark = len(manager.bus.signals)
    created = create(manager, [spec(str(n)) for n in range(20)])
    manager.list()
    manager.bus.drain()
    heard = [s.body for s in manager.bus.signals[mark:] if s.member == 'JobAdded']
    assert heard == [tuple(pair) for pair in created]
    manager.call('Unsubscribe')


# LIB-260, BUS-07
@pytest.mark.parametrize('bad, error', [
    (lambda v: spec('x' * 257), 'InvalidArgument'),
    (lambda v: spec(job_type='sideload'), 'NotImplemented'),
    (lambda v: spec(Colour='red'), 'InvalidArgument'),
    (lambda v: spec(Priority='urgent'), 'NotImplemented'),
    (lambda v: spec(files=[('gopher://a/b', v / 'a')]), 'InvalidArgument'),
    (lambda v: spec(files=[('http://a/b', 'relative')]), 'InvalidArgument'),
    (lambda v: spec(files=[('http://a/b', v / 'missing' / 'a')]), 'PathNotFound'),
    (lambda v: spec(files=[('http://a/b', v / 'folder')]), 'InvalidArgument'),
    (lambda v: spec(files=[('http://a/b', v / str(n)) for n in range(FILES_PER_JOB + 1)]),
     'TooManyFilesInJob'),
], ids=['long name', 'type', 'option', 'priority', 'scheme', 'relative', 'no directory',
        'a directory', 'too many files'])
def test_one_that_is_refused_refuses_all_and_is_named(world, bad, error):
    if error == 'TooManyFilesInJob' and not world.root:
        pytest.skip('needs root: this user may be a service account')
    vault = world.vault()
    (vault / 'folder').mkdir()
    good = spec(files=[('http://a/b', vault / 'good')])
    short, text = refused(world.manager(), [good, good, bad(vault), good])
    assert short == error
    assert text.startswith('job 3: '), text
    assert world.manager().list() == []


# LIB-260
def test_directory_of_somebody_else_refuses_all(root_world):
    world = root_world
    files = [('http://a/b', world.vault() / 'a')]
    short, text = refused(world.manager(), [spec(files=files),
                                            spec(files=[('http://a/b', world.vault(world.bob) / 'a')])])
    assert (short, text[:7]) == ('AccessDenied', 'job 2: ')
    assert world.manager().list() == []


# LIM-20, LIM-260
def test_quota_counts_the_jobs_of_a_call(root_world):
    world = root_world
    manager = world.manager()
    assert refused(manager, [spec()] * (PER_USER + 1))[0] == 'TooManyJobsPerUser'
    assert manager.list() == []
    assert len(create(manager, [spec()] * (PER_USER - 1))) == PER_USER - 1
    assert refused(manager, [spec()] * 2)[0] == 'TooManyJobsPerUser'
    assert len(create(manager, [spec()])) == 1
    assert len(manager.list()) == PER_USER


# LIM-20, LIM-260
def test_two_calls_at_the_same_time_do_not_pass_the_quota_together(root_world):
    world = root_world
    vault = world.vault()
    connections = [world.connect(world.alice) for _ in range(2)]
    specs = [spec(files=[('http://a/b', vault / str(n))]) for n in range(PER_USER - 10)]
    serials = [c.send(bus.ROOT, bus.MANAGER, 'CreateJobs', 'a(ssa{sv}a(ss))', specs)
               for c in connections]
    answers = []
    for connection, serial in zip(connections, serials):
        try:
            answers.append(len(connection.reply(serial)))
        except bus.BusError as error:
            answers.append(error.short)
    assert sorted(answers, key=str) == [PER_USER - 10, 'TooManyJobsPerUser']
    assert len(world.manager().list()) == PER_USER - 10


# LIM-260
def test_number_of_jobs_in_one_call_is_bounded(root_world):
    manager = root_world.manager(0)
    short, text = refused(manager, [spec()] * (PER_CALL + 1))
    assert short == 'InvalidArgument' and str(PER_CALL) in text
    assert refused(manager, [])[0] == 'InvalidArgument'
    assert len(create(manager, [spec()] * PER_CALL)) == PER_CALL
    assert len(manager.list()) == PER_CALL


# DUR-264
def test_jobs_of_a_killed_call_are_there_all_or_none(world):
    vault = world.vault()
    specs = [spec(files=[('http://a/b', vault / f'{n}-{f}') for f in range(20)]) for n in range(50)]
    for delay in (0, 0.002, 0.005, 0.01, 0.02):
        connection = world.manager().bus
        pid = connection.owner_pid()
        connection.send(bus.ROOT, bus.MANAGER, 'CreateJobs', 'a(ssa{sv}a(ss))', specs)
        time.sleep(delay)         # the moment of the kill is what is tried
        os.kill(pid, signal.SIGKILL)
        connection.wait_owner(other_than=pid)
        found = world.manager().list()
        assert len(found) in (0, 50)
        assert {entry['FilesTotal'] for entry in found} <= {20}
        for entry in found:
            bus.Job(connection, entry['Path']).cancel()


# ---- the library ----

class Pair(ctypes.Structure):
    _fields_ = [('remote_name', ctypes.c_char_p), ('local_name', ctypes.c_char_p)]


class Spec(ctypes.Structure):
    _fields_ = [('display_name', ctypes.c_char_p), ('description', ctypes.c_char_p),
                ('type', ctypes.c_int), ('priority', ctypes.c_int),
                ('files', ctypes.POINTER(Pair)), ('n_files', ctypes.c_size_t)]


@pytest.fixture
def library(world, monkeypatch):
    for name in ('DBUS_SYSTEM_BUS_ADDRESS', 'DBUS_SESSION_BUS_ADDRESS'):
        if name in world.playground.environment:
            monkeypatch.setenv(name, world.playground.environment[name])
    lib = conftest.load_library()
    lib.bits_error_code.restype = ctypes.c_uint32
    lib.bits_error_message.restype = ctypes.c_char_p
    lib.bits_manager_close.restype = None
    manager = ctypes.c_void_p()
    with bus.impersonate(world.alice):
        opening = lib.bits_manager_open if world.root else lib.bits_manager_open_user
        assert opening(ctypes.byref(manager)) == 0, lib.bits_error_message()
    yield lib, manager
    lib.bits_manager_close(manager)


# LIB-260
def test_library_makes_many_jobs(world, library):
    lib, manager = library
    vault = world.vault()
    pairs = (Pair * 2)(*[Pair(b'http://a/b', str(vault / name).encode()) for name in 'ab'])
    specs = (Spec * 3)(Spec(b'one', None, 0, 2, pairs, 2), Spec(b'two', b'text', 0, 0, None, 0),
                       Spec('dr\xfcei'.encode(), None, 0, 3, pairs, 1))
    ids = ((ctypes.c_char * 37) * 3)()
    assert lib.bits_manager_create_jobs(manager, specs, ctypes.c_size_t(3), ids) == 0, lib.bits_error_message()
    listed = world.manager().list()
    assert [entry['Id'] for entry in listed] == [ids[n].value.decode() for n in range(3)]
    assert [(e['DisplayName'], e['Priority'], e['FilesTotal']) for e in listed] == [
        ('one', 'normal', 2), ('two', 'foreground', 0), ('dr\xfcei', 'low', 1)]
    assert lib.bits_manager_create_jobs(manager, specs, ctypes.c_size_t(1), None) == 0


# LIB-04, LIB-260
@pytest.mark.parametrize('bad', [
    Spec(None, None, 0, 2, None, 0), Spec(b'x', None, 99, 2, None, 0), Spec(b'x', None, 0, 99, None, 0),
    Spec(b'x', None, 0, 2, None, 1), Spec(b'x', None, 0, 2, (Pair * 1)(Pair(None, b'/a')), 1),
    Spec(b'x', None, 0, 2, (Pair * 1)(Pair(b'http://a/b', None)), 1), Spec(b'\xff', None, 0, 2, None, 0),
], ids=['no name', 'type', 'priority', 'no files', 'no remote', 'no local', 'no UTF-8'])
def test_library_refuses_what_makes_no_sense(world, library, bad):
    lib, manager = library
    specs = (Spec * 2)(Spec(b'good', None, 0, 2, None, 0), bad)
    assert lib.bits_manager_create_jobs(manager, specs, ctypes.c_size_t(2), None) < 0
    assert lib.bits_error_code() in (0x80070057, 0x80004001)
    assert world.manager().list() == []
