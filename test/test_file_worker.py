#!/usr/bin/python3
"""
bits-file, the built program, spoken to over its channel as bitsd does.

The rules of each request are tested in src/file/test-*.c; here stands what only the whole
program can show: its sandbox lets the work through, descriptors arrive, it acts with the rights of
the user who runs it, faults of the disk come back as errors, nonsense ends it.
"""
import array
import errno
import fcntl
import os
import pathlib
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile

import pytest

import bus
import wire

BUILD = pathlib.Path(os.environ.get("OPENBITS_BUILD", pathlib.Path(__file__).parents[1] / "build"))
PROGRAM = BUILD / "src/file/bits-file"
if os.geteuid() == 0:   # the users of these tests may not be let into the folder of the clone
    _copies = tempfile.TemporaryDirectory(prefix="bits-file-program-")
    os.chmod(_copies.name, 0o755)
    PROGRAM = pathlib.Path(shutil.copy(PROGRAM, _copies.name))
PATIENCE = 60
USER, STRANGER = 54321, 54322
EXT4_IOC_SHUTDOWN = 0x8004587d  # as for xfs, _IOR('X', 125, __u32)
EXT4_GOING_FLAGS_NOLOGFLUSH = 2

WORKER_HELLO = 0x10
FILE_CHECK, FILE_OPEN, FILE_OPENED, FILE_SYNC, FILE_SYNCED = 0x20, 0x21, 0x22, 0x23, 0x24
FILE_COMMIT, FILE_DISCARD, FILE_SYNC_DIRECTORIES, FILE_RESULT = 0x25, 0x26, 0x27, 0x28

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def encode(message, serial, *fields, fds=0):
    """Strings are STR fields, integers U64: no request to bits-file has a U32."""
    data = struct.pack("=HHI", message, fds, serial)
    for field in fields:
        if isinstance(field, int):
            data += struct.pack("=Q", field)
        else:
            text = os.fsencode(field)
            data += struct.pack("=I", len(text)) + text + b"\0"
    return data


class Opened:
    def __init__(self, body, fds):
        self.error, self.fresh, *mark = struct.unpack("=IIQQQQ", body)
        *self.mark, self.size = mark
        assert len(fds) == (0 if self.error else 1)
        self.fd = fds[0] if fds else -1

    def write(self, data):
        """Writes and closes, as a transfer does."""
        try:
            os.write(self.fd, data)
        finally:
            os.close(self.fd)


