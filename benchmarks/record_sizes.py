"""The shipped models in every format that can be exported: bytes, errors and agreement.

    $ .venv/bin/python benchmarks/record_sizes.py

Made by `inkdigits export`, which compares each with its original. As C, which is for small machines, only networks of
fewer than 100,000 parameters. Written to benchmarks/results/records/sizes.json.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from common import commit, machine, write_result

from inkdigits.nets.convert import FORMATS, export
from inkdigits.reader.model import SHIPPED

SMALL = 100_000  # parameters
LEFT_OUT = ("openvino", "openvino-fp16")  # as large as the ONNX file, and some kB of XML


def main() -> None:
    found: dict[str, Any] = {}
    for name in sorted(file.stem for file in SHIPPED.glob("*.onnx")):
        found[name] = {}
        parameters = json.loads((SHIPPED / f"{name}.metrics.json").read_text())["parameters"]
        for to in [to for to in FORMATS if to not in LEFT_OUT]:
            if to == "c" and parameters >= SMALL:
                found[name][to] = {"failed": f"{parameters:,} parameters"}
                continue
            with tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / f"{name}{FORMATS[to].ending}"
                made = export(name, to=to, output=output, force=True).as_dict()
            found[name][to] = {**made["export"], "parity": made["parity"], "original": made["original"]}
            found[name][to].pop("images_per_second")  # that is what throughput.py measures
            print(name, to, found[name][to]["bytes"], found[name][to]["errors"], flush=True)
    result = {"command": "python benchmarks/record_sizes.py", "machine": machine(), "commit": commit(), "models": found}
    print(write_result("records/sizes", result))


if __name__ == "__main__":
    main()
