"""Translators: a command that reads texts, one a line, and writes them in English.

Without a pack, people translate a query and then search, so `compare` measures that where a
translator is given.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from polyglance import errors
from polyglance.languages.registry import get_language

TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class CommandTranslator:
    """A program that translates standard input, line by line.

    Attributes:
        command: As a shell would read it, without a shell; `{language}` becomes the ISO 639-3 code
            of the texts, as in `apertium {language}-eng`.
        timeout_seconds: Longest time for one call.
    """

    command: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def __call__(self, texts: Sequence[str], language: str) -> list[str]:
        """Texts of one language in English.

        Args:
            texts: N texts; line breaks in them become spaces.
            language: Their language id.

        Returns:
            N texts.

        Raises:
            UnavailableError: Where the command is absent, fails or takes too long.
            InputError: Where it gives another number of lines.
        """
        code = get_language(language).iso639_3
        argv = [part.replace("{language}", code) for part in shlex.split(self.command)]
        lines = "\n".join(" ".join(text.split()) for text in texts) + "\n"
        try:
            done = subprocess.run(
                argv,
                input=lines,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=self.timeout_seconds,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise errors.UnavailableError(
                f"{' '.join(argv)} does not translate {language}: {said[0] if said else error}",
                hint="try the command by hand, or leave that language out",
            ) from error
        found = done.stdout.removesuffix("\n").split("\n")
        if len(found) != len(texts):
            raise errors.InputError(
                f"{' '.join(argv)} gave {len(found)} lines for {len(texts)}; one a text is needed",
                hint="use a translator that keeps line breaks",
            )
        return found
