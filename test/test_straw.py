"""Workers that were taken over and say to bitsd what they like: it costs the jobs of their identity,
and nothing else.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib
import shutil
import signal

import pytest

import bus
import playground_lib
import wire
from conftest import HERE, World, new_playground
from share import Share

UNABLE_TO_DELETE_FILES = 0x0020001A    # a file that is said to be, and is not there

# One lie each. The rest is honest: `answer(name, **fields)` sends, `m` is the question.
LIES = {
    # the descriptor for writing
    'a socket': ('FILE_OPEN', 'opened(m, socket.socketpair()[0].detach())'),
    'its own channel': ('FILE_OPEN', 'opened(m, os.dup(3))'),
    'a device that is full': ('FILE_OPEN', 'opened(m, os.open("/dev/full", os.O_WRONLY))'),
    'a sealed file': ('FILE_OPEN', 'opened(m, sealed())'),
    'none': ('FILE_OPEN', 'opened(m)'),
    'two': ('FILE_OPEN', 'opened(m, file(), file())'),
    'one with an error': ('FILE_OPEN', 'opened(m, file(), error=13)'),
    # numbers
    'an enormous size': ('FILE_OPEN', 'opened(m, file(), fresh=0, size=2**64 - 1)'),
    'kept bytes that never were': ('FILE_OPEN', 'opened(m, file(), fresh=0, size=10**6)'),
    'an errno that is none': ('FILE_CHECK', 'answer("FILE_RESULT", error=0xffffffff)'),
    'no results': ('FILE_SYNC', 'answer("FILE_SYNCED", errors=[])'),
    'results that are none': ('FILE_SYNC', 'answer("FILE_SYNCED", errors=[99999] * len(m.files))'),
    # answers to something else
    'the wrong kind of answer': ('FILE_CHECK', 'opened(m, file())'),
    'the answer to no question': ('FILE_CHECK', 'answer("FILE_RESULT", serial=77777, error=0)'),
    'an answer twice': ('FILE_CHECK', '[answer("FILE_RESULT", error=0) for _ in range(2)]'),
    'a question': ('FILE_CHECK', 'answer("FILE_CHECK", local_name="/etc/shadow")'),
    'that it has renamed what it has not': ('FILE_COMMIT', 'answer("FILE_RESULT", error=0)'),
    'hello as root': ('HELLO', 'hello(uid=0)'),
    'hello as another kind': ('HELLO', 'hello(kind=1)'),
}
# What a bits-net answers to NET_START.
NET_LIES = {
    'a failure without code': 'done(code=0)',
    'a context that is none': 'done(context=0xffffffff)',
    'a code that is a success': 'done(code=0x200017)',
    'a code of somebody else': 'done(code=0x80200056)',
    'an outcome that is none': 'done(outcome=99)',
    'a sentence that is no text':
        'done(detail="\\udcff\\x01", headers="\\udcff", remote_name="http://\\udcff/")',
    'a failure with a success': 'done(outcome=0, code=5, context=5, written=1000)',
    'an end without a beginning': 'done(outcome=0, context=0, code=0, written=1000)',
    'an end that is short': 'started(); done(outcome=0, context=0, code=0, written=1)',
    'a stop that nobody asked for': 'done(outcome=1, context=0, code=0)',
    'another version, ever': 'done(outcome=2, context=0, code=0)',
    'a beginning beyond all': 'started(offset=2**64 - 1); done()',
    'an enormous total': 'started(total=2**64 - 2); done()',
    'a total that is no number': 'started(total=2**63); progress(2**63); done()',
    'a redirect to a file': 'started(remote_name="file:///etc/shadow"); done()',
    'an endless redirect': 'started(remote_name="http://" + "x" * 50000); done()',
    'headers that are no text': 'started(headers="\\udcff", remote_name="\\udcff"); done()',
    'a beginning twice': 'started(); started(); done()',
    'progress without a beginning': 'progress(500); done()',
    'progress beyond all': 'started(); progress(2**64 - 1); done()',
    'progress that goes back': 'started(); progress(900); progress(10); done()',
    'a session of no upload': 'session()',
    'a certificate of nobody': 'certificate(); done()',
}

HEAD = '''#!{python}
import fcntl, os, socket, sys
sys.path.insert(0, {folder!r} + '/test')
from wire import Channel, pack
channel = Channel.from_fd(3, timeout=None)
version = {version}

def hello(uid=os.getuid(), kind={kind}):
    channel.send('WORKER_HELLO', version=version, kind=kind, uid=uid, layers=7)

def answer(name, serial=None, **fields):
    channel.send(name, serial=m.serial if serial is None else serial, **fields)

'''

FILES = HEAD + '''
def file():
    return os.memfd_create('x')

def sealed():
    fd = os.memfd_create('x', os.MFD_ALLOW_SEALING)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW)
    return fd

def opened(m, *fds, error=0, fresh=1, size=0):
    answer('FILE_OPENED', error=error, fresh=fresh, device=1, inode=7, birth=7, size=size,
           file=list(fds))

def honest(m):
    if m.name == 'FILE_OPEN':
        opened(m, file())
    elif m.name == 'FILE_SYNC':
        answer('FILE_SYNCED', errors=[0] * len(m.files))
    else:
        answer('FILE_RESULT', error=0)

lies = False
if {question!r} == 'HELLO':
    {lie}
else:
    hello()
while True:
    try:
        m = channel.receive()
    except EOFError:
        break
    if m.name == {question!r}:
        {lie}
    else:
        honest(m)
'''

NET = HEAD + '''
def done(outcome=3, context=5, code=0x80072efd, written=0, detail='', remote_name='', headers='',
         transfer=None):
    answer('NET_DONE', transfer=m.transfer if transfer is None else transfer, outcome=outcome,
           context=context, code=code, written=written, modification_time=0, detail=detail,
           remote_name=remote_name, headers=headers)

def started(offset=0, total=1000, etag='"v"', remote_name='', headers=''):
    answer('NET_STARTED', transfer=m.transfer, status=200, offset=offset, total=total, etag=etag,
           last_modified='', resumable=1, remote_name=remote_name, headers=headers)

def progress(written):
    answer('NET_PROGRESS', transfer=m.transfer, written=written)

def session():
    answer('NET_SESSION', transfer=m.transfer, session='s', host='h', host_fallback=0,
           reply_url='', closing=0)

def certificate():
    answer('NET_CERTIFICATE', transfer=m.transfer, peer='x', fingerprint='x', chain='x')

hello()
while True:
    try:
        m = channel.receive()
    except EOFError:
        break
    if m.name == 'NET_START':
        {lie}
'''


@pytest.fixture(scope='module')
def straw_playground(nginx):
    """A playground of its own, because its bits-file is exchanged."""
    playground = new_playground(nginx)
    playground.start()
    yield playground
    playground.stop(check=False)


@pytest.fixture
def straw(straw_playground, server):
    world = World(straw_playground, server)
    yield world
    world.close()


def wire_of(world):
    """The protocol, where every user can read it."""
    folder = world.base / 'wire'
    for path in ('test/wire.py', 'src/wire/protocol.h'):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE.parent / path, folder / path)
    for path in [folder, *folder.rglob('*')]:
        path.chmod(0o755)
    return str(folder)


@contextlib.contextmanager
def exchanged(world, name, content):
    """Another program in the place of that worker."""
    program = pathlib.Path(world.playground.runtime, 'libexec', name)
    real = program.read_bytes()

    def put(content):
        program.unlink(missing_ok=True)
        program.write_bytes(content)
        program.chmod(0o755)
        for pid in world.playground.pids(name) + world.playground.pids('python3'):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    try:
        put(content.encode())
        yield
    finally:
        put(real)


def comes_to_rest(job, url, target):
    """Whatever the end is; all of the job can be read then."""
    try:
        job.add(url, target)
        job.resume()
    except bus.BusError as error:
        assert error.short == 'ProcessAborted', error
        return
    state = job.wait_until(
        lambda: job.state in ('transferred', 'error', 'transient-error') and job.state)
    if state != 'transferred':
        error = bus.JobFault(*job.call('GetError'))     # any of the service's codes, it may be a lie
        assert error.code & 0x80000000 and 0 < error.context <= 7, error
    job.get_all()
    job.files()
    job.file().progress


def lie_to(straw, program, template, lie, question='', kind=0):
    before = straw.daemons()
    job = straw.manager().create()
    job.set('Priority', 'foreground')
    url, target = straw.put(1000), straw.vault() / 'a'
    content = template.format(python=playground_lib.PYTHON, folder=wire_of(straw), lie=lie, kind=kind,
                              question=question, version=wire.VERSION)
    with exchanged(straw, program, content):
        comes_to_rest(job, url, target)
        assert straw.daemons() == before
    # an honest worker, and the next job is served
    other, path = straw.manager().create(), straw.vault() / 'b'
    other.add(url, path)
    other.resume()
    other.wait('transferred')
    assert other.complete() == 0
    assert path.read_bytes() == straw.bytes(url)
    assert job.cancel() in (0, UNABLE_TO_DELETE_FILES)
    assert straw.daemons() == before


# SEC-371
@pytest.mark.parametrize('lie', LIES)
def test_worker_for_files_that_answers(straw, lie):
    question, statement = LIES[lie]
    lie_to(straw, 'bits-file', FILES, statement, question)


# SEC-482
def test_worker_for_files_that_sends_one_on_a_share_that_hangs(straw):
    if not straw.root:
        pytest.skip('needs root: a mount')
    folder = straw.base / 'share'
    folder.mkdir()
    with Share(folder) as share:
        share.put('file', b'content')
        with share.changed:
            share.holds_closing = set(straw.playground.pids('bitsd'))
        unasked = f'[os.open("{folder}/file", os.O_RDONLY)]'
        lie_to(straw, 'bits-file', FILES,
               f'channel.send_raw(pack("FILE_RESULT", m.serial, error=0)[0], {unasked})', 'FILE_CHECK')
        share.wait_closing(1)
        share.release_closing()


# SEC-371
@pytest.mark.parametrize('lie', NET_LIES)
def test_worker_for_the_network_that_answers(straw, lie):
    lie_to(straw, 'bits-net', NET, NET_LIES[lie], kind=1)
