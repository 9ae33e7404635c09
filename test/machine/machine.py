"""A real systemd machine for the tests: booted in name spaces of this one, in about a second.

Its disk is an overlay over the root that mk-root made: what a scenario changes lies in memory, or
in a folder of the caller's for tests that reboot. It has a network of its own with nothing but lo.

Nothing stays behind, whatever ends when. The first process of a PID name space of ours is
systemd-nspawn; it is tied to `unshare`, and that to this process, by the kernel's parent-death
signal. So the death of any of them, SIGKILL included, is the death of every process of the machine,
and its mounts, made in a private mount name space, go with the last of them. Only an empty cgroup
can remain after a SIGKILL of this process; the next boot removes those.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
CACHE = pathlib.Path(os.environ.get('OPENBITS_TEST_CACHE', '/var/cache/openbits-test-machine'))
NEEDED = ('mmdebstrap', 'systemd-nspawn', 'unshare', 'setpriv', 'nsenter', 'meson')
INSTALL_FAILED = 96
MACHINE_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


# Cgroups of machines that are no more. One at a time, so that nobody takes a new machine's cgroup
# for an old one while nothing is in it yet.
SWEEP = r"""
exec 7<"$cache"
flock 7
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for old in /sys/fs/cgroup/openbits-test-machine-*; do
    [ ! -d "$old" ] || grep -q 'populated 1' "$old/cgroup.events" ||
        find "$old" -depth -type d -exec rmdir {} +
done
"""

# Runs in the new name spaces and becomes the machine. The mount point is a folder of the cache that
# always exists, and /run/systemd of the host is covered, so that no folder of ours is left either.
START = r"""
set -eu
cache=$1 root=$2 upper=$3 build=$4 name=$5 prepare=$6 boots=$7
shift 7
mkdir -p "$cache/mount" /run/systemd
mount -t tmpfs -o mode=755 machine "$cache/mount"
mount -t tmpfs -o mode=755 machine /run/systemd
disk=$cache/mount/disk
mkdir "$disk" "$cache/mount/memory"
[ -n "$upper" ] || upper=$cache/mount/memory
mkdir -p "$upper/changes" "$upper/work" "$upper/srv"
# Device numbers of file systems without a device depend on the order of mounting: as on many a
# machine, they differ from boot to boot.
for i in $(seq $((boots * 16))); do
    mkdir "$cache/mount/$i"
    mount -t tmpfs machine "$cache/mount/$i"
done
mount -t overlay -o "lowerdir=$root,upperdir=$upper/changes,workdir=$upper/work" machine "$disk"
# What a package does when it is installed.
if [ -n "$build" ]; then
    DESTDIR=$disk meson install -C "$build" --no-rebuild --quiet || exit 96
    PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$disk" /bin/sh -ec \
        'ldconfig; systemd-sysusers openbits.conf; systemctl --quiet enable bitsd.service
         touch /etc/.updated /var/.updated' || exit 96
fi
[ -z "$prepare" ] || PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$disk" /bin/sh -ec "$prepare"
# Pure cgroup 2, whatever the host has mounted; the machine's part of it begins where nspawn stands.
""" + SWEEP + r"""
mkdir "/sys/fs/cgroup/$name"
echo 0 >"/sys/fs/cgroup/$name/cgroup.procs"
exec 7<&-
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0
exec systemd-nspawn --quiet --register=no --keep-unit --console=pipe --boot --machine=testmachine \
    --directory="$disk" --private-network --resolv-conf=off --timezone=off --link-journal=no \
    --system-call-filter=@known --capability=CAP_NET_ADMIN,CAP_BPF \
    --bind="$upper/srv:/srv/stable" "$@"
