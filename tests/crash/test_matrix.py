"""The matrix names every failpoint of the package, and no other."""

from __future__ import annotations

from tests.crash import matrix, names


def test_every_failpoint_of_the_package_is_in_the_matrix_and_no_other() -> None:
    written = set(names.found())
    listed = {place for step in matrix.STEPS for place in step.places}
    assert (sorted(written - listed), sorted(listed - written)) == ([], [])


def test_every_failpoint_is_written_in_one_place() -> None:
    assert {name: count for name, count in names.found().items() if count > 1} == {}


def test_a_cell_is_there_once_and_has_a_reason_where_it_cannot_be() -> None:
    cells = matrix.cells()
    assert len({str(cell) for cell in cells}) == len(cells)
    assert all(len(cell.reason) > 10 for cell in cells if cell.reason)


def test_the_matrix_is_as_large_as_promised() -> None:
    letters = "".join({step.name[0] for step in matrix.STEPS})
    assert len(matrix.applicable(letters)) >= 250
    assert len(matrix.short(letters)) >= 40
