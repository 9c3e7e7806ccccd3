"""Endings of a command: exit codes, errors that the user can mend, and reports of bugs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from polyglance import errors
from polyglance.cli import terminal
from polyglance.cli.interruption import INTERRUPTED_EXIT_CODE, STOPPED, Stopped

if TYPE_CHECKING:
    from polyglance.errors import PolyglanceError

BUG_EXIT_CODE = 70
END_IN_A_NAME = re.compile(r"\n(?!\s)")


def run(arguments: list[str]) -> int:
    """Run one command, and say what the user can mend.

    Tokenizers warn about forks that never happen here, transformers about what it loads, and Lance
    about partitions that are empty.
    """
    os.environ.setdefault("LANCE_LOG", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with terminal.streams():
        try:
            return _answer(arguments)
        except errors.PolyglanceError as error:
            return _say(error)
        except OSError as error:
            if os.environ.get("POLYGLANCE_DEBUG"):
                raise
            if error.filename == terminal.OUTPUT and isinstance(sys.stdout, terminal.Visible):
                sys.stdout.drop()
            return _say(errors.of_system(error))
        except Exception as error:
            if _wants_memory(error):
                said = errors.first_line(error) or "no more was said"
                return _say(
                    errors.InputError(
                        f"there is not enough memory for this ({said})",
                        hint="take less at once, as a smaller batch, rank or width, or a machine "
                        "with more memory",
                    )
                )
            if os.environ.get("POLYGLANCE_DEBUG"):
                raise
            raise SystemExit(_say_bug(error, arguments)) from error


def _wants_memory(error: Exception) -> bool:
    """Whether memory was short: Python's own error, or torch's, by name so as not to import it.

    On a processor torch raises RuntimeError and says it in words alone.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (type(error) is RuntimeError and "can't allocate memory" in str(error))
    )


def _answer(arguments: list[str]) -> int:
    """The verb's own work.

    Raises:
        PolyglanceError: As the verb says, and for what cannot be understood as a command.
    """
    import typer

    from polyglance.cli import options, verbs

    exceptions: Any = options.click.exceptions

    for each in arguments:
        if not terminal.is_text(each):
            raise errors.InputError(
                f"{each!r} is not valid UTF-8: a text in another encoding, or a file with such a "
                "name",
                hint="set the terminal to UTF-8, or give the file another name (convmv -t utf8)",
            )
    command = typer.main.get_command(verbs.app)
    try:
        code = command.main(args=arguments, prog_name="polyglance", standalone_mode=False)
        sys.stdout.flush()
    except exceptions.NoArgsIsHelpError as error:
        typer.echo(error.format_message(), err=True)
        return int(error.exit_code)
    except exceptions.UsageError as error:
        raise errors.ConfigError(error.format_message(), hint=_how_to_ask(error, arguments)) from (
            error
        )
    if code == INTERRUPTED_EXIT_CODE:  # before the verb had begun
        raise Stopped(STOPPED)
    return code if isinstance(code, int) else 0


def _how_to_ask(error: Any, arguments: list[str]) -> str:
    """What a command that was not understood should look like."""
    path = error.ctx.command_path if error.ctx is not None else "polyglance"
    hint = f"{path} --help lists what there is"
    dashed = [each for each in arguments if each.startswith("-") and " " in each]
    if dashed or (type(error).__name__ == "NoSuchOption" and "--" not in arguments):
        text = dashed[0] if dashed else "-TEXT"
        hint += f"; what begins with a dash goes last, behind --: {path} ... -- {text!r}"
    return hint


def _say(error: PolyglanceError) -> int:
    """The two lines of an error."""
    import typer

    # Lines of a message go on indented; any other end of a line is in a name that it tells.
    message, hint = (END_IN_A_NAME.sub(r"\\n", said) for said in (error.message, error.hint))
    typer.secho(f"error: {message}", fg="red", err=True)
    typer.secho(f"  -> {hint}", err=True)
    return error.exit_code


def _say_bug(error: Exception, arguments: list[str]) -> int:
    """Two lines for an unexpected error, and a report to send."""
    import platform
    import tempfile
    import traceback

    import typer

    from polyglance import __version__

    told = "".join(traceback.format_exception(error))
    head = f"polyglance {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    where = "POLYGLANCE_DEBUG=1 shows where"
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(prefix="polyglance-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{head}{arguments}\n\n{told}")
        where = f"its report is {name}"
    first = str(error).strip().partition("\n")[0][:200]
    typer.secho(
        f"error: this is a bug in polyglance ({type(error).__name__}: {first})", fg="red", err=True
    )
    typer.secho(f"  -> {where}; please send it with what you did", err=True)
    return BUG_EXIT_CODE
