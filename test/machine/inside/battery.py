#!/usr/bin/python3
"""battery.py: the real upowerd on a machine with a power supply and a battery, which umockdev shows
to it alone. Run it by umockdev-wrapper.

A line of standard input, "PERCENT mains" or "PERCENT battery", makes that so. At the end of standard
input upowerd is stopped.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import subprocess
import sys

import gi
gi.require_version('UMockdev', '1.0')
from gi.repository import UMockdev  # noqa: E402

FULL = 60_000_000               # µWh


def main():
    bed = UMockdev.Testbed.new()
    mains = bed.add_device('power_supply', 'AC', None, ['type', 'Mains', 'online', '1'], [])
    battery = bed.add_device(
        'power_supply', 'BAT0', None,
        ['type', 'Battery', 'present', '1', 'status', 'Full', 'voltage_now', '12000000',
         'energy_full', str(FULL), 'energy_full_design', str(FULL), 'energy_now', str(FULL)], [])
    with subprocess.Popen(['/usr/libexec/upowerd'], stdin=subprocess.DEVNULL,
                          env={**os.environ, 'UMOCKDEV_DIR': bed.get_root_dir()}) as upowerd:
        for line in sys.stdin:
            percent, source = line.split()
            bed.set_attribute(mains, 'online', '1' if source == 'mains' else '0')
            bed.set_attribute(battery, 'energy_now', str(FULL * int(percent) // 100))
            bed.set_attribute(battery, 'status',
                              'Charging' if source == 'mains' else 'Discharging')
            bed.uevent(mains, 'change')
            bed.uevent(battery, 'change')
        upowerd.terminate()


if __name__ == '__main__':
    main()
