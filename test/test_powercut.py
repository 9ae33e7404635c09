"""The real service on disks that record what is written, one for the store and one for the users'
files, and then on the disks that a power cut could have left: cut at any barrier, with any of the
writes lost that nobody had waited for.

The truth is what the application was told, and how much of the log had been written by then. After
each cut the daemons are started in another boot of the machine, and the application goes on: every
job that was acknowledged is there and comes to its end, every file that has its name is whole, and
what the store counts as kept is in the file.

OPENBITS_POWER_CUTS is the number of cuts, OPENBITS_SEED repeats a choice of them.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pathlib
import random
import shutil
import sqlite3
import tempfile

import pytest

import bus
import conftest
import playground_lib
import powercut
from conftest import temporary_files

RECORDER = pathlib.Path(playground_lib.default_build(), 'test', 'recorder')
CUTS = int(os.environ.get('OPENBITS_POWER_CUTS')
           or ('6' if os.environ.get('OPENBITS_SANITIZERS') else '20'))
KIB = 1024
GONE = ('NotFound', 'UnknownObject', 'InvalidState')
ENDED = ('acknowledged', 'cancelled')


class Work:
    """A job as its application knows it: what it was told, and when (a position of the log)."""

    def __init__(self, job, pairs):
        self.job, self.id, self.pairs = job, job.id, pairs
        self.told, self.asked = {}, {}
        self.name, self.missing = None, ()


class Application:
    """Makes jobs of every fate, and remembers what it was told."""

    def __init__(self, world, disks):
        self.world, self.disks = world, disks
        self.works = []

    def create(self, name, sizes, **fields):
        vault = self.world.vault()
        pairs = [(self.world.put(size, **fields), vault / str(n)) for n, size in enumerate(sizes)]
        work = Work(self.world.manager().create(name, Priority='foreground'), pairs)
        self.works.append(work)
        self.note(work, 'create')
        self.call(work, 'files', lambda: work.job.add_all(pairs))
        return work

    def note(self, work, what):
        work.told[what] = self.disks.position()

    def call(self, work, what, function):
        work.asked[what] = self.disks.position()
        value = function()
        self.note(work, what)
        return value

    def transfer(self, work):
        self.call(work, 'resume', work.job.resume)
        work.job.bus.wait_signal(lambda s: s.member == 'JobTransferred' and s.path == work.job.path)
        self.note(work, 'transferred')

    def complete(self, work):
        assert self.call(work, 'complete', work.job.complete) == 0

    @staticmethod
    def missing(job):
        return [n for n, file in enumerate(job.files()) if file.transferred != file.total]

    def rename(self, work, name):
        work.name = name
        self.call(work, 'name', lambda: work.job.set('DisplayName', name))

    def run(self):
        """Two jobs stay unfinished over most of the time, the others come and go."""
        server = self.world.server
        left = self.create('left', [1000, 2000])
        paused = self.create('paused', [700 * KIB], stall_after=300 * KIB)
        url = paused.pairs[0][0]
        self.call(paused, 'resume', paused.job.resume)
        server.wait_stalled(self.world.path_of(url))
        paused.job.wait_until(lambda: paused.job.progress.transferred > 0)
        self.call(paused, 'suspend', paused.job.suspend)
        small = self.create('small', [0, 5000, 70 * KIB])
        self.transfer(small)
        self.complete(small)
        self.rename(left, 'left alone')
        dropped = self.create('dropped', [100 * KIB, 10])
        self.transfer(dropped)
        assert self.call(dropped, 'cancel', dropped.job.cancel) == 0
        many = self.create('many', [3000 + n for n in range(12)])
        self.transfer(many)
        self.complete(many)
        partial = self.create('partial', [4000, 5000])
        self.world.resource(partial.pairs[1][0]).status = 404
        partial.missing = (1,)
        self.call(partial, 'resume', partial.job.resume)
        partial.job.wait('error')
        partial.missing = self.missing(partial.job)      # the other one may have been too late
        assert self.call(partial, 'complete', partial.job.complete) == bus.PARTIAL_COMPLETE
        server.release(self.world.path_of(url))
        del paused.told['suspend']
        self.transfer(paused)
        waiting = self.create('waiting', [20 * KIB])
        self.transfer(waiting)
        self.complete(paused)


class PowerWorld(conftest.World):
    """A World whose directories are on a disk that is cut off."""

    def __init__(self, playground, server, point):
        super().__init__(playground, server)
        shutil.rmtree(self.base)
        self.base = point

    def vault(self, *arguments):
        """The directories are there before the service hears of them."""
        path = super().vault(*arguments)
        for folder in (path, path.parent):
            fd = os.open(folder, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        return path


class After:
    """The service after one cut."""

    def __init__(self, application, states, state, point):
        self.application, self.world = application, application.world
        self.states, self.state, self.point = states, state, point

    def told(self, work, what):
        """The answer, and what it speaks of, is older than what the cut has left."""
        return what in work.told and self.states.settled(work.told[what]) <= self.state.cut

    def asked(self, work, *calls):
        """The call may have had effects that are on this disk."""
        return any(what in work.asked and self.states.begun(work.asked[what]) < self.state.cut
                   for what in calls)

    # ---- the disk, before anybody has touched it ----

    def content(self, url):
        return self.world.bytes(url)

    def check_kept(self):
        """What the store counts is in the file. DUR-261"""
        for remote, local, temporary, kept, renamed in self.stored():
            if kept == 0:
                continue
            path = pathlib.Path(local)
            places = [path.with_name(temporary)] + [path] * bool(renamed)
            found = next((place for place in places if place.exists()), None)
            if found is None:
                assert renamed or self.may_be_gone(local), f'{kept} bytes of {local} count, and there is no file'
                continue
            assert found.read_bytes()[:kept] == self.content(remote)[:kept], \
                f'{kept} bytes of {local} count, and are not there'

    def may_be_gone(self, local):
        """Complete or Cancel had begun: the steps are repeatable."""
        return any(self.asked(work, 'complete', 'cancel') for work in self.application.works
                   for _, path in work.pairs if str(path) == local)

    def stored(self):
        with tempfile.TemporaryDirectory() as copy:
            for path in (self.point / 'openbits').glob('jobs.sqlite*'):
                shutil.copy(path, copy)
            if not pathlib.Path(copy, 'jobs.sqlite').exists():
                return []
            with contextlib.closing(sqlite3.connect(f'{copy}/jobs.sqlite')) as database:
                with contextlib.suppress(sqlite3.DatabaseError):    # the service will say what that means
                    return database.execute(
                        'SELECT remote_name, local_name, temporary_name, kept, completed OR jobs.pending '
                        'FROM files JOIN jobs ON files.job = jobs.row').fetchall()
        return []

    def check_names(self):
        """A file that has its name is whole. DUR-262"""
        for work in self.application.works:
            for url, path in work.pairs:
                if path.exists():
                    assert path.read_bytes() == self.content(url), f'{path} differs'
                    assert self.asked(work, 'complete'), f'{path} has its name too early'

    # ---- the service ----

    def check_jobs(self):
        """DUR-260"""
        for work in self.application.works:
            listed = work.id in self.listed
            if self.told(work, 'complete') or self.told(work, 'cancel'):
                assert not listed, f'{work.id} came back'
            elif self.told(work, 'create') and not self.asked(work, 'complete', 'cancel'):
                assert listed, f'an acknowledged job is lost: {work.told}'
            if listed:
                try:
                    self.check_job(work)
                except bus.BusError as error:
                    self.wait_gone(work, error)
            if self.told(work, 'create') and work.id not in self.listed:
                self.check_gone(work)

    def wait_gone(self, work, error):
        """What had begun to end went on by itself, while we looked at it."""
        if error.short not in GONE or not self.asked(work, 'complete', 'cancel'):
            raise error
        bus.poll_until(lambda: work.id not in self.list(), 'the end of the job')
        self.listed.pop(work.id, None)

    def check_job(self, work):
        job = self.world.manager().job(work.id)
        files = [(f.remote_name, f.local_name) for f in job.files()]
        expected = [(url, str(path)) for url, path in work.pairs]
        assert files == expected or files == [] and not self.told(work, 'files'), files
        if self.told(work, 'name'):
            assert job.get('DisplayName') == work.name
        finishing = self.asked(work, 'complete', 'cancel')
        if self.told(work, 'resume') and not self.asked(work, 'suspend'):
            assert job.state != 'suspended' or finishing
        if self.told(work, 'suspend') and not self.asked(work, 'complete'):
            assert job.state in ('suspended', *bus.ACTIVE, 'transferred')
        if self.told(work, 'transferred') and not finishing:
            assert job.state == 'transferred', 'an announced end is forgotten'

    def check_gone(self, work):
        """The job ended: as a whole."""
        assert self.asked(work, 'complete', 'cancel')
        for number, (_, path) in enumerate(work.pairs):
            wanted = self.asked(work, 'complete') and number not in work.missing
            assert path.exists() == wanted, f'{path} after the end of its job'
        assert not work.pairs or temporary_files(work.pairs[0][1].parent) == []

    def go_on(self):
        """Every job comes to its end, from the bytes that it has. DUR-263"""
        for work in list(self.application.works):
            if work.id in self.listed:
                self.finish(work)

    def finish(self, work):
        job = bus.Job(self.world.manager().bus, self.listed[work.id], work.id)
        missing = work.missing
        try:
            if job.files() == []:
                job.cancel()
                return
            if job.state in ('suspended', 'error'):
                job.resume()
            if job.wait('error' if work.missing else 'transferred', *ENDED) in ENDED:
                raise bus.BusError('InvalidState', 'the job has ended by itself')
            missing = self.application.missing(job)
            assert missing == [] or work.missing
            assert job.complete() == (bus.PARTIAL_COMPLETE if work.missing else 0)
        except bus.BusError as error:
            self.wait_gone(work, error)
        if self.asked(work, 'cancel'):
            return
        for number, (url, path) in enumerate(work.pairs):
            assert number in missing or path.read_bytes() == self.content(url), f'{path} differs'
        assert temporary_files(work.pairs[0][1].parent) == []

    def list(self):
        return {entry['Id']: entry['Path'] for entry in self.world.manager().list()}

    def check(self, boots):
        self.check_kept()
        self.check_names()
        boots.next()
        self.world.restart('bits-broker')
        self.world.restart('bitsd')
        self.listed = self.list()
        self.check_jobs()
        self.go_on()
        assert self.list().keys() <= {work.id for work in self.application.works}


@contextlib.contextmanager
def cut_world(nginx, server, folder):
    """The service with its store and the users' directories on recorded disks."""
    directory, users = folder / 'playground', folder / 'users'
    state = directory / 'state'
    with contextlib.ExitStack() as stack:
        for point in (state, users):
            point.mkdir(parents=True)
        disks = powercut.RecordedDisks(RECORDER, folder, (state, users))
        stack.callback(disks.close)
        users.chmod(0o711)
        playground = conftest.new_playground(nginx)
        playground.directory, playground.keeps_directory = str(directory), True
        boots = powercut.Boots(folder)
        stack.callback(boots.close)
        playground.start()
        stack.callback(playground.stop, check=False)
        world = PowerWorld(playground, server, users)
        stack.callback(world.close)
        yield world, disks, boots


