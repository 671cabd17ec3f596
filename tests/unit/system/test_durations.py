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
        (86_390, "24 h"),
        (3600 * 76.4, "76 h"),
        (3600 * 2_192_960, "2,192,960 h"),
    ],
)
def test_durations_are_read_by_people(seconds, text):
    assert duration(seconds) == text
