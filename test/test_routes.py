"""Networks that go and come back where no network manager says so: the kernel does. Real programs in
a network of their own, with a cable to another one that has servers; real routes.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import time

import pytest

import bus
import conftest
import networks
import stand_ins
from faulty_server import Server

pytestmark = pytest.mark.skipif(not conftest.ROOT, reason='needs root: networks of its own')

MIB = 1 << 20
DISCONNECTED = 0x80200010
SOON = 1            # seconds until jobs go on
LATE = 20           # that a slow machine may be late; who is not told does not go on at all
LOOKS = 10          # at the routes, at most, in a second: GATHER_USEC in src/manager/routes.c
NEAR, BEYOND = '10.99.0.1', '203.0.113.9'   # a neighbour, and a server behind it


class Site:
    """Where the daemons are, and where the servers are."""

    def __init__(self, here, far):
        self.here, self.far = here, far

    def plug_in(self):
        self.here.ip('address replace 10.99.0.2/24 dev up0')
        self.here.ip('link set up0 up')

    def route(self):
        self.here.ip(f'route replace default via {NEAR}')

    def restore(self):
        self.far.ip('link set up1 up')
        self.plug_in()
        self.route()


@pytest.fixture(scope='module')
def site():
    with networks.Network() as here, networks.Network() as far:
        here.link('up0', far, 'up1')
        far.ip(f'address add {NEAR}/24 dev up1')
        far.ip(f'address add {BEYOND}/32 dev lo')
        site = Site(here, far)
        site.restore()
        with networks.file_in_place('/etc/hosts', '127.0.0.1 localhost\n127.0.0.1 app.test\n'):
            yield site


@pytest.fixture(scope='module')
def servers(site):
    """On this machine, on a neighbour, behind it."""
    with site.here.entered():
        here = Server()
    with site.far.entered():
        near, beyond = Server(address=NEAR), Server(address=BEYOND)
    yield here, near, beyond
    for server in here, near, beyond:
        server.close()


@pytest.fixture(scope='module')
def playground(nginx, site):
    playground = conftest.new_playground(nginx)
    playground.bus_extra = stand_ins.BUS_EXTRA
    with site.here.entered():
        playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture(autouse=True)
def connected(site, playground):
    """And bitsd knows it."""
    def knows():
        said = [line for line in playground.log('bitsd').splitlines() if 'the machine is ' in line]
        return not said or said[-1].endswith('connected again')
    site.restore()
    bus.poll_until(knows, 'the network to settle')
    yield
    site.restore()


def in_flight(world, server, url=None):
    """A job that has received half of its file and waits for the server."""
    mine = world.put(MIB, server=server, stall_after=MIB // 2, times=1)
    job = world.start(url(mine) if url else mine, world.vault() / 'a', Priority='foreground')
    server.wait_stalled(world.path_of(mine))
    return job, mine


def waits(job):
    """For the network, and not for a time."""
    job.wait_until(lambda: job.state == 'transient-error' and job.error().code == DISCONNECTED and
                   job.get('NextAttempt') == 0)
    assert job.get('WaitingFor') == 'network' and 'no route' in job.error().text
    assert job.get('ErrorCount') == 0


def goes_on(job, since):
    job.wait('transferred')
    taken = time.monotonic() - since
    assert taken < SOON + LATE, f'{taken} s'
    assert job.complete() == 0


# POL-380: the link, its carrier, its address; each time the rest comes back by itself
@pytest.mark.parametrize('cut, mend', [
    ('here.link set up0 down', 'plug_in'), ('far.link set up1 down', 'far.link set up1 up'),
    ('here.address flush dev up0', 'plug_in'), ('here.route flush dev up0', 'route_near')],
    ids=['link', 'cable', 'address', 'routes'])
def test_network_goes_and_comes_back(world, site, servers, cut, mend):
    job, url = in_flight(world, servers[1])
    name, _, words = cut.partition('.')
    getattr(site, name).ip(words)
    waits(job)
    assert job.progress.transferred >= MIB // 2
    since = time.monotonic()
    if mend == 'route_near':
        site.here.ip('route add 10.99.0.0/24 dev up0')
    elif mend == 'plug_in':
        site.plug_in()
    else:
        name, _, words = mend.partition('.')
        getattr(site, name).ip(words)
    goes_on(job, since)
    assert len(servers[1].seen(world.path_of(url))) == 2, 'from where it was, once'


# POL-380, NET-380: known at the start; and what needs no network
def test_what_goes_on_without_a_network(world, site, servers):
    here, near, _ = servers
    site.here.ip('link set up0 down')
    world.restart('bitsd')
    far = world.start(world.put(1000, server=near), world.vault() / 'far')
    waits(far)
    for address in '127.0.0.1', 'localhost', 'App.test':
        url = world.put(1000, server=here).replace('127.0.0.1', address)
        job = world.start(url, world.vault() / 'a')
        job.wait('transferred')
    assert far.state == 'transient-error'
    since = time.monotonic()
    site.plug_in()
    goes_on(far, since)


# NET-382: a server at an address that the machine gave to lo
def test_an_address_of_lo(world, site):
    site.here.ip('link set up0 down')
    far = world.start('http://10.98.0.1/a', world.vault() / 'far', Priority='foreground')
    waits(far)
    site.here.ip('address add 10.98.0.1/32 dev lo')
    with site.here.entered():
        server = Server(address='10.98.0.1')
    try:
        job = world.start(world.put(1000, server=server), world.vault() / 'a')
        job.wait('transferred')
    finally:
        server.close()
        site.here.ip('address del 10.98.0.1/32 dev lo')
        far.cancel()


# POL-382: there is a network, but not the one that is needed; whoever found that out by trying does
# not wait for his delay
def test_a_default_route_helps_those_who_found_none(world, site, servers):
    site.here.ip('route del default')
    job = world.start(world.put(1000, server=servers[2]), world.vault() / 'a', Priority='foreground')
    job.wait('transient-error')
    assert job.error().code == DISCONNECTED and job.get('NextAttempt') > 0
    since = time.monotonic()
    site.route()
    goes_on(job, since)


# POL-380: a network manager that is in charge of the network knows better
def test_a_network_manager_is_asked_first(world, site, servers):
    network = stand_ins.StandIn(world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS'],
                                stand_ins.NETWORK_MANAGER)
    try:
        job, url = in_flight(world, servers[1])
        site.here.ip('link set up0 down')
        other, _ = in_flight(world, servers[0])     # the loop has gone round
        assert job.state == 'transferring'
    finally:
        network.close()
    waits(job)
    site.plug_in()
    job.wait('transferred')
    other.cancel()


def cpu_seconds(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def times_awake(pid):
    """How often it has gone back to waiting."""
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith('voluntary_ctxt_switches')))


# POL-381
def test_many_changes_cost_nothing(world, site, servers):
    job, url = in_flight(world, servers[1])
    pid, = world.playground.pids('bitsd')
    events = 20_000
    lines = [f'route {verb} 198.18.{n // 256 % 256}.{n % 256}/32 dev up0\n'
             for n in range(100) for verb in ('add', 'del')] * (events // 200)
    before, awake, began = cpu_seconds(pid), times_awake(pid), time.monotonic()
    site.here.run(['ip', '-batch', '-'], input=''.join(lines))
    spent, awake, taken = cpu_seconds(pid) - before, times_awake(pid) - awake, time.monotonic() - began
    assert awake <= 3 * LOOKS * (taken + 1), f'{awake} times awake in {taken} s of {events} changes'
    assert spent < 1, f'{spent} s for {events} changes'
    assert job.state == 'transferring'
    # And the last of many is not missed.
    site.here.run(['ip', '-batch', '-'], input=''.join(lines[:2000]) + 'link set up0 down\n')
    waits(job)
    since = time.monotonic()
    site.plug_in()
    servers[1].release(world.path_of(url))
    goes_on(job, since)


# POL-387: sooner at it than the kernel's news
def test_who_found_out_by_trying(world, site, servers):
    jobs = []
    for _ in range(3):
        site.here.ip('link set up0 down')
        jobs.append(world.start(world.put(1000, server=servers[1]), world.vault() / 'a', Priority='foreground'))
    for job in jobs:
        waits(job)
    since = time.monotonic()
    site.plug_in()
    for job in jobs:
        goes_on(job, since)


# POL-380: what was handed out survives who handed it out
def test_the_broker_restarts(world, site, servers):
    world.restart('broker')
    far = world.start(world.put(1000, server=servers[1]), world.vault() / 'a')
    far.wait('transferred')
    site.here.ip('link set up0 down')
    far = world.start(world.put(1000, server=servers[1]), world.vault() / 'a')
    waits(far)
    since = time.monotonic()
    site.plug_in()
    goes_on(far, since)
