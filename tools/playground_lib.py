"""A playground: OpenBITS in a temporary folder, as tools/playground and every test with real
programs use it.

    with Playground() as playground:
        playground.run(["bits", "list"], check=True)

It consists of a private D-Bus daemon that stands for the system bus (and for the session bus), the
broker and bitsd, with the identities and privileges that their unit files give them: bitsd and the
bus run under user numbers of their own that no account has. In user mode, and for anybody who
cannot become another identity, everything runs as the caller. The work is done by
playground_supervisor.py; this module prepares the folder, asks it, and looks for failures.

Folders: `directory` holds state and logs (yours if you named one); `runtime` is always temporary and
short, because sockets live there, and it holds copies of the programs, because a clone may lie where
other users cannot reach it. Nothing is left after stop() but a directory that you named.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import glob
import grp
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from playground_nginx import Nginx, closed_folder, temporary_folder  # noqa: E402,F401
from playground_supervisor import CAP_KILL, CAP_SETGID, CAP_SETUID, die_with_parent  # noqa: E402

ROOT = os.path.dirname(HERE)
PYTHON = "/usr/bin/python3"
BUS_NAME = "org.openbits.BITS1"
SPARE_UIDS = range(61184, 65520)  # systemd's DynamicUser range: never an account of a person

PROGRAMS = {"bitsd": "bin", "bits-broker": "bin", "bits": "bin", "bitsadmin": "bin",
            "bits-file": "libexec", "bits-net": "libexec", "bits-pac": "libexec", "bits-command": "libexec"}

# The supervisor calls the broker shortly.
SERVICES = {"dbus": "dbus", "bits-broker": "broker", "broker": "broker", "bitsd": "bitsd"}

# What a sanitizer writes when it has found something.
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|"
                       r"WARNING: ThreadSanitizer|Assertion .* failed")

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>{type}</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <deny send_destination="org.freedesktop.DBus"
          send_interface="org.freedesktop.DBus" send_member="UpdateActivationEnvironment"/>
  </policy>
{include}  <policy user="{owner}">
    <allow own="{name}"/>
    <allow send_destination="{name}"/>
  </policy>
  {extra}
</busconfig>
"""


class PlaygroundError(Exception):
    """The playground, not the command in it, failed."""


def may_switch_identity():
    """True when this process can start others under any user number."""
    if os.geteuid() != 0:
        return False
    with open("/proc/self/status") as status:
        effective = int(re.search(r"CapEff:\s*(\w+)", status.read()).group(1), 16)
    with open("/proc/self/uid_map") as uid_map:
        ranges = [tuple(map(int, line.split())) for line in uid_map]
    return (all(effective >> capability & 1 for capability in (CAP_SETUID, CAP_SETGID, CAP_KILL))
            and any(first <= SPARE_UIDS[0] and SPARE_UIDS[-1] < first + count
                    for first, _, count in ranges))


