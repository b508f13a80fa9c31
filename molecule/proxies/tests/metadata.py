# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""The cloud's metadata service, as a program for the lab's host `cloud`: metadata.py ADDRESS PORT INTERFACE.

A POST with vip and mac has packets for the VIP sent to that MAC, and to no other. What it took is in /run/calls, a line
of JSON each.
"""

import http.server
import json
import subprocess
import sys
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        said = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        words = ["ip", "neigh", "replace", said["vip"], "lladdr", said["mac"], "dev", sys.argv[3], "nud", "permanent"]
        done = subprocess.run(words, check=False)
        with open("/run/calls", "a", encoding="ascii") as file:
            file.write(json.dumps({"time_s": time.time(), "from": self.client_address[0], **said}) + "\n")
        self.send_response(204 if done.returncode == 0 else 500)
        self.end_headers()


http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
