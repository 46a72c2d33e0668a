# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks: one module a benchmark, and what they share. See ../README.md."""
