from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from autoflex_pipeline.sandbox.__main__ import main
from autoflex_pipeline.sandbox.demo import DEMO_CLAIRE_KEY, DEMO_DEALERS
from autoflex_pipeline.sandbox.server import RunningAutoflex


@pytest.mark.parametrize(("which", "ending"), [("autoflex", signal.SIGINT), ("claire", signal.SIGTERM)])
def test_a_stand_in_serves_as_a_process_and_ends_when_told(tmp_path: Path, which: str, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "autoflex_pipeline.sandbox", which, "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with httpx.Client() as client:
            if which == "autoflex":
                dealer = DEMO_DEALERS[0]
                given = {"api_key": dealer.api_key, "username": dealer.username, "password": dealer.password}
                assert client.get(f"{url}/v2/authenticate", params=given).status_code == 200
            else:
                headers = {"Authorization": DEMO_CLAIRE_KEY}
                assert client.get(f"{url}/api/v1/appointments/list", headers=headers).json()["data"] == []
        process.send_signal(ending)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert "demo-password" not in out


def test_a_port_that_is_taken_is_one_clear_line(
    autoflex: RunningAutoflex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = autoflex.url.rsplit(":", 1)[1]
    assert main(["claire", "--port", port, "--data", str(tmp_path / "other")]) == 2
    assert capsys.readouterr().err.startswith(f"port {port} of 127.0.0.1 cannot be taken")
