"""What the benchmarks share: a command timed as a whole process, the machine in words, a result file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkdigits.digits.files import write_whole

RESULTS = Path(__file__).parent / "results"
WORK = Path("work")
INKDIGITS = [sys.executable, "-m", "inkdigits"]


# Run by a small process of its own: a child's peak memory begins with that of the process that started it.
LAUNCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


def timed(command: Sequence[str | Path]) -> tuple[float, float]:
    """Run a command to its end: seconds by the clock, and peak memory in MB (decimal). Its output is dropped.

    Raises CalledProcessError, with what it said, if it fails.
    """
    words = [str(part) for part in command]
    launched = subprocess.run([sys.executable, "-c", LAUNCH, *words], capture_output=True, text=True, check=True)
    seconds, kilobytes, status = launched.stdout.split()
    if int(status):
        raise subprocess.CalledProcessError(int(status), words, stderr=launched.stderr)
    return float(seconds), int(kilobytes) * 1024 / 1e6


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float | int]:
    """n, mean, standard deviation, lowest, median and highest."""
    return {
        "n": len(values),
        "mean": round(statistics.fmean(values), digits + 2),
        "sd": round(statistics.stdev(values), digits + 2) if len(values) > 1 else 0.0,
        "min": round(min(values), digits),
        "median": round(statistics.median(values), digits),
        "max": round(max(values), digits),
    }


def machine() -> dict[str, object]:
    """The processor, its cores, and whether it multiplies bfloat16 in hardware."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", "").split()
    return {
        "processor": facts.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "avx512": "avx512f" in flags,
        "amx_bf16": "amx_bf16" in flags,
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit that is checked out, with a + if there are changes on top of it."""
    said = subprocess.run(["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def write_result(name: str, content: Any) -> Path:
    """Write benchmarks/results/NAME.json."""
    file = RESULTS / f"{name}.json"
    with write_whole(file) as beside:
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