"""


class CannotBoot(Exception):
    """No machine on this computer; the text says why."""


def default_build():
    return os.environ.get('OPENBITS_BUILD', TESTS.parent / 'build')


def make_root():
    """The root directory, built now if it is not in the cache."""
    if os.geteuid() != 0:
        raise CannotBoot('needs root')
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        raise CannotBoot(f'not installed: {" ".join(missing)}')
    result = subprocess.run([HERE / 'mk-root'], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ['no output']
        raise CannotBoot(f'the root directory cannot be built: {" / ".join(lines[-3:])}')
    return pathlib.Path(result.stdout.strip())


def descendants(pid):
    """Processes below that one, parents first."""
    with contextlib.suppress(OSError):
        for path in pathlib.Path(f'/proc/{pid}/task').glob('*/children'):
            for child in path.read_text().split():
                yield int(child)
                yield from descendants(child)


class Machine:
    """One machine. boot(), run() as often as wanted, then poweroff() or crash(); after either it
    can boot again, and finds what was kept if it has an `upper` directory. In the machine, /srv/stable
    is a part of the disk whose device number is the same in each boot; of the rest it differs."""

    count = 0

    def __init__(self, build=None, upper=None, bind=(), prepare=''):
        """build: installed before each boot (None: nothing is). bind: (host, machine) directories,
        read only. prepare: a shell command that is run on the disk before each boot."""
        self.prepare = prepare
        self.build = os.path.realpath(build) if build else ''
        self.upper = os.path.realpath(upper) if upper else ''
        self.bind = [f'--bind-ro={os.path.realpath(host)}:{inside}' for host, inside in bind]
        self.root = make_root()
        self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_SH)      # mk-root removes no root that is in use
        self._console = tempfile.TemporaryFile('w+')
        self._process = self.leader = None
        self._boots = -1

    # ---- life

    def boot(self, timeout=60):
        """Boots and waits until the machine has settled; gives its state, "running" or
        "degraded"."""
        Machine.count += 1
        self._boots += 1
        name = f'openbits-test-machine-{os.getpid()}-{Machine.count}'
        self._console.seek(0)
        self._console.truncate()
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private',
             '--pid', '--fork', '--kill-child', '--mount-proc', '--', 'bash', '-c', START, 'start',
             CACHE, self.root, self.upper, self.build, name,
             self.prepare, str(self._boots), *self.bind],
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=self._console)
        try:
            self._find_leader(time.monotonic() + timeout)
            result = subprocess.run(self._enter('systemctl', 'is-system-running', '--wait'),
                                    stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    timeout=timeout)
        except subprocess.TimeoutExpired:
            jobs = self._ask('systemctl', 'list-jobs', '--no-pager')
            self.crash()
            raise AssertionError(f'the boot does not end:\n{jobs}') from None
        except BaseException:
            self.crash()
            raise
        return result.stdout.strip()

    def _find_leader(self, deadline):
        """The machine's PID 1, as soon as it answers."""
        while time.monotonic() < deadline:
            status = self._process.poll()
            assert status != INSTALL_FAILED, f'OpenBITS cannot be installed: {self.console()}'
            if status is not None:
                raise CannotBoot(f'the machine does not start: {self.console()[-1500:].strip()}')
            for pid in descendants(self._process.pid):
                with contextlib.suppress(OSError, StopIteration):
                    status = pathlib.Path(f'/proc/{pid}/status').read_text()
                    numbers = next(line.split()[1:] for line in status.splitlines()
                                   if line.startswith('NSpid:'))
                    private = pathlib.Path(f'/proc/{pid}/root/run/systemd/private')
                    # Two name spaces below ours: unshare's and nspawn's.
                    if len(numbers) >= 3 and numbers[-1] == '1' and private.is_socket():
                        self.leader = pid
                        return
            time.sleep(0.01)
        raise CannotBoot(f'the machine does not come up: {self.console()[-1500:].strip()}')

    def console(self):
        """What the machine wrote on its console."""
        self._console.seek(0)
        return self._console.read()

    def poweroff(self, timeout=60):
        """An orderly end."""
        self._ask('systemctl', '--no-block', 'poweroff')
        try:
            self._process.wait(timeout)
        finally:
            self.crash()

    def crash(self):
        """An end without warning: every process is killed at once."""
        if self._process:
            # unshare ends after its child, and that, as the first of its name space, after all else.
            for pid in list(descendants(self._process.pid))[:1] or [self._process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = self.leader = None
            self._sweep()

    @staticmethod
    def _sweep():
        subprocess.run(['unshare', '--mount', '--propagation', 'private', 'bash', '-c',
                        'cache=$1' + SWEEP, 'sweep', CACHE],
                       stdin=subprocess.DEVNULL, capture_output=True)

    def close(self):
        self.crash()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- work

    def _enter(self, *command):
        """A command that enters the machine's name spaces. It stands outside of the machine's
        cgroups, so it is good for asking PID 1, and for nothing that logind should see."""
        return ['nsenter', f'--target={self.leader}', '--mount', '--uts', '--ipc', '--net', '--pid',
                '--cgroup', '--', 'env', '-i', f'PATH={MACHINE_PATH}', 'LANG=C.UTF-8', 'HOME=/root',
                'SYSTEMD_PAGER=cat', *map(str, command)]

    def _ask(self, *command):
        return subprocess.run(self._enter(*command), stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def start(self, *command, timeout=120, **options):
        """Starts a command as a service of the machine's own service manager, as root; a Popen."""
        escaped = [str(word).replace('$', '$$') for word in command]    # systemd-run expands
        return subprocess.Popen(
            self._enter('systemd-run', '--quiet', '--pipe', '--wait', '--collect',
                        '--service-type=exec', '--property=KillMode=mixed',
                        '--property=TimeoutStopSec=5', f'--property=RuntimeMaxSec={timeout}',
                        '--setenv=SYSTEMD_PAGER=cat', '--setenv=LANG=C.UTF-8', '--setenv=HOME=/root',
                        '--', *escaped),
            stdin=subprocess.DEVNULL, **options)

    def run(self, *command, timeout=120):
        """Runs it to its end; a CompletedProcess with text."""
        with self.start(*command, timeout=timeout, text=True, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)
