"""Draw the flow of the workflow into ``docs/architecture.md``, as a Mermaid diagram.

Run ``make flow`` after a change of a rule. The picture shows the rules of the default
experiment, from Snakemake's own graph of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
DIAGRAM = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)

Graph = dict[str, set[str]]
"""For each rule, the rules that take something from it."""


def read_graph() -> Graph:
    """Ask Snakemake for the rules of the default experiment, milestones left out."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # A folder without results, because what is there already is not planned.
    with tempfile.TemporaryDirectory() as folder:
        printed = subprocess.run(
            [*command, "--rulegraph", "dot", "--directory", folder, "--cores", "1"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', printed))
    followers: Graph = {name: set() for name in names.values() if name != "all"}
    for before, after in re.findall(r"(\d+) -> (\d+)", printed):
        if names[after] != "all":
            followers[names[before]].add(names[after])
    return followers


def drop_shortcuts(followers: Graph) -> Graph:
    """Leave out the arrows that say no more than a longer way does."""
    reached: Graph = {}

    def reach(rule: str) -> set[str]:
        if rule not in reached:
            further = (reach(follower) for follower in followers[rule])
            reached[rule] = followers[rule].union(*further)
        return reached[rule]

    return {
        rule: after - set().union(*(reach(follower) for follower in after))
        for rule, after in followers.items()
    }


def list_rules() -> dict[str, str]:
    """Return the rule file of each rule, in the order in which the Snakefile includes them."""
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    return {
        rule: file
        for file in re.findall(r'^include: "(.*)"', snakefile, re.MULTILINE)
        for rule in re.findall(
            r"^(?:rule|checkpoint) (\w+):",
            (ROOT / file).read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }


def draw_flow() -> str:
    """Return the diagram: a box for each rule, in a frame for each file of rules."""
    arrows = drop_shortcuts(read_graph())
    frames = defaultdict(list)
    for rule, file in list_rules().items():
        if rule in arrows:
            frames[file].append(rule)
    order = [rule for rules in frames.values() for rule in rules]
    lines = ["flowchart TB"]
    for file, rules in frames.items():
        lines += [f'    subgraph {Path(file).stem}["{file}"]']
        lines += [f"        {rule}" for rule in rules]
        lines += ["    end"]
    for rule in order:
        lines += [f"    {rule} --> {after}" for after in sorted(arrows[rule], key=order.index)]
    return "\n".join(lines) + "\n"


def draw_page() -> str:
    """Return the page with the diagram as it is now."""
    flow = draw_flow()
    return DIAGRAM.sub(lambda _: flow, PAGE.read_text(encoding="utf-8"), count=1)


if __name__ == "__main__":
    PAGE.write_text(draw_page(), encoding="utf-8")
