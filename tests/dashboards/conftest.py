"""The instant at which the pages of these tests are made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest


@pytest.fixture(scope="session")
def now():
    return datetime(2025, 6, 8, 9, 30, tzinfo=UTC)
