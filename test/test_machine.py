"""OpenBITS on a real machine: systemd, logind, PAM, D-Bus, polkit, a domain, servers and a proxy.

The scenarios stand in test/machine/inside and run in the machine; each is a test of its own here,
in one machine for all that can share it. Where no machine can be booted, each is skipped with the
reason; OPENBITS_MACHINE=required makes that a failure instead.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent / 'machine'
sys.path[:0] = [str(HERE), str(HERE / 'inside')]

import bus  # noqa: E402
import machine  # noqa: E402
import scenarios  # noqa: E402, F401
from scene import SCENARIOS  # noqa: E402

if os.environ.get('OPENBITS_SANITIZERS'):
    pytest.skip('the machine runs what is installed, without sanitizers', allow_module_level=True)

BIND = [(machine.TESTS, '/test')]
OTHER_BUS = 'systemctl --quiet enable dbus-broker.service'


@contextlib.contextmanager
def reason_to_skip():
    try:
        yield
    except machine.CannotBoot as reason:
        if os.environ.get('OPENBITS_MACHINE') == 'required':
            raise
        pytest.skip(f'no test machine: {reason}')


_machines = {}


@pytest.fixture(scope='module')
def machines():
    """Machines by the name of their message bus, booted when first needed; a CannotBoot if not."""
    yield _machines
    for entry in _machines.values():
        if isinstance(entry, machine.Machine):
            entry.close()
    _machines.clear()


def machine_with(machines, message_bus):
    with reason_to_skip():
        if message_bus not in machines:
            try:
                booted = machine.Machine(machine.default_build(), bind=BIND,
                                         prepare=OTHER_BUS if message_bus == 'dbus-broker' else '')
                machines[message_bus] = booted
                booted.boot()
            except machine.CannotBoot as reason:    # once is enough
                machines[message_bus] = reason
        if isinstance(machines[message_bus], machine.CannotBoot):
            raise machines[message_bus]
    return machines[message_bus]


def parameters():
    for name, entry in SCENARIOS.items():
        marks = [pytest.mark.skip(reason=f'needs {entry.needs}')] if entry.needs else []
        yield pytest.param(name, id=name, marks=marks)


@pytest.mark.parametrize('name', parameters())
def test_scenario(machines, name):
    """What is promised stands beside each scenario."""
    booted = machine_with(machines, SCENARIOS[name].bus)
    result = booted.run('/usr/bin/python3', '/test/machine/inside/run.py', name)
    assert result.stdout, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome['outcome'] == 'passed', outcome['text']


# ---- more than one boot

@pytest.fixture
def disk():
    """A directory for a machine's changes."""
    with tempfile.TemporaryDirectory(prefix='openbits-machine-') as folder:
        yield folder


PREPARE_JOBS = '''
job() { bits create "$1" >/dev/null; bits add "$1" "$2" "$folder/$1"; }
job waiting http://web.openbits.test/open/small
job ready http://web.openbits.test/open/small; bits resume ready; bits wait ready
job helped http://web.openbits.test/open/slow/large
bits token set helped --as svc-sync; bits token flags helped network
job running http://web.openbits.test/open/slow/large; bits resume running helped
while bits --json show running | grep -q '"bytes-transferred": 0,'; do :; done
'''
FINISH_JOBS = '''
bits wait --timeout 60 running ready
bits complete running ready >&2
cmp $folder/running /srv/web/open/large
cmp $folder/ready /srv/web/open/small
bits --json list
'''


def after_reboot(booted, folder):
    """What must be true of those jobs after any end of the machine."""
    result = booted.run('sh', '-ec', f'folder={folder}{FINISH_JOBS}')
    assert result.returncode == 0, result.stdout + result.stderr
    jobs = {job['display-name']: job for job in json.loads(result.stdout)['jobs']}
    assert sorted(jobs) == ['helped', 'waiting']
    assert jobs['waiting']['state'] == 'suspended'
    assert (jobs['helped']['state'], jobs['helped']['error']) == ('error', '0x80200056')
    flags = booted.run('bits', '--json', 'token', 'show', jobs['helped']['id'])
    [token] = json.loads(flags.stdout)['tokens']
    assert token['helper-flags'] == 'network' and token['helper-sid'] is None


# OPS-43; in /srv with another device number after each boot
@pytest.mark.parametrize('folder', ['/srv/stable', '/srv'])
@pytest.mark.parametrize('end', ['poweroff', 'crash'])
def test_jobs_survive_a_reboot(disk, end, folder):
    with reason_to_skip(), machine.Machine(machine.default_build(), disk, BIND) as booted:
        assert booted.boot() == 'running'
        result = booted.run('sh', '-ec', f'folder={folder}{PREPARE_JOBS}')
        assert result.returncode == 0, result.stdout + result.stderr
        getattr(booted, end)()
        assert booted.boot() == 'running'
        after_reboot(booted, folder)


# OPS-44
def test_boot_command_passes_output_and_status():
    with reason_to_skip():
        machine.make_root()
    command = [HERE / 'boot', '-k', '--', 'sh', '-c', 'echo "$((6 * 7))"; echo e >&2; exit 7']
    result = subprocess.run(command, capture_output=True, text=True, timeout=60,
                            stdin=subprocess.DEVNULL)
    if result.returncode == 70 and 'boot: ' in result.stderr:
        pytest.skip(f'no test machine: {result.stderr.strip()}')
    assert (result.returncode, result.stdout, result.stderr) == (7, '42\n', 'e\n')


def processes_of_machines():
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/cgroup'):
        with contextlib.suppress(OSError):
            if 'openbits-test-machine-' in path.read_text():
                found.append(int(path.parent.name))
    return set(found)


def mounts():
    return pathlib.Path('/proc/self/mounts').read_text()


# OPS-45
@pytest.mark.parametrize('victim', ['boot', 'nspawn', 'unshare', 'leader'])
def test_machine_leaves_nothing_behind(victim):
    """Whoever is killed, by SIGKILL."""
    with reason_to_skip():
        machine.make_root()
    before, mounted = processes_of_machines(), mounts()
    command = [HERE / 'boot', '--', 'sh', '-c', 'echo up; sleep 1000']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL) as process:
        if process.stdout.readline() != 'up\n':
            pytest.skip(f'no test machine: {process.stderr.read()}')
        family = {}
        for pid in reversed(list(machine.descendants(process.pid))):
            with contextlib.suppress(OSError):      # it has ended: none of those that are wanted
                family[pathlib.Path(f'/proc/{pid}/comm').read_text().strip()] = pid
        ours = processes_of_machines() - before
        assert ours
        os.kill({'boot': process.pid, 'nspawn': family['systemd-nspawn'],
                 'unshare': family['unshare'], 'leader': family['systemd']}[victim],
                signal.SIGKILL)
        process.wait(60)
        bus.poll_until(lambda: not processes_of_machines() & ours, 'the machine to be gone')
    assert mounts() == mounted
