"""`dualseg ablate`: its variants by name. A whole one is trained in `test_whole_path`."""

from dualseg.training.ablation import SHORT_NAMES, VARIANTS, slug


def test_help_names_every_variant(dualseg):
    shown = " ".join(dualseg("ablate", "--help").stdout.split())
    for name in (*map(slug, VARIANTS), *SHORT_NAMES):
        assert name in shown


def test_an_unknown_variant_is_refused_with_the_nearest(dualseg, recipe, street, tmp_path):
    done = dualseg(
        "ablate", recipe, "--data", street, "--out", tmp_path / "a", "--variants", "baselin"
    )
    assert done.code == 2
    assert "there is no variant 'baselin'; did you mean baseline?" in done.stderr
    assert not (tmp_path / "a").exists()