class Worker:
    def __init__(self, preload="", **options):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(PATIENCE)
        with theirs:
            number = theirs.fileno()
            environment = {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0", **os.environ}
            if preload:
                environment["LD_PRELOAD"] = str(preload)
            self.process = subprocess.Popen(
                ["/bin/bash", "-c", f'exec "$0" 3<&{number} {number}<&-', PROGRAM],
                pass_fds=[number], cwd="/", umask=0o022, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                **options)
        self.serial = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stderr.close()

    def receive(self):
        data, ancillary, _, _ = self.channel.recvmsg(65536, socket.CMSG_SPACE(64 * 4))
        fds = array.array("i")
        for level, kind, content in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(content)
        if not data:
            return None
        message, count, serial = struct.unpack("=HHI", data[:8])
        assert count == len(fds)
        return message, serial, data[8:], list(fds)

    def hello(self):
        message, serial, body, _ = self.receive()
        assert (message, serial) == (WORKER_HELLO, 0)
        return struct.unpack("=IIII", body)

    def send(self, message, *fields, fds=()):
        self.serial += 1
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.channel.sendmsg([encode(message, self.serial, *fields, fds=len(fds))], ancillary)
        return self.serial

    def call(self, message, *fields, fds=(), reply=FILE_RESULT):
        serial = self.send(message, *fields, fds=fds)
        answered, answered_serial, body, received = self.receive()
        assert (answered, answered_serial) == (reply, serial)
        return (body, received) if reply != FILE_RESULT else struct.unpack("=I", body)[0]

    def check(self, name):
        return self.call(FILE_CHECK, str(name))

    def open(self, name, temporary=".t", mark=(0, 0, 0), kept=0, written=0):
        return Opened(*self.call(FILE_OPEN, str(name), temporary, *mark, kept, written or kept,
                                 reply=FILE_OPENED))

    def commit(self, name, mark, temporary=".t", date=0):
        return self.call(FILE_COMMIT, str(name), temporary, *mark, date)

    def discard(self, name, mark=(0, 0, 0), temporary=".t", own=0):
        return self.call(FILE_DISCARD, str(name), temporary, *mark, own)

    def sync(self, fds):
        body, _ = self.call(FILE_SYNC, fds=fds, reply=FILE_SYNCED)
        count, = struct.unpack_from("=I", body)
        return list(struct.unpack(f"={count}I", body[4:]))

    def sync_directories(self):
        return self.call(FILE_SYNC_DIRECTORIES)

    def holds_little(self):
        """Descriptors do not pile up; only root may look into a sandboxed process."""
        return os.geteuid() != 0 or len(os.listdir(f"/proc/{self.process.pid}/fd")) <= 8

    def end(self):
        """Waits for the worker to end by itself; its status and what it logged."""
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log.decode()


@pytest.fixture
def worker():
    with Worker() as w:
        w.hello()
        yield w


@pytest.fixture
def place():
    """A directory that every user can reach, unlike pytest's own. A test asks for it, and for the
    disks below, before the worker: that has to let go of them first."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="bits-file-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def mounted(place, *arguments):
    point = place / "mounted"
    point.mkdir()
    done = subprocess.run(["mount", *map(str, arguments), point], capture_output=True, text=True)
    if done.returncode:
        point.rmdir()
        pytest.skip("cannot mount: " + done.stderr.strip())
    return point


def unmount(point):
    """Lazily: a test that failed may still hold files there."""
    subprocess.run(["umount", "--lazy", point], check=True)


@pytest.fixture
def small_disk(place):
    point = mounted(place, "-t", "tmpfs", "-o", "size=1M,nr_inodes=8", "none")
    yield point
    unmount(point)


@pytest.fixture
def lying_disk(place):
    """ext4 that promises 64 MiB over a store of 8: writing succeeds, syncing does not."""
    store = mounted(place, "-t", "tmpfs", "-o", "size=8M", "none")
    image = store / "image"
    with open(image, "wb") as f:
        f.truncate(64 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard",
                           "-N", "64", image], capture_output=True, text=True)
    point = place / "ext4"
    point.mkdir()
    done = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True)
    if made.returncode == 0 and done.returncode == 0:
        yield point
        unmount(point)
    unmount(store)
    if made.returncode or done.returncode:
        pytest.skip("no loop device: " + made.stderr + done.stderr)


@pytest.fixture
def disk_image(place):
    """An ext4 of its own, which can lose its power without harm to others."""
    image, point = place / "image", place / "ext4"
    point.mkdir()
    with open(image, "wb") as f:
        f.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)

    def mount():
        done = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True)
        if done.returncode:
            pytest.skip("cannot mount: " + done.stderr.strip())
        return point

    def cut_power():
        """What is not on the disk at this moment never will be."""
        handle = os.open(point, os.O_RDONLY)
        fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("=I", EXT4_GOING_FLAGS_NOLOGFLUSH))
        os.close(handle)
        subprocess.run(["umount", point], check=True)
        return mount()

    mount()
    yield point, cut_power
    unmount(point)


def test_hello(place):  # FIL-30
    with Worker() as w:
        version, kind, uid, layers = w.hello()
        assert (version, kind, uid) == (wire.VERSION, 0, os.geteuid())
        assert layers & 7 == 7  # no new privileges, no capability, system call filter
        status = pathlib.Path(f"/proc/{w.process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        assert "CapEff:\t0000000000000000" in status


def test_a_download(place, worker):  # FIL-11, FIL-16, FIL-20, DUR-04, DUR-05
    final = place / "final"
    final.write_bytes(b"old")
    assert worker.check(final) == 0
    opened = worker.open(final)
    assert (opened.error, opened.fresh, opened.size) == (0, 1, 0)
    opened.write(b"content")
    assert final.read_bytes() == b"old"

    again = worker.open(final, mark=opened.mark, kept=7)
    assert (again.fresh, again.size, again.mark) == (0, 7, opened.mark)
    assert worker.sync([again.fd]) == [0]
    os.close(again.fd)
    assert worker.commit(final, opened.mark, date=1234567890) == 0
    assert worker.sync_directories() == 0
    assert os.listdir(place) == ["final"]
    assert final.read_bytes() == b"content"
    assert final.stat().st_mtime == 1234567890
    assert stat.S_IMODE(final.stat().st_mode) == 0o644
    assert worker.commit(final, opened.mark) == 0


def test_pipelined(place, worker):  # FIL-34
    """Answers come in the order of the requests, without waiting for each other."""
    serials = [worker.send(FILE_OPEN, str(place / f"f{i}"), f".t{i}", 0, 0, 0, 0, 0) for i in range(50)]
    marks = []
    for serial in serials:
        message, answered, body, fds = worker.receive()
        assert (message, answered) == (FILE_OPENED, serial)
        opened = Opened(body, fds)
        opened.write(b"x")
        marks.append(opened.mark)
    for i, mark in enumerate(marks):
        worker.send(FILE_COMMIT, str(place / f"f{i}"), f".t{i}", *mark, 0)
    assert all(worker.receive()[2] == bytes(4) for _ in marks)
    assert worker.sync_directories() == 0
    assert sorted(os.listdir(place)) == sorted(f"f{i}" for i in range(50))


def test_asked_together(place, worker):  # FIL-360, FIL-361
    """Requests that wait together are answered together, each for its own directory."""
    for name in ("a", "b"):
        (place / name).mkdir()
    paths = [place / name / f"f{i}" for i in range(2) for name in ("a", "absent", "b")]
    with bus.standing_still([worker.process.pid]):
        serials = [worker.send(FILE_OPEN, str(path), f".t{i}", 0, 0, 0, 0, 0)
                   for i, path in enumerate(paths)]
    for path, serial in zip(paths, serials):
        message, answered, body, fds = worker.receive()
        assert (message, answered) == (FILE_OPENED, serial)
        opened = Opened(body, fds)
        if path.parent.name == "absent":
            assert opened.error == errno.ENOENT
        else:
            opened.write(b"x")
    assert sorted(os.listdir(place / "a")) == [".t0", ".t3"] and len(os.listdir(place / "b")) == 2


def test_asked_later(place, worker):  # FIL-361
    """A directory is looked for anew, and not held meanwhile."""
    (place / "d").mkdir()
    assert worker.check(place / "d/f") == 0
    if os.geteuid() == 0:
        folder = f"/proc/{worker.process.pid}/fd"
        assert str(place / "d") not in [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    (place / "d").rename(place / "e")
    assert worker.check(place / "d/f") == errno.ENOENT
    (place / "d").symlink_to("e")
    assert worker.check(place / "d/f") == 0


def test_sync_64_files(place, worker):  # DUR-01, DUR-02
    files = [os.open(place / f"f{i}", os.O_CREAT | os.O_WRONLY) for i in range(62)]
    for fd in files:
        os.write(fd, b"x" * 4096)
    read_end, write_end = os.pipe()
    files.insert(5, write_end)
    files.append(os.open(place, os.O_RDONLY))
    errors = worker.sync(files)
    assert errors == [0] * 5 + [errno.EINVAL] + [0] * 57 + [errno.EINVAL]
    assert worker.sync([]) == []
    # Nothing that was passed stays open over there.
    assert worker.holds_little()
    for fd in files + [read_end]:
        os.close(fd)


def test_many_directories(place, worker):  # DUR-06
    for i in range(150):
        (place / f"d{i}").mkdir()
        opened = worker.open(place / f"d{i}/f")
        os.close(opened.fd)
        assert worker.commit(place / f"d{i}/f", opened.mark) == 0
    assert worker.sync_directories() == 0
    assert worker.holds_little()


@as_root
def test_rights_are_those_of_its_user(place):  # FIL-06, FIL-35
    theirs, mine, shared = place / "theirs", place / "mine", place / "shared"
    for path, owner, mode in ((theirs, STRANGER, 0o700), (mine, USER, 0o700), (shared, 0, 0o770)):
        path.mkdir()
        os.chown(path, owner, 777 if path == shared else owner)
        path.chmod(mode)
    with Worker(user=USER, group=USER, extra_groups=[777]) as w:
        assert w.hello()[2] == USER
        assert w.check(theirs / "f") == errno.EACCES
        assert w.open(theirs / "f").error == errno.EACCES
        assert w.check(place / "f") == errno.EACCES
        for directory in (mine, shared):
            assert w.check(directory / "f") == 0
            opened = w.open(directory / "f")
            opened.write(b"x")
            assert w.commit(directory / "f", opened.mark) == 0
            assert (directory / "f").stat().st_uid == USER


@as_root
def test_root_without_capabilities(place):  # FIL-35
    """Root owns root's files; the power over everybody else's was given up with the capabilities."""
    os.chown(place, USER, USER)
    place.chmod(0o700)
    with Worker() as w:
        w.hello()
        assert w.check(place / "f") == errno.EACCES


@as_root
def test_sticky_directory(place):  # FIL-09
    place.chmod(0o1777)
    os.chown(place, STRANGER, STRANGER)
    (place / "f").touch()
    with Worker(user=USER, group=USER, extra_groups=[]) as w:
        w.hello()
        assert w.check(place / "f") == errno.EACCES
        opened = w.open(place / "f")
        os.close(opened.fd)
        assert w.commit(place / "f", opened.mark) == errno.EPERM
        assert w.discard(place / "f", opened.mark) == 0


def of_stranger(directory, mode, data):
    """A temporary file that another identity has begun there."""
    directory.chmod(mode)
    with Worker(user=STRANGER, group=STRANGER, extra_groups=[]) as w:
        w.hello()
        opened = w.open(directory / "f")
        opened.write(data)
    return opened.mark


@as_root
def test_file_changes_hands(place):  # FIL-42, FIL-45, DUR-52
    """The whole program, in its sandbox, copies what it may not write to."""
    data = os.urandom(5 << 20)
    mark = of_stranger(place, 0o777, data + b"unsure")
    with Worker(user=USER, group=USER, extra_groups=[]) as w:
        w.hello()
        place.chmod(0o1777)
        assert w.open(place / "f", mark=mark, kept=len(data)).error == errno.EACCES
        place.chmod(0o755)
        assert w.open(place / "f", mark=mark, kept=len(data)).error == errno.EACCES
        assert (place / ".t").stat().st_uid == STRANGER
        place.chmod(0o777)
        opened = w.open(place / "f", mark=mark, kept=len(data), written=len(data) + 6)
        assert (opened.error, opened.fresh, opened.size) == (0, 0, len(data))
        assert opened.mark != mark
        os.close(opened.fd)
        assert os.listdir(place) == [".t"]
        assert w.commit(place / "f", opened.mark) == 0
        assert w.holds_little()
    assert (place / "f").read_bytes() == data
    assert (place / "f").stat().st_uid == USER


@as_root
def test_no_room_for_the_copy(small_disk):  # FIL-45
    mark = of_stranger(small_disk, 0o777, bytes(700 << 10))
    with Worker(user=USER, group=USER, extra_groups=[]) as w:
        w.hello()
        assert w.open(small_disk / "f", mark=mark, kept=700 << 10).error == errno.ENOSPC
    assert os.listdir(small_disk) == [".t"]
    assert (small_disk / ".t").stat().st_uid == STRANGER
    with Worker(user=STRANGER, group=STRANGER, extra_groups=[]) as w:
        w.hello()
        opened = w.open(small_disk / "f", mark=mark, kept=700 << 10)
        assert (opened.error, opened.fresh, opened.size) == (0, 0, 700 << 10)
        os.close(opened.fd)


OWNERLESS = """
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
        int r = (int)syscall(SYS_statx, fd, path, flags, mask, st);
        st->stx_uid = 0;
        return r;
}
"""


def preloaded(tmp_path, text):
    source, library = tmp_path / "preload.c", tmp_path / "preload.so"
    source.write_text(text)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@as_root
def test_file_system_without_owners(place):  # FIL-46
    """As on vfat, everything seems to be root's: a copy would change nothing, each time again."""
    place.chmod(0o777)
    with Worker(user=USER, group=USER, extra_groups=[], preload=preloaded(place, OWNERLESS)) as w:
        w.hello()
        opened = w.open(place / "f")
        opened.write(b"12345unsure")
        again = w.open(place / "f", mark=opened.mark, kept=5)
        assert (again.error, again.fresh, again.size, again.mark) == (0, 0, 11, opened.mark)
        os.close(again.fd)
    assert sorted(os.listdir(place)) == [".t", "preload.c", "preload.so"]


