"""`dualseg models`"""

from typing import Annotated

import typer

from dualseg.cli.console import print_json, print_table
from dualseg.cli.options import Json

EXAMPLE = "Example: dualseg models deeplabv3plus"


def models(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One network.")] = None,
    backbone: Annotated[
        str, typer.Option("--backbone", help="Backbone to count with.")
    ] = "resnet50",
    output_stride: Annotated[int, typer.Option("--output-stride", help="8, 16 or 32.")] = 16,
    json: Json = False,
) -> None:
    """List what can be built, with parameters, strides and source."""
    from dualseg.core.errors import InputError, nearest
    from dualseg.models.catalog import HEAD_VARIANTS, SUMMARIES, create_model

    if name is not None and name not in SUMMARIES:
        raise InputError(f"there is no model {name!r}; {nearest(name, SUMMARIES)}")
    rows = []
    for known in [name] if name else list(SUMMARIES):
        network = create_model(
            known, backbone=backbone, num_classes=19, output_stride=output_stride
        )
        parameters = sum(p.numel() for p in network.parameters())
        info = network.backbone.feature_info  # type: ignore[union-attr]
        rows.append(
            {
                "name": known,
                "backbone": backbone,
                "parameters": parameters,
                "strides": [i.stride for i in info],  # type: ignore[union-attr]
                "head_variants": list(HEAD_VARIANTS.get(known, ())),
                "source": SUMMARIES[known],
            }
        )
    if json:
        print_json({"models": rows})
        return
    table = [
        [
            row["name"],
            f"{row['parameters'] / 1e6:.1f} M",
            "/".join(map(str, row["strides"])),
            ", ".join(row["head_variants"]) or "-",
            row["source"],
        ]
        for row in rows
    ]
    title = f"With backbone {backbone}, output stride {output_stride}, 19 classes"
    print_table(title, ["model", "parameters", "feature strides", "head_variant", "source"], table)
