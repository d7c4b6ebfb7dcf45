"""Run in a process of its own, in a release's environment: a project's tests, and what came of them as JSON.

`python -m loopline.usecases.releases.tests_run REPORT OWNER FOLDER`, from the folder that holds the project's files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from loopline.kit.processes import die_with_parent

LONGEST_MESSAGE = 4000


class Heard:
    """A plug-in of pytest that notes how each test ended."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Setup, call and teardown of a test come one after the other; the worst of them counts."""
        case = self.cases.setdefault(report.nodeid, {"outcome": "", "seconds": 0.0, "message": ""})
        case["seconds"] += report.duration
        if report.failed:
            case["outcome"], case["message"] = "failed", str(report.longrepr)[-LONGEST_MESSAGE:]
        elif report.skipped and case["outcome"] != "failed":
            case["outcome"] = "skipped"
        elif report.when == "call" and not case["outcome"]:
            case["outcome"] = "passed"

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot be imported is a failure of that name."""
        if report.failed:
            message = str(report.longrepr)[-LONGEST_MESSAGE:]
            self.cases[report.nodeid or "tests"] = {"outcome": "failed", "seconds": 0.0, "message": message}


def main(report: str, owner: str, folder: str) -> int:
    """Run the tests; answers pytest's exit code."""
    die_with_parent(int(owner))
    import pytest

    heard = Heard()
    code = int(pytest.main([folder, "-q", "-p", "no:cacheprovider", "--rootdir=."], plugins=[heard]))
    cases = [{"name": name, **case} for name, case in sorted(heard.cases.items())]
    Path(report).write_text(json.dumps({"code": code, "cases": cases}))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
