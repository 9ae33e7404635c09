"""Twenty jobs, and somebody who kills a random process of the service every 50 to 500 ms.

Each of twenty clients makes a job, resumes it, completes it, compares every byte, and begins again
until enough has been killed. A client does what an application would: a call whose answer was lost
is looked after (is the job there? are the files?), a transient error is resumed. An error state, a
job that stands still although Resume was acknowledged, a job that is gone, a file that differs or a
temporary file that is left is a failure.

OPENBITS_SEED repeats a run's choices; OPENBITS_KILLS sets the number of kills.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import random
import signal
import threading
import time

import bus
from conftest import temporary_files

JOBS = 20
KILLS = int(os.environ.get('OPENBITS_KILLS', '210'))
VICTIMS = ('bitsd', 'broker', 'bits-net', 'bits-file')
KIB = 1024
SIZES = (0, 1, 4 * KIB, 100 * KIB, 700 * KIB, 3000 * KIB)
RATES = (300 * KIB, 1000 * KIB, 3000 * KIB)     # bytes a second and file
SECONDS = 3        # for one file at most: background jobs wait for each other
# What a caller may hear because somebody was killed just then.
GONE = {'NoReply', 'ServiceUnknown', 'NameHasNoOwner', 'Disconnected', 'ProcessAborted'}
PATIENCE = 300     # seconds for one job to make its way, kills included; a slow machine is as often killed


class Client(threading.Thread):
    """One application with one job after the other."""

    def __init__(self, world, number, seed, enough):
        super().__init__(daemon=True)
        self.world, self.number, self.enough = world, number, enough
        self.random = random.Random(f'{seed}/{number}')
        self.uid = world.alice if number % 2 else world.bob
        self.connection = world.connect(self.uid)
        self.manager = bus.Manager(self.connection)
        self.rounds = 0
        self.lost_answers = 0
        self.failure = None

    def run(self):
        try:
            while self.rounds == 0 or not self.enough.is_set():
                self.one_job()
                self.rounds += 1
        except BaseException as error:
            self.failure = error

    def insist(self, function):
        """Calls until there is an answer."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return function()
            except bus.BusError as error:
                if error.short not in GONE or time.monotonic() > deadline:
                    raise
                self.lost_answers += 1
                self.connection.wait_owner()

    def one_job(self):
        name = f'client {self.number} round {self.rounds}'
        with self.world.lock:
            vault = self.world.vault(self.uid)
            urls = [self.put() for _ in range(self.random.randint(1, 6))]
        pairs = [(url, vault / str(n)) for n, url in enumerate(urls)]
        job = self.insist(lambda: self.create(name))
        self.insist(lambda: job.files() or job.add_all(pairs))
        self.insist(job.resume)
        self.insist(lambda: self.transfer(job))
        self.insist(lambda: self.complete(job, vault))
        for url, path in pairs:
            assert path.read_bytes() == self.world.bytes(url), f'{path} of {name} differs'
        assert sorted(os.listdir(vault)) == sorted(path.name for _, path in pairs)

    def put(self):
        size = self.random.choice(SIZES)
        return self.world.put(size, rate=max(self.random.choice(RATES), size // SECONDS))

    def create(self, name):
        for entry in self.manager.list():
            if entry['DisplayName'] == name:
                return bus.Job(self.connection, entry['Path'], entry['Id'])
        priority = self.random.choice(('foreground',) * 4 + ('normal',))
        return self.manager.create(name, Priority=priority)

    def transfer(self, job):
        deadline = time.monotonic() + PATIENCE
        while True:
            state = job.wait('transferred', 'transient-error', timeout=deadline - time.monotonic())
            if state == 'transferred':
                return
            job.resume()

    def complete(self, job, vault):
        """An answer that was lost may have been "yes": then the job is gone, and nothing else."""
        try:
            assert job.complete() == 0
        except bus.BusError as error:
            if error.short not in ('NotFound', 'UnknownObject', 'InvalidState'):
                raise
            assert temporary_files(vault) == []


def kill_one(world, chooser):
    """Kills one process of a kind chosen by chance; its kind, or None when there is none."""
    kind = chooser.choice(VICTIMS)
    pids = world.playground.pids(kind)
    if not pids:
        return None
    try:
        os.kill(chooser.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return None
    return kind


# ENG-20, ENG-21, DUR-20
def test_jobs_survive_a_killer(world):
    seed = os.environ.get('OPENBITS_SEED') or str(random.SystemRandom().getrandbits(32))
    print(f'seed {seed}')
    chooser = random.Random(seed)
    world.lock = threading.Lock()
    enough = threading.Event()
    world.manager()
    clients = [Client(world, number, seed, enough) for number in range(JOBS)]
    for client in clients:
        client.start()
    killed = dict.fromkeys(VICTIMS, 0)
    began = time.monotonic()
    try:
        while sum(killed.values()) < KILLS:
            kind = kill_one(world, chooser)
            if kind:
                killed[kind] += 1
            failures = [client.failure for client in clients if client.failure]
            if failures:
                raise failures[0]
            time.sleep(chooser.uniform(0.05, 0.5))      # the killer's own rhythm
    finally:
        enough.set()
    deadline = time.monotonic() + PATIENCE
    for client in clients:
        client.join(max(0, deadline - time.monotonic()))
    print(f'{killed}, {sum(c.rounds for c in clients)} jobs, '
          f'{sum(c.lost_answers for c in clients)} lost answers, {time.monotonic() - began:.0f} s')
    for client in clients:
        if client.failure:
            raise client.failure
        assert not client.is_alive(), f'client {client.number} does not come to an end'
    assert all(count > 0 for count in killed.values())
    for uid in {client.uid for client in clients}:
        connection = world.connect(uid)
        connection.wait_owner()
        assert bus.Manager(connection).list() == []
