"""Valid seeds: those that every library which draws here can take."""

from __future__ import annotations

from polyglance import errors

# scikit-learn's are the fewest: numpy takes any from 0, torch up to 64 bits.
MOST = 2**32 - 1


def require(seed: int, *, name: str) -> None:
    """Refuse a seed that cannot be drawn with, before any work.

    Args:
        seed: As given.
        name: What it is called where it is given, as `--seed`.

    Raises:
        ConfigError: Below 0, or too large.

    >>> require(-1, name="--seed")
    Traceback (most recent call last):
        ...
    polyglance.errors.ConfigError: --seed -1: a whole number from 0 to 4294967295 is allowed
      -> give another one, as 0
    """
    if not 0 <= seed <= MOST:
        raise errors.ConfigError(
            f"{name} {seed}: a whole number from 0 to {MOST} is allowed",
            hint="give another one, as 0",
        )
