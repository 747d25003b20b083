"""Pictures that `quickstart` leaves: a few scenes, what the network made of them."""

from pathlib import Path

from PIL import Image

from dualseg.checkpoints.model_files import load_model
from dualseg.core.files import write_atomic
from dualseg.data.catalog import open_dataset
from dualseg.inference.files import predict_files
from dualseg.inference.predictor import Predictor
from dualseg.training.ablation import AblationRun

NUM_PICTURES = 4


def predict_some(run: AblationRun, folder: Path) -> None:
    """Writes a few validation scenes as PNG and predicts them as `dualseg predict` does."""
    data = run.recipe.data
    dataset = open_dataset(data.name, root=data.root, split=data.val_split)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(min(NUM_PICTURES, len(dataset))):
        path = folder / f"{dataset.name(index)}.png"
        picture = Image.fromarray(dataset.image(index))
        write_atomic(path, lambda file, picture=picture: picture.save(file, format="PNG"))
        paths.append(path)
    predict_files(Predictor(load_model(run.folder / "checkpoints" / "last")), paths, folder)
