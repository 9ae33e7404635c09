"""The daemons as services of systemd: started, activated, restarted, killed, and in their cages.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import glob
import gzip
import os
import pathlib
import re
import socket

from scene import (DAEMONS, LARGE, SOCKETS, TLS, WEB, bits, bus_connection, kill_daemon, main_pid,
                   same, scenario, sh, signed_on, start_job, status_of, systemctl, unit, wait_bytes, wait_state,
                   workers)

CAPABILITY_KILL, CAPABILITY_SETGID, CAPABILITY_SETUID = 5, 6, 7


def bits_of(*numbers):
    return sum(1 << number for number in numbers)


@scenario()
def boot_starts_the_service():
    """OPS-30"""
    for name in (*SOCKETS, *DAEMONS):
        assert unit(name, 'ActiveState') == 'active', name
        assert unit(name, 'Result') == 'success', name
    assert systemctl('--failed', '--no-legend', '--no-pager') == ''
    log = sh('journalctl --quiet --no-pager --boot --priority=warning --output=cat '
             '_SYSTEMD_UNIT=bitsd.service + _SYSTEMD_UNIT=bits-broker.service')
    assert log == '', log
    for name in DAEMONS:
        assert unit(name, 'NRestarts') == '0'


@scenario()
def manager_is_in_its_cage():
    """OPS-31: what the unit promises is true of the process, and its own sandbox stands in it."""
    pid = main_pid('bitsd.service')
    status = status_of(pid)
    assert set(status['Uid'].split()) == {sh('id -u bitsd').strip()}
    for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
        assert int(status[name], 16) == 0, name
    assert status['NoNewPrivs'] == '1' and status['Seccomp'] == '2'
    for name in ('net', 'mnt'):
        assert os.readlink(f'/proc/{pid}/ns/{name}') != os.readlink(f'/proc/self/ns/{name}'), name
    log = sh('journalctl --quiet --no-pager --output=cat --unit=bitsd.service')
    assert 'no Landlock' not in log     # the unit's filter must not take it away


@scenario()
def broker_has_three_capabilities():
    """OPS-31"""
    status = status_of(main_pid('bits-broker.service'))
    kept = bits_of(CAPABILITY_KILL, CAPABILITY_SETGID, CAPABILITY_SETUID)
    assert int(status['CapPrm'], 16) == int(status['CapEff'], 16) == kept
    for name in ('CapInh', 'CapAmb'):
        assert int(status[name], 16) == 0, name
    assert int(status['CapBnd'], 16) in (0, kept)
    assert status['NoNewPrivs'] == '1'


@scenario()
@signed_on('alice')
def workers_are_in_their_cages():
    """OPS-31: no worker was refused its sandbox by what it inherits from the broker's unit."""
    job = start_job(f'http://{WEB}/open/slow/large', '/home/alice/caged', user='alice')
    wait_bytes(job)
    found = [status_of(pid) for pid in workers(1001)]
    assert sorted(status['Name'] for status in found) == ['bits-file', 'bits-keeper', 'bits-net']
    for status in found:
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(status[name], 16) == 0, name
        assert status['NoNewPrivs'] == '1'
        assert status['Seccomp'] == '2' or status['Name'] == 'bits-keeper'
        assert set(status['Groups'].split()) == {'1001'}
    log = sh('journalctl --quiet --no-pager --output=cat --unit=bits-broker.service')
    assert 'no Landlock' not in log


@scenario()
def folders_and_sockets_are_closed():
    """OPS-33"""
    for path, owner, mode in (('/var/lib/openbits', 'bitsd', 0o700),
                              ('/var/lib/openbits-broker', 'root', 0o700),
                              ('/run/openbits', 'root', 0o755),
                              ('/run/openbits/token', 'root', 0o666),
                              ('/run/openbits/manager', 'bitsd', 0o600)):
        found = os.stat(path)
        assert sh(f'stat -c %U {path}').strip() == owner, path
        assert found.st_mode & 0o777 == mode, path


@scenario()
def bus_starts_the_manager():
    """OPS-32: nobody runs until somebody calls."""
    systemctl('stop', *DAEMONS)
    assert main_pid('bitsd.service') == 0
    assert bits('list', user='alice') == []
    assert main_pid('bitsd.service') != 0


