"""A world in which nothing goes wrong, for whoever asks a port alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.simulation.loop import SeededLoop
from tests.simulation.world import Storm, World

T = TypeVar("T")


def alone(body: Callable[[World], Coroutine[Any, Any, T]], seed: int = 0) -> T:
    """Run the body in a world of its own."""
    rng = random.Random(seed)
    loop = SeededLoop(rng)
    world = World(rng, loop, Storm(0.0, 0, 0, 0))
    try:
        return loop.run_until_complete(body(world))
    finally:
        world.closed = True
        loop.run_until_complete(loop.put_out([]))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
