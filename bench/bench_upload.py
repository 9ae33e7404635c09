"""The server that uploads are measured against: the BITS server of the tests, which takes a plain
PUT by the same means, so that what is left of the ratio is the protocol and the client.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "test"))

from bits_server import FRAGMENT_MOST, BitsServer, Handler  # noqa: E402


class PutHandler(Handler):
    def do_PUT(self):
        left, data = int(self.headers["Content-Length"]), bytearray()
        while left > 0:
            piece = self.rfile.read(min(left, FRAGMENT_MOST))
            if not piece:
                self.cut()
                return
            data += piece
            left -= len(piece)
        self.owner.target(self.path).write_bytes(data)
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


def start_server(folder):
    """Keeps what comes in `folder`."""
    server = BitsServer(folder)
    server.http.RequestHandlerClass = PutHandler
    return server
