"""What else a job does under the identity that its flags name: certificates and their keys, the files
that it sends, files of this machine in the place of a server.

Each file here can be read by one identity alone, and servers or the kernel say who was there.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib

from bits_server import BitsServer, Failure
from scene import (LARGE, TLS, WEB, Log, bits, connections, expect_dropped, give_token, job_of, kdestroy,
                   kinit, lend, login, owner_and_mode, poll, same, scenario, service_job, sh, sign_off,
                   signed_on, start_job, token_of, use_implicit_credentials, wait_state)

ALICE, BOB, SVC_SYNC = 1001, 1002, 901
BEHIND = '127.0.0.6', 8080      # where Apache looks for the BITS server
CERTIFICATE_NEEDED = 0x80072F0C
MIB = 1 << 20


# ---- certificates

def certified(session, name, whose, helper, flags):
    """Fetches what is only for those who show a certificate; gives the uids that were connected."""
    tls = Log('tls')
    target = f'/home/{session.user}/{name}'
    job = session.bits('create', name)[0]['id']
    if helper:
        lend(job, helper, flags)
    session.bits('add', job, f'https://{TLS}/certificate/slow/large', target)
    session.bits('certificate', 'set', job, f'/etc/testca/{whose}.pem', '--key',
                 f'/etc/testca/{whose}.key')
    session.bits('resume', job)
    seen = poll(lambda: connections('127.0.0.5', 443), 'a connection')
    wait_state(job, 'transferred')
    session.bits('complete', job)
    assert same(target) and owner_and_mode(target)[0] == session.user
    assert tls.users() == [f'CN={whose},O=OpenBITS test'], tls.requests()
    return seen


@scenario()
def client_certificate_is_the_owners():
    """OPS-301: and nobody but he can read the key; without it the server lets nobody in."""
    with login('alice') as alice:
        sh('cat /etc/testca/alice.key', 'bob', status=1)
        assert certified(alice, 'certified', 'alice', None, None) == {ALICE}
        job = start_job(f'https://{TLS}/certificate/large', '/home/alice/bare', session=alice)
        fault = wait_state(job, 'error')['error']
        assert int(fault['code'], 16) == CERTIFICATE_NEEDED, fault
    sign_off('alice')


@scenario()
def client_certificate_is_the_helpers():
    """OPS-302: with the flag client-certificate alone: the helper's key over the owner's connection."""
    with login('alice') as alice:
        alice.run('cat /etc/testca/bob.key', status=1)
        assert certified(alice, 'lent', 'bob', 'bob', 'client-certificate') == {ALICE}
    sign_off('alice')


@scenario()
def owners_certificate_over_the_helpers_connection():
    """OPS-302: with network alone: who connects could not have read the key."""
    with login('alice') as alice:
        sh('cat /etc/testca/alice.key', 'svc-sync', status=1)
        assert certified(alice, 'carried', 'alice', 'svc-sync', 'network') == {SVC_SYNC}
    sign_off('alice')


@scenario()
@signed_on('alice')
def certificate_that_the_helper_should_read_is_not_read_by_the_owner():
    """OPS-302: alice could, bob cannot."""
    job = bits('create', 'strict', user='alice')[0]['id']
    lend(job, 'bob', 'client-certificate')
    said = sh(f'bits certificate set {job} /etc/testca/alice.pem --key /etc/testca/alice.key', 'alice',
              status=1)
    assert '/etc/testca/alice.key' in said and 'denied' in said.lower(), said


# ---- uploads

@contextlib.contextmanager
def bits_server():
    """A BITS server; Apache demands tickets for it at /upload."""
    folder = pathlib.Path('/run/bits-server')
    (folder / 'upload').mkdir(parents=True, exist_ok=True)
    server = BitsServer(folder, *BEHIND)
    try:
        yield server
    finally:
        server.close()
    assert server.breaches == []


@scenario()
def service_sends_its_file_as_the_domain_user():
    """OPS-303: bob cannot read the file, the service has no ticket; Apache saw bob."""
    data = os.urandom(3 * MIB)
    source = pathlib.Path('/srv/vault/report')
    source.write_bytes(data)
    source.chmod(0o600)
    os.chown(source, SVC_SYNC, SVC_SYNC)
    web = Log('web')
    with login('bob') as bob, bits_server() as server:
        bob.run(f'cat {source}', status=1)
        kinit(bob)
        job = service_job('report', f'http://{WEB}/upload/report', 'upload')
        give_token(job, token_of(bob), 'network')
        bits('resume', job)
        assert wait_state(job, 'error')['error']['code'] == '0x80190191'
        assert {request['user'] for request in web.requests()} == {''} and server.seen == []
        use_implicit_credentials(job)
        bits('resume', job)
        wait_state(job, 'transferred')
        bits('complete', job)
        assert server.file('upload/report').read_bytes() == data
        assert web.users() == ['bob@OPENBITS.TEST']
        assert {request['method'] for request in web.requests()} == {'BITS_POST'}
        kdestroy(bob)
    source.unlink()
    sign_off('bob')


@scenario()
def owner_signs_off_in_the_middle_of_an_upload():
    """OPS-304: as in a download; then it goes on from where the server is."""
    data = os.urandom(LARGE)
    with bits_server() as server:
        with login('alice') as alice:
            source = pathlib.Path('/home/alice/letter')
            source.write_bytes(data)
            source.chmod(0o600)
            os.chown(source, ALICE, ALICE)
            job = alice.bits('create', '--type', 'upload', 'letter')[0]['id']
            lend(job, 'svc-sync', 'network')
            alice.bits('add', job, f'http://{BEHIND[0]}:{BEHIND[1]}/upload/letter', source)
            server.failures += [Failure('Fragment'), Failure('Fragment', hang=True)]
            alice.bits('resume', job)
            server.wait_for('Fragment', 2)
            poll(lambda: job_of(job)['bytes-transferred'] >= MIB, 'the first part to count')
            assert connections(*BEHIND) == {SVC_SYNC}
            alice.logout()
            kept = expect_dropped(job)['bytes-transferred']
            poll(lambda: not connections(*BEHIND), 'the end of the connection')
            assert MIB <= kept < LARGE
        sign_off('alice')
        server.release()
        with login('alice') as alice:
            before = len(server.seen)
            lend(job, 'svc-sync', 'network')
            alice.bits('resume', job)
            wait_state(job, 'transferred')
            alice.bits('complete', job)
            first = [seen.range[0] for seen in server.seen[before:] if seen.range][0]
            assert first == kept and server.count('Create-Session') == 1
        assert server.file('upload/letter').read_bytes() == data
        source.unlink()
    sign_off('alice')


# ---- files of this machine

@scenario()
def helpers_file_becomes_the_owners():
    """OPS-305: file:// with network: bob reads what alice cannot, alice writes where bob cannot."""
    data = os.urandom(LARGE)
    for name, uid in (('bob', BOB), ('alice', ALICE)):
        os.makedirs(f'/home/{name}/closed', 0o700, exist_ok=True)
        os.chown(f'/home/{name}/closed', uid, uid)
    remote, local = pathlib.Path('/home/bob/closed/remote'), pathlib.Path('/home/alice/closed/local')
    remote.write_bytes(data)
    os.chown(remote, BOB, BOB)
    with login('alice') as alice, login('bob') as bob:
        alice.run(f'cat {remote}', status=1)
        bob.run(f'ls {local.parent}', status=2)
        job = start_job(f'file://{remote}', local, session=alice)
        assert wait_state(job, 'error')['error']['code'] == '0x80070005'
        give_token(job, token_of(bob), 'network')
        alice.bits('resume', job)
        wait_state(job, 'transferred')
        alice.bits('complete', job)
        assert local.read_bytes() == data and owner_and_mode(local)[0] == 'alice'
        bob.logout()
    remote.unlink()
    for user in ('alice', 'bob'):
        sign_off(user)