@as_root
def test_device_number_changes(place, disk_image):  # FIL-40
    """The same file system, found as another device after a boot."""
    point, _ = disk_image
    with Worker() as w:
        w.hello()
        opened = w.open(point / "f")
        opened.write(b"12345")
        before = point.stat().st_dev
    subprocess.run(["umount", point], check=True)
    devices = []
    try:
        while not devices or os.stat(devices[-1]).st_rdev == before:    # the second is another one
            devices.append(subprocess.run(["losetup", "--find", "--show", place / "image"], check=True,
                                          capture_output=True, text=True).stdout.strip())
        subprocess.run(["mount", devices[-1], point], check=True)
        assert point.stat().st_dev != before
        with Worker() as w:
            w.hello()
            again = w.open(point / "f", mark=opened.mark, kept=5)
            assert (again.error, again.fresh, again.size) == (0, 0, 5)
            assert again.mark[0] != opened.mark[0] and again.mark[1:] == opened.mark[1:]
            os.close(again.fd)
    finally:
        for device in devices:
            subprocess.run(["losetup", "--detach", device], check=True)


@as_root
def test_power_cut_after_a_change_of_hands(disk_image):  # DUR-53
    """Answered, so the copy is what is there afterwards, under the temporary name."""
    point, cut_power = disk_image
    data = os.urandom(1 << 20)
    box = point / "box"
    box.mkdir()
    mark = of_stranger(box, 0o777, data)
    os.sync()
    with Worker(user=USER, group=USER, extra_groups=[]) as w:
        w.hello()
        opened = w.open(box / "f", mark=mark, kept=len(data))
        assert (opened.error, opened.fresh) == (0, 0)
        os.close(opened.fd)
    cut_power()
    assert os.listdir(box) == [".t"]
    assert (box / ".t").read_bytes() == data
    assert (box / ".t").stat().st_uid == USER


