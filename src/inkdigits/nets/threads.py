"""How PyTorch's threads wait for one another; to be said before PyTorch is loaded.

>>> sleep_while_waiting()
"""

from __future__ import annotations

import os


def sleep_while_waiting() -> None:
    """Let a thread look only for a short time whether the others are done, then go to sleep.

    By default it hardly ever sleeps, which takes ten times as long as soon as another program wants a core too. A wish
    of the user's goes first. PyTorch reads it when it is loaded, and no longer.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
