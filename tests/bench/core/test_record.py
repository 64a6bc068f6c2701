"""A run's record: what is written is read again, what cannot be is refused by name, and early records are read too."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bench.core import record as module
from bench.core.identity import NO_STEP, identity
from bench.core.provenance import Provenance, Source
from bench.core.record import (
    SCHEMA,
    DataRecord,
    Diagnostics,
    Environment,
    Flops,
    GrowthRecord,
    History,
    LatencyTable,
    Reading,
    RunRecord,
    RunState,
    Seconds,
    StageRecord,
    Unreadable,
    checksum,
    convert,
    plain,
    read,
    written,
)
from tests.bench.core.old_records import LATENCY, REGRESSION, STATIC

CONFIG: dict[str, Any] = {
    "method": {"name": "s2d"},
    "backbone": {"name": "mlp"},
    "data": {"name": "digits"},
    "train": {"epochs": 2},
    "growth": {"cost": "params"},
    "seed": 7,
}

Json = dict[str, Any]


def stage(number: int) -> StageRecord:
    """A stage with a value in every field."""
    return StageRecord(
        stage=number,
        target_cost=330.5,
        costs={"params": 330, "macs": 312, "energy": 212815.2, "latency": 17.5, "of one's own": 3},
        widths={"1": 4, "3": 5},
        epochs=2,
        train_loss=0.25,
        val_accuracy=0.5,
        val_loss=0.75,
        test_accuracy=0.625,
        test_loss=0.875,
        seconds=Seconds(1.5, 0.5, 0.25),
        flops=Flops(100.0, 50.0),
        growth=None if number == 0 else growth(),
        history=History([0.5, 0.25], [0.875, None]),
        diagnostics=Diagnostics({"1": 0.5}, {"1": 0.25}, {"1": 2.0}, {"1": 0.125}, 0.75),
    )


def growth() -> GrowthRecord:
    """A growth event with a value in every field."""
    return GrowthRecord(
        splits=3,
        added_neurons=4,
        rounds=1,
        epsilon=[0.01],
        predicted_drop=1e-5,
        measured_drop=-2e-5,
        function_gap=1e-16,
        engine="lanczos",
        curvature="published",
        surrogate="softplus3",
        products=21,
        residual_max=4e-7,
        searched=9,
        unconverged=2,
        sample=128,
        seconds=0.5,
        flops=50.0,
        stopped="stable",
        restart=True,
        condition="shrink_perturb",
        conditioned=0.125,
        notes={"gap": 0.5},
    )


def whole() -> RunRecord:
    """A record with a value in every field."""
    return RunRecord(
        schema=SCHEMA,
        status=RunState.DONE,
        reason="none",
        id=identity(CONFIG),
        method="s2d",
        backbone="mlp",
        data="digits",
        seed=7,
        config=CONFIG,
        environment=Environment("3.11", "2.8", "cpu", 2, "0.1.0"),
        stages=[stage(0), stage(1)],
        layers={"1": "Linear", "3": "Linear"},
        latency=LatencyTable(8, 1.5, {"1": 0.5}, [("1", "3", 0.25)], [Reading({"1": 4}, 17.0, 0.5, 16.5)], 0.125),
        provenance=Provenance(2, {"method": Source("mine", {"f": "00"}, "1.0")}, "ab", "cd", {"raw": [9, 8]}, "cpu"),
        dataset=DataRecord("classification", 2, [1, 8], {"train": 3}, ["test"], [0.5], [0.25], ["cat", "dog"]),
    )


def signed(content: Json) -> bytes:
    """The text of a record with its checksum, as somebody else's writer may have made it."""
    return json.dumps({**content, "sha256": checksum(content)}).encode()


def test_what_is_written_is_read_again() -> None:
    record = whole()
    assert read(written(record).encode()) == record
    content = json.loads(written(record))
    assert read(json.dumps(content).encode()) == record  # however it is set
    assert content["sha256"] == checksum(plain(record)) == checksum(content)


