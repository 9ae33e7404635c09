"""No user learns that another user's job exists.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import uuid

import pytest

import bus

EVERYTHING = ("type='signal'", f"type='signal',sender='{bus.NAME}'", "eavesdrop='true'",
              f"type='signal',interface='{bus.JOB}'", f"type='signal',interface='{bus.MANAGER}'",
              f"path_namespace='{bus.ROOT}'", "type='method_return',eavesdrop='true'",
              "type='method_call',eavesdrop='true'")


@pytest.fixture
def world(root_world):
    return root_world


def error_of(call, *arguments):
    """The error of a call as the caller sees it, without the id that he gave himself."""
    with pytest.raises(bus.BusError) as caught:
        call(*arguments)
    text = re.sub(r'[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}', 'ID', caught.value.text)
    return caught.value.name, text


def invented(job):
    """Id and path of a job that does not exist, of the same shape as this one's."""
    number = uuid.uuid4()
    return str(number), f'{bus.ROOT}/job/{number.hex}'


# SEC-60
def test_lists_show_the_own_jobs_only(world):
    of_alice = world.manager(world.alice).create('of alice')
    of_bob = world.manager(world.bob).create('of bob')
    assert [job['Id'] for job in world.manager(world.alice).list()] == [of_alice.id]
    assert [job['Id'] for job in world.manager(world.bob).list()] == [of_bob.id]
    assert world.manager(world.bob).list(State='suspended')[0]['OwnerUid'] == world.bob


# SEC-61
def test_every_user_means_nothing_to_an_ordinary_one(world):
    with pytest.raises(bus.BusError) as caught:
        world.manager(world.bob).list(AllUsers=True)
    assert caught.value.short == 'AccessDenied'


# SEC-62
def test_foreign_job_looks_like_one_that_does_not_exist(world):
    job = world.manager(world.alice).create('secret')
    absent_id, absent_path = invented(job)
    bob = world.manager(world.bob)
    assert error_of(bob.job, job.id) == error_of(bob.job, absent_id)
    assert error_of(bob.open, job.id) == error_of(bob.open, absent_id)
    foreign, absent = bus.Job(bob.bus, job.path), bus.Job(bob.bus, absent_path)
    token = world.token(world.bob)
    for call in (lambda j: j.get('State'), lambda j: j.get_all(),
                 lambda j: j.set('DisplayName', 'x'),
                 lambda j: j.add('http://127.0.0.1/', '/tmp/x'), lambda j: j.add_all([]),
                 lambda j: j.files(), lambda j: j.suspend(), lambda j: j.resume(),
                 lambda j: j.cancel(), lambda j: j.complete(), lambda j: j.error(),
                 lambda j: j.query_interface(),
                 lambda j: j.helper_flags(), lambda j: j.helper_sid(),
                 lambda j: j.set_helper_flags(0), lambda j: j.clear_helper_token(),
                 lambda j: j.set_helper_token(token), lambda j: j.call('NoSuchMethod'),
                 lambda j: j.call('Suspend', 's', 'too much'), lambda j: j.get('NoSuchProperty')):
        assert error_of(call, foreign) == error_of(call, absent)
    os.close(token)
    assert job.get('DisplayName') == 'secret'
    assert job.state == 'suspended'


# SEC-63
def test_introspection_does_not_tell(world):
    job = world.manager(world.alice).create()
    _, absent_path = invented(job)
    bob = world.manager(world.bob)

    def look(path):
        try:
            return 'text', bus.Job(bob.bus, path).introspect()
        except bus.BusError as error:
            return error.name, ''
    assert look(job.path)[0] == look(absent_path)[0]
    assert 'AddFile' not in look(job.path)[1]
    name = job.path.rsplit('/', 1)[1]
    for path in ('/', '/org', bus.ROOT, bus.ROOT + '/job'):
        assert name not in look(path)[1]


# SEC-64
def test_object_manager_does_not_tell(world):
    job = world.manager(world.alice).create()
    for path in ('/', bus.ROOT, bus.ROOT + '/job'):
        try:
            found = world.manager(world.bob).bus.call(path, 'org.freedesktop.DBus.ObjectManager',
                                                      'GetManagedObjects')
        except bus.BusError:
            continue
        assert job.path not in found


# SEC-65
def test_signals_reach_nobody_else(world):
    listener = world.connect(world.bob)
    for rule in EVERYTHING:
        try:
            listener.add_match(rule)
        except bus.BusError:
            pass     # the bus may refuse to let him eavesdrop
    bus.Manager(listener).call('Subscribe')
    own = world.connect(world.alice)
    alice = bus.Manager(own)
    alice.call('Subscribe')
    job = alice.create('secret')
    job.add(world.put(1000), world.vault(world.alice) / 'a')
    job.resume()
    job.wait('transferred')
    failing = alice.create('failing')
    failing.add(world.put(0, status=404), world.vault(world.alice) / 'a')
    failing.resume()
    failing.wait('error')
    job.complete()
    failing.cancel()
    own.wait_signal(lambda s: s.member == 'JobRemoved')
    assert [s for s in own.signals if s.member == 'JobAdded' and s.body[0] == job.id]
    # A round trip through the same service and bus: whatever was sent to bob has arrived.
    bus.Manager(listener).list()
    listener.drain()
    assert [s for s in listener.signals if s.path.startswith(bus.ROOT)] == []


# SEC-66
def test_subscriber_hears_of_his_own_jobs(world):
    connection = world.connect(world.bob)
    manager = bus.Manager(connection)
    manager.call('Subscribe')
    job = manager.create()
    assert connection.wait_signal(lambda s: s.member == 'JobAdded').body == (job.id, job.path)
    job.cancel()
    assert connection.wait_signal(lambda s: s.member == 'JobRemoved').body == (job.id, job.path)
    manager.call('Unsubscribe')
    mark = len(connection.signals)
    manager.create()
    manager.list()
    connection.drain()
    assert [s for s in connection.signals[mark:] if s.member == 'JobAdded'] == []


# SEC-67
def test_connections_of_one_user_share_his_jobs_and_signals_need_a_handle(world):
    job = world.manager(world.alice).create()
    other = world.connect(world.alice)
    bus.Manager(other).list()
    job.add(world.put(1000), world.vault() / 'a')
    job.resume()
    job.wait('transferred')
    bus.Manager(other).list()
    other.drain()
    assert [s for s in other.signals if s.path == job.path] == []     # never asked for the job
    again = bus.Manager(other).job(job.id)
    assert again.state == 'transferred'


# SEC-68
def test_administrator_sees_and_manages_all(world):
    job = world.manager(world.alice).create('of alice')
    root = world.manager(0)
    assert job.id not in [j['Id'] for j in root.list()]
    [entry] = [j for j in root.list(AllUsers=True) if j['Id'] == job.id]
    assert (entry['OwnerUid'], entry['DisplayName'], entry['Owner']) == (
        world.alice, 'of alice', f'S-1-22-1-{world.alice}')
    foreign = root.job(job.id)
    foreign.set('DisplayName', 'seen by root')
    assert job.get('DisplayName') == 'seen by root'
    assert job.get('OwnerUid') == world.alice
    foreign.cancel()
    assert job.state == 'cancelled'


# SEC-69
def test_state_of_the_service_is_readable_by_nobody_else(world):
    world.manager(world.alice).create('secret name')

    def attempt():
        found = []
        for folder, _, names in os.walk(world.playground.state):
            for name in names:
                try:
                    with open(os.path.join(folder, name), 'rb') as file:
                        found.append(file.read())
                except OSError:
                    pass
        return found
    assert bus.run_as(world.bob, attempt) == []


