"""The checks of the stand-in's rules: what each proves, and where it may run.

A check is a coroutine over a `Site`. It names the rule that it shows; with that rule switched off
it must fail, unless it says `proves=False` (the other side of a rule: what the rule lets pass).
The same checks run against a real cluster; those that cannot say why in `only_here`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    rule: str
    name: str
    run: Callable[..., Awaitable[None]]
    case: tuple[Any, ...]
    proves: bool
    only_here: str

    async def __call__(self, at: Any) -> None:
        await self.run(at, *self.case)

    def __str__(self) -> str:
        return f"{self.rule}-{self.name}"


CHECKS: list[Check] = []


def check(
    rule: str,
    cases: Iterable[tuple[Any, ...]] = (),
    *,
    proves: bool = True,
    only_here: str = "",
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Register a check; each case (a title, then arguments) is a check of its own."""

    def register(run: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        titled = list(cases)
        for title, *case in titled or [("",)]:
            name = run.__name__ + (f"[{title}]" if title else "")
            assert not any((c.rule, c.name) == (rule, name) for c in CHECKS), (rule, name)
            CHECKS.append(Check(rule, name, run, tuple(case), proves, only_here))
        return run

    return register
