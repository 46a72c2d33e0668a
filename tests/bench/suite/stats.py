# SPDX-License-Identifier: BSD-2-Clause
"""The few statistics that benchmarks with five to twenty runs deserve."""

import statistics


def median(values):
    """The median, or None of nothing."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def ratio(ours, peer):
    """The ratio of two medians, to three places; None when one is missing."""
    above, below = median(ours), median(peer)
    return round(above / below, 3) if above is not None and below else None


def spread(values):
    """"median (min-max)" in whole numbers, for a table."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def longest_chain(needs, cost):
    """The chain of modules with the largest sum of costs: (sum, names from the first to be loaded to the last).

    needs: module to the modules it needs (no cycles); cost: module to ms, 0 for what is not there.
    """
    best = {}

    def chain(name):
        if name not in best:
            before = max((chain(need) for need in needs.get(name, ()) if need in needs), default=(0, ()))
            best[name] = (before[0] + cost.get(name, 0), (*before[1], name))
        return best[name]

    return max((chain(name) for name in needs), default=(0, ()))
