"""Each service on its own: what it is asked for, seen by a fake; and the real one where there is.

No test reaches a network: what is not offline is a fake.
"""

import builtins
import json
import socket
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from runs import Told

from dualseg.config import TrackingSettings, check_recipe
from dualseg.core.errors import InputError
from dualseg.training.records.trackers.identity import IDS_FILE, keep_id, known_id
from dualseg.training.records.trackers.mlflow import MLflow, allowed
from dualseg.training.records.trackers.tensorboard import TensorBoard
from dualseg.training.records.trackers.tracker import TrackedRun
from dualseg.training.records.trackers.trackers import create_trackers
from dualseg.training.records.trackers.visdom import Visdom, windows_begun
from dualseg.training.records.trackers.wandb import WeightsAndBiases

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
WEIGHTS = np.array([0.0, 0.5, 1.0], np.float32)
RECIPE = {"seed": 3, "training": {"lr": 0.1}}


def run_in(folder: Path, first_step: int = 1) -> TrackedRun:
    return TrackedRun(folder, first_step, project="roads", name="first", recipe=RECIPE)


def tell(tracker, step: int = 2) -> None:
    tracker.numbers({"train/loss": 0.5, "val/miou": 0.25}, step)
    tracker.picture("samples/a", PICTURE, step)
    tracker.histogram("weights/b", WEIGHTS, step)
    tracker.close()


@pytest.fixture
def _no_network(monkeypatch) -> None:
    """Only sockets on this machine, by which a library may speak to a process of its own."""
    connect = socket.socket.connect

    def only_here(self, address):
        local = isinstance(address, str | bytes) or address[0] in ("127.0.0.1", "::1", "localhost")
        assert local, f"a connection to {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture
