"""`report.html`: one run on one self-contained page, made from the run folder alone."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dualseg.config import DataSettings, Recipe, load_recipe
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts
from dualseg.core.files import write_text
from dualseg.visual.class_tables import class_table, confusion_table, mistake_table
from dualseg.visual.overlay import error_map, paint
from dualseg.visual.page import (
    card,
    chart_figure,
    class_legend,
    describe_protocol,
    fact_list,
    heading,
    note,
    render_page,
    section,
    series_legend,
    shot,
    tile,
)
from dualseg.visual.pictures import flat_picture, photo
from dualseg.visual.plots import Line, line_chart, series_color, short_number, thin_out
from dualseg.visual.run_files import (
    GalleryImage,
    StoredEvaluation,
    points_of,
    read_evaluation,
    read_facts,
    split_history,
)

CONFIG_FILE = "config.yaml"
REPORT_FILE = "report.html"
LOSS_NAMES = ("loss", "cross_entropy", "auxiliary", "image", "affinity")


def write_report(run_folder: Path) -> Path:
    """Writes `RUN/report.html` from what the run folder holds; a part that is missing yet is said
    to be.

    Args:
        run_folder: With `config.yaml`, and as far as they exist `metrics.jsonl`, `checkpoints/`,
            `evaluation/`.

    Returns:
        The page.

    Raises:
        InputError: This is no run folder, or one of its files is damaged.
    """
    if not (run_folder / CONFIG_FILE).is_file():
        raise InputError(
            f"{run_folder} holds no run: there is no {CONFIG_FILE}; give a folder made by dualseg "
            "train"
        )
    recipe = load_recipe(run_folder / CONFIG_FILE)
    evaluation = read_evaluation(run_folder)
    training, validation = split_history(run_folder, "train"), split_history(run_folder, "val")
    name = run_folder.resolve().name
    body = [
        heading("training run", name),
        fact_list(_facts(recipe, training, validation, evaluation, read_facts(run_folder))),
        _score_part(evaluation),
        _curve_part(training, validation),
        *(_evaluation_parts(evaluation) if evaluation else ()),
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
    ignored = f"{scores['ignored_share']:.1%} of all pixels are ignored"
    same = "Same protocol."
    cards = [
        (
            "Mean IoU",
            scores["miou"],
            f"{scores['num_images']} images, {num_scored} classes: {how}",
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
        f'<div class="how">{escape(words)}</div></div>'
        for name, value, words, kind in cards
    )
    return f'<div class="scores">{boxes}</div>'


def _curve_part(
    training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]
) -> str:
    names = [n for n in _loss_names(training) if points_of(training, n)]
    charts = []
    if names:
        colors = ["var(--accent)"] + [series_color(i) for i in (3, 4, 5, 6, 7)]
        lines = [
            Line(name, thin_out(points_of(training, name)), color, is_main=name == "loss")
            for name, color in zip(names, colors, strict=False)
        ]
        chart = line_chart(lines, title="Losses over steps", x_label="step")
        charts.append(
            chart_figure(
                "Training loss", series_legend(names, [line.color for line in lines]) + chart
            )
        )
    for entries, key, title in (
        (validation, "miou", "Validation mIoU"),
        (training, "lr", "Learning rate"),
    ):
        points = points_of(entries, key)
        if points:
            line = Line(title, points, "var(--accent)")
            charts.append(
                chart_figure(title, line_chart([line], title=f"{title} over steps", x_label="step"))
            )
    if not charts:
        return note("There are no curves yet: metrics.jsonl holds no measurement.")
    lead = "Each loss is shown with its weight, so the thin lines add up to the thick one."
    return section("Training", lead, f'<div class="charts">{"".join(charts)}</div>')


def _loss_names(training: Sequence[Mapping[str, Any]]) -> list[str]:
    present = {key for entry in training for key in entry}
    others = sorted(key for key in present if key.startswith("loss_"))
    return [name for name in LOSS_NAMES if name in present] + others


def _evaluation_parts(evaluation: StoredEvaluation) -> list[str]:
    return [
        _class_part(evaluation),
        section(
            "What is taken for what",
            "Each row is a true class and adds up to 100: the share of its pixels, in percent, "
            "that was given "
            "to each class.",
            card(
                '<div class="split"><div class="scroll">',
                confusion_table(evaluation),
                "</div><div><h3>Most frequent mistakes</h3>",
                mistake_table(evaluation),
                "</div></div>",
            ),
        ),
        _gallery_part(
            evaluation, "best", "Best images", "By the mIoU over the classes in the image."
        ),
        _gallery_part(
            evaluation,
            "worst",
            "Worst images",
            "Where the network fails most, worst first. Rare classes weigh as much as common ones "
            "here.",
        ),
    ]


def _class_part(evaluation: StoredEvaluation) -> str:
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
        card(class_table(evaluation)),
    )


def _gallery_part(evaluation: StoredEvaluation, role: str, title: str, lead: str) -> str:
    shots = "".join(
        _shot(number, image, evaluation)
        for number, image in enumerate(evaluation.gallery)
        if role in image.roles
    )
    return section(title, lead, class_legend(evaluation.labels), shots) if shots else ""


def _shot(number: int, image: GalleryImage, evaluation: StoredEvaluation) -> str:
    seen, truth, preds = image.read("input"), image.read("truth"), image.read("prediction")
    labels = evaluation.labels
    valid = truth != labels.ignore_index
    wrong = float((truth != preds)[valid].mean()) if valid.any() else 0.0
    mistakes = error_map(truth, preds, ignore_index=labels.ignore_index)
    tiles = [
        tile(photo(seen, "Input"), "Input", f"as the network sees it, {_size(seen)}"),
        tile(flat_picture(paint(truth, labels), "Truth"), "Truth", _size(truth)),
        tile(flat_picture(paint(preds, labels), "Prediction"), "Prediction", _size(preds)),
        tile(flat_picture(mistakes, "Mistakes"), "Mistakes", f"red, {wrong:.1%}; ignored hatched"),
    ]
    score = "" if image.miou is None else f"mIoU {image.miou:.3f}"
    return shot(number, image.name, score, tiles)


def _size(picture: Any) -> str:
    return f"{picture.shape[0]}×{picture.shape[1]}"


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
