"""A domain: tickets, and servers and a proxy that demand them and write down who came.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib

from scene import (LARGE, PROXY, WEB, Log, bits, give_token, job_of, kdestroy, kinit, lend, login,
                   owner_and_mode, poll, proxy, same, scenario, service_job, sh, sign_off, start_job,
                   systemctl, token_of, use_implicit_credentials, wait_bytes, wait_state)

REALM = 'OPENBITS.TEST'
NEGOTIATE = f'http://{WEB}/negotiate/large'
ACCESS_DENIED = '0x80190191'    # BG_E_HTTP_ERROR_401

CACHES = {'FILE': 'FILE:/tmp/tickets-{uid}', 'DIR': 'DIR:/tmp/tickets.d-{uid}',
          'KEYRING': 'KEYRING:persistent:{uid}', 'KCM': 'KCM:'}


# ---- what the machine itself does: the ground of all others

@scenario()
def servers_write_down_who_came():
    """OPS-46: curl in bob's session, for every kind of server, proxy and cache."""
    web, way, tls = Log('web'), Log('proxy-negotiate'), Log('tls')
    curl = 'curl --silent --show-error --fail --output /dev/null'
    with login('bob') as bob:
        for cache in CACHES.values():
            cache = cache.format(uid=bob.uid)
            if cache.startswith('DIR:'):
                bob.run(f'mkdir -p -m 700 {cache[4:]}')
            kinit(bob, cache)
            bob.run(f'KRB5CCNAME={cache} {curl} --negotiate -u : --proxy {PROXY}:3128 '
                    f'--proxy-negotiate --proxy-user : http://{WEB}/negotiate/small')
            kdestroy(bob, cache)
        bob.run(f'{curl} --basic -u bob:web-bob --proxy {PROXY}:3130 --proxy-digest '
                f'--proxy-user bob:web-bob http://{WEB}/basic/small')
        bob.run(f'{curl} --digest -u bob:web-bob --proxy {PROXY}:3129 --proxy-basic '
                f'--proxy-user bob:web-bob http://{WEB}/digest/small')
        bob.run(f'{curl} --cert /etc/testca/bob.pem --key /etc/testca/bob.key '
                'https://tls.openbits.test/certificate/small')
        bob.run(f'{curl} http://{WEB}/negotiate/small', status=22)
    assert web.users() == ['bob', f'bob@{REALM}'] and web.users(401) == ['']
    poll(lambda: len([r for r in way.requests() if r['status'] == 200]) == len(CACHES), 'log')
    assert way.users() == [f'bob@{REALM}']
    [request] = tls.requests()
    assert 'CN=bob' in request['user'] and request['port'] > 0
    sign_off('bob')


@scenario()
def password_login_brings_tickets():
    """OPS-46: pam_krb5, as in a domain's workstation; they go with the session."""
    script = ('klist -s && curl --silent --fail --negotiate -u : '
              f'http://{WEB}/negotiate/small >/dev/null; echo status $? cache $KRB5CCNAME')
    output = sh('''python3 - <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ssh", ["ssh", "-o", "BatchMode=no", "-o", "PubkeyAuthentication=no",
                      "bob@127.0.0.1", %r])
seen = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    if b"assword:" in data:
        os.write(fd, b"krb-bob\\n")
    seen += data
print(seen.decode())
END''' % script)
    assert 'status 0' in output
    cache = output.split('cache ')[1].split()[0].removeprefix('FILE:')
    poll(lambda: not os.path.exists(cache), 'the end of the tickets')
    sign_off('bob')


# ---- the classic case

def expect_domain_user(identifier, name, web, way):
    wait_state(identifier, 'transferred')
    bits('complete', identifier)
    assert same(f'/srv/vault/{name}')
    assert owner_and_mode(f'/srv/vault/{name}')[0] == 'svc-sync'
    assert web.users() == [f'bob@{REALM}']
    if way:
        poll(way.users, 'the log of the proxy')
        assert way.users() == [f'bob@{REALM}']
    os.unlink(f'/srv/vault/{name}')


@scenario()
def files_as_the_service_network_as_the_domain_user():
    """OPS-56, NET-57: the classic case: server and proxy both demand Negotiate."""
    web, way = Log('web'), Log('proxy-negotiate')
    with login('bob') as bob, proxy(3128):
        kinit(bob)
        bob.run('ls /srv/vault', status=2)
        job = service_job('classic', NEGOTIATE)
        give_token(job, token_of(bob), 'network')
        use_implicit_credentials(job)
        use_implicit_credentials(job, 'proxy')
        bits('resume', job)
        expect_domain_user(job, 'classic', web, way)
        kdestroy(bob)
    sign_off('bob')


@scenario()
def files_as_the_helper_network_as_the_domain_user():
    """OPS-56: the reverse: bob owns the job, the service makes the files."""
    web, way = Log('web'), Log('proxy-negotiate')
    with login('bob') as bob, proxy(3128):
        kinit(bob)
        job = bob.bits('create', 'reverse')[0]['id']
        lend(job, 'svc-sync', 'local-file')
        bob.bits('add', job, NEGOTIATE, '/srv/vault/reverse')
        use_implicit_credentials(job)
        use_implicit_credentials(job, 'proxy')
        bob.bits('resume', job)
        expect_domain_user(job, 'reverse', web, way)
        kdestroy(bob)
    sign_off('bob')


