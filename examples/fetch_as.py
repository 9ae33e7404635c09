#!/usr/bin/python3
"""fetch_as.py USER URL FILE: one's own file, fetched from the network by another user. LIB-43

The same as vault-sync.c, without the library: all that is needed is a D-Bus client that can pass
descriptors (Debian's python3-jeepney). Who may become USER, in practice root, runs it.

The one step that is not D-Bus is the capture of the helper's token: connect to the broker's socket
while being him, and receive a descriptor. The bus would not do, since it speaks for connections and
not for threads, and knows no supplementary groups. Nothing is sent, no password and no name.

A token that is gone (BG_E_TOKEN_REQUIRED) is replaced by a fresh one: LIB-44.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import pwd
import socket
import sys

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

NAME = 'org.openbits.BITS1'
MANAGER, JOB, TOKEN_OPTIONS = NAME + '.Manager', NAME + '.Job', NAME + '.TokenOptions'
NETWORK = 0x2
BG_E_TOKEN_REQUIRED = 0x80200056
ON_ITS_WAY = ('queued', 'connecting', 'transferring', 'transient-error')


@contextlib.contextmanager
def being(user):
    """This process acts as that user meanwhile. The user id is the last to go and the first to
    come back: without root's nothing else could be changed."""
    own_uid, own_gid, own_groups = os.geteuid(), os.getegid(), os.getgroups()
    os.initgroups(user.pw_name, user.pw_gid)
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(own_uid)
        os.setegid(own_gid)
        os.setgroups(own_groups)


def capture_token(path):
    """The token of whoever we are now; the caller closes it."""
    with socket.socket(socket.AF_UNIX) as broker:
        broker.connect(path)
        answer, fds, _, _ = socket.recv_fds(broker, 1, 1)
    if answer != b'T' or not fds:
        raise PermissionError('the broker gives no token: too many are in use')
    return fds[0]


class Service:
    """Calls, and waiting for a job."""

    def __init__(self):
        self.bus = open_dbus_connection('SYSTEM', enable_fds=True)

    def call(self, path, interface, method, signature=None, *arguments):
        address = DBusAddress(path, NAME, interface)
        return unwrap_msg(self.bus.send_and_get_reply(
            new_method_call(address, method, signature, arguments)))

    def manager(self, method, signature=None, *arguments):
        return self.call('/org/openbits/BITS1', MANAGER, method, signature, *arguments)

    def get(self, path, interface, name):
        return self.call(path, 'org.freedesktop.DBus.Properties', 'Get', 'ss', interface, name)[0][1]

    def wait(self, identifier, path):
        """Until the job is no longer on its way; its state then. Asking for the job from time to
        time finds a service that has restarted, whose predecessor's signals have ended."""
        # Signals are sent to whoever made or opened the job: nothing to ask of the bus.
        with self.bus.filter(MatchRule(type='signal', interface=JOB)) as news:
            while (state := self.get(path, JOB, 'State')) in ON_ITS_WAY:
                try:
                    self.bus.recv_until_filtered(news, timeout=10)
                except TimeoutError:
                    self.manager('GetJob', 's', identifier)
        return state


def give_helper(service, path, user):
    socket_path = service.get('/org/openbits/BITS1', MANAGER, 'TokenSocket')
    with being(user):
        token = capture_token(socket_path)
    try:
        service.call(path, TOKEN_OPTIONS, 'SetHelperToken', 'h', token)
    finally:
        os.close(token)     # the service has its own copy
    service.call(path, TOKEN_OPTIONS, 'SetHelperTokenFlags', 'u', NETWORK)


def fetch(service, user, url, file):
    # Whoever owns jobs must have been seen by the broker once: it starts workers for nobody else.
    os.close(capture_token(service.get('/org/openbits/BITS1', MANAGER, 'TokenSocket')))
    identifier, path = service.manager('CreateJob', 'ssa{sv}', 'fetch_as', 'download', {})
    done = False
    try:
        give_helper(service, path, user)
        service.call(path, JOB, 'AddFile', 'ss', url, file)
        while True:
            service.call(path, JOB, 'Resume')
            state = service.wait(identifier, path)
            if state != 'error':
                break
            _, code, text, remote_name, local_name = service.call(path, JOB, 'GetError')
            if code != BG_E_TOKEN_REQUIRED:
                sys.exit(f'fetch_as: {text} (0x{code:08X}) {remote_name} {local_name}')
            print('fetch_as: the token is gone: a fresh one', file=sys.stderr)
            give_helper(service, path, user)
        if state != 'transferred':
            sys.exit(f'fetch_as: the job is {state}')
        service.call(path, JOB, 'Complete')
        done = True
    finally:
        if not done:
            with contextlib.suppress(DBusErrorResponse):    # the job may be gone
                service.call(path, JOB, 'Cancel')


def main():
    if len(sys.argv) != 4:
        print('usage: fetch_as.py USER URL FILE', file=sys.stderr)
        return 2
    try:
        user = pwd.getpwnam(sys.argv[1])
    except KeyError:
        sys.exit(f'fetch_as: there is no user "{sys.argv[1]}"')
    try:
        fetch(Service(), user, sys.argv[2], os.path.abspath(sys.argv[3]))
    except DBusErrorResponse as error:
        sys.exit(f'fetch_as: {error.data[0] if error.data else error.name} ({error.name})')
    except OSError as error:
        sys.exit(f'fetch_as: {error}')
    print(sys.argv[3])
    return 0


if __name__ == '__main__':
    sys.exit(main())
