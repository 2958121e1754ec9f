"""The shipped models in every format that can be exported: bytes, errors and agreement.

    $ .venv/bin/python benchmarks/record_sizes.py

Made by `inkdigits export`, which compares each with its original. Written to benchmarks/results/records/sizes.json. As
C, `best` takes minutes to compare; `reader` cannot be written.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from common import commit, machine, write_result

from inkdigits.errors import ModelError
from inkdigits.nets.convert import FORMATS, export
from inkdigits.reader.model import SHIPPED

LEFT_OUT = ("openvino", "openvino-fp16")  # as large as the ONNX file, and some kB of XML


def main() -> None:
    found: dict[str, Any] = {}
    for name in sorted(file.stem for file in SHIPPED.glob("*.onnx")):
        found[name] = {}
        for to in [to for to in FORMATS if to not in LEFT_OUT]:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    output = Path(folder) / f"{name}{FORMATS[to].ending}"
                    made = export(name, to=to, output=output, force=True).as_dict()
                except ModelError as error:
                    found[name][to] = {"failed": str(error)}
                    continue
            found[name][to] = {**made["export"], "parity": made["parity"], "original": made["original"]}
            found[name][to].pop("images_per_second")  # that is what throughput.py measures
            print(name, to, found[name][to]["bytes"], found[name][to]["errors"], flush=True)
    result = {"command": "python benchmarks/record_sizes.py", "machine": machine(), "commit": commit(), "models": found}
    print(write_result("records/sizes", result))


if __name__ == "__main__":
    main()
