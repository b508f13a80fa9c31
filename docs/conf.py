# Copyright: the linuxha.lvs developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Sphinx makes the pages; scripts/docs calls it."""

project = "linuxha.lvs"
copyright = "the linuxha.lvs developers"  # noqa: A001
extensions = ["sphinx_antsibull_ext"]
html_theme = "sphinx_ansible_theme"
html_title = "linuxha.lvs"
html_show_sphinx = False
# Labels of Ansible's own manual, which is not built here
suppress_warnings = ["ref.ref"]
