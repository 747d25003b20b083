"""How fast a run was, read from its own record."""

from pathlib import Path
from statistics import median

from dualseg.config import load_recipe
from dualseg.core.history import METRICS_FILE, read_history
from dualseg.training.records.run_folder import CONFIG_FILE


def seconds_per_epoch(run_folder: Path) -> float | None:
    """Median seconds for one pass over the training images, validation and saving not counted.

    Returns:
        None where the run logged no rate.
    """
    lines = read_history(run_folder / METRICS_FILE)
    train = [line for line in lines if line["split"] == "train" and line["epoch"] > 0]
    rates = [line["images_per_second"] for line in train if line["images_per_second"] > 0]
    if not rates:
        return None
    batch_size = load_recipe(run_folder / CONFIG_FILE).training.batch_size
    last = train[-1]
    images_per_epoch = last["step"] * batch_size / last["epoch"]
    return images_per_epoch / median(rates)
