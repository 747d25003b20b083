from dualseg.core.words import counted


def test_one_is_singular_and_everything_else_plural() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
