# SPDX-License-Identifier: BSD-2-Clause
"""The VM test harness: images, machines, scenarios. See ../README.md."""