def test_fields_keep_their_names() -> None:
    """What others read: as the first records had them, and new ones beside."""
    found = json.loads(written(whole()))
    assert {"schema", "status", "reason", "id", "method", "backbone", "data", "seed", "config", "environment"} <= set(
        found
    )
    assert set(found["environment"]) == {"python", "torch", "device", "threads", "code"}
    last = found["stages"][1]
    assert {"stage", "target_cost", "widths", "train_loss", "val_accuracy", "test_accuracy", "test_loss"} <= set(last)
    assert set(last["seconds"]) == {"train", "grow", "eval"}
    assert set(last["flops"]) == {"train", "grow"}
    old = {"params": 330, "macs": 312, "energy_pj": 212815.2, "latency_us": 17.5}
    assert old.items() <= last.items()
    assert last["costs"] == {"params": 330, "macs": 312, "energy": 212815.2, "latency": 17.5, "of one's own": 3}
    named = {"splits", "added_neurons", "predicted_drop", "measured_drop", "function_gap", "engine", "products"}
    assert named | {"residual_max", "sample", "seconds"} <= set(last["growth"])
    assert last["history"] == {"train_loss": [0.5, 0.25], "val_loss": [0.875, None]}
    assert found["stages"][0]["growth"] is None


# -- what cannot be is refused, and the message begins with the field's name ------------------------------------------


def places(content: object, path: str = "") -> Iterator[str]:
    """The name of every place in a record."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        name = f"{path}[{key}]" if isinstance(content, list) else f"{path}.{key}".lstrip(".")
        yield name
        yield from places(value, name)


def put(root: Any, name: str, new: object) -> None:
    """Replace what has this name, or take it away."""
    *way, last = re.findall(r"[^.\[\]]+", name)
    for step in way:
        root = root[int(step)] if isinstance(root, list) else root[step]
    key = int(last) if isinstance(root, list) else last
    if new is msgspec.UNSET:
        del root[key]
    else:
        root[key] = new


CONTENT: Json = json.loads(msgspec.json.encode(whole()))
PLACES = [name for name in places(CONTENT) if not name.startswith("config.")]
OPEN = ("widths", "costs", "notes", "layers", "linear", "sources", "files", "examples")
OPEN += ("rank", "cosine", "norm", "gradient")
"""Objects whose keys are free; in messages they stand as ``[...]``."""


def shown(name: str) -> str:
    """A place's name as messages have it."""
    for field in OPEN:
        name = re.sub(rf"\b{field}\.[^.\[]+", f"{field}[...]", name)
    return name


def test_every_place_is_tried() -> None:
    kinds = {RunRecord, StageRecord, GrowthRecord, Seconds, Flops, History, Environment, LatencyTable, Reading}
    kinds |= {Provenance, DataRecord, Diagnostics}
    fields = {field for kind in kinds for field in kind.__struct_fields__}
    assert fields == {name for place in PLACES for name in re.findall(r"[a-z_]+", place)} & fields
    structs = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    private = {one for one in structs if one.__name__.startswith("_")}
    assert set(structs) - private - {msgspec.Struct} == kinds


@pytest.mark.parametrize("name", PLACES)
def test_a_value_of_another_type_is_refused_by_the_fields_name(name: str) -> None:
    content = copy.deepcopy(CONTENT)
    put(content, name, [{}] if name != "stages" else "text")
    with pytest.raises(Unreadable) as error:
        convert(content, RunRecord)
    assert str(error.value).startswith(shown(name))
    assert "\n" not in str(error.value)


