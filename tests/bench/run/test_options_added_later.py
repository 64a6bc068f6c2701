"""Runs that were made before an option was there count as done, as long as it has its default."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.core.defaults import completed, load, name_now
from bench.core.identity import AFRESH, identities, identity
from bench.core.record import RunState
from bench.report.read.folder import cells, read
from bench.report.read.settings import settings
from bench.run.cell import run_folder
from bench.run.command import run
from tests.bench.report.synthetic import signed
from tests.runs import options

YOUNG = ("growth.contradicted", "train.label_smoothing", "method.rank", "checkpoint_seconds")


def without(chosen: dict[str, Any], *names: str) -> dict[str, Any]:
    """Options as an earlier version had them."""
    made = json.loads(json.dumps(chosen))
    for name in names:
        group, dot, option = name.partition(".")
        del (made[group] if dot else made)[option or group]
    return made


def made_early(chosen: dict[str, Any], *names: str) -> Path:
    """A finished run as an earlier version called and recorded it; its folder."""
    run(chosen, quiet=True)
    path = run_folder(chosen).path
    record = json.loads((path / "run.json").read_text())
    kind = identities(record["config"]).index(record["id"])
    record["config"] = without(record["config"], *names)
    record["id"] = identities(record["config"])[kind]
    old = path.with_name(f"{path.name.rpartition('-')[0]}-{record['id']}")
    (path / "run.json").write_text(signed(record))
    shutil.move(path, old)
    return old


@pytest.mark.parametrize("method", ["s2d", "static"])
def test_a_run_made_before_is_done(method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = options(tmp_path, f"method={method}", "growth.stages=1", "train.epochs=0")
    names = [name for name in YOUNG if method == "s2d" or not name.startswith("method")]
    old = made_early(chosen, *names)
    assert run_folder(chosen).path == old
    assert run_folder(chosen).standing().state is RunState.DONE
    assert run(chosen).method == method
    assert "done already: " in capsys.readouterr().out
    assert [path.name for path in tmp_path.glob("*/run.json") if path.parent != old] == []


def test_with_another_value_it_is_another_run(tmp_path: Path) -> None:
    chosen = options(tmp_path, "growth.stages=0")
    old = made_early(chosen, "growth.contradicted")
    assert run_folder(options(tmp_path, "growth.stages=0", "growth.contradicted=smaller")).path != old
    assert run_folder({**chosen, "rerun": "all"}).path != old  # done anew under today's name
    (old / "run.json").write_text("{")
    assert run_folder(chosen).path != old


def test_the_report_compares_it_with_runs_made_now(tmp_path: Path) -> None:
    old = made_early(options(tmp_path, "growth.stages=0"), "growth.contradicted", "train.label_smoothing")
    run(options(tmp_path, "growth.stages=0", "seed=1"), quiet=True)
    found = cells(read(str(tmp_path)))
    assert len(settings(found)) == 1
    assert [len(one.cells) for one in settings(found)[0].variants] == [2]
    assert found[0].folder.path == old
    assert found[0].id == identity(found[0].options)


def test_what_lacks_nothing_stays_as_it_is(tmp_path: Path) -> None:
    chosen = options(tmp_path, "backbone=lenet", "data=mnist", "growth.stages=2")
    assert completed(chosen) == chosen
    assert name_now(chosen, identity(chosen)) == identity(chosen)
    assert name_now(chosen, identity(chosen, without=AFRESH)) == identity(chosen, without=AFRESH)
    assert load("growth/nothing") == {}
