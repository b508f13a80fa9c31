# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a failover says the same as its figures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from _lab.picture import failover_svg
from _lab.probe import Attempt

SVG = "{http://www.w3.org/2000/svg}"


def test_the_figures_are_in_the_picture() -> None:
    attempts = [
        Attempt(100 + number / 10, 0.001, None if 20 <= number < 50 else "web01", "") for number in range(90)
    ]
    adverts = [(100.5, "lvs01"), (101.5, "lvs01"), (105.25, "lvs02"), (106.25, "lvs02")]
    document = ET.fromstring(failover_svg(102.0, "lvs01", adverts, attempts))
    words = [element.text for element in document.iter(f"{SVG}text")]
    assert "no adverts for 3750 ms" in words
    assert "3000 ms" in words
    assert words[:3] == ["lvs01", "lvs02", "client"]
    assert len(list(document.iter(f"{SVG}circle"))) == len(adverts)
