"""A few of the kills of `make soak`: what is killed leaves nothing broken, and can be gone on with."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from soak import Scenario, scenarios, soak, soak_serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def known(folder: Path) -> dict[str, Scenario]:
    return scenarios(folder)


@pytest.mark.parametrize("name", ["predict", "train", "data"])
def test_a_killed_command_goes_on_to_the_same_result(name: str, known: dict[str, Scenario], folder: Path) -> None:
    assert soak(name, known[name], folder, 2, random.Random(1)).kills == 2


def test_a_killed_server_has_the_corrections_that_it_said_it_kept(folder: Path) -> None:
    assert soak_serve(folder, 2, random.Random(1)).kills == 2