@scenario()
def helper_does_both():
    """OPS-56, NET-57"""
    web, way = Log('web'), Log('proxy-negotiate')
    with login('bob') as bob, proxy(3128):
        kinit(bob)
        job = bits('create', 'both')[0]['id']
        give_token(job, token_of(bob), 'local-file,network')
        bits('add', job, NEGOTIATE, '/home/bob/both')
        use_implicit_credentials(job)
        use_implicit_credentials(job, 'proxy')
        bits('resume', job)
        wait_state(job, 'transferred')
        bits('complete', job)
        assert same('/home/bob/both') and owner_and_mode('/home/bob/both')[0] == 'bob'
        assert web.users() == [f'bob@{REALM}']
        poll(way.users, 'the log of the proxy')
        assert way.users() == [f'bob@{REALM}']
        kdestroy(bob)
    sign_off('bob')


@scenario()
def tickets_stay_at_home_unless_asked_for():
    """OPS-48: without SetCredentials a challenge is an error, and the server saw nobody."""
    web = Log('web')
    with login('bob') as bob:
        kinit(bob)
        job = start_job(NEGOTIATE, '/home/bob/nobody', session=bob)
        fault = wait_state(job, 'error')['error']
        assert fault['code'] == ACCESS_DENIED, fault
        assert {request['user'] for request in web.requests()} == {''}
        kdestroy(bob)
    sign_off('bob')


def get_with_cache(kind):
    web = Log('web')
    with login('bob') as bob:
        cache = CACHES[kind].format(uid=bob.uid)
        if kind == 'DIR':
            bob.run(f'mkdir -p -m 700 {cache[4:]}')
        kinit(bob, cache)
        before = bob.run(f'KRB5CCNAME={cache} klist')
        job = service_job(kind, NEGOTIATE)
        give_token(job, token_of(bob), 'network')
        bits('set', job, f'helper-credential-cache={cache}')
        use_implicit_credentials(job)
        bits('resume', job)
        expect_domain_user(job, kind, web, None)
        # SEC-88: a worker writes nothing into it, not even the service's ticket.
        assert bob.run(f'KRB5CCNAME={cache} klist') == before
        kdestroy(bob, cache)
    sign_off('bob')


@scenario()
def tickets_in_a_file():
    """OPS-57"""
    get_with_cache('FILE')


@scenario()
def tickets_in_a_directory():
    """OPS-57"""
    get_with_cache('DIR')


@scenario()
def tickets_in_a_keyring():
    """OPS-57"""
    get_with_cache('KEYRING')


@scenario()
def tickets_in_kcm():
    """OPS-57"""
    get_with_cache('KCM')


@scenario()
def ticket_expires():
    """OPS-58: the error says so; kinit by the user and Resume goes on."""
    with login('bob') as bob:
        kinit(bob, lifetime='1s')
        poll(lambda: bob.run('klist -s; echo $?').strip() == '1', 'the ticket to expire')
        job = service_job('expired', NEGOTIATE)
        give_token(job, token_of(bob), 'network')
        use_implicit_credentials(job)
        bits('resume', job)
        fault = wait_state(job, 'error')['error']
        assert 'expired' in fault['text'], fault
        kinit(bob)
        web = Log('web')
        bits('resume', job)
        expect_domain_user(job, 'expired', web, None)
        kdestroy(bob)
    sign_off('bob')


@contextlib.contextmanager
def slower():
    """What Apache gives slowly takes more than a minute."""
    site = pathlib.Path('/etc/apache2/sites-available/000-default.conf')
    usual = site.read_text()
    assert 'rate-limit 1500' in usual
    site.write_text(usual.replace('rate-limit 1500', 'rate-limit 50'))
    try:
        systemctl('restart', 'apache2.service')
        yield
    finally:
        site.write_text(usual)


@scenario()
def ticket_expires_in_mid_transfer():
    """OPS-300: what runs goes on; the next connection is refused, says why, and keeps the bytes."""
    with login('bob') as bob:
        job = service_job('late', f'http://{WEB}/negotiate/slow/large')
        with slower():
            give_token(job, token_of(bob), 'network')
            use_implicit_credentials(job)
            kinit(bob, lifetime='12s')      # from here to the first connection
            bits('resume', job)
            wait_bytes(job)
            poll(lambda: bob.run('klist -s; echo $?').strip() == '1', 'the ticket to expire')
            assert job_of(job)['state'] == 'transferring'
            systemctl('kill', '--signal=KILL', 'apache2.service')
        kept = wait_state(job, 'transient-error')['bytes-transferred']
        assert 0 < kept < LARGE
        systemctl('start', 'apache2.service')
        bits('resume', job)
        fault = wait_state(job, 'error')['error']
        assert 'expired' in fault['text'], fault
        kinit(bob)
        web = Log('web')
        bits('resume', job)
        assert wait_state(job, 'transferring', 'transferred')['bytes-transferred'] >= kept
        wait_state(job, 'transferred')
        bits('complete', job)
        assert same('/srv/vault/late')
        assert web.users(206) == [f'bob@{REALM}']   # the rest, not the whole
        os.unlink('/srv/vault/late')
        kdestroy(bob)
    sign_off('bob')
