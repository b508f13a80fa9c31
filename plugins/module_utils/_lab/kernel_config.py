# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the fast kernel: Debian's for User Mode Linux, without what no host of a lab needs."""

from __future__ import annotations

import hashlib
import re

from .errors import LabError

#: Options that stay modules, as regular expressions; the package's other modules are left out (854 instead of 250).
MODULES = (
    r"IP_VS\w*", r"IP_SET(_HASH_(IP|NET|NETIFACE))?",
    r"NETFILTER_\w+", r"NFT_\w+", r"IP6?_NF_\w+", r"NF_(?!CONNTRACK_|NAT_)\w+", r"NF_(CONNTRACK|NAT)_(FTP|SIP|BRIDGE)",
    "BRIDGE", "BRIDGE_NETFILTER", "VLAN_8021Q", "BONDING", "DUMMY", "IFB", "MACVLAN", "MACVTAP", "NET_VRF", "NLMON",
    "TAP", "TUN", "VETH", "VXLAN",
    "NET_IPIP", r"NET_IPGRE\w*", "NET_FOU", r"IPV6_(SIT|TUNNEL|GRE|FOU)",
    "PACKET_DIAG", "UNIX_DIAG", "NETLINK_DIAG", r"INET_(UDP|RAW)_DIAG",
    r"NET_SCH_(HTB|INGRESS|NETEM|PRIO|TBF)", r"NET_CLS_(MATCHALL|U32)", r"NET_ACT_(GACT|MIRRED)",
    "AUTOFS_FS", "BLK_DEV_LOOP", "CONFIGFS_FS", "OVERLAY_FS", "SOFT_WATCHDOG",
)  # fmt: skip

#: Options with a value of our own. The package has nf_tables for bridges only, and no tables of iptables-legacy.
OPTIONS = {
    # netfilter
    "NETFILTER_XTABLES_LEGACY": "y",
    **dict.fromkeys(("NF_TABLES_ARP", "NF_TABLES_INET", "NF_TABLES_IPV4", "NF_TABLES_IPV6", "NF_TABLES_NETDEV"), "y"),
    **dict.fromkeys(("NFT_FIB_INET", "NFT_FIB_IPV4", "NFT_FIB_IPV6", "NFT_NAT", "NFT_REJECT_INET"), "m"),
    **{
        f"{family}_NF_{table}": "m"
        for family in ("IP", "IP6")
        for table in ("IPTABLES_LEGACY", "FILTER", "MANGLE", "NAT", "RAW", "TARGET_REJECT", "TARGET_MASQUERADE")
    },
    "NET_FOU_IP_TUNNELS": "y",
    # what costs time at each system call or packet
    **dict.fromkeys(("AUDIT", "INTEGRITY", "IP_VS_DEBUG", "SECURITY_APPARMOR", "SECURITY_SELINUX"), "n"),
    **dict.fromkeys(("SECURITY_SMACK", "SECURITY_TOMOYO", "SECURITY_YAMA"), "n"),
    # what costs time to build
    "DEBUG_INFO_NONE": "y",
    **dict.fromkeys(("BTRFS_FS", "EXT2_FS", "JFS_FS", "XFS_FS", "NETWORK_FILESYSTEMS", "PARTITION_ADVANCED"), "n"),
    **dict.fromkeys(("HID_SUPPORT", "MD", "TCP_CONG_ADVANCED"), "n"),
}

# Alternatives of a choice in Kconfig: another option of ours is the one that is chosen.
_DROPPED = ("DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT",)
_LINE = re.compile(r"(?:# )?CONFIG_(\w+)(?:=(.*)| is not set)")


def key() -> str:
    """Hash of all that this file decides of a kernel."""
    return hashlib.sha256(repr((MODULES, sorted(OPTIONS.items()), _DROPPED)).encode()).hexdigest()[:16]


def configuration(package: str) -> str:
    """The ``.config`` for ``make olddefconfig``, from that of the package user-mode-linux."""
    lines = [line for line in package.splitlines() if _stays(line)]
    for name, value in OPTIONS.items():
        lines.append(f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}")
    return "\n".join(lines) + "\n"


def check(config: str) -> None:
    """Compare OPTIONS with the ``.config`` that ``make olddefconfig`` left. LabError names what it refused."""
    found = {match[1]: match[2] or "n" for match in map(_LINE.fullmatch, config.splitlines()) if match}
    refused = [f"{name}={value}" for name, value in OPTIONS.items() if found.get(name, "n") != value]
    if "IP_VS" not in found or found["IP_VS"] == "n":
        refused.append("IP_VS=m")
    if refused:
        raise LabError(f"this kernel's source refuses {', '.join(sorted(refused))}: adapt OPTIONS in kernel_config.py")


def _stays(line: str) -> bool:
    match = _LINE.fullmatch(line)
    if not match:
        return True
    name, value = match[1], match[2]
    if name in OPTIONS or name in _DROPPED:
        return False
    return value != "m" or any(re.fullmatch(pattern, name) for pattern in MODULES)