@as_root
def test_mount_point_and_immutable_file(place, worker):  # FIL-10
    target, source = place / "target", place / "source"
    target.touch()
    source.touch()
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        assert worker.check(target) == errno.EBUSY
    finally:
        subprocess.run(["umount", target], check=True)
    assert worker.check(target) == 0
    if subprocess.run(["chattr", "+i", target], capture_output=True).returncode == 0:
        try:
            assert worker.check(target) == errno.EPERM
        finally:
            subprocess.run(["chattr", "-i", target], check=True)


@as_root
def test_read_only_file_system(small_disk, worker):  # FIL-06
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert worker.check(small_disk / "f") == errno.EROFS
    assert worker.open(small_disk / "f").error == errno.EROFS


@as_root
def test_full_disk(small_disk, worker):  # FIL-36
    opened = worker.open(small_disk / "f")
    assert opened.error == 0
    with pytest.raises(OSError) as caught:
        while os.write(opened.fd, bytes(65536)):
            pass
    assert caught.value.errno == errno.ENOSPC
    os.close(opened.fd)
    # What is there can be finished or removed without a free block.
    assert worker.commit(small_disk / "f", opened.mark) == 0
    for i in range(8):
        opened = worker.open(small_disk / f"g{i}", f".g{i}")
        if opened.error:
            break
        os.close(opened.fd)
    assert opened.error == errno.ENOSPC
    assert not (small_disk / f".g{i}").exists()
    assert worker.discard(small_disk / "g0", temporary=".g0") == 0
    opened = worker.open(small_disk / "g0", ".g0")
    assert opened.error == 0
    os.close(opened.fd)


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o300], ids=["directory", "drop box"])
def test_power_cut(disk_image, mode):  # DUR-01, DUR-04, DUR-07, DUR-08
    """Synced, committed, directories synced, each answered: then it survives."""
    point, cut_power = disk_image
    box = point / "box"
    box.mkdir()
    os.chown(box, USER, USER)
    box.chmod(mode)
    os.sync()
    with Worker(user=USER, group=USER, extra_groups=[]) as w:
        w.hello()
        opened = [w.open(box / f"f{i}", f".t{i}") for i in range(20)]
        for i, one in enumerate(opened):
            os.write(one.fd, b"%d" % i * 10000)
        assert w.sync([one.fd for one in opened]) == [0] * 20
        for i, one in enumerate(opened):
            os.close(one.fd)
            assert w.commit(box / f"f{i}", one.mark, f".t{i}", date=1234567890) == 0
        assert w.sync_directories() == 0
    cut_power()
    assert sorted(os.listdir(box)) == sorted(f"f{i}" for i in range(20))
    for i in range(20):
        assert (box / f"f{i}").read_bytes() == b"%d" % i * 10000
        assert (box / f"f{i}").stat().st_mtime == 1234567890