def hide(monkeypatch):
    """Makes a package impossible to import."""
    real = builtins.__import__
    hidden = []

    def without(module, globals=None, locals=None, fromlist=(), level=0):
        if level == 0 and any(module == name or module.startswith(f"{name}.") for name in hidden):
            raise ModuleNotFoundError(f"No module named {module!r}")
        return real(module, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", without)
    return hidden.append


@pytest.mark.parametrize("name", ["wandb", "mlflow", "visdom"])
def test_a_package_that_is_missing_is_told_with_the_command(name, tmp_path, hide):
    hide(name)
    settings = TrackingSettings(trackers=("tensorboard", name))
    with pytest.raises(InputError, match=rf"tracker {name} .*pip install 'dualseg\[{name}\]'"):
        create_trackers(settings, run_in(tmp_path / "run"), report=pytest.fail)
    assert not (tmp_path / "run").exists()


def test_without_tensorboard_which_nobody_asked_for_a_line_says_so(tmp_path, hide):
    hide("torch.utils.tensorboard")
    told = Told()
    trackers = create_trackers(TrackingSettings(), run_in(tmp_path), report=told.message)
    assert not trackers.are_watching
    assert "no TensorBoard events" in told.messages[0]


def test_an_unknown_tracker_and_one_named_twice_are_refused():
    for trackers in (["tensorbored"], ["wandb", "wandb"]):
        with pytest.raises(InputError, match=r"tracking\.trackers"):
            check_recipe(
                {"training": {"max_steps": 1}, "tracking": {"trackers": trackers}}, origin="it"
            )


def test_ids_are_kept_beside_each_other_and_a_damaged_file_is_refused(tmp_path):
    assert known_id(tmp_path, "wandb") is None
    keep_id(tmp_path, "wandb", "w1")
    keep_id(tmp_path, "mlflow", "m1")
    assert (known_id(tmp_path, "wandb"), known_id(tmp_path, "mlflow")) == ("w1", "m1")
    (tmp_path / IDS_FILE).write_text('{"wandb": "w')
    with pytest.raises(InputError, match=r"trackers\.json is damaged; delete it"):
        known_id(tmp_path, "wandb")


def test_tensorboard_makes_its_folder_with_the_first_number_and_holds_everything(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoard(run_in(tmp_path))
    assert not (tmp_path / "tensorboard").exists()
    tell(tracker)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(2, 0.5)]
    assert (events.Images("samples/a")[0].height, events.Images("samples/a")[0].width) == (2, 3)
    assert events.Histograms("weights/b")[0].histogram_value.num == 3


class FakeWandb(ModuleType):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.asked: list[dict] = []
        self.logged: list[dict] = []
        self.finished = 0

    def init(self, **options):
        self.asked.append(options)
        return SimpleNamespace(
            id=options["id"] or "new-id",
            log=self.logged.append,
            define_metric=lambda *names, **options: None,
            finish=lambda: setattr(self, "finished", self.finished + 1),
        )

    @staticmethod
    def Settings(**options):  # noqa: N802
        return options

    @staticmethod
    def Image(picture):  # noqa: N802
        return ("image", picture.shape)

    @staticmethod
    def Histogram(values):  # noqa: N802
        return ("histogram", len(values))


def test_wandb_is_offline_and_logs_our_step_beside_every_value(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tell(WeightsAndBiases(run_in(tmp_path), mode="offline"))
    asked = fake.asked[0]
    assert (asked["mode"], asked["project"], asked["name"]) == ("offline", "roads", "first")
    assert (asked["config"], asked["dir"]) == (RECIPE, str(tmp_path))
    assert fake.logged == [
        {"train/loss": 0.5, "val/miou": 0.25, "step": 2},
        {"samples/a": ("image", (2, 3, 3)), "step": 2},
        {"weights/b": ("histogram", 3), "step": 2},
    ]
    assert fake.finished == 1


def test_a_resumed_run_goes_on_under_its_first_id_at_wandb(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tell(WeightsAndBiases(run_in(tmp_path), mode="online"))
    tell(WeightsAndBiases(run_in(tmp_path, first_step=3), mode="online"), step=4)
    assert [(asked["id"], asked["resume"]) for asked in fake.asked] == [
        (None, None),
        ("new-id", "allow"),
    ]


def test_wandb_that_was_told_nothing_starts_nothing(tmp_path, monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    WeightsAndBiases(run_in(tmp_path), mode="offline").close()
    assert (fake.asked, fake.finished) == ([], 0)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_network")
def test_the_real_wandb_writes_an_offline_run_into_the_run_folder(tmp_path):
    pytest.importorskip("wandb")
    tell(WeightsAndBiases(run_in(tmp_path), mode="offline"))
    time.sleep(1.1)  # its folders are named by the second
    tell(WeightsAndBiases(run_in(tmp_path, first_step=3), mode="offline"), step=4)
    folders = list((tmp_path / "wandb").glob("offline-run-*"))
    files = [file for folder in folders for file in folder.glob("*.wandb")]
    identity = known_id(tmp_path, "wandb")
    assert len(files) == 2
    assert {file.name for file in files} == {f"run-{identity}.wandb"}
    assert all(b"train/loss" in file.read_bytes() for file in files)


def test_mlflow_takes_no_strange_letters():
    assert allowed("weights/head[0]:w%") == "weights/head_0__w_"


@pytest.mark.usefixtures("_no_network")
def test_the_real_mlflow_keeps_one_run_over_a_resume(tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    tell(MLflow(run_in(tmp_path), uri=None))
    tell(MLflow(run_in(tmp_path, first_step=3), uri=None), step=4)
    client = tracking.MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("roads")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted((point.step, point.value) for point in history) == [(2, 0.5), (4, 0.5)]
    assert run.data.params["training.lr"] == "0.1"
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "pictures/samples/a/00000004.png").is_file()
    histogram = json.loads((artifacts / "histograms/weights/b/00000002.json").read_text())
    assert (sum(histogram["counts"]), histogram["edges"][0], histogram["edges"][-1]) == (3, 0, 1)


@pytest.mark.usefixtures("_no_network")
def test_the_real_visdom_writes_a_file_to_replay(tmp_path):
    pytest.importorskip("visdom")
    tell(Visdom(run_in(tmp_path), server=None))
    file = tmp_path / "visdom.jsonl"
    assert windows_begun(file) == {"train/loss", "val/miou", "samples/a", "weights/b"}
    with file.open("a") as half:
        half.write('["events", {"win": "cut o')
    tell(Visdom(run_in(tmp_path, first_step=3), server=None), step=4)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [(end, msg) for end, msg in entries if msg["win"] == "train/loss"]
    assert [end for end, _ in lines] == ["events", "update"]  # drawn once, then gone on with
    assert [msg["data"][0]["x"] for _, msg in lines] == [[2.0], [4.0]]
    assert {msg["eid"] for _, msg in entries} == {"roads_first"}


def test_a_visdom_server_is_spoken_to_at_its_address(tmp_path, monkeypatch):
    made: list[dict] = []
    drawn: list[tuple] = []

    class Windows:
        def __init__(self, **options):
            made.append(options)

        def line(self, y, X, win, update, opts):
            drawn.append((win, X, y, update))

        def image(self, picture, win, opts):
            drawn.append((win, picture.shape))

        def histogram(self, values, win, opts):
            drawn.append((win, len(values)))

        def save(self, environments):
            drawn.append(("save", environments))

    monkeypatch.setitem(sys.modules, "visdom", SimpleNamespace(Visdom=Windows))
    tell(Visdom(run_in(tmp_path), server="http://watch.example:9000/board/"))
    assert (made[0]["server"], made[0]["port"]) == ("http://watch.example", 9000)
    assert (made[0]["base_url"], made[0]["raise_exceptions"]) == ("/board", True)
    assert drawn == [
        ("train/loss", [2], [0.5], "append"),
        ("val/miou", [2], [0.25], "append"),
        ("samples/a", (3, 2, 3)),
        ("weights/b", 3),
        ("save", ["roads_first"]),
    ]
