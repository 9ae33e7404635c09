"""What bench/run measures: the files, the contenders, and one measured run of each.

Every contender gets the same bytes from the same nginx into the same empty folder. A run counts
only if every file is there with the right content afterwards. What a program left in the page
cache of the disk is written out before the next one starts, so that nobody pays for another.

The figures of bits are those of its commands and of the daemons together: the processor time that
bitsd, the broker and the workers used from start to end, and the sum of their peaks (each counted
in full, though they share their libraries). A peer is one process.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import collections
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from playground_lib import Playground, PlaygroundError  # noqa: E402,F401
from playground_nginx import Nginx  # noqa: E402

from bench_upload import start_server  # noqa: E402

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
FILES_PER_JOB = 200  # of a user who is not root
COMMAND_SECONDS = 600
INSIDE = "OPENBITS_BENCH_INSIDE"  # set when this process may mount

Figures = collections.namedtuple("Figures", "wall cpu peak")  # seconds, seconds, bytes
Contender = collections.namedtuple("Contender", "name durable command input")


class BenchError(Exception):
    """A contender failed, or its files are wrong."""


# ---- places ----

def enter_namespace():
    """Starts this program again where it may mount: /dev/shm is no place for the service's files,
    and a mount of our own ends with the last process that sees it. Root only: a user who is root in a
    name space of his own has but one uid there, and nginx wants another for its workers. Whether it may."""
    if INSIDE in os.environ:
        return True
    if os.geteuid() != 0:
        return False
    unshare = ["unshare", "--mount"]
    if subprocess.run(unshare + ["mount", "-t", "tmpfs", "bench", "/mnt"],
                      stderr=subprocess.DEVNULL).returncode != 0:
        return False
    os.environ[INSIDE] = "1"
    os.execvp(unshare[0], unshare + [sys.executable, "-B", *sys.argv])


# ---- the files ----

def make_large(path, size):
    """Random, and no block like another: a swapped or repeated block is seen."""
    block = os.urandom(MIB - 8)
    with open(path, "wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "little") + block)


def make_small(folder, count, size):
    os.mkdir(folder)
    for number in range(count):
        with open(os.path.join(folder, "%05d" % number), "wb") as file:
            file.write(os.urandom(size))


def same_content(one, other):
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb", buffering=0) as a, open(other, "rb", buffering=0) as b:
        while True:
            x, y = a.read(4 * MIB), b.read(4 * MIB)
            if x != y:
                return False
            if not x:
                return True


def verify(source, target):
    """BEN-05: every file, nothing else, byte by byte."""
    wanted, there = sorted(os.listdir(source)), sorted(os.listdir(target))
    if wanted != there:
        wrong = sorted(set(wanted) ^ set(there))
        raise BenchError("%d files instead of %d, e.g. %s" % (len(there), len(wanted), wrong[:3]))
    for name in wanted:
        if not same_content(os.path.join(source, name), os.path.join(target, name)):
            raise BenchError("the content of %s is wrong" % name)


# ---- the daemons ----

def read_stat(pid):
    with open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()


class Daemons:
    """BEN-06: what all processes of the service have used."""

    def __init__(self, playground):
        self.playground = playground

    def pids(self):
        return {name: self.playground.pids(name)
                for name in ("bitsd", "broker", "bits-file", "bits-net")}

    def cpu(self):
        """Seconds. The broker reaps the workers: what an ended one used is in its sum."""
        ticks = 0
        for name, pids in self.pids().items():
            for pid in pids:
                try:
                    stat = read_stat(pid)
                except OSError:
                    continue
                last = 15 if name in ("bitsd", "broker") else 13
                ticks += sum(int(stat[i]) for i in range(11, last))
        return ticks / TICKS

    def forget_peaks(self):
        for pids in self.pids().values():
            for pid in pids:
                try:
                    with open("/proc/%d/clear_refs" % pid, "w") as file:
                        file.write("5")
                except OSError:
                    pass

    def peak(self):
        total = 0
        for pids in self.pids().values():
            for pid in pids:
                try:
                    with open("/proc/%d/status" % pid) as file:
                        total += sum(int(line.split()[1]) * 1024 for line in file
                                     if line.startswith("VmHWM:"))
                except OSError:
                    pass
        return total


# ---- the contenders ----

BITS_MANY = """set -e
for list in "$@"; do
    job=$(bits create bench)
    bits add $job --from $list
    bits resume $job
    bits wait $job
    bits complete $job
