"""`report.html`: one run on one self-contained page, made from the run folder alone."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dualseg.config import DataSettings, Recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.files import write_text
from dualseg.visual.budget import PictureBudget
from dualseg.visual.class_tables import class_table, confusion_table, mistake_table
from dualseg.visual.curves import curve_part
from dualseg.visual.numbers import percent_text, short_number
from dualseg.visual.page import card, fact_list, heading, note, render_page, section
from dualseg.visual.protocol_words import describe_protocol
from dualseg.visual.run_files import (
    CONFIG_FILE,
    StoredEvaluation,
    read_evaluation,
    read_facts,
    split_history,
)
from dualseg.visual.run_gallery import gallery_part
from dualseg.visual.score_parts import ShownRun, boundary_part, calibration_part, object_part
from dualseg.visual.stored_scores import Interval

REPORT_FILE = "report.html"


def write_report(run_folder: Path) -> Path:
    """Writes `RUN/report.html` from what the run folder holds; a part that is missing yet is said
    to be.

    Args:
        run_folder: With `config.yaml`, and as far as they exist `metrics.jsonl`, `checkpoints/`,
            `evaluation/`.

    Returns:
        The page.

    Raises:
        InputError: This is no run folder, nothing was measured in it yet, or one of its files is
            damaged.
    """
    if not (run_folder / CONFIG_FILE).is_file():
        raise InputError(
            f"{run_folder} holds no run: there is no {CONFIG_FILE}; give a folder made by dualseg "
            "train"
        )
    recipe = load_recipe(run_folder / CONFIG_FILE)
    evaluation = read_evaluation(run_folder)
    training, validation = split_history(run_folder, "train"), split_history(run_folder, "val")
    if not (evaluation or training or validation):
        raise InputError(
            f"{run_folder} has nothing to show yet: no measurement and no evaluation; dualseg "
            f"resume {run_folder} trains it"
        )
    name = run_folder.resolve().name
    body = [
        heading("training run", name),
        fact_list(_facts(recipe, training, validation, evaluation, read_facts(run_folder))),
        _score_part(evaluation),
        curve_part(training, validation),
        *(_evaluation_parts(name, evaluation) if evaluation else ()),
        _recipe_part(run_folder),
    ]
    path = run_folder / REPORT_FILE
    write_text(path, render_page(f"{name} · dualseg", body))
    return path


def _facts(
    recipe: Recipe,
    training: Sequence[Mapping[str, Any]],
    validation: Sequence[Mapping[str, Any]],
    evaluation: StoredEvaluation | None,
    facts: ModelFacts | None,
) -> dict[str, str]:
    model, dsrl, settings = recipe.model, recipe.dsrl, recipe.training
    parts = ("SSSR", "SSSR + SISR", "SSSR + SISR + FA")
    shown = {
        "Network": f"{model.name}, {model.backbone}, output stride {model.output_stride}",
        "Super-resolution": parts[dsrl.stage - 1] if dsrl.enabled else "none (plain network)",
        "Data": recipe.data.name + (f", split {evaluation.split}" if evaluation else ""),
        "Network sees": _input_words(recipe.data),
        "Optimiser": f"{settings.optimizer}, lr {settings.lr:g}, batch {settings.batch_size}, "
        f"{settings.precision}",
        "Trained": _length(training),
        "Seed": str(recipe.seed),
    }
    if evaluation:
        shown["Parameters"] = f"{evaluation.parameters / 1e6:.2f} M in use"
        if evaluation.checkpoint:
            at = f", step {evaluation.step:,}" if evaluation.step is not None else ""
            shown["Scored"] = f"checkpoint {evaluation.checkpoint}{at}"
    best = _best(validation)
    if best:
        shown["Best validation"] = f"mIoU {best['miou']:.3f} at step {best['step']:,}"
    if facts and facts.source:
        shown["Weights from"] = facts.source
    return shown


def _input_words(data: DataSettings) -> str:
    scale, crop = data.input_scale, data.crop_size
    words = "images at full size" if scale == 1.0 else f"images at {scale:g}× height and width"
    return words + (f", crops {crop[0]}×{crop[1]} before the shrink" if crop else "")


def _length(training: Sequence[Mapping[str, Any]]) -> str:
    if not training:
        return "not one step yet"
    last = training[-1]
    return f"{last['step']:,} steps" + (
        f", epoch {short_number(last['epoch'])}" if "epoch" in last else ""
    )


def _best(validation: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    scored = [entry for entry in validation if entry.get("miou") is not None]
    return max(scored, key=lambda entry: entry["miou"], default=None)


def _score_part(evaluation: StoredEvaluation | None) -> str:
    if evaluation is None:
        return note(
            "This run has no evaluation yet: scores and pictures appear when its training ends; "
            "dualseg resume RUN takes it there."
        )
    scores = evaluation.scores
    how = describe_protocol(scores["protocol"])
    num_scored = sum(value is not None for value in evaluation.iou_per_class)
    ignored = f"{percent_text(scores['ignored_share'])} of all pixels are ignored"
    same = "Same protocol."
    cards = [
        (
            "Mean IoU",
            scores["miou"],
            f"{scores['num_images']} images, {num_scored} classes; protocol: {how}",
            " main",
        ),
        (
            "Pixel accuracy",
            scores["pixel_accuracy"],
            f"Share of right pixels; {ignored}. {same}",
            "",
        ),
        ("Class accuracy", scores["class_accuracy"], f"Mean recall of the classes. {same}", ""),
        ("Weighted IoU", scores["fwiou"], f"IoUs weighted with their class's pixels. {same}", ""),
    ]
    boxes = "".join(
        f'<div class="card score{kind}"><div class="name">{name}</div><div '
        f'class="value">{value:.3f}</div>'
        f"{_interval_line(evaluation.extra.interval) if kind else ''}"
        f'<div class="how">{escape(words)}</div></div>'
        for name, value, words, kind in cards
    )
    return f'<div class="scores">{boxes}</div>'


def _interval_line(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return (
        f'<div class="interval">{percent_text(interval.level, 0)} interval {interval}</div>'
        '<div class="how">where the score lies when images are drawn anew (bootstrap)</div>'
    )


def _evaluation_parts(name: str, evaluation: StoredEvaluation) -> list[str]:
    runs = [ShownRun(name, "var(--accent)", evaluation)]
    budget = PictureBudget()
    parts = [
        _class_part(runs[0]),
        _confusion_part(evaluation),
        boundary_part(runs),
        object_part(runs),
        calibration_part(runs),
        gallery_part(
            evaluation,
            "best",
            "Best images",
            "By the mIoU over the classes in the image.",
            budget,
        ),
        gallery_part(
            evaluation,
            "worst",
            "Worst images",
            "Where the network fails most, worst first. Rare classes weigh as much as common ones "
            "here.",
            budget,
        ),
    ]
    return [*parts, note(budget.words()) if budget.words() else ""]


def _confusion_part(evaluation: StoredEvaluation) -> str:
    return section(
        "What is taken for what",
        "Each row is a true class and adds up to 100: the share of its pixels, in percent, that "
        "was given to each class.",
        card(
            '<div class="split"><div>',
            confusion_table(evaluation),
            "</div><div><h3>Most frequent mistakes</h3>",
            mistake_table(evaluation),
            "</div></div>",
        ),
    )


def _class_part(run: ShownRun) -> str:
    evaluation = run.evaluation
    names = evaluation.labels.class_names
    absent = [
        n for n, pixels in zip(names, evaluation.pixels_per_class, strict=True) if pixels == 0
    ]
    warning = note(
        f"No ground-truth pixel in this split: {', '.join(absent)}. Nothing can be said about "
        f"{'it' if len(absent) == 1 else 'them'}; where one is predicted all the same, its IoU is "
        "0."
    )
    return section(
        "Classes",
        "Intersection over union of each class over the whole split, beside its share of the "
        "labelled pixels.",
        warning if absent else "",
        card(class_table([evaluation], [(run.name, run.color)])),
    )


def _recipe_part(run_folder: Path) -> str:
    recipe = (run_folder / CONFIG_FILE).read_text(encoding="utf-8")
    return (
        '<details class="card"><summary>The whole '
        f"recipe</summary><pre>{escape(recipe)}</pre></details>"
        "<footer>Sizes are height × width. Scores are 0 to 1, from one confusion matrix over all "
        "pixels of the "
        "split that are not ignored; a class that is neither in the truth nor predicted has no "
        "IoU.</footer>"
    )
