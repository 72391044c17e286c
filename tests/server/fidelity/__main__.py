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
    parser.add_argument(
        "--rest", metavar="HOST:PORT", help="left out: skip the REST requests"
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="steady")
    parser.add_argument(
        "--models",
        default="$MODELS",
        metavar="DIRECTORY",
        help="the models' directory, which some responses name",
    )
    arguments = parser.parse_args()
    scenario = SCENARIOS[arguments.scenario]
    target = Target(arguments.grpc, arguments.rest, arguments.models)
    sent = equal = 0
    for line in recorded(scenario):
        if "rpc" not in line and target.rest is None:
            continue
        found = differences(target, line, scenario.in_sequence)
        sent += 1
        equal += not found
        if found:
            print(line["id"], *found, sep="\n    ")
    print(f"{equal} of {sent} responses are equal")
    return 0 if equal == sent else 1


if __name__ == "__main__":
    sys.exit(main())
