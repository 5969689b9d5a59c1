"""Drills run when they are asked for: `make drill`, `pytest -m drill`, or DRILL=1."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    """Mark the drills, and skip them in a plain run."""
    asked = "drill" in config.option.markexpr or os.environ.get("DRILL")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.drill)
            item.add_marker(pytest.mark.xdist_group("drills"))
            if not asked:
                reason = "A drill takes a minute and more: make drill"
                item.add_marker(pytest.mark.skip(reason=reason))