REQUIRED = [
    *("schema", "status", "id", "method", "backbone", "data", "seed", "config", "environment", "stages"),
    *(f"stages[1].{field}" for field in ("stage", "target_cost", "costs", "widths", "seconds", "flops")),
    *("stages[1].seconds.train", "stages[1].seconds.grow", "stages[1].flops.train", "stages[1].flops.grow"),
    *(f"latency.{field}" for field in ("batch", "constant", "linear", "cross", "readings", "error")),
    *(f"latency.readings[0].{field}" for field in ("widths", "microseconds", "noise")),
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_is_missing_is_named(name: str) -> None:
    content = copy.deepcopy(CONTENT)
    put(content, name, msgspec.UNSET)
    with pytest.raises(Unreadable) as error:
        convert(content, RunRecord)
    assert str(error.value) == f"{name}: missing"


@pytest.mark.parametrize("name", ["config.method.name", "config.backbone", "config.data", "config.growth"])
def test_a_configuration_without_a_group_is_refused_by_its_name(name: str) -> None:
    content = json.loads(written(whole()))
    put(content, name, msgspec.UNSET)
    with pytest.raises(Unreadable, match=rf"^{name}: missing"):
        read(signed(content))


@pytest.mark.parametrize("wrong", [-1, 1.5, "7", True, None])
def test_a_seed_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(Unreadable, match=r"^seed: expected int"):
        convert({**CONTENT, "seed": wrong}, RunRecord)


COUNTS = [
    *("seed", "stages[1].stage", "stages[1].widths.1", "stages[1].epochs", "environment.threads", "latency.batch"),
    *(f"stages[1].growth.{field}" for field in ("splits", "added_neurons", "rounds", "products", "sample")),
    "latency.readings[0].widths.1",
]


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_not_negative(name: str) -> None:
    content = copy.deepcopy(CONTENT)
    put(content, name, -1)
    with pytest.raises(Unreadable, match=rf"^{re.escape(shown(name))}: expected int >= 0"):
        convert(content, RunRecord)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages[1].costs.params": 0}, "stages[1]: costs.params: expected a number of at least 1"),
        ({"stages[1].costs.params": msgspec.UNSET}, "stages[1]: costs.params: expected a number of at least 1"),
        ({"stages[1].costs.macs": -1}, "stages[1]: costs.macs: expected a number of at least 0"),
        ({"stages[1].val_accuracy": None}, "stages[1]: val_accuracy: missing"),
        ({"stages[1].test_accuracy": None}, "stages: accuracies at some and none at others"),
        ({"stages[1].test_accuracy": None, "stages[1].test_loss": None}, "stages[1]: test_loss: missing"),
        ({"stages[1].test_accuracy": None, "stages[1].val_loss": None}, "stages[1]: val_loss: missing"),
        ({"stages": []}, "stages: done, but there are none"),
        ({"stages[0]": msgspec.UNSET}, "stages: not numbered 0, 1, 2, ..."),
        ({"status": "running"}, "status: expected one of done, refused, failed"),
        ({"status": "great"}, "status: invalid enum value 'great'"),
        ({"id": ""}, "id: expected str of length >= 1"),
    ],
)
def test_what_does_not_agree_is_refused(changes: Json, message: str) -> None:
    content = copy.deepcopy(CONTENT)
    for name, new in changes.items():
        put(content, name, new)
    with pytest.raises(Unreadable) as error:
        convert(content, RunRecord)
    assert str(error.value) == message


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_a_run_that_was_not_done_may_have_no_stages(status: str) -> None:
    content = {**CONTENT, "status": status, "reason": "why", "stages": []}
    record = convert(content, RunRecord)
    assert (record.status, record.reason, record.stages) == (status, "why", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "run.json is no JSON"),
        (b'{"schema": 1, "sta', "run.json is no JSON"),
        (b"\xff\xfe", "run.json is no JSON"),
        (b"\0" * 100, "run.json is no JSON"),
        (b'{"\xda": 1}', "run.json is no JSON"),
        (b'{"schema": "\xda"}', "run.json is no JSON"),
        (b"[" * 100_000, "run.json is no JSON"),
        (b'{"schema": NaN}', "run.json is no JSON"),
        (b'{"schema": 1e999}', "run.json is no JSON"),
        (b"[]", "run.json: expected an object"),
        (b"{}", "schema None; this version reads schema 1"),
        (b'{"schema": 2}', "schema 2; this version reads schema 1"),
        (b'{"schema": 1}', "sha256: not that of its content"),
        (signed({"schema": 1}), "status: missing"),
        (signed({"schema": 1, "stages": [3]}), "stages[0]: expected object, got int"),
        (signed({**CONTENT, "id": "0" * 16}), "id 0000000000000000: its configuration has the id "),
        (written(whole()).replace('"epochs": 2', '"epochs": 3').encode(), "sha256: not that of its content"),
        (written(whole())[:-9].encode(), "run.json is no JSON"),
    ],
)
def test_a_text_that_is_no_record_is_refused_in_one_line(text: bytes, message: str) -> None:
    with pytest.raises(Unreadable) as error:
        read(text)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [0x00, 0x22, 0x5C, 0x80, 0xDA, 0xFF])
