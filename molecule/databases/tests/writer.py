# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the linuxha.lvs developers
"""A client of the database, as a program for the lab's host `client`: writer.py ADDRESS FIRST SECONDS.

Writes numbered rows, one at a time, through the VIP. A number that was not acknowledged is not used again. Prints a
line of JSON for each: number, when (Unix time), and the server that acknowledged it, or null.
"""

import json
import sys
import time

import pymysql


def main(address: str, first: int, seconds: float) -> None:
    connection = None
    number, end = first, time.monotonic() + seconds
    while time.monotonic() < end:
        server = None
        begun = time.time()
        try:
            if connection is None:
                connection = pymysql.connect(
                    host=address, user="writer", password="writer", database="site",
                    connect_timeout=1, read_timeout=3, write_timeout=3, autocommit=True,
                )  # fmt: skip
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO numbers (number, written_on) SELECT %s, @@server_id", (number,))
                cursor.execute("SELECT @@server_id")
                (server,) = cursor.fetchone()
        except (pymysql.MySQLError, OSError):
            if connection is not None:
                connection._force_close()
            connection = None
        print(json.dumps({"number": number, "time_s": begun, "server": server}), flush=True)
        number += 1
        time.sleep(0.05)


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
