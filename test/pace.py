"""How fast bytes move, on a machine that may stand still for a while.

That a rate is never exceeded holds however a machine is held up: over all the time since before the
first byte. That the rate is used shows where nothing held anything up, in some seconds of the whole:
whoever waits for them waits no longer than for anything else, and then they never came.

    pace = Pace(1_000_000)
    job.resume()
    job.wait_until(lambda: pace.saw(job.progress.transferred))
    pace.never_exceeded()

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import time

SECONDS = 2             # how long the rate is to be held, at least
PART = 0.9              # of it, as POL-213 promises
EQUAL = 1.5             # parts differ by less than that
SAVED = 0.1             # seconds whose worth may move at once: the depth of src/net/bucket.c


class Pace:
    """What moves from now on, in bytes a second; `parts` are moved by so many, at equal rates."""

    def __init__(self, rate, parts=1):
        self.rate = rate
        self.seen = [(time.monotonic(), (0,) * parts)]
        self.first = 0          # the beginning of the seconds that are looked at
        self.held = False

    def saw(self, *moved, when=None):
        """So much has moved by now, of each part; whether the rate has been held for long enough."""
        self.seen.append((time.monotonic() if when is None else when, moved))
        while not self.held and self.seen[-1][0] - self.seen[self.first][0] >= SECONDS:
            begin, before = self.seen[self.first]
            each = [now - then for now, then in zip(moved, before)]
            self.held = (sum(each) >= PART * self.rate * (self.seen[-1][0] - begin)
                         and min(each) > max(each) / EQUAL)
            self.first += 1
        return self.held

    def never_exceeded(self, more=0):
        """The rate, but for what was saved and `more` bytes that had left before they were counted."""
        begin, _ = self.seen[0]
        for when, moved in self.seen:
            allowed = self.rate * ((when - begin) / PART + SAVED) + more
            assert sum(moved) <= allowed, f'{sum(moved)} bytes in {when - begin:.2f} s at {self.rate} bytes/s'
