"""A service whose state directory can be prepared, and disks for it: full, or with faults.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import signal
import subprocess

import bus
import conftest

ALICE = conftest.USERS['bits-alice'] if conftest.ROOT else os.geteuid()


class Service:
    """A playground whose state directory can be prepared before it starts."""

    def __init__(self, nginx, folder):
        self.nginx, self.folder = nginx, folder
        self.state = folder / 'playground' / 'state' / 'openbits'
        self.state.mkdir(parents=True)
        self.database = self.state / 'jobs.sqlite'
        self.playground = None

    def start(self):
        self.playground = conftest.new_playground(self.nginx)
        self.playground.directory = str(self.folder / 'playground')
        self.playground.keeps_directory = True
        self.playground.start()
        return self.manager()

    def stop(self):
        if self.playground:
            self.playground.stop(check=False)
        self.playground = None

    def manager(self, uid=ALICE):
        with bus.impersonate(uid):
            connection = bus.Connection.to_bus(
                self.playground.environment['DBUS_SYSTEM_BUS_ADDRESS'])
        return bus.Manager(connection)

    def log(self):
        return self.playground.log('bitsd')

    def restart(self, number=signal.SIGKILL):
        self.playground.kill('bitsd', number)
        self.playground.wait_restarted('bitsd')
        return self.manager()


@contextlib.contextmanager
def tmpfs(point, size):
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size},mode=755', 'store', point], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '--lazy', point], check=False)


def fill(path):
    """Takes all the room that is left."""
    with open(path, 'wb', buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b'x' * 4096)


@contextlib.contextmanager
def ext4(point, image, size):
    with open(image, 'wb') as file:
        file.truncate(size)
    subprocess.run(['mkfs.ext4', '-q', '-J', 'size=4', '-E', 'lazy_itable_init=1', image], check=True)
    subprocess.run(['mount', '-o', 'loop', image, point], check=True)
    try:
        yield
    finally:
        subprocess.run(['umount', '--lazy', point], check=False)
