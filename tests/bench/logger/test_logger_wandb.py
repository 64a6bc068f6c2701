"""What wandb wrote offline is read back from its transaction log; what fails ends in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.core.record import RunState, plain
from bench.logger import guard, log_report, session
from tests.bench.logger.logger_helpers import WandbLog, execute, options, wandb_logs
from tests.chaos import ROOT
from tests.runs import Fatal, Killed

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    guard._said.clear()
    session._unreachable.clear()
    yield
    guard._said.clear()
    session._unreachable.clear()


def rows(log: WandbLog) -> list[dict[str, Any]]:
    """The table of stages."""
    entry = {name: value for row in log.history for name, value in row.items() if name.startswith("stages/")}
    assert entry["stages/_type"] == "table-file"
    content = json.loads((log.folder / "files" / entry["stages/path"]).read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def test_a_run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    overrides = ["logger=wandb", "logger.tags=[one,two]", "logger.project=mine", "logger.entity=us"]
    folder, record = execute(tmp_path / "runs", *overrides)
    assert capfd.readouterr() == ("", "")
    assert not list(elsewhere.iterdir())
    (log,) = wandb_logs(folder.path)
    assert (log.run.run_id, log.run.display_name) == (folder.id, folder.path.name)
    assert (log.run.project, log.run.entity, log.run.run_group) == ("mine", "us", "digits-mlp")
    assert (log.run.job_type, list(log.run.tags)) == ("s3d", ["one", "two"])
    assert log.exit_code == 0

    config = {name: value for name, value in log.config.items() if name != "_wandb"}
    environment = config.pop("environment")
    assert config == json.loads(json.dumps(record.config))
    assert environment == plain(record.environment)

    stages = [plain(stage) for stage in record.stages]
    losses = log.series("train/loss", "epoch")
    assert [epoch for epoch, _ in losses] == [1, 2, 3, 4, 5, 6, 7]
    assert [losses[epoch - 1][1] for epoch in (3, 5, 7)] == [stage["train_loss"] for stage in stages]
    for part in ("train", "val"):
        whole = [loss for stage in record.stages for loss in getattr(stage.history, f"{part}_loss")]
        assert log.series(f"{part}/loss", "epoch") == list(enumerate(whole, start=1))
    assert [stage for _, stage in log.series("train/stage", "epoch")] == [0, 0, 0, 1, 1, 2, 2]
    for name in ("val_accuracy", "val_loss", "test_accuracy", "test_loss"):
        assert log.series(f"stage/{name}", "stage") == [(stage["stage"], stage[name]) for stage in stages]
    for group in ("costs", "seconds", "flops", "widths"):
        for name in stages[0][group]:
            assert log.series(f"{group}/{name}", "stage") == [(s["stage"], s[group][name]) for s in stages]
    for name in ("splits", "added_neurons", "predicted_drop", "measured_drop", "function_gap", "products"):
        points = [(stage["stage"], stage["growth"][name]) for stage in stages[1:]]
        assert log.series(f"growth/{name}", "stage") == points
    assert log.series("growth/epsilon", "stage") == [(1, 0.01), (2, 0.01)]
    assert log.metrics["train/*"] == log.metrics["val/*"] == "epoch"
    assert {log.metrics[f"{name}/*"] for name in ("stage", "costs", "seconds", "flops", "growth", "widths")} == {
        "stage"
    }

    table = rows(log)
    assert [row["costs/params"] for row in table] == [stage["params"] for stage in stages]
    assert [row["growth/engine"] for row in table] == [None, "lanczos", "lanczos"]
    assert log.summary["status"] == "done"
    assert log.summary["final/test_accuracy"] == stages[-1]["test_accuracy"]
    assert log.summary["total/flops/train"] == sum(stage["flops"]["train"] for stage in stages)
    assert log.summary["stages/_type"] == "table-file"


def test_a_killed_run_goes_on_under_the_same_id(tmp_path: Path) -> None:
    overrides = ["logger=wandb", "checkpoint_seconds=0"]
    with pytest.raises(Killed):
        execute(tmp_path, *overrides, beside=Fatal(5))
    time.sleep(1.1)  # wandb names a session's folder by the second
    folder, record = execute(tmp_path, *overrides)
    first, second = wandb_logs(folder.path)
    assert first.run.run_id == second.run.run_id == folder.id
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert [epoch for epoch, _ in first.series("train/loss", "epoch")] == [1, 2, 3, 4, 5]
    again = second.series("train/loss", "epoch")
    assert [epoch for epoch, _ in again] == [5, 6, 7]
    assert again[0] == first.series("train/loss", "epoch")[-1]
    params = [(stage.stage, stage.params) for stage in record.stages]
    assert second.series("costs/params", "stage") == params
    assert len(rows(second)) == 3


def test_a_failed_and_a_regression_run(tmp_path: Path) -> None:
    from bench.core.errors import TrainingDiverged
    from bench.core.store import RunFolder

    with pytest.raises(TrainingDiverged):
        execute(tmp_path, "logger=wandb", "train.lr=1e12")
    (log,) = wandb_logs(RunFolder(tmp_path, options(tmp_path, "train.lr=1e12")).path)
    assert log.exit_code == 1
    assert log.summary["status"] == "failed"
    assert "train.lr" in log.summary["reason"]
    folder, record = execute(tmp_path, "logger=wandb", "data=rbf", "backbone=rbf", "logger.group=ours")
    (log,) = wandb_logs(folder.path)
    assert log.run.run_group == "ours"
    assert not log.series("stage/test_accuracy", "stage")
    assert log.summary["final/test_loss"] == record.stages[-1].test_loss


def test_a_reports_files(tmp_path: Path) -> None:
    report = tmp_path / "mnist <1>"
    (report / "figures").mkdir(parents=True)
    from matplotlib.figure import Figure

    Figure().savefig(report / "figures" / "size.png")
    (report / "figures" / "size.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (report / "figures" / "cost.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (report / "report.html").write_text("<!doctype html><p>é")
    (report / "table.csv").write_text("a,b\n")
    before = sorted(report.rglob("*"))
    assert log_report(report, options(tmp_path / "runs", "logger=wandb"))
    assert sorted(report.rglob("*")) == before
    (log,) = wandb_logs(tmp_path / "runs" / ".report")
    assert log.run.job_type == "report"
    kinds = {name: kind for row in log.history for name, kind in row.items() if name.endswith("/_type")}
    assert kinds == {
        "report/figures/size.png/_type": "image-file",
        "report/figures/cost.svg/_type": "html-file",
        "report/report.html/_type": "html-file",
    }
    (artifact,) = (one for one in log.artifacts if one.type == "report")
    names = {"figures/size.png", "figures/size.svg", "figures/cost.svg", "report.html", "table.csv"}
    assert {entry.path for entry in artifact.manifest.contents} == names


# -- failures ------------------------------------------------------------------------------------------


def _raise(*arguments: object, **named: object) -> None:
    raise RuntimeError("wandb is\nbroken")


LINE = "logger=wandb: RuntimeError: wandb is broken; the run goes on without it\n"


@pytest.mark.parametrize("call", ["init", "setup", "Table"])
def test_wandb_raises(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb, call, _raise)
    _, record = execute(tmp_path, "logger=wandb")
    assert record.status is RunState.DONE
    assert capfd.readouterr().err == LINE


@pytest.mark.parametrize("call", ["log", "define_metric", "finish"])
def test_a_session_raises(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begin, made = session.begin, []

    def broken(*arguments: Any, **named: Any) -> Any:
        made.append(begin(*arguments, **named))
        monkeypatch.setattr(made[-1], call, _raise)
        return made[-1]

    monkeypatch.setattr("bench.logger.wandb.begin", broken)
    _, record = execute(tmp_path, "logger=wandb")
    assert record.status is RunState.DONE
    assert capfd.readouterr().err == LINE
    monkeypatch.undo()
    made[0].finish()


def test_a_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    _, record = execute(tmp_path, "logger=wandb", f"logger.dir={tmp_path / 'file' / 'below'}")
    assert record.status is RunState.DONE
    line = capfd.readouterr().err
    assert line.startswith("logger=wandb: NotADirectoryError")
    assert line.count("\n") == 1


def test_a_report_that_cannot_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wandb, "init", _raise)
    assert not log_report(tmp_path, options(tmp_path, "logger=wandb"))
    line = f"logger=wandb: RuntimeError: wandb is broken; the report is in {tmp_path} alone\n"
    assert capfd.readouterr().err == line


# -- networks: in processes of their own, on a terminal where wandb would ask -----------------------------

SCRIPT = """
import json, sys, time
from bench.logger import make, session
from bench.core.record import Environment, RunRecord
from bench.core.store import RunFolder
session.QUIET.update(init_timeout=2.0, x_graphql_timeout_seconds=2.0)
options = json.loads(sys.argv[1])
names = dict(id="1", method="s2d", backbone="mlp", data="digits")
record = RunRecord(schema=1, status="refused", seed=0, config={}, environment=Environment(), stages=[], **names)
for seed in range(2):
    options["seed"] = seed
    started = time.perf_counter()
    for guard in make(options, RunFolder(options["runs_dir"], options)):
        with guard:
            guard.on_stage_begin(0, 1, 1, 0)
            guard.on_epoch_end(0.5, 0.6)
            guard.on_run_end(record)
    print(time.perf_counter() - started)
