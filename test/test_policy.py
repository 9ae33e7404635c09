"""bitsd.conf with the real programs: limits, bandwidth, cost, power and the network, as an
administrator sets them while jobs run.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import pathlib
import re
import subprocess
import time

import pytest

import bus
import playground_lib
import stand_ins
from configured import KEPT, Configured
from conftest import new_playground
from pace import Pace

EX_CONFIG = 78


@pytest.fixture(scope='module')
def playground(nginx):
    """The module's playground, on whose bus other services of a machine may be."""
    playground = new_playground(nginx)
    playground.bus_extra = stand_ins.BUS_EXTRA
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture
def stand_in(world):
    """stand_in(service, Property=value…) is on the bus until the test ends."""
    services = []

    def start(service, **values):
        services.append(stand_ins.StandIn(
            world.playground.environment['DBUS_SYSTEM_BUS_ADDRESS'], service, **values))
        return services[-1]
    yield start
    for service in services:
        service.close()


@pytest.fixture
def config(world):
    configured = Configured(world.playground)
    yield configured
    configured.clear()


# ---- the files ----

def bitsd(*arguments):
    program = pathlib.Path(playground_lib.default_build(), 'src/bitsd/bitsd')
    return subprocess.run([program, *arguments], text=True, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL)


# POL-210
def test_a_wrong_file_is_told_and_nothing_is_started(tmp_path):
    (tmp_path / 'bitsd.conf').write_text('[Limits]\nMaxJobsPerUser=5\n')
    result = bitsd('--check-config', f'--config-directory={tmp_path}')
    assert result.returncode == 0 and str(tmp_path) in result.stdout
    (tmp_path / 'bitsd.conf').write_text('[Limits]\nMaxJobsPerUser=five\n[Bandwith]\nX=1\n')
    for arguments in ('--check-config',), (f'--state-directory={tmp_path}/state', '--user'):
        result = bitsd(*arguments, f'--config-directory={tmp_path}')
        assert result.returncode == EX_CONFIG
        assert f"{tmp_path}/bitsd.conf:2: 'five' is no value of MaxJobsPerUser; allowed are " \
               'the numbers 1 to 1000000' in result.stderr
        assert f'{tmp_path}/bitsd.conf:4: ' in result.stderr
    assert not (tmp_path / 'state').exists()


# POL-209, POL-200
def test_limits_are_those_of_the_file_at_once(world, config):
    if world.alice < 1000:
        pytest.skip('root and service accounts have no limits')
    config.write('[Limits]\nMaxFilesPerJob=2\n')
    manager, vault = world.manager(), world.vault()
    job = manager.create('job')
    url = world.put(10)
    job.add_all([(url, vault / '1'), (url, vault / '2')])
    with pytest.raises(bus.BusError) as caught:
        job.add(url, vault / '3')
    assert caught.value.short == 'TooManyFilesInJob'
    said = config.write('[Limits]\nMaxFilesPerJob=3\nMaxJobsPerUser=none\n', answer=KEPT)
    assert "bitsd.conf:3: 'none' is no value of MaxJobsPerUser" in said
    with pytest.raises(bus.BusError):
        job.add(url, vault / '3')
    config.write('[Limits]\nMaxFilesPerJob=3\n')
    job.add(url, vault / '3')


# POL-207, POL-208
def test_who_comes_near_a_limit_is_told_of_once_and_the_exempt_never(world, config):
    if world.alice < 1000:
        pytest.skip('root and service accounts have no limits')
    config.write('[Limits]\nMaxJobsPerUser=10\nMaxFilesPerJob=20\n')
    manager = world.manager()
    start = len(world.playground.log('bitsd'))
    jobs = [manager.create('job') for _ in range(10)]
    with pytest.raises(bus.BusError) as caught:
        manager.create('job')
    assert caught.value.short == 'TooManyJobsPerUser'
    vault, url = world.vault(), world.put(10)
    jobs[0].add_all([(url, vault / str(n)) for n in range(19)])
    jobs[0].add(url, vault / '20')
    said = world.playground.log('bitsd')[start:]
    assert said.count(f'uid {world.alice} has 9 of at most 10 jobs') == 1
    assert said.count(f'job {jobs[0].id} has 19 of at most 20 files') == 1
    assert said.count(' of at most ') == 2
    config.write(f'[Limits]\nMaxJobsPerUser=10\nExemptAccounts={world.alice}\n')
    manager.create('job')


