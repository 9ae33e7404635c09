#!/usr/bin/python3
"""run.py NAME…: runs scenarios in the test machine and prints a JSON object a line for each:
name, outcome ("passed" or "failed"), seconds, text. --list prints the names and what they need.

A scenario begins with a service that runs and has no job. It has failed as well if our programs
wrote an error into the journal meanwhile.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import json
import sys
import time
import traceback

sys.dont_write_bytecode = True

import scene  # noqa: E402
import scenarios  # noqa: E402, F401


def run(name):
    function = scene.SCENARIOS[name].function
    begin = time.monotonic()
    text = ''
    try:
        scene.settle()
        position = scene.journal_position()
        try:
            function()
        finally:
            text = '\n'.join(f'{entry.get("SYSLOG_IDENTIFIER")}: {entry["MESSAGE"]}' for entry in
                             scene.journal(position) if 'MESSAGE' in entry)[-6000:]
        found = scene.complaints(position)
        assert not found, f'errors in the journal: {found}'
        outcome = 'passed'
    except Exception:
        outcome, text = 'failed', f'{traceback.format_exc()}\njournal:\n{text}'
    return {'name': name, 'outcome': outcome, 'seconds': round(time.monotonic() - begin, 2),
            'text': text}


def main():
    if sys.argv[1:] == ['--list']:
        for name, entry in scene.SCENARIOS.items():
            print(name if not entry.needs else f'{name}: needs {entry.needs}')
        return 0
    results = [run(name) for name in sys.argv[1:]]
    for result in results:
        print(json.dumps(result), flush=True)
    return 0 if all(result['outcome'] == 'passed' for result in results) else 1


if __name__ == '__main__':
    sys.exit(main())
