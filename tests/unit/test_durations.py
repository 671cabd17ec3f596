import pytest

from hat.system.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.36, "0.4 s"),
        (0.96, "1 s"),
        (1.4, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (162, "2 min 42 s"),
        (3599.7, "1 h"),
        (3720, "1 h 2 min"),
        (86_390, "1 d"),
        (86_400 * 3 + 3600 * 4.4, "3 d 4 h"),
    ],
)
def test_durations_are_read_by_people(seconds, text):
    assert duration(seconds) == text