# POL-212
def test_background_jobs_at_once(world, config):
    vault = world.vault()
    url = world.put(100_000, stall_after=1000)
    jobs = [world.start(url, vault / str(n)) for n in range(3)]
    jobs[0].wait('transferring')
    assert [job.state for job in jobs[1:]] == ['queued', 'queued']
    config.write('[Limits]\nMaxBackgroundJobs=3\n')
    for job in jobs:
        job.wait('transferring')
    config.write('[Limits]\nMaxBackgroundJobs=1\n')
    bus.poll_until(lambda: sorted(job.state for job in jobs) == ['queued', 'queued', 'transferring'],
                   'two jobs to make room')


# POL-201
def test_the_example_says_what_holds_anyway(tmp_path):
    root = pathlib.Path(__file__).resolve().parent.parent
    lines = (root / 'data/bitsd.conf').read_text().splitlines()
    settings = [line[1:] for line in lines if re.match(r'#\w+=', line)]
    (tmp_path / 'bitsd.conf').write_text('\n'.join(
        line[1:] if line[1:] in settings else line for line in lines))
    result = bitsd('--check-config', f'--config-directory={tmp_path}')
    assert result.returncode == 0, result.stderr
    source = (root / 'src/core/config.c').read_text()
    names = re.findall(r'\{ "(\w+)",\s*"(\w+)",\s*KIND', source)
    assert len(names) > 35 and len(settings) == len(names)
    assert [name for name in settings if name.split('=')[0] not in dict.fromkeys(n for _, n in names)] == []
    man = (root / 'man/bitsd.conf.5').read_text()
    assert [name for _, name in names if f'{name}=' not in man] == []


# ---- bandwidth ----

MEBIBYTE = 1 << 20
RATE = 8000                 # kbit/s: a million bytes a second
BYTES = RATE * 125
ENOUGH = 6 * BYTES          # to be looked at
PIECE = 512 * 1024          # what libcurl may hand over at once: it is known only afterwards


# POL-213, POL-214
def test_background_jobs_keep_to_the_rate_and_the_foreground_does_not(world, config):
    config.write(f'[Bandwidth]\nMaxInternetBandwidth={RATE}\nMaxInternetBandwidthTo=8\n')
    vault = world.vault()
    url, size = world.put(96 * MEBIBYTE), 96 * MEBIBYTE
    pace = Pace(BYTES)
    job = world.start(url, vault / 'slow')
    job.wait('transferring')
    began = time.monotonic()
    foreground = world.start(world.put(64 * MEBIBYTE), vault / 'fast', Priority='foreground')
    foreground.wait('transferred')
    taken = time.monotonic() - began
    assert 64 * MEBIBYTE > 2 * BYTES * taken, f'the foreground took {taken} s'
    job.wait_until(lambda: pace.saw(job.progress.transferred) and job.progress.transferred >= ENOUGH, 'the rate')
    pace.never_exceeded(PIECE)
    left = size - job.progress.transferred
    config.write('[Bandwidth]\nMaxInternetBandwidth=unlimited\n')
    began = time.monotonic()
    job.wait('transferred')
    assert time.monotonic() - began < left / BYTES / 2
    job.complete()
    assert (vault / 'slow').read_bytes() == world.bytes(url)


# POL-213, POL-215: many transfers of two jobs, and of two users where there are two: those have equal
# parts, while the jobs of one share his connections to a server as they come.
def test_all_background_jobs_share_the_rate(world, config):
    config.write(f'[Limits]\nMaxBackgroundJobs=2\n[Bandwidth]\nMaxInternetBandwidth={RATE}\n'
                 'MaxInternetBandwidthTo=8\n')
    jobs = []
    for uid in world.alice, world.bob:
        job = world.manager(uid).create('many')
        vault = world.vault(uid)
        job.add_all([(world.put(8 * MEBIBYTE), vault / str(n)) for n in range(5)])
        jobs.append(job)
    users = 2 if world.alice != world.bob else 1
    pace = Pace(BYTES, parts=users)
    for job in jobs:
        job.resume()

    def held():
        moved = [job.progress.transferred for job in jobs]
        return pace.saw(*(moved if users == 2 else [sum(moved)])) and sum(moved) >= ENOUGH
    jobs[0].wait_until(held, 'the rate')
    pace.never_exceeded(2 * PIECE)
    for job in jobs:
        job.cancel()


