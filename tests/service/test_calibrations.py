"""Calibrations are kept by version: the file of a version stays what it was, whatever people label later."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_examples import GENDER, sets_of
from test_label_calibration import _drawn
from test_label_decisions import rate

from fair_diffusion.service.calibrations import Calibrations
from fair_diffusion.service.database import Database
from fair_diffusion.service.label_calibration import calibration_of
from fair_diffusion.service.trail import changes


def test_a_version_is_kept_once_and_each_making_is_noted(database: Database, tmp_path: Path) -> None:
    kept = Calibrations(database)
    made = sets_of(database, tmp_path).add("nurses", GENDER, _drawn(database, tmp_path, ["woman"] * 6), second=0.0)
    versions = []
    for answer in ("woman", "man", "woman"):
        rate(database, made, "anna", answer)
        found = calibration_of(database)
        for key in ("key_1", "key_2"):
            kept.keep(found, by=key)
        versions.append(found.calibration.version)
        assert kept.get(versions[-1]).content == found.calibration.text
    assert [each.version for each in kept.newest()] == versions[::-1]
    assert [each.version for each in kept.newest(1)] == versions[-1:]
    first = kept.get(versions[0])
    assert (first.by, first.created > 0, f'"version": "{versions[0]}"' in first.content) == ("key_1", True, True)
    assert [change.by for change in changes(database, subject=versions[0])] == ["key_2", "key_1"]
    with pytest.raises(LookupError, match="no calibration of version 000000000000 is kept"):
        kept.get("000000000000")
