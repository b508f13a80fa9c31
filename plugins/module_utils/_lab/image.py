# Copyright: the linuxha.lvs developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system all guests share, built once by debootstrap and cached by what goes into it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import pkgutil
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .commands import run
from .errors import LabError
from .kernel import Kernel, find
from .paths import cache_root, images_dir, labs_dir

BUILD_SPACE_MB = 2500
KEPT_IMAGES = 3

#: Installed in every guest: what any server already has before a role arrives, and the lab's web server.
BASE_PACKAGES = (
    "systemd-sysv", "dbus", "udev", "openssh-server", "python3", "python3-apt", "iproute2", "iputils-ping",
    "kmod", "procps", "iptables", "perl", "curl", "tcpdump", "nginx-light",
)  # fmt: skip
#: Offered by the guests' own apt repository, for the roles to install.
REPOSITORY_PACKAGES = ("keepalived", "ipvsadm", "python3-pyroute2")

_SEED_UNIT = """\
[Unit]
Description=Make this image the host its seed says
DefaultDependencies=no
After=systemd-remount-fs.service
Before=systemd-udevd.service systemd-sysctl.service systemd-hostnamed.service network-pre.target sysinit.target
ConditionPathExists=!/etc/lab/seeded

[Service]
Type=oneshot
ExecStart=/bin/tar --no-same-owner -C / -xf /dev/ubdb
ExecStart=/bin/touch /etc/lab/seeded

[Install]
WantedBy=sysinit.target
"""

# hostname(1) and systemd refuse names such as LVS_01, which the kernel and many a site take.
# NICs get their names before udev sees them, as udev itself would have named them on real hardware.
_NETWORK_UNIT = """\
[Unit]
Description=Name the host and its NICs, and set the site's addresses
DefaultDependencies=no
After=lab-seed.service
Before=systemd-udevd.service systemd-sysctl.service network-pre.target sysinit.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cp --no-preserve=all /etc/hostname /proc/sys/kernel/hostname
ExecStart=/bin/ip -force -batch /etc/lab/network.ip

[Install]
WantedBy=sysinit.target
"""

# The guests are short of exec speed, not of features: nothing here is needed by a server without a screen.
_MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "getty@tty1.service", "getty-static.service", "console-getty.service", "e2scrub_reap.service",
    "systemd-timesyncd.service", "systemd-random-seed.service", "motd-news.timer",
    "systemd-networkd.service", "kmod-static-nodes.service", "systemd-binfmt.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-pcrphase.service",
    "systemd-pcrphase-sysinit.service", "systemd-firstboot.service", "systemd-machine-id-commit.service",
    "modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "modprobe@fuse.service", "modprobe@loop.service", "dev-hugepages.mount", "dev-mqueue.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
)  # fmt: skip

# Coldplugging hundreds of terminals takes 11 s; roles and sysctl only need the NICs and disks.
_UDEV_TRIGGER = """\
[Service]
ExecStart=
ExecStart=udevadm trigger --type=devices --action=add --subsystem-match=net --subsystem-match=block
"""

_FILES = {
    "etc/systemd/system/lab-seed.service": _SEED_UNIT,
    "etc/systemd/system/lab-network.service": _NETWORK_UNIT,
    "etc/systemd/system/systemd-udev-trigger.service.d/lab.conf": _UDEV_TRIGGER,
    "etc/systemd/system/nginx.service.d/lab.conf": "[Unit]\nConditionPathExists=/etc/nginx/conf.d/lab.conf\n",
    "etc/dpkg/dpkg.cfg.d/lab": "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=16M\n",
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n",
    "etc/fstab": "/dev/ubda / ext4 defaults,noatime 0 1\n",
    "etc/apt/sources.list": "deb [trusted=yes] file:/srv/apt ./\n",
}


@dataclass(frozen=True)
class ImageInputs:
    """All that decides what an image holds; two equal inputs share one image."""

    suite: str = "bookworm"
    mirror: str = ""
    packages: tuple[str, ...] = ()
    repository_packages: tuple[str, ...] = ()
    kernel: str = "package"

    @property
    def base_packages(self) -> tuple[str, ...]:
        return tuple(sorted({*BASE_PACKAGES, *self.packages}))

    @property
    def offered_packages(self) -> tuple[str, ...]:
        return tuple(sorted({*REPOSITORY_PACKAGES, *self.repository_packages}))


def image_key(inputs: ImageInputs) -> str:
    """Hash of everything that goes into the image: this file, the inputs, the kernel and its modules."""
    digest = hashlib.sha256(pkgutil.get_data(__package__, "image.py") or b"")
    held = (inputs.suite, inputs.mirror, inputs.base_packages, inputs.offered_packages)
    digest.update(repr((held, find(inputs.kernel).identity)).encode())
    return digest.hexdigest()[:16]


def image_path(inputs: ImageInputs) -> Path:
    """Where the image of these inputs is or will be."""
    return images_dir() / image_key(inputs) / "base.img"


