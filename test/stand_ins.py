"""NetworkManager, UPower and logind as far as bitsd looks at them, on a playground's bus: their
names, the properties that are read, and the signal of a change. What the real ones do, the booted
machine's tests show.

    network = StandIn(address, NETWORK_MANAGER)
    network.set(Metered=1)
    network.close()

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import contextlib
import os
import select
import socket
import threading

import jeepney
import jeepney.io.blocking

PROPERTIES = 'org.freedesktop.DBus.Properties'
NETWORK_MANAGER, UPOWER = 'org.freedesktop.NetworkManager', 'org.freedesktop.UPower'
LOGIND, LOGIND_MANAGER = 'org.freedesktop.login1', 'org.freedesktop.login1.Manager'

# service: [(path, interface, {property: (type, first value)})]
OBJECTS = {
    NETWORK_MANAGER: [('/org/freedesktop/NetworkManager', NETWORK_MANAGER,
                       {'State': ('u', 70), 'Metered': ('u', 4), 'Version': ('s', '1.42')})],
    UPOWER: [('/org/freedesktop/UPower', UPOWER, {'OnBattery': ('b', False)}),
             ('/org/freedesktop/UPower/devices/DisplayDevice', UPOWER + '.Device',
              {'WarningLevel': ('u', 1), 'Percentage': ('d', 80.0)})],
    LOGIND: [('/org/freedesktop/login1', LOGIND_MANAGER, {'PreparingForSleep': ('b', False)})]}

BUS_EXTRA = ''.join(f'<policy context="default"><allow own="{name}"/>'
                    f'<allow send_destination="{name}"/></policy>' for name in OBJECTS)


class StandIn:
    """Owns the name until close()."""

    def __init__(self, address, service, **values):
        self.objects = {(path, interface): dict(properties)
                        for path, interface, properties in OBJECTS[service]}
        self._change(values)
        self.lock = threading.Lock()
        self.connection = jeepney.io.blocking.open_dbus_connection(
            bus=address, enable_fds=True)
        reply = self.connection.send_and_get_reply(
            jeepney.message_bus.RequestName(service, flags=4))
        assert reply.body == (1,), reply.body
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _change(self, values):
        """[(path, interface, {name: (type, value)})] of what is another now."""
        found = []
        for (path, interface), properties in self.objects.items():
            mine = {name: (properties[name][0], value) for name, value in values.items()
                    if name in properties}
            properties.update(mine)
            if mine:
                found.append((path, interface, mine))
        assert sum(len(mine) for _, _, mine in found) == len(values)
        return found

    def set(self, **values):
        with self.lock:
            for path, interface, changed in self._change(values):
                address = jeepney.DBusAddress(path, interface=PROPERTIES)
                self.connection.send(jeepney.new_signal(
                    address, 'PropertiesChanged', 'sa{sv}as', (interface, changed, [])))

    def _serve(self):
        """Until close(), which may come while an answer is on its way."""
        with contextlib.suppress(ConnectionError, OSError, ValueError):
            self._answer_calls()

    def _answer_calls(self):
        while True:
            message = self.connection.receive()
            if message.header.message_type is not jeepney.MessageType.method_call:
                continue
            fields = message.header.fields
            key = fields.get(jeepney.HeaderFields.path), message.body[0] if message.body else None
            with self.lock:
                member = fields.get(jeepney.HeaderFields.member)
                if member == 'GetAll' and key in self.objects:
                    reply = jeepney.new_method_return(message, 'a{sv}', (self.objects[key],))
                else:
                    reply = self._answer(member, message)
                if reply:
                    self.connection.send(reply)

    def _answer(self, member, message):
        """To all but GetAll."""
        return jeepney.new_error(message, 'org.freedesktop.DBus.Error.UnknownMethod')

    def close(self):
        """The service leaves the bus; twice is once."""
        if self.thread.is_alive():
            self.connection.sock.shutdown(socket.SHUT_RDWR)
            self.thread.join()
            self.connection.close()


class Logind(StandIn):
    """With the locks that delay sleep."""

    def __init__(self, address):
        self.locks = []         # our ends
        self.asked = []         # what, who, why, mode
        super().__init__(address, LOGIND)

    def _answer(self, member, message):
        if member != 'Inhibit':
            return super()._answer(member, message)
        ours, theirs = os.pipe()
        self.asked.append(message.body)
        self.locks.append(ours)     # last: who counts them finds what was asked
        reply = jeepney.new_method_return(message, 'h', (theirs,))
        self.connection.send(reply)
        os.close(theirs)        # before anybody can wait for its end
        return None

    def sleep(self, asleep):
        """Tells everybody."""
        with self.lock:
            self._change({'PreparingForSleep': asleep})
            address = jeepney.DBusAddress('/org/freedesktop/login1', interface=LOGIND_MANAGER)
            self.connection.send(jeepney.new_signal(address, 'PrepareForSleep', 'b', (asleep,)))

    def wait_released(self, seconds):
        """Whether the last lock is given back within that time."""
        return bool(select.select([self.locks[-1]], [], [], seconds)[0])

    def close(self):
        super().close()
        while self.locks:
            os.close(self.locks.pop())