"""


class Server:
    """Accepts connections and never answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self.socket.accept()[0])
            except OSError:
                return


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.socket.close()
    for connection in found.connections:
        connection.close()


def on_a_terminal(folder: Path, *overrides: str, **environment: str) -> tuple[list[float], str]:
    """Two runs' events in a process of their own; their seconds, and what was shown on standard error."""
    pty = pytest.importorskip("pty")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    home = {"HOME": str(folder / "home"), "NETRC": str(folder / "no.netrc"), "PYTHONPATH": str(ROOT)}
    (folder / "home").mkdir()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(options(folder / "runs", *overrides))],
        cwd=folder,
        env=kept | home | environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    os.set_blocking(ours, False)
    os.close(theirs)
    try:
        shown = os.read(ours, 100_000).decode()
    except OSError:  # nothing was shown
        shown = ""
    os.close(ours)
    assert process.returncode == 0, shown
    return [float(line) for line in printed.splitlines()], shown


def test_online_without_an_account(tmp_path: Path) -> None:
    seconds, shown = on_a_terminal(tmp_path, "logger=wandb", "logger.mode=online")
    assert shown.startswith("logger=wandb: ")
    assert shown.endswith("; the run goes on without it\r\n")
    assert "API key" in shown
    assert shown.count("\n") == 1
    assert seconds[1] < 5


def test_online_without_an_answer(tmp_path: Path, server: Server) -> None:
    key = {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": server.url}
    seconds, shown = on_a_terminal(tmp_path, "logger=wandb", "logger.mode=online", **key)
    assert shown.startswith(f"logger=wandb: {server.url}: ")
    assert shown.endswith("; the run goes on without it\r\n")
    assert shown.count("\n") == 1
    assert seconds[0] < 15
    assert seconds[1] < 1  # it is not asked again at once


def test_offline_calls_nobody(tmp_path: Path, server: Server) -> None:
    key = {"WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": server.url}
    _, shown = on_a_terminal(tmp_path, "logger=wandb", **key)
    assert shown == ""
    assert not server.connections
    assert len(list((tmp_path / "runs").glob("*/wandb/offline-run-*/*.wandb"))) == 2
