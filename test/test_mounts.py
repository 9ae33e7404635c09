"""Programs whose mounts are not the service's: what they name is what they mean, or is refused.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import shutil

import pytest

import bus


@pytest.fixture
def world(root_world):
    if not shutil.which('unshare'):
        pytest.skip('unshare is not installed')
    return root_world


def elsewhere(world, private, public, *command):
    """Runs the command as alice where `private` lies over `public`, as with PrivateTmp=."""
    script = ('mount --bind "$1" "$2" && shift 2 && '
              f'exec setpriv --reuid {world.alice} --regid {world.alice} --clear-groups "$@"')
    return world.playground.run(['unshare', '--mount', 'sh', '-c', script, 'sh', str(private),
                                 str(public), *map(str, command)])


# FIL-370
@pytest.mark.parametrize('command', ['get', 'put', 'add'])
def test_directory_that_is_another_one_for_the_service_is_refused(world, command):
    private, public = world.vault(), world.vault()
    url = world.put(1000)
    if command == 'put':
        for folder in (private, public):
            (folder / 'x').write_bytes(b'data')
            os.chown(folder / 'x', world.alice, world.alice)
    job = world.manager().create()
    arguments = {'get': ['get', url, public / 'x'], 'put': ['put', public / 'x', url],
                 'add': ['add', job.id, url, public / 'x']}[command]
    result = elsewhere(world, private, public, 'bits', *arguments)
    assert result.returncode != 0
    assert 'another one for this program' in result.stderr and 'PrivateTmp' in result.stderr
    assert os.listdir(private) == os.listdir(public) == (['x'] if command == 'put' else [])
    assert job.files() == []
    assert len(world.manager().list()) == 1     # that one: nothing is left of the others


# FIL-370
def test_directory_that_both_see_is_taken(world):
    private, public, common = world.vault(), world.vault(), world.vault()
    url = world.put(1000)
    result = elsewhere(world, private, public, 'bits', 'get', url, common / 'x')
    assert result.returncode == 0, result.stderr
    assert (common / 'x').read_bytes() == world.bytes(url)


# FIL-370
def test_who_asks_is_told(world):
    job = world.manager().create()
    folder, other = world.vault(), world.vault(world.bob)
    numbers = folder.stat().st_dev, folder.stat().st_ino

    def ask(name, device=numbers[0], inode=numbers[1]):
        try:
            job.call('CheckDirectory', 'stt', str(name), device, inode)
        except bus.BusError as error:
            return error.short
        return ''
    assert ask(folder / 'x') == ''
    assert ask(folder / 'x', numbers[0] + 1) == ask(folder / 'x', inode=1) == 'InvalidArgument'
    assert ask('/tmp/x') == ask('x') == ask('/proc/self/x') == 'InvalidArgument'
    assert ask(other / 'a/x') == ask(folder / 'none/x') == ''     # AddFile's to refuse
    job.set_helper_flags(bus.LOCAL_FILE)
    assert ask(folder / 'x') == 'TokenRequired'
    job.cancel()
    assert ask(folder / 'x') == 'InvalidState'
