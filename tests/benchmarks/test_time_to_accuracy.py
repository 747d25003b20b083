"""A row that is kept is shown for the command that made it, and for no other."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dualseg.config import load_recipe
from dualseg.core.errors import InputError
from dualseg.training.records.run_folder import write_yaml

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "time_to_accuracy.py"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a trainer that only writes the recipe down."""
    spec = importlib.util.spec_from_file_location("time_to_accuracy", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "time_to_accuracy", module)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", ModuleType("smp"))
    spec.loader.exec_module(module)
    result = SimpleNamespace(step=10, evaluation={"miou": 0.6})

    def train(recipe: Any, run: Path, **_: Any) -> SimpleNamespace:
        run.mkdir()
        write_yaml(run / "config.yaml", recipe.model_dump(mode="json"))
        return result

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "resume", lambda run, **_: result)
    monkeypatch.setattr(module, "timed_recipe", lambda given: load_recipe(given.recipe))
    monkeypatch.setattr(module, "minutes_trained", lambda run, recipe: 30.0)
    monkeypatch.setattr(module, "open_camvid", lambda root, split: range(367))
    return module


def options(out: Path, **changed: Any) -> argparse.Namespace:
    given = {"recipe": "camvid_30min", "minutes": 30.0, "threads": 2, "set": [], "data": out}
    return argparse.Namespace(out=out, **(given | changed))


def test_the_same_command_goes_on(benchmark: ModuleType, tmp_path: Path):
    first = benchmark.ours(options(tmp_path))

    assert benchmark.ours(options(tmp_path)) == first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recipe": "camvid_dsrl"}, "recipe: 'camvid_30min' there, 'camvid_dsrl' now"),
        ({"minutes": 5.0}, r"minutes: 30\.0 there, 5\.0 now"),
        ({"set": ["seed=7"]}, r"set: \[\] there, \['seed=7'\] now"),
    ],
)
def test_a_run_of_other_options_is_not_shown_under_these(
    benchmark: ModuleType, tmp_path: Path, changed: dict[str, Any], words: str
):
    benchmark.ours(options(tmp_path))

    with pytest.raises(InputError, match=f"(?s)give those, or another --out.*{words}"):
        benchmark.ours(options(tmp_path, **changed))


def test_a_run_that_does_not_say_its_options_is_refused(benchmark: ModuleType, tmp_path: Path):
    benchmark.ours(options(tmp_path))
    (tmp_path / "ours.json").unlink()

    with pytest.raises(InputError, match="does not say how it was asked for"):
        benchmark.ours(options(tmp_path))


def test_a_peer_of_other_minutes_is_not_shown_under_these(benchmark: ModuleType, tmp_path: Path):
    row = {"name": "peer", "minutes": 30.1, "images": 1, "epochs": 1.0, "miou": 0.5}
    kept = {"asked": {"minutes": 30.0, "threads": 2}, "row": row}
    (tmp_path / "peer.json").write_text(json.dumps(kept))

    assert benchmark.peer(options(tmp_path)).miou == 0.5
    with pytest.raises(InputError, match=r"minutes: 30\.0 there, 5\.0 now"):
        benchmark.peer(options(tmp_path, minutes=5.0))
