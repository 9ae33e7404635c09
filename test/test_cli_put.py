"""`bits put`, and what the other verbs say of uploads.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import os
import signal

import pytest

from bits_server import BitsServer, Failure
from test_cli import Terminal, bits, jobs  # noqa: F401
from test_tokens import socket_uid

MIB = 1 << 20


@pytest.fixture
def server(tmp_path):
    server = BitsServer(tmp_path / 'www')
    server.file('in').mkdir()
    yield server
    server.close()
    assert server.breaches == []


def source(world, content, name='source', uid=None):
    uid = world.alice if uid is None else uid
    path = world.vault(uid) / name
    path.write_bytes(content)
    path.chmod(0o600)
    if world.root:
        os.chown(path, uid, uid)
    return path


# CLI-120
def test_put_in_a_pipe(world, bits, server):
    path = source(world, b'bytes' * 1000, 'a b.txt')
    result = bits('put', path.name, server.url('in/'), cwd=path.parent)
    url = server.url('in/a%20b.txt')
    assert f': {path} -> {url}\n' in result.stdout and f'done: {url} (' in result.stdout
    assert server.file('in/a b.txt').read_bytes() == b'bytes' * 1000
    assert jobs(bits) == []
    result = json.loads(bits('put', '--json', path, server.url('in/x')).stdout)['jobs'][0]
    assert result['state'] == 'acknowledged' and result['remote-name'] == server.url('in/x')
    assert result['bytes'] == 5000


# CLI-120
def test_put_with_a_reply(world, bits, server):
    server.application = lambda _url, data: data.upper()
    path = source(world, b'question')
    os.symlink(path, path.parent / 'link')
    bits('put', '--reply', 'answer', 'link', server.url('in/q'), cwd=path.parent)
    assert (path.parent / 'answer').read_bytes() == b'QUESTION'
    result = json.loads(bits('put', '--json', '--reply', path.parent, path, server.url('in/q')).stdout)
    assert result['jobs'][0]['reply-file-name'] == str(path.parent / 'q')
    assert (path.parent / 'q').read_bytes() == b'QUESTION'


# CLI-120
def test_bar_ctrl_c_and_again(world, bits, server):
    path = source(world, os.urandom(4 * MIB))
    server.failures += [Failure('Fragment', headers={}), Failure('Fragment', hang=True)]
    terminal = Terminal(world, 'put', path, server.url('in/f'))
    server.wait_for('Fragment', 2)
    terminal.read_until(rb'source.*25 ?%')
    os.killpg(terminal.process.pid, signal.SIGINT)
    output = terminal.read_until(None)
    assert 'goes on in the background' in output and 'ends it' in output
    assert terminal.process.wait() == 130
    entry, = jobs(bits)
    server.release()
    world.manager().job(entry['id']).wait('transient-error', 'transferred')     # it has noticed
    result = bits('put', path, server.url('in/f'))
    assert 'continuing job' in result.stdout
    assert server.file('in/f').read_bytes() == path.read_bytes()
    assert server.count('Create-Session') == 1 and jobs(bits) == []


# CLI-120
def test_errors_are_told(world, bits, server):
    path = source(world, b'x')
    result = bits('put', path.parent / 'none', server.url('in/x'), status=1)
    assert 'none' in result.stderr and jobs(bits) == []
    result = bits('put', path.parent, server.url('in/x'), status=1)
    assert jobs(bits) == []
    server.overwrite = False
    server.file('in/x').write_bytes(b'old')
    result = bits('put', path, server.url('in/x'), status=1)
    assert 'exists there and may not be replaced' in result.stderr
    assert f'cannot send {path}\n' in result.stderr    # CLI-332
    for arguments in (['put'], ['put', path], ['put', path, 'http://h/', 'x'],
                      ['get', '--reply', 'x', 'http://h/f']):
        bits(*arguments, status=2)


# CLI-121
def test_show_an_upload(world, bits, server):
    server.application = lambda *_: b'reply'
    path = source(world, b'x' * 100)
    job = bits('create', '--type', 'upload-reply').stdout.strip()
    bits('add', job, server.url('in/x'), path)
    bits('set', job, f'reply-file-name={path.parent}/mine')
    shown = bits('show', job).stdout
    assert 'upload-reply' in shown and f'{path.parent}/mine' in shown and str(path) in shown
    assert 'reply-progress' not in shown
    bits('resume', job)
    bits('wait', job)
    assert '5 of 5 bytes' in bits('show', job).stdout
    entry = json.loads(bits('show', '--json', job).stdout)['jobs'][0]
    assert entry['reply-file-name'] == f'{path.parent}/mine'
    bits('complete', job)
    assert (path.parent / 'mine').read_bytes() == b'reply'
    plain = bits('create').stdout.strip()
    assert 'reply' not in bits('show', plain).stdout
    result = bits('set', plain, 'reply-file-name=/tmp/x', status=1)
    assert 'has no reply' in result.stderr
    bits('cancel', plain)


# CLI-120: the two identities of a job
def test_helper_reads_or_connects(root_world, bits, server):
    world = root_world
    path = source(world, b'secret', uid=world.bob)
    bits('put', '--local-as', world.bob, path, server.url('in/x'), uid=0)
    assert server.file('in/x').read_bytes() == b'secret'
    own = source(world, b'own' * MIB, uid=0)
    server.failures.append(Failure('Fragment', hang=True))
    job = bits('put', '--detach', '--network-as', world.bob, own, server.url('in/y'), uid=0).stdout
    server.wait_for('Fragment', 2)
    assert socket_uid(server.seen[-1].peer[1], server.port) == world.bob
    server.release()
    bits('cancel', job.strip(), uid=0)
