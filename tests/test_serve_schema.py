"""The HTTP interface against its own description: whatever that allows is asked, and what it forbids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from serving import running

# No description can say which bytes are a picture, so that most of what it allows may be refused.
NOT_MEANT = "positive_data_acceptance"
EXAMPLES = 15  # of each address, beside those that are worked out from its description


def test_every_address_answers_as_it_is_described(tmp_path: Path) -> None:
    with running("--corrections", str(tmp_path / "corrections.sqlite"), "--max-body", "1") as server:
        options = {
            "--phases": "examples,coverage,fuzzing",
            "--max-examples": str(EXAMPLES),
            "--seed": "1",
            "--exclude-checks": NOT_MEANT,
        }
        words = [word for option in options.items() for word in option]
        code = "from schemathesis.cli import schemathesis; schemathesis()"
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [sys.executable, "-c", code, "run", address, "--no-color", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout[-5000:]
        assert "Tested: 9" in done.stdout
        assert server.stop() == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""
