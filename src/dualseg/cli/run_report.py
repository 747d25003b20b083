"""What is made of a finished run: scores, pictures, report.html."""

from pathlib import Path

from dualseg.checkpoints.model_files import load_model
from dualseg.cli.console import counting
from dualseg.cli.recipes import open_evaluation_data
from dualseg.config import load_recipe
from dualseg.evaluation.evaluate import evaluate
from dualseg.evaluation.gallery import collect_gallery
from dualseg.training.environment import choose_device
from dualseg.training.run_folder import CONFIG_FILE
from dualseg.visual.report import write_report


def finish_run(run: Path, *, checkpoint: str = "best") -> Path:
    """Evaluates a run's checkpoint in full and writes `RUN/evaluation` and `RUN/report.html`.

    Args:
        run: Run folder.
        checkpoint: "best", or "last" where nothing may be chosen by the validation score.

    Returns:
        The report.
    """
    if not (run / "checkpoints" / checkpoint).exists():
        checkpoint = "last"  # no validation has found a best one
    model = load_model(run / "checkpoints" / checkpoint)
    labels = model.facts.labels if model.facts else None
    dataset = open_evaluation_data(str(run), None, None, labels)
    device = choose_device(load_recipe(run / CONFIG_FILE).runtime.device)
    with counting("evaluating") as progress:
        evaluation = evaluate(model, dataset, device=device, progress=progress)
    collect_gallery(run, model, dataset, evaluation, checkpoint=checkpoint)
    return write_report(run)
