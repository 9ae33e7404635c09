"""Handles: a descriptor on which a job is served peer to peer, whoever holds it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import socket
import xml.etree.ElementTree

import pytest

import bus
from bus import refused


def fd_count(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


def open_job(world, job, **keywords):
    """The job over a handle of its own, made by OpenJob."""
    return bus.Job(world.handle(world.manager(**keywords).open(job.id)), job.path, job.id)


# HND-01
@pytest.mark.parametrize('way', ['OpenJob', bus.JOB, bus.TOKEN_OPTIONS])
def test_handle_serves_the_same_interfaces(world, way):
    job = world.manager().create('named')
    fd = world.manager().open(job.id) if way == 'OpenJob' else job.query_interface(way)
    held = bus.Job(world.handle(fd), job.path)
    assert held.get('DisplayName') == 'named'
    assert held.get_all() == job.get_all()
    assert held.helper_flags() == 0
    held.set('Description', 'through the handle')
    assert job.get('Description') == 'through the handle'
    target = world.vault() / 'a'
    url = world.put(1000)
    held.add(url, target)
    held.resume()
    held.wait('transferred')
    assert held.complete() == 0
    assert target.read_bytes() == world.bytes(url)


# HND-02
def test_job_says_its_signals_on_the_handle(world):
    job = world.manager().create()
    held = open_job(world, job)
    job.set('NotifyFlags', 0x13)
    job.add(world.put(1000), world.vault() / 'a')
    job.resume()
    held.bus.wait_signal(lambda s: s.member == 'FileTransferred' and s.path == job.path)
    held.bus.wait_signal(lambda s: s.member == 'JobTransferred' and s.path == job.path)


# HND-03
def test_unknown_interface_is_refused(world):
    job = world.manager().create()
    for name in ('org.openbits.BITS1.Nothing', '', 'org.freedesktop.DBus.Properties', bus.MANAGER):
        assert refused(job.query_interface, name) == 'NoInterface'


# HND-04
def test_introspection_works_over_the_handle(world):
    job = world.manager().create()
    held = open_job(world, job)
    text = held.introspect()
    tree = xml.etree.ElementTree.fromstring(text[text.index('<node'):])
    names = {node.get('name') for node in tree.findall('interface')}
    assert {bus.JOB, bus.TOKEN_OPTIONS, bus.PROPERTIES} <= names
    methods = {node.get('name') for node in tree.iter('method')}
    assert {'AddFile', 'Resume', 'SetHelperToken'} <= methods


# HND-05
def test_handle_serves_its_own_job_only(world):
    one, two = world.manager().create('one'), world.manager().create('two')
    held = open_job(world, one)
    other = bus.Job(held.bus, two.path)
    assert refused(other.get, 'DisplayName') in ('UnknownObject', 'NotFound')
    assert refused(bus.Manager(held.bus).list) in ('UnknownObject', 'UnknownMethod',
                                                   'UnknownInterface')
    assert held.get('DisplayName') == 'one'


# HND-06
def test_whoever_holds_the_descriptor_may_call(root_world):
    world = root_world
    job = world.manager(world.alice).create('of alice')
    fd = world.manager(world.alice).open(job.id)

    def as_bob():
        """In a process that is bob and nothing else."""
        assert os.getresuid() == (world.bob,) * 3
        held = bus.Job(bus.Connection.to_handle(fd), job.path)
        held.set('DisplayName', 'renamed by bob')
        on_bus = bus.Manager(bus.Connection.to_bus(
            world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS']))
        errors = []
        for call in (lambda: on_bus.job(job.id), lambda: on_bus.open(job.id),
                     lambda: bus.Job(on_bus.bus, job.path).get('State')):
            try:
                call()
                errors.append(None)
            except bus.BusError as error:
                errors.append(error.short)
        return held.get('OwnerUid'), errors
    owner, errors = bus.run_as(world.bob, as_bob)
    os.close(fd)
    assert owner == world.alice
    assert errors[:2] == ['NotFound', 'NotFound']
    assert errors[2] in ('NotFound', 'UnknownObject')
    assert job.get('DisplayName') == 'renamed by bob'


# HND-07
def test_descriptor_can_be_passed_over_a_socket(root_world):
    world = root_world
    job = world.manager().create('passed on')
    fd = world.manager().open(job.id)
    ours, theirs = socket.socketpair()
    socket.send_fds(ours, [b'x'], [fd])
    os.close(fd)

    def as_carol():
        _, [received], _, _ = socket.recv_fds(theirs, 1, 1)
        return bus.Job(bus.Connection.to_handle(received), job.path).get('DisplayName')
    assert bus.run_as(world.carol, as_carol) == 'passed on'
    ours.close()
    theirs.close()


# HND-08
def test_handle_outlives_the_connection_that_opened_it(world):
    job = world.manager().create('still there')
    connection = world.connect()
    held = bus.Job(world.handle(bus.Manager(connection).open(job.id)), job.path)
    connection.close()
    world.manager().list()    # the service has seen more than the departure by now
    assert held.get('DisplayName') == 'still there'
    held.set('DisplayName', 'and works')
    assert job.get('DisplayName') == 'and works'


# HND-09
def test_closed_handles_leave_nothing_behind(root_world):
    world = root_world     # only root may count its descriptors
    job = world.manager().create()
    [pid] = world.playground.pids('bitsd')
    world.manager().list()
    before = fd_count(pid)
    for _ in range(10):
        fds = [world.manager().open(job.id) for _ in range(10)]
        held = [bus.Connection.to_handle(fd) for fd in fds[:5]]
        for connection in held:
            assert bus.Job(connection, job.path).get('State') == 'suspended'
            connection.close()
        for fd in fds[5:]:
            os.close(fd)      # never spoken on
    bus.poll_until(lambda: fd_count(pid) <= before, 'bitsd to close its ends')


# HND-09
def test_thousand_handles_one_after_another(root_world):
    world = root_world     # only root may count its descriptors
    job = world.manager().create()
    [pid] = world.playground.pids('bitsd')
    before = fd_count(pid)
    for _ in range(1000):
        os.close(world.manager().open(job.id))
    bus.poll_until(lambda: fd_count(pid) <= before, 'bitsd to close its ends')
    assert job.get('State') == 'suspended'


# HND-10
def test_handles_of_one_user_are_bounded_and_come_back(world):
    job = world.manager().create()
    fds = []
    try:
        for _ in range(5000):
            fds.append(world.manager().open(job.id))
    except bus.BusError as error:
        assert error.short not in ('NoReply', 'ServiceUnknown')
    finally:
        for fd in fds:
            os.close(fd)
    if not world.root:
        return
    assert len(fds) < 5000, 'an ordinary user can make the service hold any number of sockets'
    world.wait_for_room(job)


# HND-11
@pytest.mark.parametrize('end', ['complete', 'cancel'])
def test_handle_of_a_finished_job_still_answers_questions(world, end):
    job = world.manager().create('finished')
    held = open_job(world, job)
    job.add(world.put(1000), world.vault() / 'a')
    job.resume()
    job.wait('transferred')
    getattr(job, end)()
    assert held.get('DisplayName') == 'finished'
    assert held.state == {'complete': 'acknowledged', 'cancel': 'cancelled'}[end]
    assert len(held.files()) == 1
    assert refused(held.set, 'DisplayName', 'x') == 'InvalidState'
    assert refused(held.resume) == 'InvalidState'
    assert refused(held.set_helper_flags, 1) == 'InvalidState'
    with pytest.raises(bus.BusError):
        world.manager().job(job.id)


# HND-12
def test_handle_ends_with_the_manager(world):
    job = world.manager().create()
    held = open_job(world, job)
    world.restart('bitsd')
    held.bus.wait_end()
    again = open_job(world, job)
    assert again.state == 'suspended'


# HND-13
def test_nonsense_on_a_handle_closes_that_handle_alone(world):
    job = world.manager().create('sound')
    before = world.daemons()
    good = open_job(world, job)
    for nonsense in (b'', b'\0', b'GET / HTTP/1.0\r\n\r\n', os.urandom(1000),
                     b'\0AUTH ANONYMOUS 00\r\nBEGIN\r\n' + b'\xff' * 5000,
                     b'\0AUTH EXTERNAL 30\r\nBEGIN\r\n', b'\0' + b'A' * 300_000):
        with socket.socket(fileno=world.manager().open(job.id)) as sock:
            sock.setblocking(True)
            try:
                sock.sendall(nonsense)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass
            except OSError:
                pass    # cut off while sending
    assert good.get('DisplayName') == 'sound'
    assert world.daemons() == before


# HND-15
def test_first_call_may_come_together_with_the_end_of_the_authentication(world):
    job = world.manager().create('in haste')
    with bus.Connection.to_handle(world.manager().open(job.id), hasty=True) as connection:
        serial = connection.send(job.path, bus.PROPERTIES, 'Get', 'ss', bus.JOB, 'DisplayName')
        assert connection.reply(serial) == ('s', 'in haste')


# HND-460: BITS's order of calls is QueryInterface, then at once SetHelperToken.
def test_first_call_may_pass_a_descriptor(root_world):
    world = root_world
    job = world.manager().create('at once')
    token = world.token(world.bob)
    [pid] = world.playground.pids('bitsd')
    with bus.Connection.to_handle(job.query_interface(bus.TOKEN_OPTIONS), hasty=True) as connection:
        with bus.standing_still([pid]):     # it finds all of it in its socket
            connection.sock.sendall(b'BEGIN\r\n')
            connection._ahead = b''
            serial = connection.send(job.path, bus.TOKEN_OPTIONS, 'SetHelperToken', 'h', token)
        connection.reply(serial)
    os.close(token)
    assert job.helper_sid() == f'S-1-22-1-{world.bob}'


# LIM-32
def test_calls_that_wait_are_bounded(root_world):
    """A stopped bits-file leaves AddFile without an answer; after some hundred the next is refused."""
    world = root_world
    manager = world.manager()
    job = manager.create()
    directory = world.vault()
    job.add('http://127.0.0.1:1/a', directory / 'first')
    with bus.standing_still(world.playground.pids('bits-file')), world.handle(manager.open(job.id)) as handle:
        for number in range(256):
            handle.send(job.path, bus.JOB, 'AddFile', 'ss', 'http://127.0.0.1:1/a', f'{directory}/{number}')
        with pytest.raises(bus.BusError) as refused:
            handle.call(job.path, bus.JOB, 'AddFile', 'ss', 'http://127.0.0.1:1/a', f'{directory}/more')
        assert refused.value.short == 'LimitsExceeded'
        assert job.state == 'suspended'


# LIM-31
def test_holder_who_never_reads_is_let_go(world):
    """Hundreds of calls, no answer read: the service closes that handle and goes on."""
    manager = world.manager()
    job = manager.create()
    deaf = world.handle(manager.open(job.id))
    ended = False
    for _ in range(20000):
        try:
            deaf.send(job.path, bus.JOB, 'ListFiles')
        except OSError:
            ended = True
            break
    assert ended
    assert job.state == 'suspended'


# HND-14
def test_two_holders_of_copies_of_one_handle(root_world):
    """A copy of the descriptor keeps the handle; only the last close ends it."""
    world = root_world     # only root may count its descriptors
    job = world.manager().create()
    [pid] = world.playground.pids('bitsd')
    fd = world.manager().open(job.id)
    copy = os.dup(fd)
    os.close(fd)
    held = bus.Job(world.handle(copy), job.path)
    assert held.state == 'suspended'
    before = fd_count(pid)
    held.bus.close()
    bus.poll_until(lambda: fd_count(pid) < before, 'the handle to end')
