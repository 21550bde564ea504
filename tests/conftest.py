from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def real_music() -> Path:
    folder = os.environ.get("EMOTRACE_MUSIC")
    if not folder:
        pytest.skip("EMOTRACE_MUSIC names no folder with emomusic-excerpts and emomusic-full")
    return Path(folder)
