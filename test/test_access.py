"""Who may do what with a job and its helper: handles, owners, administrators.

With polkit: test_polkit.py. What a handle is at all: test_handles.py.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os

import pytest

import bus
from bus import refused
from conftest import temporary_files

MIB = 1 << 20
E_TOKEN_REQUIRED = 0x80200056


@pytest.fixture
def world(root_world):
    return root_world


def outcome(call, *arguments):
    """'' when it succeeded, else the short name of the error."""
    try:
        call(*arguments)
    except bus.BusError as error:
        return error.short
    return ''


def give_token(world, job, uid):
    fd = world.token(uid)
    try:
        job.set_helper_token(fd)
    finally:
        os.close(fd)


def held_by(world, uid, job):
    """The job over a handle that this user opened."""
    return bus.Job(world.handle(world.manager(uid).open(job.id)), job.path, job.id)


# ---- the helper's rule: opener × token ----

SETTERS = {
    'bus': lambda world, uid, job: world.manager(uid).job(job.id),
    'socket': held_by,
}


@pytest.mark.parametrize('way', list(SETTERS))
@pytest.mark.parametrize('owner, opener, token, want', [
    ('alice', 'alice', 'alice', ''),
    ('alice', 'alice', 'bob', ''),
    ('alice', 'alice', 'root', 'AccessDenied'),     # (b)
    ('alice', 'root', 'bob', ''),                   # no owner, but an administrator
    ('alice', 'root', 'root', ''),
    ('root', 'root', 'bob', ''),
    ('root', 'root', 'root', ''),
])
def test_set_helper_token_by_opener_and_token(world, way, owner, opener, token, want):
    # TOK-81
    uid = {'alice': world.alice, 'bob': world.bob, 'root': 0}
    job = world.manager(uid[owner]).create()
    target = SETTERS[way](world, uid[opener], job)
    assert outcome(give_token, world, target, uid[token]) == want
    assert target.helper_sid() == ('' if want else f'S-1-22-1-{uid[token]}')


def test_a_stranger_has_no_handle_to_call_on(world):
    # TOK-81, HND-30: the fourth combination cannot even be tried on the bus
    job = world.manager(world.alice).create()
    assert refused(world.manager(world.bob).open, job.id) == 'NotFound'
    on_path = bus.Job(world.manager(world.bob).bus, job.path)
    for token in (world.bob, 0):
        assert outcome(give_token, world, on_path, token) == 'UnknownObject'
    assert job.helper_sid() == ''


OTHERS = {
    'clear': lambda job: job.clear_helper_token(),
    'flags': lambda job: job.set_helper_flags(bus.NETWORK),
    'no flags': lambda job: job.set_helper_flags(0),
    'get flags': lambda job: job.helper_flags(),
    'get sid': lambda job: job.helper_sid(),
}


@pytest.mark.parametrize('call', list(OTHERS))
@pytest.mark.parametrize('token, refuses',
                         [(None, ()), ('bob', ()), ('root', ('flags', 'no flags'))])
def test_conditions_of_the_other_four_methods(world, call, token, refuses):
    # TOK-08, TOK-09: the owner without administrator rights; root may always
    job = world.manager(world.alice).create()
    as_root = world.manager(0).job(job.id)
    if token:
        give_token(world, as_root, {'bob': world.bob, 'root': 0}[token])
    assert outcome(OTHERS[call], job) == ('AccessDenied' if call in refuses else '')
    assert outcome(OTHERS[call], held_by(world, world.alice, job)) == (
        'AccessDenied' if call in refuses and as_root.helper_sid() else '')
    assert outcome(OTHERS[call], as_root) == ''


# TOK-462
def test_owner_says_nothing_of_the_files_rights_for_an_administrators_token(world):
    job = world.manager(world.alice).create()
    give_token(world, world.manager(0).job(job.id), 0)
    for target in (job, held_by(world, world.alice, job)):
        assert outcome(target.set, 'FileACLFlags', 4) == 'AccessDenied'
    world.manager(0).job(job.id).set('FileACLFlags', 4)
    job.clear_helper_token()
    job.set('FileACLFlags', 0)


def test_helper_calls_through_the_owners_handle_and_not_by_his_own_name(world):
    # HND-30
    job = world.manager(world.alice).create()
    held = held_by(world, world.alice, job)
    path = world.manager().get('TokenSocket')
    with bus.impersonate(world.bob):        # as a service does it: one thread, another identity
        fd = bus.capture_token(path)
        held.set_helper_token(fd)
        held.set_helper_flags(bus.NETWORK)
        assert held.helper_sid() == f'S-1-22-1-{world.bob}'
        held.clear_helper_token()
        held.set_helper_flags(0)
    os.close(fd)
    bob = world.manager(world.bob)
    assert refused(bob.job, job.id) == 'NotFound'
    assert refused(bus.Job(bob.bus, job.path).helper_flags) == 'UnknownObject'


def test_third_user_with_the_descriptor_may_call(world):
    # HND-31
    job = world.manager(world.alice).create()
    fd = world.manager(world.alice).open(job.id)
    path = world.manager().get('TokenSocket')

    def as_carol():
        held = bus.Job(bus.Connection.to_handle(fd), job.path)
        held.set_helper_token(bus.capture_token(path))
        return held.helper_sid()
    assert bus.run_as(world.carol, as_carol) == f'S-1-22-1-{world.carol}'
    os.close(fd)


def test_handle_is_over_when_it_is_closed_or_the_job_is_gone(world):
    # HND-32
    job = world.manager(world.alice).create()
    held = held_by(world, world.alice, job)
    fd = world.manager(world.alice).open(job.id)
    os.close(fd)
    with pytest.raises(OSError):
        bus.Connection.to_handle(fd)
    job.cancel()
    assert held.state == 'cancelled'
    for call in (held.resume, held.take_ownership, lambda: held.set_helper_flags(0),
                 held.clear_helper_token, lambda: held.add(world.put(1), '/tmp/x')):
        assert refused(call) in ('InvalidState', 'AccessDenied')


# ---- TakeOwnership ----

def test_take_ownership_is_for_administrators(world):
    # HND-40, HND-42
    job = world.manager(world.alice).create()
    assert refused(job.take_ownership) == 'AccessDenied'
    assert refused(held_by(world, world.alice, job).take_ownership) == 'AccessDenied'
    assert refused(bus.Job(world.manager(world.bob).bus, job.path).take_ownership) == \
        'UnknownObject'
    assert job.get('OwnerUid') == world.alice
    job.cancel()
    done = world.manager(0).create()
    held = held_by(world, 0, done)
    done.cancel()
    assert refused(held.take_ownership) == 'InvalidState'


@pytest.mark.parametrize('way', list(SETTERS))
def test_new_owner_has_the_job_and_the_old_one_has_not(world, way):
    # HND-40, HND-35, HND-37
    alice = world.manager(world.alice)
    listening = world.connect(world.alice)
    bus.Manager(listening).call('Subscribe')
    job = alice.create('of alice')
    SETTERS[way](world, 0, job).take_ownership()
    assert job.id in [entry['Id'] for entry in world.manager(0).list()]
    assert job.id not in [entry['Id'] for entry in alice.list()]
    assert refused(alice.job, job.id) == 'NotFound'
    assert refused(job.get, 'State') == 'UnknownObject'     # his connection's handle has ended
    assert listening.wait_signal(lambda s: s.member == 'JobRemoved').body[0] == job.id
    mine = world.manager(0).job(job.id)
    assert (mine.get('OwnerUid'), mine.get('Owner')) == (0, 'S-1-22-1-0')
    world.restart('bitsd')
    mine = world.manager(0).job(job.id)
    assert (mine.get('OwnerUid'), mine.get('OwnerElevated')) == (0, True)


def test_handle_of_a_socket_outlives_the_change_but_names_no_more_files(world):
    # HND-35, HND-36: else alice would choose a file that root writes
    vault = world.vault(0, mode=0o755)
    job = world.manager(world.alice).create('kept')
    held = held_by(world, world.alice, job)
    copy = bus.Job(world.handle(held.query_interface()), job.path)
    world.manager(0).job(job.id).take_ownership()
    for handle in (held, copy):
        assert handle.get('DisplayName') == 'kept'
        assert handle.get('OwnerUid') == 0
        handle.set('Description', 'still mine to say')
        assert refused(handle.add, world.put(10), vault / 'a') == 'AccessDenied'
        assert refused(handle.add_all, [(world.put(10), vault / 'a')]) == 'AccessDenied'
        assert refused(handle.take_ownership) == 'AccessDenied'
        assert refused(handle.set, 'FileACLFlags', 4) == 'AccessDenied'     # TOK-462
        assert refused(handle.set, 'CredentialCache', 'FILE:/root/cache') == 'AccessDenied'
    again = bus.Job(world.handle(held.query_interface()), job.path)
    assert refused(again.add, world.put(10), vault / 'a') == 'AccessDenied'
    held.bus.close()
    give_token(world, copy, world.bob)      # as BITS has it: he owned the job at QueryInterface
    assert copy.helper_sid() == f'S-1-22-1-{world.bob}'
    world.manager(0).job(job.id).add(world.put(10), vault / 'a')


def test_helper_and_flags_are_dropped(world):
    # TOK-82
    job = world.manager(world.alice).create()
    give_token(world, job, world.bob)
    job.set_helper_flags(bus.NETWORK | bus.LOCAL_FILE)
    world.manager(0).job(job.id).take_ownership()
    mine = world.manager(0).job(job.id)
    assert (mine.helper_sid(), mine.helper_flags()) == ('', 0)


def test_new_owner_must_be_able_to_go_on_with_the_files(world):
    # HND-41, HND-44: root's worker has no right beyond the permissions
    closed, drop_box = world.vault(world.alice), world.vault(world.alice, mode=0o777)
    for target, begun in ((closed / 'a', False), (drop_box / 'a', True)):
        url = world.put(MIB, stall_after=MIB // 2)
        job = world.start(url, target) if begun else world.manager().create()
        if begun:
            world.server.wait_stalled(world.path_of(url))
            job.suspend()
            [temporary] = temporary_files(drop_box)
            assert temporary.stat().st_uid == world.alice
            temporary.chmod(0o600)
        else:
            job.add(url, target)
        give_token(world, job, world.bob)
        foreign = world.manager(0).job(job.id)
        with pytest.raises(bus.BusError) as caught:
            foreign.take_ownership()
        assert caught.value.short == 'NewOwnerNoFileAccess'
        assert str(target) in caught.value.text
        assert job.get('OwnerUid') == world.alice           # nothing has changed
        assert job.helper_sid() == f'S-1-22-1-{world.bob}'
        world.server.release(world.path_of(url))


def test_transfer_goes_on_under_the_new_owner(world):
    # HND-40
    vault = world.vault(world.alice, mode=0o777)
    url = world.put(2 * MIB, stall_after=MIB)
    job = world.start(url, vault / 'a')
    world.server.wait_stalled(world.path_of(url))
    job.suspend()
    [temporary] = temporary_files(vault)
    temporary.chmod(0o666)
    kept = bus.poll_until(lambda: world.kept(job), 'the watermark')
    world.manager(0).job(job.id).take_ownership()
    mine = world.manager(0).job(job.id)
    world.server.release(world.path_of(url))
    mine.resume()
    mine.wait('transferred')
    assert mine.complete() == 0
    assert (vault / 'a').read_bytes() == world.bytes(url)
    assert 0 < kept < 2 * MIB


def test_jobs_are_counted_for_the_new_owner(world):
    # HND-40: the old one has his room again
    alice = world.manager(world.alice)
    jobs = []
    while (error := outcome(lambda: jobs.append(alice.create()))) == '':
        pass
    assert error == 'TooManyJobsPerUser'
    world.manager(0).job(jobs[0].id).take_ownership()
    alice.create()
    assert refused(alice.create) == 'TooManyJobsPerUser'


# ---- OwnerElevated, OwnerIntegrityLevel ----

def test_elevation_and_integrity_of_the_owner(world):
    # HND-43
    def facts(job):
        return job.get('OwnerElevated'), job.get('OwnerIntegrityLevel')
    job = world.manager(world.alice).create()
    assert facts(job) == (False, 0x2000)
    assert facts(world.manager(0).create()) == (True, 0x4000)
    service = 33      # www-data, an account of every Debian
    assert facts(world.manager(service).create()) == (False, 0x3000)
    world.manager(0).job(job.id).take_ownership()
    assert facts(world.manager(0).job(job.id)) == (True, 0x4000)
    world.restart('bitsd')
    assert facts(world.manager(0).job(job.id)) == (True, 0x4000)


# ---- our own flag ----

def test_flag_for_the_client_certificate(world):
    # TOK-80
    job = world.manager().create()
    job.set_helper_flags(bus.CLIENT_CERTIFICATE)
    assert job.helper_flags() == bus.CLIENT_CERTIFICATE
    everything = bus.CLIENT_CERTIFICATE | bus.NETWORK | bus.LOCAL_FILE
    job.set_helper_flags(everything)
    assert job.helper_flags() == everything
    assert refused(job.set_helper_flags, everything | 0x20000) == 'InvalidArgument'
    job.set_helper_flags(bus.CLIENT_CERTIFICATE)
    job.add(world.put(1000), world.vault() / 'a')     # moves nothing else, so nobody is missing
    job.resume()
    job.wait('transferred')


# ---- tokens that are none, tokens of many ----

def test_token_passed_twice_serves_two_jobs(world):
    # TOK-83
    token = world.token(world.bob)
    jobs = [world.manager().create() for _ in range(2)]
    for job in jobs + jobs[:1]:
        job.set_helper_token(token)
    os.close(token)
    jobs[0].clear_helper_token()
    assert (jobs[0].helper_sid(), jobs[1].helper_sid()) == ('', f'S-1-22-1-{world.bob}')


def test_token_of_an_earlier_broker_is_refused(world):
    # TOK-84
    job = world.manager().create()
    token = world.token(world.bob)
    world.restart('bits-broker')
    assert refused(job.set_helper_token, token) == 'InvalidHandle'
    os.close(token)
    give_token(world, job, world.bob)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


def test_user_who_hoards_tokens_harms_nobody_else(world):
    # TOK-85: ten thousand asked for, through the whole stack
    path = world.manager().get('TokenSocket')

    def hoard():
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        fds = []
        for _ in range(10_000):
            try:
                fds.append(bus.capture_token(path))
            except PermissionError:
                pass
        job = bus.Manager(bus.Connection.to_bus(address)).create('hoarder')
        job.set_helper_token(fds[0])
        os.write(ready, b'x')
        os.read(finish, 1)
        return len(fds)
    address = world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS']
    ready_end, ready = os.pipe()
    finish, finish_end = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(0 if 0 < bus.run_as(world.carol, hoard) < 10_000 else 1)
    try:
        os.close(ready)
        assert os.read(ready_end, 1) == b'x'
        job = world.manager(world.alice).create()
        give_token(world, job, world.bob)
        job.set_helper_flags(bus.NETWORK)
        url = world.put(1000)
        job.add(url, world.vault() / 'a')
        job.resume()
        job.wait('transferred')
    finally:
        os.write(finish_end, b'x')
        _, status = os.waitpid(child, 0)
    assert status == 0
    os.close(ready_end), os.close(finish), os.close(finish_end)


def test_helper_without_an_account_serves(world):
    # TOK-86: a number is enough: no name, home or shell
    nobody_knows = 64999
    vault = world.vault(nobody_knows)
    job = world.manager().create()
    give_token(world, job, nobody_knows)
    job.set_helper_flags(bus.LOCAL_FILE | bus.NETWORK)
    url = world.put(1000)
    job.add(url, vault / 'a')
    job.resume()
    job.wait('transferred')
    assert job.complete() == 0
    assert (vault / 'a').stat().st_uid == nobody_knows


def test_helper_whose_account_is_deleted_goes_on_serving(world):
    # TOK-87
    passwd = '/etc/passwd'
    before = open(passwd).read()
    if 'bits-carol:' not in before:
        pytest.skip('no private accounts here')
    vault = world.vault(world.carol)
    url = world.put(2 * MIB, stall_after=MIB)
    job = world.manager().create()
    give_token(world, job, world.carol)
    job.set_helper_flags(bus.LOCAL_FILE | bus.NETWORK)
    job.add(url, vault / 'a')
    job.resume()
    world.server.wait_stalled(world.path_of(url))
    try:
        with open(passwd, 'w') as file:     # our own copy, see conftest.py
            file.writelines(line + '\n' for line in before.splitlines()
                            if not line.startswith('bits-carol:'))
        job.suspend()                       # its workers end, and are started again
        world.server.release(world.path_of(url))
        job.resume()
        job.wait('transferred')
        assert job.complete() == 0
    finally:
        with open(passwd, 'w') as file:
            file.write(before)
    assert (vault / 'a').stat().st_uid == world.carol
