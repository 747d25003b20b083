from dualseg.core.errors import first_few


def test_all_are_shown_up_to_five():
    assert first_few(["a", "b", "c", "d", "e"]) == ["a", "b", "c", "d", "e"]


def test_of_more_the_rest_is_counted():
    assert first_few(list("abcdefg")) == ["a", "b", "c", "d", "e", "... and 2 more"]
    assert first_few(["a", "b"], 1, what="of these") == ["a", "... and 1 more of these"]
