"""The configuration of services: workflows, forms, hooks, dependency groups."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [GITHUB / "dependabot.yml"]),
        (
            "vendor.github-issue-forms",
            [form for form in FORMS if form.stem != "config"],
        ),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE" / "config.yml"]),
    ],
)
def test_files_follow_their_schema(schema, files):
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_targets_that_exist(workflow):
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    for job in jobs.values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            words = step.get("run", "").split()
            matrix = job.get("strategy", {}).get("matrix", {})
            named = matrix["target"] if "matrix.target" in str(words) else words[1:2]
            assert set(named) <= set(TARGETS), step


def test_the_workflows_test_the_oldest_and_the_newest_python():
    workflow = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text())
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    lowest, below = re.findall(r"\d+\.(\d+)", PROJECT["project"]["requires-python"])
    assert tested == [f"3.{lowest}", f"3.{int(below) - 1}"]


def test_pre_commit_has_the_version_of_ruff_that_the_tests_have():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (ruff,) = (each for each in config["repos"] if "ruff" in each["repo"])
    assert (
        f"\nruff=={ruff['rev'].removeprefix('v')}\n"
        in (ROOT / "constraints.txt").read_text()
    )


def test_development_tools_are_not_an_extra():
    assert {"dev", "docs"} <= set(PROJECT["dependency-groups"])
    assert "dev" not in PROJECT["project"]["optional-dependencies"]


def test_the_version_is_in_one_place():
    import fovea

    assert fovea.__version__ == PROJECT["project"]["version"]
