"""Power cuts: file systems on disks that record, and the disks that a cut could have left.

RecordedDisks mounts ext4 file systems whose disks are test/recorder.c. CrashStates reads the log and
gives, for a moment of it, images with all that had been waited for and any choice of the writes
that had not, as real disks lose and reorder them. All of it lives in the test's own mount namespace
and on loop devices that free themselves, so nothing is left whatever ends the test.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import bisect
import collections
import contextlib
import os
import pathlib
import random
import shutil
import struct
import subprocess
import uuid

import bus

MIB = 1 << 20
IMAGE_BYTES = 48 * MIB
BOOT_ID = '/proc/sys/kernel/random/boot_id'

HEAD = struct.Struct('=QQQ')

# All records before `cut` were written; those in `lost` did not arrive.
State = collections.namedtuple('State', 'cut lost unsure')


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


class RecordedDisks:
    """An empty ext4 at each of the points, every write of which is in `log`."""

    def __init__(self, recorder, folder, points):
        self.points = [pathlib.Path(point) for point in points]
        self.log, self.fuse = pathlib.Path(folder, 'log'), pathlib.Path(folder, 'fuse')
        self.images = [pathlib.Path(folder, f'image{n}') for n in range(len(self.points))]
        self.fuse.mkdir()
        for image in self.images:
            with open(image, 'wb') as file:
                file.truncate(IMAGE_BYTES)
            run('mkfs.ext4', '-q', '-J', 'size=4', image)
        self.process = subprocess.Popen([recorder, self.log, self.fuse, *self.images])
        try:
            bus.poll_until(lambda: self.process.poll() is not None or (self.fuse / '0').exists(),
                           'the recorder to mount')
            for number, point in enumerate(self.points):
                run('mount', '-o', 'loop', self.fuse / str(number), point)
        except BaseException:
            self.close()
            raise

    def position(self):
        """How much has been written so far. Whatever was waited for before is inside."""
        return self.log.stat().st_size

    def close(self):
        """Whoever still uses a file system keeps it until he is gone, and then it is gone."""
        for path in (*self.points, self.fuse):
            subprocess.run(['umount', '--lazy', path], stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()


class CrashStates:
    """What the log of recorded disks allows."""

    def __init__(self, images, log, upto, folder):
        self.records = []             # (disk, offset, data); no data: a barrier
        self.barriers = []            # their numbers in records
        self.ends = []                # where each record ends in the log
        self.bases = [pathlib.Path(folder, f'base{n}') for n in range(len(images))]
        self.crashed = [pathlib.Path(folder, f'crashed{n}') for n in range(len(images))]
        self.applied = 0
        for image, base in zip(images, self.bases):
            shutil.copy(image, base)
        self._read(pathlib.Path(log).read_bytes()[:upto])

    def _read(self, raw):
        position = 0
        while position + HEAD.size <= len(raw):
            disk, offset, size = HEAD.unpack_from(raw, position)
            position += HEAD.size + size
            if position > len(raw):
                break
            if size == 0:
                self.barriers.append(len(self.records))
            self.records.append((disk, offset, raw[position - size:position]))
            self.ends.append(position)

    def settled(self, position):
        """The first cut after all that had been waited for at that position of the log."""
        written = bisect.bisect_right(self.ends, position)
        number = bisect.bisect_left(self.barriers, written)
        return self.barriers[number - 1] + 1 if number else 0

    def begun(self, position):
        """The last cut at which nothing after that position had been written."""
        return bisect.bisect_right(self.ends, position)

    def choose(self, count, chooser: random.Random, first):
        """Cuts from `first` on, in their order, just before and just after barriers: of the writes
        that nobody had waited for all are lost, none is, or any choice."""
        cuts = [cut for barrier in self.barriers for cut in (barrier, barrier + 1) if cut >= first]
        for cut in sorted(chooser.choices(cuts, k=count)):
            last = {self.records[b][0]: b for b in self.barriers if b < cut}
            unsure = [number for number in range(cut) if self.records[number][2]
                      and number > last.get(self.records[number][0], -1)]
            lost = {'all': unsure, 'none': []}.get(chooser.choice(('all', 'none', 'some', 'some')))
            if lost is None:
                lost = [number for number in unsure if chooser.random() < 0.5]
            yield State(cut, set(lost), unsure)

    @staticmethod
    def _apply(paths, records):
        files = [open(path, 'r+b') for path in paths]
        for disk, offset, data in records:
            os.pwrite(files[disk].fileno(), data, offset)
        for file in files:
            file.close()

    def make(self, state):
        """The images of a state; later ones only, they are made from those before."""
        sure = min(state.unsure, default=state.cut)
        self._apply(self.bases, self.records[self.applied:sure])
        self.applied = max(self.applied, sure)
        for base, crashed in zip(self.bases, self.crashed):
            crashed.unlink(missing_ok=True)
            run('cp', '--sparse=always', '--reflink=auto', base, crashed)
        self._apply(self.crashed, [self.records[number] for number in range(self.applied, state.cut)
                                   if number not in state.lost])
        return self.crashed


class Boots:
    """The machine's boot id, as the processes of this mount namespace see it."""

    def __init__(self, folder):
        self.file = pathlib.Path(folder, 'boot_id')
        self.next()
        run('mount', '--bind', self.file, BOOT_ID)

    def next(self):
        self.file.write_text(f'{uuid.uuid4()}\n')

    def close(self):
        run('umount', BOOT_ID)


def replace_disks(points, images):
    """Other disks at the places of those that are mounted there."""
    for point, image in zip(points, images):
        run('umount', '--lazy', point)
        run('mount', '-o', 'loop', image, point)
