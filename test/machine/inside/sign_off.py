"""People sign off: what their jobs lose, and what they keep.

A job's owner here is alice unless said; its helper svc-sync, lent by root, whose token no session
holds, or somebody who signed in to be one.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import shutil

from scene import (AT_ONCE, TRICKLE, WEB, bits, expect_dropped, expect_kept, give_token, hurry, job_of,
                   kill_daemon, lend, login, owner_and_mode, poll, same, scenario, sh, sign_off, start_job,
                   systemctl, token_of, user_state, wait_bytes, wait_state, workers)

ALICE, SVC_SYNC = 1001, 901


def helped_job(session, name, url=TRICKLE, queued=False):
    """A job of the session's user whose connections svc-sync makes; in mid-transfer, or behind
    another job that is."""
    identifier = session.bits('create', name)[0]['id']
    session.bits('add', identifier, url, f'/home/{session.user}/{name}')
    lend(identifier, 'svc-sync', 'network')
    session.bits('resume', identifier)
    if not queued:
        wait_bytes(identifier)
    return identifier


# ---- what the machine itself does: the ground of all others

@scenario()
def session_with_a_process_left_is_closing():
    """OPS-47: its end is seen in the state, long before SessionRemoved."""
    with login('alice') as alice:
        assert alice.properties('State') == 'active' and user_state('alice') == 'active'
        left = alice.leave_behind()
        alice.logout()
        poll(lambda: alice.properties('State') == 'closing', 'closing', AT_ONCE)
        assert user_state('alice') == 'closing'
        os.kill(left, 9)
        alice.wait_gone()
    sign_off('alice')


@scenario()
def one_user_has_several_sessions():
    """OPS-47"""
    with login('alice') as first, login('alice', 'su') as second:
        assert first.id != second.id
        first.logout()
        first.wait_gone()
        assert second.properties('State') == 'active' and user_state('alice') == 'active'
        os.close(token_of(second))
    sign_off('alice')


# ---- the owner

def expect_signed_off(helped, plain, kept, own):
    """What the end of the owner's last session does. own: workers of svc-sync that serve itself,
    from before; they are no matter of the owner's."""
    job = expect_dropped(helped)
    assert job['bytes-transferred'] >= kept
    assert wait_state(plain, 'queued', timeout=AT_ONCE)
    poll(lambda: not workers(ALICE) and set(workers(SVC_SYNC)) <= own, 'the end of the workers',
         AT_ONCE)
    assert 'alice' in job_of(plain)['wait-reason']


@scenario()
def owner_signs_off_and_on():
    """TOK-62, TOK-65, ENG-63, ENG-64, ENG-65."""
    own = set(workers(SVC_SYNC))
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        plain = start_job(TRICKLE, '/home/alice/plain', session=alice)
        kept = job_of(helped)['bytes-transferred']
        alice.logout()
        expect_signed_off(helped, plain, kept, own)
    sign_off('alice')
    with login('alice') as alice:
        wait_state(plain, 'connecting', 'transferring')
        lend(helped, 'svc-sync', 'network')
        bits('cancel', plain)
        hurry(helped)
        alice.bits('resume', helped)
        wait_state(helped, 'transferred')
        alice.bits('complete', helped)
        assert same('/home/alice/helped')
    sign_off('alice')


@scenario()
def owner_leaves_a_process_behind():
    """TOK-62, TOK-66, ENG-63: who is closing is away."""
    own = set(workers(SVC_SYNC))
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        plain = start_job(TRICKLE, '/home/alice/plain', session=alice)
        alice.leave_behind()
        alice.logout()
        poll(lambda: alice.properties('State') == 'closing', 'closing')
        expect_signed_off(helped, plain, 1, own)
    sign_off('alice')


@scenario()
def owner_is_thrown_out():
    """TOK-62: by loginctl terminate-session."""
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        alice.terminate()
        expect_dropped(helped)
    sign_off('alice')


@scenario()
def owner_signs_off_while_the_manager_is_down():
    """ENG-66."""
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        systemctl('stop', 'bitsd.service')
        alice.logout()
        alice.wait_gone()
        systemctl('start', 'bitsd.service')
        expect_dropped(helped)
    sign_off('alice')


