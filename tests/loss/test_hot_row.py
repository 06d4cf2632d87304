"""A row that is updated all the time: never below a bound, and yet as new as each pass."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.compare import redshift
from tests.loss.naive import LAG
from tests.loss.scene import OURS, beside

if TYPE_CHECKING:
    from tests.loss.scene import Scene

HOT = 5
TABLE = (
    "CREATE TABLE a (id INT PRIMARY KEY, v INT NOT NULL, u TIMESTAMP(6) NOT NULL"
    " DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), KEY (u))"
)


@pytest.mark.thorough
def test_a_row_that_never_rests_is_never_read_below_a_lag_and_always_by_us(scene: Scene) -> None:
    scene.run(TABLE)
    scene.run("INSERT INTO a (id, v) VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)")
    scene.readers = {LAG: scene.readers[LAG]}
    stop, had = threading.Event(), []
    with scene.another() as hot:

        def touch() -> None:
            while not stop.wait(0.02):
                hot(f"UPDATE a SET v = v + 1 WHERE id = {HOT}")

        with beside(touch):
            try:
                scene.goes_by(2.5)  # the others are old enough for anybody
                for _ in range(3):
                    ((before,),) = scene.run(f"SELECT v FROM a WHERE id = {HOT}")
                    scene.read()
                    had += [version(scene, how) >= before > 0 for how in OURS.values()]
            finally:
                stop.set()
    by_lag = set(scene.readers[LAG].held)
    found = scene.lost()

    assert by_lag == {1, 2, 3, 4}
    assert all(had)
    assert not any(found.values())


def version(scene: Scene, how: str) -> int:
    """The version of the hot row that the target has."""
    place = f"{scene.database}.a_{how}"
    ((held,),) = redshift(scene.box.redshift.url, f"SELECT v FROM {place} WHERE id = {HOT}")
    return int(held)
