"""polkit: who may look after other users' jobs.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import pathlib
import shlex

from scene import WEB, bits, job_of, login, poll, scenario, sh, sign_off, start_job

ACTION = 'org.openbits.manage-all-jobs'


@contextlib.contextmanager
def rule(user, result):
    """polkit's answer for that user: YES, NO, AUTH_ADMIN."""
    path = pathlib.Path('/etc/polkit-1/rules.d/10-scenario.rules')
    path.write_text('polkit.addRule(function(action, subject) {\n'
                    f'    if (action.id == "{ACTION}" && subject.user == "{user}")\n'
                    f'        return polkit.Result.{result};\n}});\n')
    expected = {'YES': '0', 'NO': '1', 'AUTH_ADMIN': '2'}[result]
    ask = f'sleep 100 & pkcheck --action-id {ACTION} --process $! >/dev/null 2>&1; code=$?; ' \
          'kill $!; echo $code'
    poll(lambda: sh(ask, user).strip() == expected, 'polkit to read the rule')
    try:
        yield
    finally:
        path.unlink()


def job_of_alice():
    return start_job(f'http://{WEB}/open/slow/large', '/home/alice/hers', user='alice')


@scenario()
def others_jobs_are_not_there():
    """OPS-49: on the real bus, for a user in a session."""
    job = job_of_alice()
    with login('carol') as carol:
        assert carol.bits('list') == []
        assert 'no job' in carol.run(shlex.join(['bits', 'cancel', job]), status=1)
    assert job_of(job)['state'] != 'cancelled'
    bits('cancel', job)
    sign_off('carol')


@scenario()
def polkit_allows():
    """SEC-90"""
    job = job_of_alice()
    with login('carol') as carol, rule('carol', 'YES'):
        assert [entry['id'] for entry in carol.bits('list', '--all-users')] == [job]
        carol.bits('cancel', job)
    sign_off('carol')


@scenario()
def polkit_refuses():
    """SEC-91"""
    job = job_of_alice()
    with login('carol') as carol, rule('carol', 'NO'):
        assert 'E_ACCESSDENIED' in carol.run('bits list --all-users', status=1)
        assert 'no job' in carol.run(shlex.join(['bits', 'cancel', job]), status=1)
    bits('cancel', job)
    sign_off('carol')


@scenario()
def polkit_asks_and_nobody_is_there_to_answer():
    """OPS-59: no agent: a clear error, at once."""
    with login('carol') as carol, rule('carol', 'AUTH_ADMIN'):
        assert 'authentication' in carol.run('timeout 5 bits list --all-users', status=1)
    sign_off('carol')