@scenario()
def one_of_two_sessions_ends():
    """TOK-63: only the token that was captured in it goes."""
    with login('alice') as first, login('alice') as second:
        jobs = []
        for session in (first, second):
            identifier = helped_job(session, f'of-{session.id}', queued=session is second)
            session.bits('token', 'set', identifier)
            jobs.append(identifier)
        first.logout()
        expect_dropped(jobs[0])
        expect_kept(jobs[1])
    sign_off('alice')


@scenario()
def lingering_owner_never_signs_off():
    """ENG-60."""
    sh('loginctl enable-linger alice')
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        alice.logout()
        alice.wait_gone()
        assert user_state('alice') == 'lingering'
        expect_kept(helped)
    sign_off('alice')


@scenario()
def transferred_job_waits_for_its_helper():
    """OPS-54: it stays transferred; Complete asks for the helper that has to make the file, loses nothing."""
    os.makedirs('/srv/carols', exist_ok=True)
    shutil.chown('/srv/carols', 'carol', 'carol')
    os.chmod('/srv/carols', 0o700)
    with login('alice') as alice:
        job = alice.bits('create', 'ready')[0]['id']
        lend(job, 'carol', 'local-file')
        alice.bits('add', job, f'http://{WEB}/open/large', '/srv/carols/ready')
        alice.bits('resume', job)
        wait_state(job, 'transferred')
        alice.logout()
        alice.wait_gone()
        assert job_of(job)['state'] == 'transferred'
    assert 'BG_E_TOKEN_REQUIRED' in sh(f'bits complete {job}', status=1)
    assert job_of(job)['state'] == 'transferred'
    lend(job, 'carol', 'local-file')
    bits('complete', job)
    assert same('/srv/carols/ready') and owner_and_mode('/srv/carols/ready')[0] == 'carol'
    shutil.rmtree('/srv/carols')
    sign_off('alice')


@scenario()
def owner_goes_on_without_the_helper():
    """OPS-55: flags to none and Resume, in place of a new token; from the kept bytes."""
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        alice.logout()
        kept = expect_dropped(helped)['bytes-transferred']
    with login('alice') as alice:
        alice.bits('token', 'flags', helped, 'none')
        hurry(helped)
        alice.bits('resume', helped)
        assert wait_state(helped, 'transferring', 'transferred')['bytes-transferred'] >= kept
        wait_state(helped, 'transferred')
        alice.bits('complete', helped)
        assert same('/home/alice/helped')
    sign_off('alice')


# ---- the helper

@scenario()
def helper_signs_off_while_the_owner_stays():
    """TOK-63, ENG-63."""
    with login('alice') as alice, login('bob') as bob:
        helped = helped_job(alice, 'helped')
        give_token(helped, token_of(bob), 'network')
        wait_bytes(helped)
        bob.logout()
        expect_dropped(helped)
        poll(lambda: not workers(bob.uid), "the end of bob's workers", AT_ONCE)
    sign_off('alice')
    sign_off('bob')


@scenario()
def service_loses_the_identity_of_a_user_who_signs_off():
    """TOK-64: root captured it outside of any session, while bob was signed on."""
    with login('bob') as bob:
        job = start_job(TRICKLE, '/root/as-bob')
        lend(job, 'bob', 'network')
        wait_bytes(job)
        bob.logout()
        expect_dropped(job)
    sign_off('bob')


@scenario()
def identity_of_a_user_who_was_not_there_stays():
    """TOK-64: only of one who was signed on at its capture."""
    job = start_job(TRICKLE, '/root/as-carol')
    lend(job, 'carol', 'network')
    wait_bytes(job)
    with login('carol') as carol:
        carol.logout()
        carol.wait_gone()
    expect_kept(job)
    sign_off('carol')


# ---- daemons

@scenario()
def tokens_survive_restarts():
    """OPS-51, TOK-67, TOK-62 after them."""
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        for name in ('bitsd.service', 'bits-broker.service'):
            systemctl('restart', name)
            expect_kept(helped)
        kill_daemon('bitsd.service')
        expect_kept(helped)
        alice.logout()
        expect_dropped(helped)
    sign_off('alice')


@scenario()
def login_manager_restarts():
    """ENG-61."""
    with login('alice') as alice:
        helped = helped_job(alice, 'helped')
        systemctl('restart', 'systemd-logind.service')
        expect_kept(helped)
        alice.logout()
        expect_dropped(helped)
    sign_off('alice')
