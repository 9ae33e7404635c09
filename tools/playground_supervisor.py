#!/usr/bin/python3
"""The service manager of a playground: starts the bus, the broker and bitsd, and keeps them running.

It does for a temporary folder what systemd does for the machine, and no more: the sockets of the
broker exist before the broker does and outlive it (bits-broker.socket), a daemon is ready when it
says so (Type=notify), one that ends is started again at once (Restart=always), what it leaves
behind is killed (KillMode=control-group), descriptors that it stored come back (fd store), and the
privileges are those of the unit files.

It is a process of its own so that everything ends with it, whatever happens to the program that
wanted a playground: that program holds one end of a socket (the lifeline), and the daemons die with
this process (PR_SET_PDEATHSIG). Requests come as one JSON line on RUNTIME/control.

One thread, one loop, no waiting inside of it. Only playground_lib.py starts it.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import ctypes
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

CAP_KILL, CAP_SETGID, CAP_SETUID = 5, 6, 7

# A death by one of these is somebody's wish; by another signal, or an exit with a status, it is a
# failure of the daemon.
ORDINARY_SIGNALS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT}
OPEN_FILES = 65536  # LimitNOFILE=
STOP_SECONDS = 60
GIVE_UP_AFTER = 5  # exits in a row without having been ready

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, argument=0):
    return libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)


def die_with_parent(parent):
    """After every change of identity: the kernel forgets the wish when credentials change."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def restrict(spec):
    """In the child: the limits and privileges that the unit file gives, and no other."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, OPEN_FILES), most))
    if spec.get("capabilities") is not None and os.geteuid() == 0:
        for capability in range(64):
            if capability not in spec["capabilities"]:
                prctl(PR_CAPBSET_DROP, capability)
    if spec.get("uid") is not None:
        os.setgroups([])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
    if spec.get("no_new_privileges"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)


class Service:
    """One daemon: how it is started, and how it is doing."""

    def __init__(self, spec, runtime, logs):
        self.spec = spec
        self.name = spec["name"]
        self.log_path = os.path.join(logs, self.name + ".log")
        self.pid = None
        self.ready = False
        self.generation = 0
        self.early_exits = 0
        self.asked = False  # its death was ordered through this process
        self.stored = []  # [(name, fd)]: the fd store
        self.notify = None
        self.start_after = None  # a delayed restart
        self.last_status = None
        if spec["ready"] == "notify":
            self.notify_path = os.path.join(runtime, "notify-" + self.name)
            self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.notify.bind(self.notify_path)
            os.chmod(self.notify_path, 0o666)
            self.notify.setblocking(False)

    def descriptors(self):
        return self.spec.get("sockets", []) + self.stored


class Supervisor:
    def __init__(self, plan, lifeline):
        self.plan = plan
        self.runtime = plan["runtime"]
        self.lifeline = lifeline
        self.selector = selectors.DefaultSelector()
        self.log = open(os.path.join(plan["logs"], "supervisor.log"), "a", buffering=1)
        self.services = {}
        self.failures = []
        self.waiting = []  # [(connection, condition)]
        self.stopping = False
        self.turns = 0
        self.environment = dict(plan["environment"])

    def say(self, text):
        self.log.write("%.3f %s\n" % (time.time(), text))

    # ---- starting ----

    def start_all(self):
        for spec in self.plan["services"]:
            if "listen" in spec:
                spec["sockets"] = [self.listen(entry) for entry in spec["listen"]]
            service = Service(spec, self.runtime, self.plan["logs"])
            self.services[service.name] = service
            if service.notify:
                self.selector.register(service.notify, selectors.EVENT_READ,
                                       lambda s=service: self.on_notify(s))
            self.spawn(service)
            self.wait_first(service)

    def listen(self, entry):
        """A socket unit: (name, descriptor)."""
        kind = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}[entry["type"]]
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(entry["path"])
        os.chmod(entry["path"], entry["mode"])
        if entry.get("uid") is not None:
            os.chown(entry["path"], entry["uid"], entry["gid"])
        listener.listen(4096)
        return entry["name"], listener.detach()

    def spawn(self, service):
        spec = service.spec
        service.ready = False
        service.asked = False
        service.start_after = None
        service.generation += 1
        address = None
        if spec["ready"] == "print-address":
            address, write_end = os.pipe()
        log = os.open(service.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self.child(service, log, parent,
                           write_end if address is not None else None)
            except BaseException as error:
                os.write(2, ("cannot start %s: %s\n" % (service.name, error)).encode())
            os._exit(127)
        os.close(log)
        service.pid = pid
        self.say("%s: pid %d" % (service.name, pid))
        if address is not None:
            os.close(write_end)
            with os.fdopen(address) as pipe:
                self.environment.update(dict.fromkeys(spec["address_variables"],
                                                      pipe.readline().strip()))
            service.ready = True

    def child(self, service, log, parent, address):
        spec = service.spec
        null = os.open("/dev/null", os.O_RDWR)
        descriptors = service.descriptors()
        environment = {**self.environment, **spec.get("environment", {})}
        argv = list(spec["argv"])
        # Out of the way first, so that no dup2() below overwrites what a later one needs.
        high = [(name, move_up(fd)) for name, fd in descriptors]
        address = move_up(address) if address is not None else None
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for number, (_, fd) in enumerate(high):
            os.dup2(fd, 3 + number, inheritable=True)
        if high:
            environment["LISTEN_PID"] = str(os.getpid())
            environment["LISTEN_FDS"] = str(len(high))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in high)
        if address is not None:
            os.dup2(address, 3, inheritable=True)
            argv.append("--print-address=3")
        os.closerange(3 + max(len(high), 1 if address is not None else 0), 4096)
        if service.notify:
            environment["NOTIFY_SOCKET"] = service.notify_path
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        os.chdir("/")
        os.setsid()
        restrict(spec)
        die_with_parent(parent)
        os.execve(argv[0], argv, environment)

    def wait_first(self, service):
        """The first start: one that fails is not tried again."""
        end = time.monotonic() + self.plan["start_seconds"]
        while not service.ready:
            if self.stopping:
                raise RuntimeError("nobody waits for it any more")
            if service.pid is None or service.start_after:
                raise RuntimeError("%s ended before it was ready: %s"
                                   % (service.name, describe(service.last_status)))
            if time.monotonic() > end:
                raise RuntimeError("%s was not ready after %d seconds"
                                   % (service.name, self.plan["start_seconds"]))
            self.turn(end - time.monotonic())

    # ---- news ----

    def turn(self, timeout=None):
        due = [s.start_after for s in self.services.values() if s.start_after]
        if due:
            delay = max(0, min(due) - time.monotonic())
            timeout = delay if timeout is None else min(timeout, delay)
        self.turns += 1
        turn = self.turns
        for key, _ in self.selector.select(timeout):
            key.data()
            if self.turns != turn:      # it took turns of its own: what is left of ours may be done
                break
        for service in self.services.values():
            if service.start_after and service.start_after <= time.monotonic():
                self.spawn(service)

    def on_notify(self, service):
        try:
            data, descriptors, _, _ = socket.recv_fds(service.notify, 4096, 768)
        except BlockingIOError:
            return
        fields = dict(line.split("=", 1) for line in data.decode(errors="replace").splitlines()
                      if "=" in line)
        if fields.get("FDSTORE") == "1" and service.spec.get("fd_store", True):
            name = fields.get("FDNAME", "stored")
            service.stored += [(name, os.dup(fd)) for fd in descriptors]
        if fields.get("FDSTOREREMOVE") == "1":
            for name, fd in [e for e in service.stored if e[0] == fields.get("FDNAME")]:
                os.close(fd)
                service.stored.remove((name, fd))
        for fd in descriptors:  # BARRIER=1 waits for this too
            os.close(fd)
        if fields.get("READY") == "1":
            service.ready = True
            service.early_exits = 0
            self.say("%s: ready" % service.name)
            self.answer_waiting()

    def on_child(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for service in self.services.values():
                if service.pid == pid:
                    self.ended(service, status)

    def ended(self, service, status):
        self.say("%s: pid %d %s" % (service.name, service.pid, describe(status)))
        was_ready = service.ready
        service.pid = None
        service.ready = False
        service.last_status = status
        ordinary = service.asked or (os.WIFSIGNALED(status)
                                     and os.WTERMSIG(status) in ORDINARY_SIGNALS)
        ordinary = ordinary or (self.stopping and status == 0)
        if not ordinary:
            self.failures.append("%s %s" % (service.name, describe(status)))
        if self.stopping:
            return
        self.kill_orphans()
        if service.spec["ready"] == "print-address":
            self.failures.append("the bus is gone")
            return
        if not ordinary and not was_ready:
            service.early_exits += 1
        if service.early_exits >= GIVE_UP_AFTER:
            self.failures.append("%s ended %d times without getting ready: given up"
                                 % (service.name, service.early_exits))
            self.answer_waiting()
            return
        service.start_after = time.monotonic() + (0 if was_ready or ordinary else 0.1)

    def kill_orphans(self):
        """What a daemon leaves behind is reparented to this process, its subreaper."""
        mine = {service.pid for service in self.services.values()}
        with open("/proc/self/task/%d/children" % os.getpid()) as children:
            orphans = [int(pid) for pid in children.read().split() if int(pid) not in mine]
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return orphans

    # ---- requests ----

    def on_control(self):
        connection, _ = self.control.accept()
        connection.settimeout(60)
        try:
            request = json.loads(connection.makefile().readline())
        except (OSError, ValueError):
            connection.close()
            return
        name = request.get("name")
        if request["do"] == "status":
            self.reply(connection, {
                "failures": self.failures, "environment": self.environment,
                "services": {s.name: {"pid": s.pid, "ready": s.ready, "generation": s.generation,
                                      "stored": [name for name, _ in s.stored]}
                             for s in self.services.values()}})
        elif request["do"] == "kill":
            service = self.services[name]
            service.asked = True
            if service.pid is not None:
                os.kill(service.pid, request["signal"])
            self.reply(connection, {"pid": service.pid, "generation": service.generation})
        elif request["do"] == "wait":
            service, generation = self.services[name], request["generation"]
            self.waiting.append((connection,
                                 lambda: service.ready and service.generation > generation))
            self.answer_waiting()
        elif request["do"] == "stop":
            self.stop()
            self.reply(connection, {"failures": self.failures})

    @staticmethod
    def reply(connection, answer):
        try:
            connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass
        connection.close()

    def answer_waiting(self):
        for entry in list(self.waiting):
            connection, condition = entry
            if condition() or self.failures:
                self.waiting.remove(entry)
                self.reply(connection, {"done": condition(), "failures": self.failures})

    # ---- the end ----

    def stop(self):
        self.stopping = True
        for service in reversed(list(self.services.values())):
            service.start_after = None
            self.stop_service(service)
            while self.kill_orphans():
                self.turn(0.02)

    def stop_service(self, service):
        if service.pid is None:
            return
        service.asked = service.spec["ready"] == "print-address"
        os.kill(service.pid, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        while service.pid is not None:
            self.turn(max(0, end - time.monotonic()))
            if service.pid is not None and time.monotonic() >= end:
                self.failures.append("%s did not end on SIGTERM" % service.name)
                service.asked = True
                os.kill(service.pid, signal.SIGKILL)
                end = time.monotonic() + STOP_SECONDS

    def abandoned(self):
        """The program that wanted the playground is gone without a word. So are its commands."""
        self.stop()
        mark = ("OPENBITS_PLAYGROUND=" + self.plan["directory"]).encode()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/environ" % pid, "rb") as environ:
                    if mark in environ.read().split(b"\0") and int(pid) != os.getpid():
                        os.kill(int(pid), signal.SIGKILL)
            except OSError:
                pass
        for path in self.plan["remove"]:
            remove_tree(path)

    def run(self):
        wake, wake_end = os.pipe()
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the lifeline alone decides
        self.selector.register(wake, selectors.EVENT_READ,
                               lambda: (os.read(wake, 4096), self.on_child()))
        self.selector.register(self.lifeline, selectors.EVENT_READ, self.on_lifeline)
        try:
            self.start_all()
        except Exception as error:
            self.say(str(error))
            self.stop()
            self.reply(self.lifeline, {"error": str(error)})
            return
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        self.control.bind(os.path.join(self.runtime, "control"))
        os.umask(old)
        self.control.listen(128)
        self.selector.register(self.control, selectors.EVENT_READ, self.on_control)
        self.lifeline.sendall(json.dumps({"environment": self.environment}).encode() + b"\n")
        while not self.stopping:
            self.turn()

    def on_lifeline(self):
        if not self.lifeline.recv(4096) and not self.stopping:
            self.say("abandoned")
            self.abandoned()


def move_up(fd):
    import fcntl
    return fcntl.fcntl(fd, fcntl.F_DUPFD, 64)


def describe(status):
    if status is None:
        return "never ran"
    if os.WIFSIGNALED(status):
        return "was killed by %s" % signal.Signals(os.WTERMSIG(status)).name
    return "ended with status %d" % os.WEXITSTATUS(status)


def remove_tree(path):
    import shutil
    shutil.rmtree(path, ignore_errors=True)


def main():
    lifeline = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(lifeline.fileno(), False)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(15, b"playground", 0, 0, 0)  # PR_SET_NAME
    size = struct.unpack("=I", lifeline.recv(4, socket.MSG_WAITALL))[0]
    plan = json.loads(lifeline.recv(size, socket.MSG_WAITALL))
    Supervisor(plan, lifeline).run()


if __name__ == "__main__":
    main()
