# SPDX-License-Identifier: BSD-2-Clause
"""A benchmark's page in docs/benchmarks: tables, how it was measured, raw numbers beside it."""

import datetime
import json
import os


def table(header, rows):
    """A Markdown table; the first column is text, the others are figures."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def goals(figures, wanted, least=False):
    """A table of the figures that have a goal (key to the largest good value; least: to the smallest)."""
    rows = []
    for key, most in wanted.items():
        got = figures.get(key)
        good = got is not None and (got >= most if least else got <= most)
        verdict = "not measured" if got is None else "met" if good else "**missed**"
        rows.append([f"`{key}`", "-" if got is None else got, f"at {'least' if least else 'most'} {most}", verdict])
    return table(["figure", "value", "goal", ""], rows)


def load_average():
    """The host's load over one minute: how quiet it was."""
    return round(os.getloadavg()[0], 2)


def page(title, command, machine, body, figures, raw_name):
    """The whole page."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    facts = [f"- Made by `{command}` on {today}.", *(f"- {line}" for line in machine)]
    values = json.dumps(figures, indent=2)
    return "\n".join(
        [
            f"# {title}",
            "",
            "<!-- Written by the command below; do not edit. -->",
            *facts,
            "",
            body,
            "",
            "## Figures",
            "",
            "<details><summary>as JSON</summary>",
            "",
            "```json",
            values,
            "```",
            "</details>",
            "",
            f"Every run: [{raw_name}]({raw_name}).",
            "",
        ]
    )


def rounded(value):
    """The same data with numbers of two decimals: raw times have more digits than meaning."""
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, (list, tuple)) else value