def program_path(base: Path) -> Path:
    """The kernel that boots the image `base`, whose modules are in it."""
    return base.with_name("linux")


def command_line(base: Path) -> list[str]:
    """What the kernel of the image `base` needs on its command line."""
    return base.with_name("words").read_text().split()


def build(inputs: ImageInputs, progress: Callable[[str], None]) -> bool:
    """Build the image unless it is there. True when it was built. One builder at a time, whole or not at all."""
    target = image_path(inputs)
    images_dir().mkdir(parents=True, exist_ok=True)
    with open(images_dir() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return False
        _check_space(images_dir())
        work = Path(tempfile.mkdtemp(prefix="building-", dir=images_dir()))
        try:
            root = work / "root"
            _bootstrap(inputs, root, progress)
            _fill_repository(inputs, root, progress)
            kernel = find(inputs.kernel)
            _configure(root, kernel)
            progress("writing the file system image")
            base = work / "base.img"
            run(["mkfs.ext4", "-q", "-L", "lab", "-E", "lazy_itable_init=1", "-d", str(root), str(base), "2G"])
            base.chmod(0o444)
            shutil.copy2(kernel.program, program_path(base))
            base.with_name("words").write_text(" ".join(kernel.words))
            shutil.rmtree(root)
            work.rename(target.parent)
            _prune()
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return True


def detect_mirror(suite: str) -> str:
    """The archive this machine's own apt uses for `suite`; empty: debootstrap's default."""
    form = "$(SITE) $(CODENAME) $(LABEL)"
    for line in run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], check=False).splitlines():
        site, codename, label = (line.split(" ", 2) + ["", "", ""])[:3]
        if codename == suite and label == "Debian":
            return site
    return ""


def _prune() -> None:
    """Remove all but the newest images; a lab's own stays, for its hosts' disks are copies over it."""
    used = {json.loads(plan.read_text())["image"] for plan in labs_dir().glob("*/plan.json")}
    images = sorted(images_dir().glob("*/base.img"), key=lambda image: image.stat().st_mtime, reverse=True)
    for image in images[KEPT_IMAGES:]:
        if str(image) not in used:
            shutil.rmtree(image.parent)


def _check_space(directory: Path) -> None:
    free_mb = shutil.disk_usage(directory).free // 2**20
    if free_mb < BUILD_SPACE_MB:
        raise LabError(
            f"out of disk: building the image needs {BUILD_SPACE_MB} MB in {directory}, {free_mb} MB are free; "
            "make room there or set XDG_CACHE_HOME to a larger disk"
        )


def _bootstrap(inputs: ImageInputs, root: Path, progress: Callable[[str], None]) -> None:
    progress(f"debootstrap of Debian {inputs.suite} (about a minute)")
    packages = cache_root() / "debs"
    packages.mkdir(parents=True, exist_ok=True)
    mirror = inputs.mirror or detect_mirror(inputs.suite)
    run([
        "debootstrap", "--variant=minbase", f"--cache-dir={packages}", f"--include={','.join(inputs.base_packages)}",
        inputs.suite, str(root), *([mirror] if mirror else []),
    ])  # fmt: skip


def _fill_repository(inputs: ImageInputs, root: Path, progress: Callable[[str], None]) -> None:
    """Put the offered packages, with all they need on top of the base, into the guest's /srv/apt."""
    progress(f"packages for the roles to install: {', '.join(inputs.offered_packages)}")
    run(["chroot", str(root), "apt-get", "-q", "update"])
    run([
        "chroot", str(root), "apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "install",
        *inputs.offered_packages,
    ])  # fmt: skip
    repository = root / "srv/apt"
    repository.mkdir(parents=True)
    for package in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        shutil.move(str(package), repository / package.name)
    index = run(["apt-ftparchive", "packages", str(repository)]).replace(f"{repository}/", "./")
    (repository / "Packages").write_text(index)
    (root / "etc/apt/sources.list").unlink(missing_ok=True)


def _configure(root: Path, kernel: Kernel) -> None:
    for path, text in _FILES.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (root / "etc/lab").mkdir(exist_ok=True)
    shutil.copytree(kernel.modules, root / "lib/modules" / kernel.version, symlinks=True)
    run(["chroot", str(root), "depmod", "-a", kernel.version])
    # The package's kernel has no nf_tables families; legacy iptables works fully with either.
    for tool in ("iptables", "ip6tables"):
        run(["chroot", str(root), "update-alternatives", "--set", tool, f"/usr/sbin/{tool}-legacy"])
    run(["chroot", str(root), "systemctl", "-q", "enable", "lab-seed.service", "lab-network.service"])
    run(["chroot", str(root), "systemctl", "-q", "mask", *_MASKED_UNITS])
    run(["chroot", str(root), "apt-get", "-q", "update"])
    host_keys = (root / "etc/ssh").glob("ssh_host_*")
    for leftover in (*host_keys, root / "etc/hostname", root / "etc/nginx/sites-enabled/default"):
        leftover.unlink(missing_ok=True)
