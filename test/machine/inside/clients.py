"""Who calls: people in sessions of every kind, services with an account, services without one.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shlex
import shutil

from scene import (WEB, bits, login, owner_and_mode, poll, same, scenario, sh, sign_off,
                   start_job, systemctl, unit, wait_bytes, wait_state, workers)

OPEN = f'http://{WEB}/open/large'
SLOW = f'http://{WEB}/open/slow/large'


def get_in_session(way):
    with login('alice', way) as alice:
        assert alice.properties('State', 'Name') == {'State': 'active', 'Name': 'alice'}
        target = f'/home/alice/by-{way}'
        alice.run(f'bits get {OPEN} {target}')
        assert same(target)
        assert owner_and_mode(target)[0] == 'alice'
        alice.logout()
        alice.wait_gone()
    sign_off('alice')


@scenario()
def user_signed_in_by_ssh_fetches():
    """OPS-38"""
    get_in_session('ssh')


@scenario()
def user_signed_in_by_su_fetches():
    """OPS-38"""
    get_in_session('su')


@scenario()
def user_signed_in_by_a_login_unit_fetches():
    """OPS-38"""
    get_in_session('unit')


@scenario()
def user_in_a_machinectl_shell_fetches():
    """OPS-38: a session on a terminal of its own, with the bar that it shows."""
    sh(f'machinectl --quiet shell alice@.host /usr/bin/bits get {OPEN} /home/alice/by-terminal')
    poll(lambda: os.path.exists('/home/alice/by-terminal'), 'the file')
    assert same('/home/alice/by-terminal')
    sign_off('alice')


@scenario()
def session_leaves_nothing_of_the_service():
    """OPS-38: a job does not hold up the end of the session that made it."""
    with login('alice') as alice:
        job = start_job(SLOW, '/home/alice/longer', session=alice)
        wait_bytes(job)
        alice.logout()
        alice.wait_gone()
    bits('cancel', job)
    sign_off('alice')


@scenario()
def service_account_fetches():
    """OPS-39: from a unit with User=, into a directory for it alone."""
    sh(shlex.join(['systemd-run', '--quiet', '--pipe', '--wait', '--collect',
                   '--property=User=svc-sync', 'bits', 'get', OPEN, '/srv/vault/own']))
    assert same('/srv/vault/own')
    assert owner_and_mode('/srv/vault/own')[0] == 'svc-sync'
    os.unlink('/srv/vault/own')


@scenario()
def service_account_lends_its_network_to_root():
    """OPS-39: files as root in a directory of root's, connections as the service account."""
    os.makedirs('/srv/private', 0o700, exist_ok=True)
    identifier = bits('create', 'lent')[0]['id']
    bits('add', identifier, SLOW, '/srv/private/lent')
    bits('token', 'set', identifier, '--as', 'svc-sync')
    bits('token', 'flags', identifier, 'network')
    bits('resume', identifier)
    wait_bytes(identifier)
    names = {name for uid in (0, 901) for pid in workers(uid)
             for name in [(uid, pathlib.Path(f'/proc/{pid}/comm').read_text().strip())]}
    assert (0, 'bits-file') in names and (901, 'bits-net') in names
    assert (0, 'bits-net') not in names
    wait_state(identifier, 'transferred')
    bits('complete', identifier)
    assert same('/srv/private/lent')
    assert owner_and_mode('/srv/private/lent')[0] == 'root'


@scenario()
def get_with_a_helper_for_the_network():
    """OPS-39: the same in one command."""
    sh(f'bits get --network-as svc-sync {OPEN} /srv/private/at-once')
    assert same('/srv/private/at-once')
    shutil.rmtree('/srv/private')


@scenario()
def get_with_a_helper_for_the_files():
    """OPS-39: root fetches for a service into the service's own directory."""
    sh(f'bits get --local-as svc-sync {OPEN} /srv/vault/lent')
    assert same('/srv/vault/lent')
    assert owner_and_mode('/srv/vault/lent')[0] == 'svc-sync'
    os.unlink('/srv/vault/lent')


@scenario(bus='dbus-broker')
def user_signed_in_fetches_over_the_other_bus():
    """OPS-42: dbus-broker in the place of dbus-daemon; activation as well."""
    systemctl('stop', 'bitsd.service')
    get_in_session('ssh')


@scenario(bus='dbus-broker')
def dynamic_user_fetches():
    """OPS-40: a service whose user exists only while it runs, and has no entry in any file. Debian's
    dbus-daemon turns such users away before we are asked."""
    os.makedirs('/srv/drop', exist_ok=True)
    os.chmod('/srv/drop', 0o1777)
    script = f'bits get {OPEN} /srv/drop/file && stat -c %u /srv/drop/file && id -u'
    output = sh(shlex.join(['systemd-run', '--quiet', '--pipe', '--wait', '--collect',
                            '--property=DynamicUser=yes', 'sh', '-c', script]))
    assert same('/srv/drop/file')
    assert len(set(output.split()[-2:])) == 1       # the file is its own
    shutil.rmtree('/srv/drop')


@scenario(bus='dbus-broker', needs='directories that only the caller can see')
def dynamic_user_fetches_into_its_state_directory():
    """The directory lies behind one of root's (0700) except in the mount name space of the unit."""
    script = f'bits get {OPEN} $STATE_DIRECTORY/file && cmp $STATE_DIRECTORY/file /srv/web/open/large'
    sh(shlex.join(['systemd-run', '--quiet', '--pipe', '--wait', '--collect',
                   '--property=DynamicUser=yes', '--property=StateDirectory=dynamic', 'sh', '-c',
                   script.replace('$', '$$')]))


@scenario()
def users_own_service_works_in_a_session():
    """OPS-41: bitsd --user by the user's own systemd, without the system's service."""
    sh('loginctl enable-linger alice')
    with login('alice') as alice:
        poll(lambda: unit('user@1001.service', 'ActiveState') == 'active', "alice's manager")
        systemctl('stop', 'bits-broker.service', 'bitsd.service')
        alice.run(f'bits --user get {OPEN} /home/alice/own')
        assert same('/home/alice/own')
        assert alice.run('systemctl --user is-active bitsd bits-broker').split() == ['active'] * 2
        assert alice.run('systemctl --user --failed --no-legend --no-pager') == ''
    sign_off('alice')


@scenario()
def account_that_the_bus_refuses_is_told():
    """OPS-40: dbus-daemon lets nobody in who has no account; the command says something of use."""
    output = sh('setpriv --reuid=64321 --regid=64321 --clear-groups bits list', status=1)
    assert output.startswith('bits: ')


@scenario(bus='dbus-broker')
def bare_number_fetches():
    """OPS-40: a uid without account, group, home or name."""
    os.makedirs('/srv/bare', exist_ok=True)
    os.chown('/srv/bare', 64321, 64321)
    sh(f'setpriv --reuid=64321 --regid=64321 --clear-groups bits get {OPEN} /srv/bare/file')
    assert same('/srv/bare/file')
    assert os.stat('/srv/bare/file').st_uid == 64321
    shutil.rmtree('/srv/bare')