@pytest.fixture
def open_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-cut-'))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


# DUR-08, DUR-260 … DUR-263
@pytest.mark.skipif(not conftest.ROOT, reason='needs root: mounts')
@pytest.mark.skipif(not RECORDER.exists(), reason='the build has no test/recorder: install libfuse3-dev')
@pytest.mark.skipif(not os.path.exists('/dev/fuse'), reason='needs /dev/fuse')
def test_power_cuts(nginx, server, open_folder):
    seed = os.environ.get('OPENBITS_SEED') or str(random.SystemRandom().getrandbits(32))
    print(f'seed {seed}')
    with cut_world(nginx, server, open_folder) as (world, disks, boots):
        begin = disks.position()
        application = Application(world, disks)
        application.run()
        states = powercut.CrashStates(disks.images, disks.log, disks.position(), open_folder)
        first = states.settled(begin)
        print(f'{len(states.records)} writes and barriers, {len(states.barriers)} barriers')
        for state in states.choose(CUTS, random.Random(seed), first):
            powercut.replace_disks(disks.points, states.make(state))
            try:
                After(application, states, state, disks.points[0]).check(boots)
            except BaseException:
                print(f'failed at {state.cut} of {len(states.records)}, {len(state.lost)} of '
                      f'{len(state.unsure)} writes lost\n{world.logs()}')
                raise