@as_root
def test_lost_write_is_told(lying_disk, worker):  # DUR-01
    opened = [worker.open(lying_disk / f"f{i}", f".f{i}") for i in range(4)]
    for one in opened[:3]:
        for _ in range(8):
            os.write(one.fd, os.urandom(1 << 20))
    errors = worker.sync([one.fd for one in opened])
    assert any(errors[:3]) and set(errors) <= {0, errno.EIO, errno.ENOSPC}
    for one in opened:
        os.close(one.fd)


def test_ends_with_its_channel(worker):  # FIL-32
    worker.channel.close()
    assert worker.end() == (0, "")


def test_ends_when_answers_are_not_wanted(place):  # FIL-32
    """bitsd went away with questions still open: no failure of the worker."""
    with Worker() as w:
        w.hello()
        with bus.standing_still([w.process.pid]):
            for i in range(20):
                w.send(FILE_CHECK, str(place / f"f{i}"))
            w.channel.close()
        assert w.end()[0] == 0


GARBAGE = {
    "too short": b"\x20\x00",
    "unknown number": encode(0x7777, 1),
    "an answer": encode(FILE_RESULT, 1) + bytes(4),
    "a message of another worker": encode(0x30, 1, 7),
    "field missing": encode(FILE_OPEN, 1, "/f", ".t", 0, 0, 0, 0),
    "field left over": encode(FILE_CHECK, 1, "/f") + b"x",
    "string without end": struct.pack("=HHII", FILE_CHECK, 0, 1, 2) + b"/f",
    "string too long": struct.pack("=HHII", FILE_CHECK, 0, 1, 0xffffffff) + b"/f\0",
    "NUL inside": struct.pack("=HHII", FILE_CHECK, 0, 1, 3) + b"/\0f\0",
    "descriptors promised": encode(FILE_SYNC, 1, fds=1),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_it(worker, data):  # FIL-31
    worker.channel.send(data)
    status, log = worker.end()
    assert status == 1
    assert "channel cut off" in log
    assert worker.receive() is None


def test_unwanted_descriptor_ends_it(place, worker):  # FIL-31
    with open(place / "f", "wb") as f:
        worker.send(FILE_CHECK, str(place / "f"), fds=[f.fileno()])
        assert worker.end()[0] == 1


def test_waits_without_spinning(place, worker):  # FIL-33
    """Between requests it sleeps; its answer is the proof that it did not end."""
    def runs():
        """How often it left the processor, by itself or not."""
        text = pathlib.Path(f"/proc/{worker.process.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)

    assert worker.check(place / "f") == 0
    bus.poll_until(lambda: bus.process_state(worker.process.pid) == "S", "it to sleep")
    before = runs()
    assert select.select([worker.channel], [], [], 1.0)[0] == []
    assert runs() - before < 5     # a debugger or a freezer may have woken it
    assert worker.check(place / "f") == 0


HASTE = """
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <time.h>
static volatile sig_atomic_t hasty;
static void hurry(int number)
{
        hasty = number;
}
__attribute__((constructor)) static void prepare(void)
{
        sigset_t held;
        sigemptyset(&held);
        sigaddset(&held, SIGUSR1);
        sigprocmask(SIG_BLOCK, &held, 0);
        signal(SIGUSR1, hurry);
}
int poll(struct pollfd *fds, nfds_t n, int msec)
{
        struct timespec minute = { msec / 1000, msec % 1000 * 1000000L }, moment = { 0, msec * 10000L };
        sigset_t none;
        int r;
        sigemptyset(&none);
        do
                r = ppoll(fds, n, msec < 0 ? 0 : hasty ? &moment : &minute, &none);
        while (r < 0 && hasty);
        return r;
}
"""


def test_ends_when_idle(place, tmp_path):  # FIL-33
    """The program itself, with a clock on which its minute passes in 0.6 seconds, from the signal on."""
    with Worker(preload=preloaded(tmp_path, HASTE)) as w:
        w.hello()
        assert w.check(place / "f") == 0
        os.kill(w.process.pid, signal.SIGUSR1)
        assert w.receive() is None
        assert w.end() == (0, "")
