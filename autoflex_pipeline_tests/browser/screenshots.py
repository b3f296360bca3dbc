"""The screenshots of the documentation: the browser tests make them, `make docs` collects them, the pages show them.

``python -m autoflex_pipeline_tests.browser.screenshots`` copies those that are there into docs/screenshots/.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ARTIFACTS = Path(os.environ.get("TEST_ARTIFACTS", "artifacts"))
DOCS = Path("docs")

SCREENSHOTS = {
    "trace-launchpad.png": "The job trace: its launchpad, with the dealer and the WO number filled in",
    "trace-report.png": "The report of trace_report as Markdown: where the work order is, and why",
    "resend-launchpad.png": "The job resend: its launchpad, with the dealer and the DMS numbers filled in",
    "quarantine-retry.png": "The report of quarantine_retry_report: each record, its rules and what to do",
    "claire-day.png": "Claire's list of the appointments of a day, with search by WO number and plate",
    "assets.png": "The asset graph, from Autoflex to Claire",
    "schedules.png": "The schedules and sensors, switched on, and how each went last",
    "backfill-grid.png": "The backfill job: the months of a dealer, chosen",
    "preview-report.png": "The preview: what would be sent, field by field",
    "quarantine.png": "The asset quarantine: rejected records by rule",
    "checks.png": "The checks of claire_deliveries: one per dealer",
}
"""File name in the folder of artifacts, and what it shows."""


def collect(artifacts: Path, docs: Path) -> list[str]:
    """Copy the screenshots that are there into ``docs``/screenshots, and nothing else; gives the missing ones."""
    folder = docs / "screenshots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    missing = []
    for name in SCREENSHOTS:
        if (artifacts / name).is_file():
            shutil.copyfile(artifacts / name, folder / name)
        else:
            missing.append(name)
    return missing


if __name__ == "__main__":
    if left_out := collect(ARTIFACTS, DOCS):
        print(f"without screenshots (make test-browser makes them): {', '.join(left_out)}")
