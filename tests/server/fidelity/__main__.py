"""Replay the requests of a scenario against a running server.

python -m tests.server.fidelity --grpc localhost:8500 --rest localhost:8501
"""

from __future__ import annotations

import argparse
import sys

from tests.server.fidelity.replay import SCENARIOS, Target, differences, recorded


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.server.fidelity")
    parser.add_argument("--grpc", required=True, metavar="HOST:PORT")
    parser.add_argument("--rest", metavar="HOST:PORT", help="else those are left out")
    parser.add_argument("--scenario", choices=SCENARIOS, default="steady")
    parser.add_argument(
        "--models",
        default="$MODELS",
        metavar="DIRECTORY",
        help="the models' directory, which some answers name",
    )
    arguments = parser.parse_args()
    scenario = SCENARIOS[arguments.scenario]
    target = Target(arguments.grpc, arguments.rest, arguments.models)
    asked = alike = 0
    for line in recorded(scenario):
        if "rpc" not in line and target.rest is None:
            continue
        found = differences(target, line, scenario.in_sequence)
        asked += 1
        alike += not found
        if found:
            print(line["id"], *found, sep="\n    ")
    print(f"{alike} of {asked} answers are alike")
    return 0 if alike == asked else 1


if __name__ == "__main__":
    sys.exit(main())