done"""


class Scenario:
    """name: "large-tmpfs" and so on. folder: for lists. source: what is served, below nginx's root.
    target: where it goes. The limit of copies is cp, and that of an upload one PUT by curl."""

    def __init__(self, name, folder, nginx, source, target, build):
        self.name = name
        self.kind, self.place = name.split("-")
        self.folder, self.nginx, self.source, self.target = folder, nginx, source, target
        self.build = build
        self.files = sorted(os.listdir(source))

    def path(self, name):
        return os.path.relpath(os.path.join(self.source, name), self.nginx.root)

    def write_list(self, name, lines):
        path = os.path.join(self.folder, self.name + "." + name)
        with open(path, "w") as file:
            file.writelines(line + "\n" for line in lines)
        return path

    def url(self, name):
        if self.kind in ("copy", "copies"):
            return "file://" + os.path.join(self.source, name)
        return self.nginx.url(self.path(name))

    def limits(self):
        if self.kind in ("copy", "copies"):
            script = "cd $0 && cp -r . $1"
            yield Contender("limit", False, ["sh", "-c", script, self.source, self.target], None)
            script += " && find $1 -type f -exec sync {} + && sync $1"
            yield Contender("limit, durable", True,
                            ["sh", "-c", script, self.source, self.target], None)
            return
        program = os.path.join(self.build, "bench", "limit")
        paths = self.write_list("paths", map(self.path, self.files))
        rest = [str(self.nginx.port), self.target]
        yield Contender("limit", False, [program, *rest], paths)
        if self.place == "disk":
            yield Contender("limit, durable", True, [program, "-d", *rest], paths)

    def bits(self):
        if self.kind in ("large", "copy"):
            name = self.files[0]
            return Contender("bits", True, ["bits", "get", self.url(name),
                                            os.path.join(self.target, name)], None)
        per_job = len(self.files) if os.geteuid() == 0 else FILES_PER_JOB
        lists = [self.write_list("bits%d" % first, (
            "%s %s" % (self.url(name), os.path.join(self.target, name))
            for name in self.files[first:first + per_job]))
            for first in range(0, len(self.files), per_job)]
        return Contender("bits", True, ["sh", "-c", BITS_MANY, "sh", *lists], None)

    def peers(self):
        if self.kind in ("copy", "copies"):
            return
        urls = self.write_list("urls", (self.nginx.url(self.path(name)) for name in self.files))
        aria = ["aria2c", "--no-conf", "-q", "-d", self.target, "-i", urls]
        curl = ["curl", "-q", "-sSf"]
        yield Contender("aria2c", False, aria, None)
        if self.kind == "large":
            name = self.files[0]
            yield Contender("curl", False, curl + ["-o", os.path.join(self.target, name),
                                                   self.nginx.url(self.path(name))], None)
            return
        yield Contender("aria2c -j16", False, aria + ["-j16"], None)
        config = self.write_list("curl", (
            'url = "%s"\noutput = "%s"' % (self.nginx.url(self.path(name)),
                                           os.path.join(self.target, name))
            for name in self.files))
        yield Contender("curl --parallel", False, curl + ["--parallel", "-K", config], None)

    def contenders(self):
        found = [*self.limits(), self.bits(), *self.peers()]
        missing = [c for c in found if c.name != "bits" and not shutil.which(c.command[0])]
        for contender in missing:
            print("%s: %s is not installed" % (self.name, contender.command[0]), file=sys.stderr)
        return [contender for contender in found if contender not in missing]


class UploadScenario(Scenario):
    """One file to a server that keeps it in the target."""

    def contenders(self):
        path = os.path.join(self.source, self.files[0])
        url = self.nginx.url(self.files[0])
        return [Contender("limit", False, ["curl", "-q", "-sSf", "-T", path, url], None),
                Contender("bits", False, ["bits", "put", path, url], None)]


# ---- one run ----

def prepare_target(target):
    shutil.rmtree(target, ignore_errors=True)
    os.mkdir(target)
    subprocess.run(["sync", "-f", target], check=True)


def measure(scenario, contender, playground):
    """Figures of one run from an empty folder to verified files."""
    prepare_target(scenario.target)
    daemons = Daemons(playground) if contender.name == "bits" else None
    result = os.path.join(scenario.folder, "figures")
    if daemons:
        daemons.forget_peaks()
    before = daemons.cpu() if daemons else 0
    with open(contender.input or os.devnull) as stdin:
        process = playground.popen(
            [os.path.join(scenario.build, "bench", "measure"), result, *contender.command],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = process.communicate(timeout=COMMAND_SECONDS)
    with open(result) as file:
        wall, user, system, peak, status = file.read().split()
    if int(status) != 0:
        raise BenchError("%s failed: %s" % (contender.name, out))
    cpu = float(user) + float(system) + (daemons.cpu() - before if daemons else 0)
    peak = int(peak) * 1024 + (daemons.peak() if daemons else 0)
    try:
        verify(scenario.source, scenario.target)
    except BenchError as error:
        raise BenchError("%s: %s" % (contender.name, error)) from error
    return Figures(float(wall), cpu, peak)


def start_nginx(root):
    nginx = Nginx(root, extra="access_log off;")
    nginx.start()
    return nginx