@scenario()
def sockets_start_the_broker():
    """OPS-32: systemd listens on its behalf, so nobody is turned away while it is down."""
    systemctl('stop', 'bitsd.service')
    systemctl('stop', 'bits-broker.service')
    assert unit('bits-broker.service', 'ActiveState') == 'inactive'
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect('/run/openbits/token')
        data, ancillary, _, _ = client.recvmsg(1, socket.CMSG_SPACE(4))
    assert data == b'T' and ancillary
    assert main_pid('bits-broker.service') != 0


@scenario()
@signed_on('alice')
def stop_leaves_no_process():
    """OPS-34: with a transfer on its way, and quickly."""
    job = start_job(f'http://{WEB}/open/slow/large', '/home/alice/stopped', user='alice')
    wait_bytes(job)
    systemctl('stop', *SOCKETS, *DAEMONS)
    assert sh('pgrep -l "^bits"', status=1) == ''
    for name in DAEMONS:
        assert unit(name, 'Result') == 'success', name
    systemctl('start', *SOCKETS, *DAEMONS)
    wait_state(job, 'transferred')
    bits('complete', job)
    assert same('/home/alice/stopped')


@scenario()
@signed_on('alice')
def restart_keeps_transfers():
    """OPS-34: each daemon is restarted in mid-transfer."""
    job = start_job(f'http://{WEB}/open/slow/large', '/home/alice/restarted', user='alice')
    wait_bytes(job)
    for name in reversed(DAEMONS):
        systemctl('restart', name)
        assert unit(name, 'Result') == 'success', name
    wait_state(job, 'transferred')
    bits('complete', job)
    assert same('/home/alice/restarted')


@scenario()
@signed_on('alice')
def killed_daemons_return():
    """OPS-35: more often than systemd's own limit of starts, and the transfer ends all the same."""
    job = start_job(f'http://{WEB}/open/slow/large', '/home/alice/killed', user='alice')
    wait_bytes(job)
    for _ in range(8):
        for name in DAEMONS:
            kill_daemon(name)
    wait_state(job, 'transferred')
    bits('complete', job)
    assert same('/home/alice/killed')


@scenario()
@signed_on('alice')
def machine_trusts_its_own_authorities():
    """OPS-36: https with a certificate that only the machine's store knows. This server asks for a
    certificate without needing one, which BITS takes for an error unless told."""
    refused = sh(f'bits get https://{TLS}/large /home/alice/secure', user='alice', status=1)
    assert 'ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED' in refused, refused
    sh(f'bits get --certificate none https://{TLS}/large /home/alice/secure', user='alice')
    assert same('/home/alice/secure')


@scenario()
def what_is_installed_can_be_used():
    """OPS-37: manual pages, completion, interfaces, polkit's action as polkit reads it."""
    for page in ('man1/bits.1', 'man8/bitsd.8', 'man8/bits-broker.8',
                 'man5/org.openbits.BITS1.5', 'man3/openbits.3'):
        [path] = glob.glob(f'/usr/share/man/{page}*')
        data = pathlib.Path(path).read_bytes()
        data = gzip.decompress(data) if path.endswith('.gz') else data
        assert b'.SH NAME' in data, page
    completed = sh('. /usr/share/bash-completion/completions/bits && complete -p bits'
                   .join(['bash -c "', '"']))
    assert 'bits' in completed
    action = sh('pkaction --verbose --action-id org.openbits.manage-all-jobs')
    assert re.search(r'implicit active:\s+auth_admin_keep', action)
    assert re.search(r'implicit any:\s+auth_admin$', action, re.M)
    assert 'org.openbits.BITS1.Manager' in sh(
        'busctl introspect org.openbits.BITS1 /org/openbits/BITS1')


@scenario()
def bus_name_is_protected():
    """OPS-37: nobody but the manager's account may own the name, root included."""
    systemctl('stop', 'bitsd.service')
    with bus_connection() as connection:
        try:
            connection.call('/org/freedesktop/DBus', 'org.freedesktop.DBus', 'RequestName', 'su',
                            'org.openbits.BITS1', 0, destination='org.freedesktop.DBus')
        except Exception as error:
            assert 'AccessDenied' in str(error)
        else:
            raise AssertionError('root took the name')


@scenario()
@signed_on('alice')
def many_bytes_are_the_same_bytes():
    """OPS-36"""
    sh(f'bits get http://{WEB}/open/large /home/alice/plain', user='alice')
    assert os.stat('/home/alice/plain').st_size == LARGE and same('/home/alice/plain')