def test_a_record_with_any_one_byte_damaged_is_refused(damage: int) -> None:
    text = signed({**CONTENT, "more": {"of": "it"}})
    assert read(text) == whole()
    for place in range(len(text)):
        if text[place] not in (damage, *b" \n"):
            with pytest.raises(Unreadable):
                read(text[:place] + bytes([damage]) + text[place + 1 :])


def test_what_is_not_known_is_left_alone() -> None:
    """A later version may write more."""
    assert read(signed({**CONTENT, "more": {"of": "it"}})) == whole()


# -- scores, costs and times ------------------------------------------------------------------------------------------


def test_scores_are_accuracies_or_losses() -> None:
    made = stage(0)
    assert (made.classified, made.validation, made.test) == (True, 0.5, 0.625)
    regression = msgspec.structs.replace(made, val_accuracy=None, test_accuracy=None)
    assert (regression.classified, regression.validation, regression.test) == (False, 0.75, 0.875)
    assert (made.params, made.macs) == (330, 312)
    assert whole().seconds == 2 * 2.25


# -- early records ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [LATENCY, STATIC, REGRESSION], ids=["latency", "static", "regression"])
def test_an_early_record_is_read_with_the_same_numbers(text: bytes) -> None:
    old, record = json.loads(text), read(text)
    assert checksum(old) == old["sha256"]
    again = plain(record)
    for before, after in zip(old["stages"], again["stages"], strict=True):
        costs = {"params": before["params"], "macs": before["macs"], "energy": before["energy_pj"]}
        costs |= {"latency": before["latency_us"]} if "latency_us" in before else {}
        assert after.pop("costs") == costs
        assert after.pop("history") == {"train_loss": [], "val_loss": []}
        assert after.pop("diagnostics") is None
        if after["growth"] is not None:
            new = {
                "births": 0,
                "searched": 0,
                "unconverged": 0,
                "judged": 0,
                "contradicted": 0,
                "trust": None,
                "left_out": [],
            }
            new |= {"condition": None, "conditioned": None}
            assert {name: after["growth"].pop(name) for name in new} == new
        assert after == before
    for key in set(old) - {"sha256", "stages"}:
        assert json.loads(json.dumps(again[key])) == old[key]
    assert read(written(record).encode()) == record  # in the form of now


def test_an_early_table_of_latency_is_read() -> None:
    table = read(LATENCY).latency
    assert table is not None
    assert (table.batch, table.constant, table.error) == (8, 32.774595420987694, 0.4744567153815253)
    assert table.linear == {"1": 1.5483489101314587}
    assert [reading.widths["1"] for reading in table.readings] == [4, 8, 16]


def test_an_early_control_has_the_name_that_it_has_now() -> None:
    record = read(STATIC)
    assert record.config["method"] == {"name": "static", "step": False}
    assert record.id == identity({**record.config, "method": {"name": "static"}}, without=NO_STEP)
