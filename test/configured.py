"""A playground's bitsd.conf, as an administrator writes it while jobs run.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import pathlib
import signal

import bus

READ, KEPT = 'the configuration was read again', 'the configuration is not changed'


class Configured:
    """The playground's configuration: what is written here is in force when the call returns."""

    def __init__(self, playground):
        self.playground = playground
        self.folder = pathlib.Path(playground.directory, 'config')

    def reload(self, answer=READ):
        """Gives what bitsd says about it."""
        start = len(self.playground.log('bitsd'))
        for pid in self.playground.pids('bitsd'):
            os.kill(pid, signal.SIGHUP)
        bus.poll_until(lambda: answer in self.playground.log('bitsd')[start:], answer)
        return self.playground.log('bitsd')[start:]

    def write(self, text, name='bitsd.conf', answer=READ):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return self.reload(answer)

    def clear(self):
        for path in self.folder.rglob('*.conf'):
            path.unlink()
        self.reload()
