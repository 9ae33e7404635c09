"""A wall clock for a playground's daemons, which test/clock.c gives them and a test sets.

    with WallClock(build) as clock:
        playground = Playground(environment=clock.environment)
        clock.set(3600)         # from now on they are an hour ahead

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import shutil
import struct
import tempfile
import time

import pytest

needs_preloading = pytest.mark.skipif(bool(os.environ.get('OPENBITS_SANITIZERS')),
                                      reason="a sanitizer's library must be the first one")


class WallClock:
    """What the daemons take for the time."""

    def __init__(self, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='openbits-clock-'))
        self.folder.chmod(0o755)
        self.library = shutil.copy(pathlib.Path(build, 'test', 'clock.so'), self.folder)
        self.path = self.folder / 'ahead'
        self.set(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    @property
    def environment(self):
        return {'LD_PRELOAD': str(self.library), 'OPENBITS_TEST_CLOCK': str(self.path)}

    def set(self, seconds):
        """That far from the right time."""
        self.ahead = seconds
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, struct.pack('q', int(seconds * 1_000_000)), 0)
        os.close(fd)

    def now(self):
        return time.time() + self.ahead