# POL-216
def test_no_bandwidth_lets_background_jobs_wait(world, config):
    vault = world.vault()
    url = world.put(10 * MEBIBYTE, stall_after=MEBIBYTE, times=1)
    job = world.start(url, vault / 'a')
    job.wait_until(lambda: job.progress.transferred >= MEBIBYTE)
    config.write('[Bandwidth]\nMaxInternetBandwidth=0\nMaxInternetBandwidthTo=8\n')
    job.wait('transient-error')
    assert job.error().code == 0x8020003E and job.error().context == 2
    assert job.get('ErrorCount') == 0 and job.get('WaitingFor') == 'policy'
    later = world.start(url, vault / 'b')
    assert later.wait('transient-error') and later.error().code == 0x8020003E
    foreground = world.start(world.put(1000), vault / 'c', Priority='foreground')
    foreground.wait('transferred')
    later.set('Priority', 'foreground')
    later.wait('transferred')
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'transient-error'
    config.write('')
    job.wait('transferred')


# ---- cost, power, network ----

METERED, UNMETERED = 1, 4
COST, BATTERY, LOW_BATTERY, DISCONNECTED = 0x80200059, 0x80200067, 0x80200068, 0x80200010
UNRESTRICTED, ALWAYS = 0x80000021, 0x800000FF


def waits(job, code):
    job.wait_until(lambda: job.state == 'transient-error' and job.error().code == code)


# POL-218, POL-211
def test_cost_flags(world, config, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER, Metered=METERED)
    vault = world.vault()
    job = world.start(world.put(MEBIBYTE, stall_after=1000, times=1), vault / 'a')
    job.wait_until(lambda: job.progress.transferred >= 1000)
    assert job.get('CostFlags') == ALWAYS
    job.set('CostFlags', UNRESTRICTED)      # acts at once
    waits(job, COST)
    assert job.get('CostFlags') == UNRESTRICTED and 'metered' in job.error().text
    job.set('CostFlags', ALWAYS)
    job.wait('transferred')

    url = world.put(MEBIBYTE, stall_after=1000)
    job = world.start(url, vault / 'b')
    job.wait_until(lambda: job.progress.transferred >= 1000)
    config.write('[TransferPolicy]\nNormalTransferPolicy=unrestricted\n')
    waits(job, COST)
    assert job.get('CostFlags') == UNRESTRICTED
    job.set('Priority', 'high')
    job.wait('queued', 'connecting', 'transferring')
    job.set('Priority', 'normal')
    waits(job, COST)
    for wrong in 0x40000001, 0x100, 0x80000000:
        with pytest.raises(bus.BusError) as caught:
            job.set('CostFlags', wrong)
        assert caught.value.short == 'InvalidArgument'
    world.server.release(world.path_of(url))
    assert job.state == 'transient-error'
    network.set(Metered=UNMETERED)
    job.wait('transferred')


# POL-218: a policy that forbids the network holds from the first moment on, and when its teller
# goes, nothing is known to forbid.
def test_the_network_is_known_before_the_first_job_runs(world, config, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER, Metered=METERED)
    config.write('[TransferPolicy]\nNormalTransferPolicy=unrestricted\n')
    url = world.put(MEBIBYTE)
    job = world.start(url, world.vault() / 'a')
    waits(job, COST)
    world.restart('bitsd')
    job = world.manager().job(job.id)
    assert job.state == 'transient-error'
    assert not world.server.seen(world.path_of(url))
    network.close()
    job.wait('transferred')


