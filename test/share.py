"""A mounted share whose server is the test: reads of its files wait, fail or change at a word.

The protocol is FUSE's, spoken directly over /dev/fuse by a thread; the file system is a real one of
the kernel, so that a read that is not answered blocks a process as a lost server does.

    with Share(folder) as share:                 # mounts; root only
        file = share.put('name', b'data')
        file.hold_at(4096)                       # reads beyond that wait …
        file.wait_held()                         # … and somebody does
        file.release()

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import errno
import os
import select
import struct
import threading

LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 25, 26, 27, 29, 36, 42
SILENT = {FORGET, INTERRUPT, BATCH_FORGET}      # not to be answered
DIRECT_IO = 1
WRITEBACK_CACHE = 1 << 16
PATIENCE = 60
MNT_DETACH = 2
ROOT_NODE = 1


class SharedFile:
    def __init__(self, share, node, data, mode):
        self.share, self.node, self.data, self.mode = share, node, data, mode
        self.mtime_ns = 1_600_000_000_000_000_000
        self.held_at = None         # reads that go beyond wait
        self.error = 0              # what reads answer instead
        self.reads = []             # offsets asked for

    def hold_at(self, offset):
        with self.share.changed:
            self.held_at = offset

    def release(self):
        with self.share.changed:
            self.held_at = None
            self.share.answer_held()

    def change(self, data):
        """Another version, with the same inode."""
        with self.share.changed:
            self.data, self.mtime_ns = data, self.mtime_ns + 1

    def fail(self, error):
        with self.share.changed:
            self.error = error
            self.share.answer_held()

    def wait_held(self):
        """Until somebody waits for the share."""
        with self.share.changed:
            assert self.share.changed.wait_for(
                lambda: any(file is self for _, file, _, _ in self.share.held), PATIENCE), self.reads


class Share:
    """writeback: the kernel keeps what is written until the last reference to an opened file goes;
    it writes then, in whoever gives it up."""

    def __init__(self, folder, writeback=False):
        self.folder = str(folder)
        self.writeback = writeback
        self.files = {}                 # by name
        self.held = []                  # (unique, file, offset, size)
        self.holds_closing = False      # whoever closes a file waits, or those processes
        self.holds_writing = False
        self.closing = []               # unique
        self.writing = []               # (unique, size)
        self.changed = threading.Condition()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.device = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        options = f'fd={self.device},rootmode=40755,user_id=0,group_id=0,allow_other'
        if self.libc.mount(b'share', self.folder.encode(), b'fuse', 0, options.encode()) < 0:
            os.close(self.device)
            raise OSError(ctypes.get_errno(), 'cannot mount')
        self.ended, self.end = os.pipe()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.write(self.end, b'.')
        self.thread.join(PATIENCE)
        # Closing the device ends the connection: whoever waits for an answer gets an error.
        os.close(self.device)
        os.close(self.ended)
        os.close(self.end)
        self.libc.umount2(self.folder.encode(), MNT_DETACH)

    def put(self, name, data, mode=0o644):
        with self.changed:
            self.files[name] = SharedFile(self, 2 + len(self.files), data, mode)
        return self.files[name]

    def _serve(self):
        while True:
            ready, _, _ = select.select([self.device, self.ended], [], [])
            if self.ended in ready:
                return
            try:
                request = os.read(self.device, 1 << 18)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                return
            _, opcode, unique, node, _, _, thread = struct.unpack_from('=IIQQIII', request)
            with self.changed:
                self._handle(opcode, unique, node, request[40:], thread)
                self.changed.notify_all()

    def _answer(self, unique, body=b'', error=0):
        try:
            os.write(self.device, struct.pack('=IiQ', 16 + len(body), -error, unique) + body)
        except OSError as failure:      # ENOENT: whoever asked was killed
            if failure.errno != errno.ENOENT:
                raise

    def _file(self, node):
        return next((f for f in self.files.values() if f.node == node), None)

    def _attributes(self, node):
        file = self._file(node)
        size, mode, time = (len(file.data), 0o100000 | file.mode, file.mtime_ns) if file else \
                           (0, 0o40755, 0)
        seconds, nanoseconds = divmod(time, 10 ** 9)
        return struct.pack('=QQQQQQIIIIIIIIII', node, size, (size + 511) // 512, *[seconds] * 3,
                           *[nanoseconds] * 3, mode, 1, 0, 0, 0, 4096, 0)

    def _holds_closing(self, thread):
        if not isinstance(self.holds_closing, set):
            return self.holds_closing
        return any(os.path.exists(f'/proc/{pid}/task/{thread}') for pid in self.holds_closing)

    def _handle(self, opcode, unique, node, body, thread):
        if opcode == INIT:
            major, minor = struct.unpack_from('=II', body)
            assert major == 7 and minor >= 31
            flags = WRITEBACK_CACHE if self.writeback else 0
            self._answer(unique, struct.pack('=IIIIHHIIHHI7I', 7, 31, 65536, flags, 16, 12, 65536, 1,
                                             0, 0, 0, *[0] * 7))
        elif opcode == LOOKUP:
            file = self.files.get(body.rstrip(b'\0').decode())
            if file:
                self._answer(unique, struct.pack('=QQQQII', file.node, 0, 0, 0, 0, 0)
                             + self._attributes(file.node))
            else:
                self._answer(unique, error=errno.ENOENT)
        elif opcode in (GETATTR, SETATTR):
            self._answer(unique, struct.pack('=QII', 0, 0, 0) + self._attributes(node))
        elif opcode in (OPEN, OPENDIR):
            self._answer(unique, struct.pack('=QII', 1, 0 if self.writeback else DIRECT_IO, 0))
        elif opcode == WRITE:
            self.writing.append((unique, struct.unpack_from('=QQI', body)[2]))
            if not self.holds_writing:
                self._answer_writing()
        elif opcode == READ:
            _, offset, size = struct.unpack_from('=QQI', body)
            file = self._file(node)
            file.reads.append(offset)
            self.held.append((unique, file, offset, size))
            self.answer_held()
        elif opcode == STATFS:
            self._answer(unique, struct.pack('=QQQQQIIII24x', 0, 0, 0, 0, 0, 4096, 255, 4096, 0))
        elif opcode == FLUSH and self._holds_closing(thread):
            self.closing.append(unique)
        elif opcode in (RELEASE, RELEASEDIR, FLUSH):
            self._answer(unique)
        elif opcode not in SILENT:
            self._answer(unique, error=errno.ENOSYS)

    def wait_closing(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.closing) >= count, PATIENCE), self.closing

    def release_closing(self):
        with self.changed:
            self.holds_closing = False
            while self.closing:
                self._answer(self.closing.pop())

    def wait_writing(self):
        with self.changed:
            assert self.changed.wait_for(lambda: self.writing, PATIENCE)

    def release_writing(self):
        with self.changed:
            self.holds_writing = False
            self._answer_writing()

    def _answer_writing(self):
        while self.writing:
            unique, size = self.writing.pop()
            self._answer(unique, struct.pack('=II', size, 0))

    def answer_held(self):
        waiting, self.held = self.held, []
        for unique, file, offset, size in waiting:
            if file.error:
                self._answer(unique, error=file.error)
            elif file.held_at is not None and offset + size > file.held_at:
                self.held.append((unique, file, offset, size))
            else:
                self._answer(unique, file.data[offset:offset + size])
