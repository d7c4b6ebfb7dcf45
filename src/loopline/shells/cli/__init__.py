"""The command line. Sub-commands are imported when they are used, so that help is instant."""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading

from loopline.shells.cli.group import root


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character still gets the rest
    leave(run(arguments))


def leave(code: int) -> None:
    """End the process at once where nothing is left to do but to take every module apart, which takes longer than many a
    command; where a thread still works, end it as usual."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads any more
        sys.exit(code)
    os._exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run a command; errors become one sentence on stderr and an exit code."""
    import click

    from loopline.core.errors import LooplineError
    from loopline.shells.cli.console import complain

    try:
        answer = root.main(arguments, prog_name="loopline", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        complain(error.format_message(), usage_of(error))
        return 2
    except (click.Abort, KeyboardInterrupt):
        complain("Stopped.", "")
        return 130
    except LooplineError as error:
        complain(error.message, error.hint)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except OSError as error:
        return unforeseen(error, f"{error.filename or 'A file'} cannot be used ({error.strerror or error}).", 5)
    except Exception as error:
        text = (str(error).splitlines() or [""])[0][:300]
        return unforeseen(error, f"Something went wrong inside ({type(error).__name__}: {text}).", 70)
    return answer if isinstance(answer, int) else 0


def unforeseen(error: Exception, message: str, exit_code: int) -> int:
    """What nobody foresaw is one sentence too; LOOPLINE_TRACEBACK=1 shows where it came from."""
    from loopline.shells.cli.console import complain

    if os.environ.get("LOOPLINE_TRACEBACK"):
        raise error
    complain(message, "LOOPLINE_TRACEBACK=1 shows where.")
    return exit_code


def usage_of(error: object) -> str:
    """Where to read how the command is used."""
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows how it is used." if context else ""