# POL-219
def test_power(world, config, stand_in):
    power = stand_in(stand_ins.UPOWER, OnBattery=True)
    vault = world.vault()
    job = world.start(world.put(MEBIBYTE, stall_after=1000), vault / 'a')
    job.wait_until(lambda: job.progress.transferred >= 1000)
    power.set(WarningLevel=3)
    waits(job, LOW_BATTERY)
    assert job.get('WaitingFor') == 'power'
    foreground = world.start(world.put(1000), vault / 'b', Priority='foreground')
    foreground.wait('transferred')
    config.write('[Power]\nWaitOnBattery=all\n')
    foreground = world.start(world.put(1000), vault / 'c', Priority='foreground')
    waits(foreground, BATTERY)
    waits(job, BATTERY)
    power.set(OnBattery=False)
    foreground.wait('transferred')
    job.wait('transferring')


# POL-217
def test_the_network_goes_and_comes_back(world, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER)
    vault = world.vault()
    here = world.start(world.put(MEBIBYTE, stall_after=1000), vault / 'here')
    here.wait('transferring')
    far = world.start('http://192.0.2.1/a', vault / 'far')
    assert far.state == 'queued'
    network.set(State=20)
    waits(far, DISCONNECTED)
    assert far.get('WaitingFor') == 'network' and far.get('ErrorCount') == 0
    assert here.state == 'transferring'
    failed = world.start(world.put(10, status=503), vault / 'failed', Priority='foreground')
    failed.wait('transient-error')
    network.set(State=40)
    assert far.state == 'transient-error'
    network.set(State=70)
    far.wait('queued')
    bus.poll_until(lambda: failed.get('ErrorCount') == 2, 'the other transient error to be tried')


# POL-382: from the local network to all of them
def test_a_network_that_leads_farther(world, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER, State=60)
    failed = world.start(world.put(10, status=503), world.vault() / 'a', Priority='foreground')
    failed.wait('transient-error')
    network.set(State=70)
    bus.poll_until(lambda: failed.get('ErrorCount') == 2, 'the transient error to be tried')


# POL-351: NetworkManager tells both at once, and a connection that is up is not yet one that works.
def test_a_network_that_is_back_settles_whatever_it_costs(world, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER)
    vault = world.vault()
    here = world.start(world.put(MEBIBYTE, stall_after=1000), vault / 'here')
    here.wait('transferring')
    far = world.start('http://192.0.2.1/a', vault / 'far')
    network.set(State=20, Metered=0)
    waits(far, DISCONNECTED)
    begin = time.monotonic()
    network.set(State=70, Metered=UNMETERED)
    far.wait('queued')  # behind the other
    assert time.monotonic() - begin >= 2


# POL-351: what it costs holds from then on.
def test_a_network_that_is_back_may_be_another(world, stand_in):
    network = stand_in(stand_ins.NETWORK_MANAGER)
    vault = world.vault()
    here = world.start(world.put(MEBIBYTE, stall_after=1000), vault / 'here')
    here.set('CostFlags', UNRESTRICTED)
    here.wait('transferring')
    far = world.start('http://192.0.2.1/a', vault / 'far')
    far.set('CostFlags', UNRESTRICTED)
    network.set(State=20, Metered=0)
    waits(far, DISCONNECTED)
    network.set(State=70, Metered=METERED)
    waits(far, COST)
    waits(here, COST)


# ---- what is in force ----

# POL-206
def test_admin_policy_shows_value_and_place(world, config):
    config.write('[Limits]\nMaxJobsPerUser=5\n\n[Bandwidth]\nMaxInternetBandwidth=10M\n')
    mode = [] if world.root else ['--user']
    options = {'uid': world.alice} if world.root else {}
    result = world.playground.run(['bits', *mode, 'admin', 'policy'], check=True, **options)
    lines = [line.split() for line in result.stdout.splitlines()]
    file = config.folder / 'bitsd.conf'
    assert ['Limits', 'MaxJobsPerUser', '5', f'{file}:2'] in lines
    assert ['Bandwidth', 'MaxInternetBandwidth', '10000', f'{file}:5'] in lines
    assert ['Limits', 'MaxFilesPerJob', '200', 'default'] in lines
    result = world.playground.run(['bits', *mode, '--json', 'admin', 'policy'], check=True, **options)
    rows = json.loads(result.stdout)['policy']
    assert [(row['value'], row['file'], row['line']) for row in rows
            if row['name'] == 'MaxInternetBandwidth'] == [('10000', str(file), 5)]
