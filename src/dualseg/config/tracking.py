"""Recipe section `tracking`: where curves and pictures go beside `metrics.jsonl`."""

from typing import Literal

from pydantic import Field, field_validator

from dualseg.config.section import Section

TrackerName = Literal["tensorboard", "wandb", "mlflow", "visdom"]


class TrackingSettings(Section):
    """Who is shown the run: `trackers` by name, each with the same numbers and pictures.

    Nothing leaves the machine by itself: Weights & Biases and Visdom write files, MLflow a folder,
    all inside the run folder, until `wandb_mode: online`, `mlflow_uri` or `visdom_server` says
    otherwise. `pictures` is how many validation images are drawn at each validation, `histograms`
    adds the distribution of every weight. `name` is the run folder's where not given.
    """

    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    pictures: int = Field(default=2, ge=0)
    histograms: bool = False
    project: str = Field(default="dualseg", min_length=1)
    name: str | None = None
    wandb_mode: Literal["offline", "online"] = "offline"
    mlflow_uri: str | None = None
    visdom_server: str | None = None

    @field_validator("trackers")
    @classmethod
    def _each_once(cls, trackers: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        if len(set(trackers)) < len(trackers):
            raise ValueError(f"trackers {list(trackers)} names one twice")
        return trackers

    @field_validator("visdom_server")
    @classmethod
    def _is_an_address(cls, server: str | None) -> str | None:
        if server is not None and not server.startswith(("http://", "https://")):
            raise ValueError("visdom_server must be an address such as http://localhost:8097")
        return server