def spare_uids(count):
    """User numbers that no account has; a random choice, so that playgrounds do not share them."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return random.sample([uid for uid in SPARE_UIDS if uid not in taken], count)


def account(name_or_uid):
    """(uid, gid, groups) of an account, as a login would give them; a bare number stands alone."""
    try:
        entry = (pwd.getpwuid(name_or_uid) if isinstance(name_or_uid, int)
                 else pwd.getpwnam(name_or_uid))
    except KeyError:
        if isinstance(name_or_uid, int):
            return name_or_uid, name_or_uid, []
        raise
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(entry.pw_name, entry.pw_gid)


def default_build():
    return os.environ.get("OPENBITS_BUILD") or os.path.join(ROOT, "build")


class Playground:
    """build: a meson build folder (default: $OPENBITS_BUILD, else build/). user_mode: one identity;
    None: only where there is no other way. directory: keeps state and logs there. environment:
    additions for the daemons and commands (SSL_CERT_FILE, proxies, …). bus_extra: XML for the bus
    configuration. accounts: {name: uid} that the bus takes for accounts; it refuses other users
    without one. fd_store: whether descriptors that the daemons store come back."""

    def __init__(self, build=None, user_mode=None, directory=None, environment=None,
                 start_seconds=60, bus_extra="", accounts=None, fd_store=True):
        self.build = os.path.abspath(build or default_build())
        self.user_mode = not may_switch_identity() if user_mode is None else user_mode
        if not self.user_mode and not may_switch_identity():
            raise PlaygroundError("only root can start a playground with several identities")
        self.directory = os.path.abspath(directory) if directory else None
        self.keeps_directory = directory is not None
        self.runtime = None
        self.extra_environment = dict(environment or {})
        self.environment = {}
        self.start_seconds = start_seconds
        self.bus_extra = bus_extra
        self.accounts = dict(accounts or {})
        self.fd_store = fd_store
        self.supervisor = None
        self.lifeline = None
        self.generations = {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        # A failing body is what the reader wants to see first.
        self.stop(check=kind is None)

    # ---- start and stop ----

    def start(self):
        self.runtime = temporary_folder("openbits-")
        try:
            self.prepare()
            self.launch()
        except BaseException:
            self.cleanup()
            raise

    def prepare(self):
        if self.user_mode:
            self.bus_uid = self.manager_uid = os.geteuid()
        else:
            self.bus_uid, self.manager_uid = spare_uids(2)
        if self.directory is None:
            self.directory = os.path.join(self.runtime, "playground")
        os.makedirs(os.path.join(self.directory, "log"), mode=0o755, exist_ok=True)
        closed = None if self.user_mode else closed_folder(self.directory)
        if closed:  # the daemon of another user has to walk to its state
            raise PlaygroundError("%s cannot hold a playground: other users may not enter %s"
                                  % (self.directory, closed))
        self.logs = os.path.join(self.directory, "log")
        self.state = os.path.join(self.directory, "state")
        os.makedirs(self.state, mode=0o755, exist_ok=True)
        os.makedirs(os.path.join(self.directory, "config", "bitsd.conf.d"), exist_ok=True)
        self.private_folder(os.path.join(self.state, "openbits"), self.manager_uid)
        self.private_folder(os.path.join(self.state, "openbits-broker"), os.geteuid())
        for name in ("run", "bin", "libexec", "lib", "bus"):
            os.mkdir(os.path.join(self.runtime, name), 0o755)
        self.give(os.path.join(self.runtime, "bus"), self.bus_uid)
        self.copy_programs()
        self.write_bus_config()

    def private_folder(self, path, uid):
        os.makedirs(path, mode=0o700, exist_ok=True)
        self.give(path, uid)
        for name in os.listdir(path):  # a kept state belonged to an earlier user number
            self.give(os.path.join(path, name), uid)

    def give(self, path, uid):
        if not self.user_mode:
            os.chown(path, uid, uid, follow_symlinks=False)

    def copy_programs(self):
        for name, folder in PROGRAMS.items():
            found = glob.glob(os.path.join(glob.escape(self.build), "src", "*", name))
            if found:
                shutil.copy(found[0], os.path.join(self.runtime, folder, name))
            elif name in ("bitsd", "bits-broker"):
                raise PlaygroundError("no %s in %s: run `make build` first" % (name, self.build))
        pattern = os.path.join(glob.escape(self.build), "src", "client", "libopenbits.so*")
        for library in glob.glob(pattern):
            if not os.path.isdir(library):
                shutil.copy(library, os.path.join(self.runtime, "lib"), follow_symlinks=False)
        for example in glob.glob(os.path.join(glob.escape(self.build), "examples", "*")):
            if os.path.isfile(example) and os.access(example, os.X_OK):
                shutil.copy(example, os.path.join(self.runtime, "bin"))

    def write_bus_config(self):
        policy = os.path.join(self.build, "data", BUS_NAME + ".conf")
        policy = policy if os.path.exists(policy) else os.path.join(ROOT, "data", BUS_NAME + ".conf")
        include = ""
        if os.path.exists(policy):
            shutil.copy(policy, os.path.join(self.runtime, "bus", "policy.conf"))
            os.chmod(os.path.join(self.runtime, "bus", "policy.conf"), 0o644)
            include = "  <include>policy.conf</include>\n"
        config = os.path.join(self.runtime, "bus", "bus.conf")
        with open(config, "w") as file:
            file.write(BUS_CONFIG.format(
                type="session" if self.user_mode else "system", include=include,
                socket=os.path.join(self.runtime, "bus", "socket"), owner=self.manager_uid,
                name=BUS_NAME, extra=self.bus_extra))
        os.chmod(config, 0o644)

    def bus_environment(self):
        """The bus refuses users without an account, so it sees one for those that we made up."""
        if self.user_mode:
            return {}
        preload = find_library("libnss_wrapper.so*")
        folder = os.path.join(self.runtime, "bus")
        with open(os.path.join(folder, "passwd"), "w") as file:
            file.writelines("%s:x:%d:%d::/:/usr/sbin/nologin\n" % (entry[0], entry[2], entry[3])
                            for entry in pwd.getpwall())
            made_up = {"openbits-bus": self.bus_uid, "openbits-manager": self.manager_uid,
                       **self.accounts}
            file.writelines("%s:x:%d:%d::/:/usr/sbin/nologin\n" % (name, uid, uid)
                            for name, uid in made_up.items())
        with open(os.path.join(folder, "group"), "w") as file:
            file.writelines("%s:x:%d:%s\n" % (entry.gr_name, entry.gr_gid, ",".join(entry.gr_mem))
                            for entry in grp.getgrall())
        return {"LD_PRELOAD": preload, "NSS_WRAPPER_PASSWD": os.path.join(folder, "passwd"),
                "NSS_WRAPPER_GROUP": os.path.join(folder, "group")}

    def base_environment(self):
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID",
                                       "LISTEN_FDNAMES", "JOURNAL_STREAM", "XDG_RUNTIME_DIR")}
        environment.update(self.extra_environment)
        local = "localhost,127.0.0.1,::1"
        for name in ("no_proxy", "NO_PROXY"):
            environment[name] = ",".join(filter(None, [environment.get(name), local]))
        environment["PATH"] = os.path.join(self.runtime, "bin") + ":" + environment.get(
            "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        environment["LD_LIBRARY_PATH"] = os.path.join(self.runtime, "lib")
        environment["OPENBITS_PLAYGROUND"] = self.directory
        environment.setdefault("LANG", "C.UTF-8")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return environment

    def services(self):
        runtime = ["--runtime-directory=" + os.path.join(self.runtime, "run")]
        if self.user_mode:
            runtime.insert(0, "--user")
        program = os.path.join(self.runtime, "bin", "")
        broker = {
            "name": "broker", "ready": "notify", "no_new_privileges": True,
            # The leak checker stops threads with ptrace, which the workers' sandbox forbids.
            "environment": {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0")},
            "argv": [program + "bits-broker", *runtime,
                     "--state-directory=" + os.path.join(self.state, "openbits-broker"),
                     "--libexec-directory=" + os.path.join(self.runtime, "libexec"), "--verbose"]}
        manager = {
            "name": "bitsd", "ready": "notify", "no_new_privileges": True,
            "argv": [program + "bitsd", *runtime,
                     "--state-directory=" + os.path.join(self.state, "openbits"),
                     "--config-directory=" + os.path.join(self.directory, "config"), "--verbose"]}
        bus = {
            "name": "dbus", "ready": "print-address",
            "environment": self.bus_environment(),
            "address_variables": ["DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"],
            "argv": [find_program("dbus-daemon"), "--nofork", "--nopidfile", "--nosyslog",
                     "--config-file=" + os.path.join(self.runtime, "bus", "bus.conf")]}
        if not self.user_mode:
            bus.update(uid=self.bus_uid, gid=self.bus_uid)
            manager.update(uid=self.manager_uid, gid=self.manager_uid, capabilities=[])
            broker["capabilities"] = [CAP_KILL, CAP_SETGID, CAP_SETUID]
            broker["argv"].append("--manager-user=%d" % self.manager_uid)
            broker["listen"] = [
                {"name": "token", "type": "stream", "mode": 0o666,
                 "path": os.path.join(self.runtime, "run", "token")},
                {"name": "manager", "type": "seqpacket", "mode": 0o600,
                 "path": os.path.join(self.runtime, "run", "manager"),
                 "uid": self.manager_uid, "gid": self.manager_uid}]
        for daemon in (broker, manager):
            daemon["fd_store"] = self.fd_store
        return [bus, broker, manager]

    def launch(self):
        plan = {"directory": self.directory, "runtime": self.runtime, "logs": self.logs,
                "services": self.services(), "environment": self.base_environment(),
                "start_seconds": self.start_seconds, "remove": [self.runtime]}
        self.lifeline, other = socket.socketpair()
        self.supervisor = subprocess.Popen(
            [PYTHON, "-B", os.path.join(HERE, "playground_supervisor.py"), str(other.fileno())],
            pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)
        other.close()
        text = json.dumps(plan).encode()
        self.lifeline.sendall(struct.pack("=I", len(text)) + text)
        answer = json.loads(self.lifeline.makefile().readline() or '{"error": "it ended"}')
        if "error" in answer:
            logs = self.tail_logs()
            self.supervisor.wait()
            raise PlaygroundError("%s\n%s" % (answer["error"], logs))
        self.environment = answer["environment"]

    def stop(self, check=True):
        """Ends everything. check: raises PlaygroundError when a daemon crashed, did not end in an
        orderly way, or a sanitizer found something. Returns the list of such failures."""
        if self.supervisor is None:
            return []
        try:
            failures = self.ask(do="stop", timeout=300)["failures"]
        except (OSError, ValueError) as error:
            failures = ["the supervisor did not answer: %s" % error]
        self.lifeline.close()
        self.supervisor.wait()
        self.supervisor = None
        failures += self.sanitizer_reports()
        logs = self.tail_logs() if failures else ""
        self.cleanup()
        if failures and check:
            raise PlaygroundError("; ".join(failures) + "\n" + logs)
        return failures

    def cleanup(self):
        if self.lifeline:
            self.lifeline.close()
        if self.supervisor:
            self.supervisor.wait()
            self.supervisor = None
        if self.runtime:
            shutil.rmtree(self.runtime, ignore_errors=True)
        if not self.keeps_directory:
            self.directory = None

    # ---- the daemons ----

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(request.pop("timeout", 60))
            connection.connect(os.path.join(self.runtime, "control"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(connection.makefile().readline())

    def pids(self, name):
        """Of a daemon ("dbus", "bits-broker", "bitsd"; [] while it is down), or of all running
        workers of a kind ("bits-file", "bits-net")."""
        name = SERVICES.get(name, name)
        if name in SERVICES.values():
            pid = self.ask(do="status")["services"][name]["pid"]
            return [pid] if pid else []
        return [pid for pid, comm in descendants(self.supervisor.pid) if comm == name]

    def kill(self, name, signal_number=signal.SIGKILL):
        """Returns the pids that it hit. A daemon is started again at once: wait_restarted()."""
        name = SERVICES.get(name, name)
        if name in SERVICES.values():
            answer = self.ask(do="kill", name=name, signal=int(signal_number))
            self.generations[name] = answer["generation"]
            return [answer["pid"]] if answer["pid"] else []
        hit = []
        for pid in self.pids(name):
            try:
                os.kill(pid, signal_number)
                hit.append(pid)
            except ProcessLookupError:
                pass
        return hit

    def wait_restarted(self, name, timeout=60):
        """Until the daemon that the last kill() hit runs again and is ready."""
        name = SERVICES.get(name, name)
        answer = self.ask(do="wait", name=name, timeout=timeout,
                          generation=self.generations.get(name, 0))
        if not answer["done"]:
            raise PlaygroundError("; ".join(answer["failures"]) + "\n" + self.tail_logs())

    # ---- commands ----

    def popen(self, command, uid=None, gid=None, groups=None, env=None, **options):
        """Starts a command in the playground's environment; uid is a number or an account's name,
        gid and groups default to the account's. It ends with the calling thread."""
        environment = {**self.environment, **(env or {})}
        if uid is not None:
            number, own_gid, own_groups = account(uid)
            options["user"] = number
            options["group"] = own_gid if gid is None else gid
            options["extra_groups"] = own_groups if groups is None else groups
            options.setdefault("cwd", "/")
            try:
                environment["HOME"] = pwd.getpwuid(number).pw_dir
            except KeyError:
                environment["HOME"] = "/"
        parent = os.getpid()
        # Popen changes the user before this runs, so the wish is not forgotten.
        options.setdefault("preexec_fn", lambda: die_with_parent(parent))
        return subprocess.Popen(command, env=environment, **options)

    def run(self, command, uid=None, gid=None, groups=None, env=None, check=False, timeout=300,
            input=None, **options):
        """subprocess.run() in the playground: text, output captured unless told otherwise."""
        options.setdefault("text", True)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("stdin", subprocess.PIPE if input is not None else subprocess.DEVNULL)
        with self.popen(command, uid, gid, groups, env, **options) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException:
                process.kill()
                raise
        if check and process.returncode:
            raise PlaygroundError("%s: status %d\n%s%s" % (command, process.returncode, out, err))
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    # ---- logs ----

    def log(self, name):
        """The log of "broker" (with its workers), "bitsd", "dbus" or "supervisor" so far."""
        try:
            with open(os.path.join(self.logs, name + ".log"), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def sanitizer_reports(self):
        return ["%s: %s" % (name, line.strip())
                for name in ("broker", "bitsd") for line in self.log(name).splitlines()
                if SANITIZER.search(line)]

    def tail_logs(self, lines=200):
        text = ""
        for name in ("supervisor", "dbus", "broker", "bitsd"):
            content = self.log(name).splitlines()
            text += "---- %s.log%s ----\n" % (name, " (its end)" if len(content) > lines else "")
            text += "".join(line + "\n" for line in content[-lines:])
        return text


def find_program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise PlaygroundError("%s is not installed: run tools/setup" % name)
    return path


def find_library(pattern):
    found = glob.glob("/usr/lib/*/" + pattern) + glob.glob("/usr/lib*/" + pattern)
    if not found:
        raise PlaygroundError("%s is not installed: run tools/setup" % pattern)
    return sorted(found)[0]


def descendants(pid):
    """[(pid, name)] of everything below a process that is not a zombie."""
    found = []
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        return found
    for child in children:
        try:
            with open("/proc/%d/stat" % child) as file:
                stat = file.read()
        except OSError:
            continue
        if stat[stat.rindex(")") + 2] != "Z":
            found.append((child, stat[stat.index("(") + 1:stat.rindex(")")]))
        found += descendants(child)
    return found
