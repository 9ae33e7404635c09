"""Networks of the kernel's own for tests: each is a network namespace that lives as long as a process
in it, and goes with it, links and all. Needs root.

    with Network() as here, Network() as far:
        here.link('up0', far, 'up1')
        here.ip('address add 10.99.0.2/24 dev up0')
        with far.entered():
            server = Server(address='10.99.0.1')        # sockets stay where they were made

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import ctypes
import os
import subprocess
import tempfile

CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 0x1000, 2


def setns(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Network:
    """With lo, and nothing else, up."""

    def __enter__(self):
        self.process = subprocess.Popen(['unshare', '--net', 'sh', '-c', 'echo; exec cat'],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()      # it is in there
        self.fd = os.open(f'/proc/{self.process.pid}/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        self.ip('link set lo up')
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    @contextlib.contextmanager
    def entered(self):
        """The calling thread, and what it starts, is in there."""
        own = os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        setns(self.fd)
        try:
            yield
        finally:
            setns(own)
            os.close(own)

    def run(self, command, input=None):
        with self.entered():
            return subprocess.run(command, input=input, text=True, check=True, timeout=60,
                                  stdout=subprocess.PIPE,
                                  **({} if input else {'stdin': subprocess.DEVNULL})).stdout

    def ip(self, words):
        """ip(8)"""
        return self.run(['ip', *words.split()])

    def link(self, name, other, peer):
        """A cable between the two, not yet up."""
        self.ip(f'link add {name} type veth peer name {peer} netns {other.process.pid}')


@contextlib.contextmanager
def file_in_place(path, text):
    """The file at that path has that text for this process and its children."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = os.path.realpath(path).encode()
    with tempfile.NamedTemporaryFile('w', prefix='openbits-') as file:
        file.write(text)
        file.flush()
        os.chmod(file.name, 0o644)
        if libc.mount(file.name.encode(), path, None, MS_BIND, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            yield
        finally:
            libc.umount2(path, MNT_DETACH)
