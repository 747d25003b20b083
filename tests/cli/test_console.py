import pytest

from dualseg.cli.console import TrainingProgress, counting, percent, print_table, say


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.0, "0.0 %"), (0.5237, "52.4 %")])
def test_scores_are_shown_in_percent(value, text):
    assert percent(value) == text


def test_progress_goes_to_stderr_and_says_what_matters(capsys):
    with TrainingProgress("seed 0") as progress:
        progress.started(0, 2)
        progress.stepped(1, 2, {"loss": 1.0}, 0.1)
        progress.stepped(2, 2, {"loss": 0.5, "image": 0.1}, 0.1)
        progress.evaluated(2, {"miou": 0.25}, True)
    with counting("reading") as count:
        count(1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "seed 0: step 2/2: loss 0.500, image 0.100" in captured.err
    assert "val mIoU 25.0 %, pixel accuracy - (best so far)" in captured.err


def test_markup_in_names_is_shown_as_it_is(capsys):
    print_table("IoU", ["class", "IoU"], [["[red]wall[/red]", "1.0 %"]])
    assert "[red]wall[/red]" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_escaped(capsys):
    say("a\x1b[31m.png has\nno mask\x07 \udcff")
    assert capsys.readouterr().err == "a\\x1b[31m.png has\nno mask\\x07 \\udcff\n"


def test_a_long_title_stays_on_one_line(capsys):
    title = "mIoU 50.0 %, 3 images, ignored 0.0 %"
    print_table(title, ["a", "b"], [["c", "1"]])
    assert title in capsys.readouterr().out.splitlines()
