"""What the real NetworkManager, UPower and logind say of the machine, and what jobs make of it. The
first two run only here: an uplink leads to a server beyond it, and the battery is one that umockdev
shows. What sleeps is a command that waits in the place of the kernel.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import subprocess
import time

from scene import (LARGE, TRICKLE, bits, job_of, journal, journal_position, poll, same, scenario,
                   sh, signed_on, start_job, systemctl, wait_bytes, wait_state)

FAR = 'http://10.99.0.1'        # test/machine/configure
DISCONNECTED, COST, LOW_BATTERY = '0x80200010', '0x80200059', '0x80200068'
STANDBY = '0x80200065'
UNRESTRICTED = '0x80000021'
SETTLE = 2.0                    # s: what a network that is back has to last


@contextlib.contextmanager
def uplink():
    """A link to the server, not yet configured at our end."""
    sh('set -e; ip netns add far; ip link add up0 type veth peer name up1 netns far\n'
       'ip -n far address add 10.99.0.1/24 dev up1; ip -n far link set up1 up')
    try:
        sh('systemd-run --quiet --unit=far --service-type=forking --property=PIDFile=/run/far.pid '
           '--property=NetworkNamespacePath=/run/netns/far nginx -c /etc/nginx/far.conf')
        yield
    finally:
        sh('systemctl stop far; ip link delete up0; ip netns delete far', status=None)


@contextlib.contextmanager
def network_manager():
    """It manages the uplink, and the machine is connected."""
    with uplink():
        systemctl('start', 'NetworkManager')
        try:
            sh('nmcli connection add type ethernet ifname up0 con-name up autoconnect no '
               'ipv4.method manual ipv4.addresses 10.99.0.2/24 ipv4.gateway 10.99.0.1 '
               'ipv6.method disabled')
            sh('nmcli connection up up')
            yield
        finally:
            systemctl('stop', 'NetworkManager')
            sh('rm -r /run/NetworkManager /etc/NetworkManager/system-connections/*')


def meter(value):
    sh(f'nmcli connection modify up connection.metered {value} && nmcli device reapply up0')


def goes_on(identifier, count):
    """There are more bytes than that."""
    wait_bytes(identifier, count + 1)


def running(name, url):
    """A job of alice that has received something."""
    identifier = start_job(url, f'/home/alice/{name}', user='alice')
    wait_bytes(identifier)
    return identifier


def waits(identifier, code, reason):
    """The job when it is kept back for that reason."""
    job = poll(lambda: (job := wait_state(identifier, 'transient-error'))['error']
               and job['error']['code'] == code and job, f'error {code}')
    assert reason in job['wait-reason'], job
    return job


def finishes(identifier, name):
    wait_state(identifier, 'transferred')
    bits('complete', identifier)
    assert same(f'/home/alice/{name}')


@scenario()
@signed_on('alice')
def metered_network():
    """OPS-352: and what NetworkManager said is forgotten when it ends, and known when it is back."""
    with network_manager():
        job = running('metered', f'{FAR}/trickle/large')
        bits('set', job, f'cost-flags={UNRESTRICTED}')
        meter('yes')
        kept = waits(job, COST, 'network that costs less')
        assert 'metered' in kept['error']['text'] and 0 < kept['bytes-transferred'] < LARGE, kept
        systemctl('stop', 'NetworkManager')
        goes_on(job, kept['bytes-transferred'])
        systemctl('start', 'NetworkManager')
        sh('nmcli connection up up')
        kept = waits(job, COST, 'network that costs less')
        meter('no')
        goes_on(job, kept['bytes-transferred'])


@scenario()
@signed_on('alice')
def network_goes_and_comes_back():
    """OPS-353, POL-351: to what goes over lo nothing happens."""
    with network_manager():
        job = running('far', f'{FAR}/trickle/large')
        here = bits('create', '--priority', 'foreground', 'here', user='alice')[0]['id']
        bits('add', here, 'http://127.0.0.2/open/slow/large', '/home/alice/here')
        bits('resume', here)
        wait_bytes(here)
        sh('nmcli device disconnect up0')
        kept = waits(job, DISCONNECTED, 'waits for a network')
        assert kept['error-count'] == 0 and 'NetworkManager' in kept['error']['text'], kept
        finishes(here, 'here')
        begin = time.monotonic()
        sh('nmcli connection up up')
        wait_state(job, 'queued', 'connecting', 'transferring')
        assert time.monotonic() - begin >= SETTLE
        goes_on(job, kept['bytes-transferred'])


@scenario()
@signed_on('alice')
def network_manager_is_restarted():
    """POL-355: the network stays up meanwhile, and so does the transfer."""
    with network_manager():
        job = running('through', f'{FAR}/trickle/large')
        position = journal_position()
        systemctl('restart', 'NetworkManager')
        sh('nm-online --quiet --timeout=20')
        goes_on(job, job_of(job)['bytes-transferred'])
        said = [entry['MESSAGE'] for entry in journal(position, '_SYSTEMD_UNIT=bitsd.service')]
        assert not [text for text in said if 'not connected' in text], said


@scenario()
@signed_on('alice')
def no_network_and_no_network_manager():
    """OPS-380, POL-380: the kernel says so, when it goes as when it comes."""
    with uplink():
        job = bits('create', 'alone', user='alice')[0]['id']
        bits('add', job, f'{FAR}/trickle/large', '/home/alice/alone')
        bits('resume', job)
        kept = waits(job, DISCONNECTED, 'waits for a network')
        assert kept['error-count'] == 0 and 'no route' in kept['error']['text'], kept
        sh('set -e; ip address add 10.99.0.2/24 dev up0; ip link set up0 up')
        wait_bytes(job)
        sh('ip -n far link set up1 down')
        kept = waits(job, DISCONNECTED, 'waits for a network')
        bits('replace-prefix', job, f'{FAR}/trickle/', f'{FAR}/slow/')
        sh('ip -n far link set up1 up')
        assert wait_bytes(job)['bytes-transferred'] >= kept['bytes-transferred']
        finishes(job, 'alone')


@contextlib.contextmanager
def power():
    """charge(percent, 'mains' or 'battery') returns when UPower knows where power comes from."""
    with subprocess.Popen(['umockdev-wrapper', '/usr/bin/python3', '/test/machine/inside/battery.py'],
                          stdin=subprocess.PIPE, text=True) as supply:
        def charge(percent, source):
            supply.stdin.write(f'{percent} {source}\n')
            supply.stdin.flush()
            poll(lambda: sh('busctl --auto-start=no get-property org.freedesktop.UPower /org/freedesktop/UPower '
                            'org.freedesktop.UPower OnBattery', status=None).strip()
                 == f'b {"true" if source == "battery" else "false"}', f'UPower: {source}')
        try:
            yield charge
        finally:
            supply.stdin.close()


@scenario()
@signed_on('alice')
def low_battery():
    """OPS-354: half a battery is enough for a job in the background, a nearly empty one is not."""
    with power() as charge:
        charge(100, 'mains')
        job = running('powered', TRICKLE)
        charge(50, 'battery')
        goes_on(job, wait_state(job, 'transferring')['bytes-transferred'])
        charge(8, 'battery')
        kept = waits(job, LOW_BATTERY, 'external power')
        assert 'battery' in kept['error']['text'], kept
        charge(9, 'mains')
        goes_on(job, kept['bytes-transferred'])


@contextlib.contextmanager
def suspendable():
    """wake() ends a sleep; whether the machine sleeps, the unit's state says. NetworkManager takes a
    machine in which /sys can be written for one whose devices udev names: it stays as it was."""
    sh("set -e; mount -o remount,rw /sys; mkdir /sys/power\n"
       "mount -t tmpfs power /sys/power; echo mem >/sys/power/state\n"
       "mkfifo /run/wake; mkdir -p /run/systemd/system/systemd-suspend.service.d\n"
       "printf '[Service]\\nExecStart=\\nExecStart=cat /run/wake\\n' "
       ">/run/systemd/system/systemd-suspend.service.d/test.conf; systemctl daemon-reload")
    try:
        yield lambda: sh('echo >/run/wake')
    finally:
        sh('umount /sys/power; rmdir /sys/power; mount -o remount,ro /sys; rm -r /run/wake '
           '/run/systemd/system/systemd-suspend.service.d; systemctl daemon-reload', status=None)


@scenario()
@signed_on('alice')
def sleep_and_wake():
    """OPS-381, POL-383: by the real login manager, whose patience is five seconds."""
    with suspendable() as wake:
        job = running('sleeper', TRICKLE)
        position = journal_position()
        systemctl('suspend')
        poll(lambda: 'activating' in sh('systemctl is-active systemd-suspend', status=None), 'sleep')
        said = [entry['MESSAGE'] for entry in journal(position, '_SYSTEMD_UNIT=systemd-logind.service')]
        assert not [text for text in said if 'Delay lock is active' in text], said   # whose patience has ended
        kept = waits(job, STANDBY, 'wakes up')
        assert 'sleep' in kept['error']['text'] and kept['bytes-transferred'] > 0, kept
        wake()
        goes_on(job, kept['bytes-transferred'])
