"""Command lines as people see them: bits create, get, set, show, and what an administrator lists.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import pathlib

from test_cli import GUID, bits    # noqa: F401
from test_notify import DELAY, State, made, set_command, transferred, wait_result


def shown(text, key):
    """The value of a line of `bits show`; None without such a line."""
    for line in text.splitlines():
        if line.split(' ', 1)[0] == key:
            return line.split(' ', 1)[1].strip()
    return None


def test_create_set_and_show(world, bits):    # noqa: F811
    # CLI-240, CLI-241
    identifier = bits('create', '--notify-command', '/bin/sh -c "exit 3"', 'mine').stdout.strip()
    job = world.manager().job(identifier)
    assert job.call('GetNotifyCmdLine') == ('/bin/sh', '/bin/sh -c "exit 3"')
    assert State(job).author == world.alice
    text = bits('show', identifier).stdout
    assert shown(text, 'notify-command') == '/bin/sh -c "exit 3"'
    assert (shown(text, 'notify-command-runs'), shown(text, 'notify-command-result')) == ('0', 'not run yet')
    bits('set', identifier, 'notify-command=', 'minimum-notification-interval=77')
    text = bits('show', identifier).stdout
    assert shown(text, 'notify-command') is None and shown(text, 'notify-command-author') is None
    assert shown(text, 'minimum-notification-interval') == '77 ms'
    bits('set', identifier, 'notify-command=/bin/false')
    assert job.call('GetNotifyCmdLine') == ('/bin/false', '')
    failed = bits('create', '--notify-command', 'true', 'not mine', status=1)
    assert 'not a full path' in failed.stderr and 'E_INVALIDARG' in failed.stderr
    assert [entry['Id'] for entry in world.manager().list()] == [identifier]    # nothing half made


def test_last_run_is_shown(world, bits):    # noqa: F811
    # CLI-241
    job = made(world)
    set_command(world, job, '/bin/sh', 'sh -c "exit 3"')
    transferred(world, job)
    wait_result(job, 'exit status 3')
    text = bits('show', job.id).stdout
    assert shown(text, 'notify-command') == '/bin/sh (as: sh -c "exit 3")'
    assert (shown(text, 'notify-command-runs'), shown(text, 'notify-command-result')) == ('1', 'exit status 3')
    assert shown(text, 'notify-command-last')
    found = json.loads(bits('show', '--json', job.id).stdout)['jobs'][0]
    assert found['notify-command-result'] == 'exit status 3'
    assert found['minimum-retry-delay'] == DELAY


def test_get_with_a_command(world, bits):    # noqa: F811
    # CLI-240
    folder = world.vault()
    identifier = bits('get', '--detach', '--notify-command', f'/bin/touch {folder}/ran', world.put(1000),
                      folder / 'file').stdout
    job = world.manager().job(GUID.search(identifier).group())
    wait_result(job, 'exit status 0')
    assert (folder / 'ran').exists()


def test_administrator_lists_and_removes_them(root_world, bits):    # noqa: F811
    # CLI-242, CLI-243
    world = root_world
    state = f'--state-directory={world.playground.state}/openbits-broker'
    job, other = made(world), world.manager(world.bob).create()
    set_command(world, job, '/bin/sh', 'sh -c "exit 3"')
    set_command(world, other, '/bin/echo', '/bin/echo a b', uid=world.bob)
    stray = pathlib.Path(world.playground.state, 'openbits-broker', 'commands', f'{world.carol}.{"0" * 36}')
    stray.write_bytes(b'nonsense')
    found = {entry['job']: entry for entry in json.loads(
        bits('admin', 'notify', state, '--json', uid=0).stdout)['commands']}
    mine = found[job.id]
    assert (mine['uid'], mine['name'], mine['program'], mine['parameters'], mine['result']) == (
        world.alice, 'bits-alice', '/bin/sh', 'sh -c "exit 3"', 'not run yet')
    assert found[other.id]['uid'] == world.bob and found[other.id]['program'] == '/bin/echo'
    assert (found['0' * 36]['program'], found['0' * 36]['result']) == ('(not a command line)', 'no such job')
    text = bits('admin', 'notify', state, uid=0).stdout
    assert 'bits-bob' in text and '/bin/echo a b' in text
    bits('admin', 'notify', state, 'remove', job.id[:8], '0' * 36, uid=0)
    left = json.loads(bits('admin', 'notify', state, '--json', uid=0).stdout)['commands']
    assert [entry['job'] for entry in left if entry['job'] in (job.id, '0' * 36)] == []
    assert job.call('GetNotifyCmdLine') == ('', '')      # CLI-390
    shown = bits('show', job.id, uid=world.alice).stdout
    assert '/bin/sh' not in shown and other.call('GetNotifyCmdLine') == ('/bin/echo', '/bin/echo a b')
    set_command(world, job, '/bin/sh', 'sh -c "exit 3"')
    pathlib.Path(world.playground.state, 'openbits-broker', 'commands', f'{world.alice}.{job.id}').unlink()
    transferred(world, job)
    wait_result(job, 'could not be launched: No such file or directory')
    bits('admin', 'notify', state, uid=0)
    assert 'no command line is kept' in bits('admin', 'notify', state, 'remove', job.id, uid=0, status=1).stderr
    assert 'too short' in bits('admin', 'notify', state, 'remove', '0', uid=0, status=1).stderr
    assert 'root' in bits('admin', 'notify', state, status=1).stderr
    bits('admin', 'notify', 'remove', status=2)
