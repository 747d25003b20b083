"""The `dualseg` command: its subcommands, and what each of them does with errors and signals."""

import io
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import dualseg
from dualseg.cli import (
    ablate,
    benchmark,
    crf_search,
    data,
    edit,
    evaluate,
    export,
    import_,
    inspect,
    models,
    predict,
    prune,
    quickstart,
    recipes_,
    report,
    resume,
    train,
)
from dualseg.cli.console import say
from dualseg.core.errors import InputError
from dualseg.core.memory import keep_freed_memory
from dualseg.core.threads import sleep_soon_when_waiting

DONE, OUR_FAULT, USER_ERROR, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
DEBUG_VARIABLE = "DUALSEG_DEBUG"
COMMANDS = (
    quickstart,
    train,
    resume,
    evaluate,
    predict,
    crf_search,
    ablate,
    benchmark,
    report,
    models,
    recipes_,
    import_,
    export,
    prune,
    inspect,
    edit,
)


class _Raised(BaseException):
    """Carries an error past typer."""

    def __init__(self, error: BaseException):
        self.error = error


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Typer answers these itself: Ctrl-C by silence, a closed pipe by 1, EOFError as Ctrl-C."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError, OSError) as error:
            raise _Raised(error) from error


app = typer.Typer(
    name="dualseg",
    cls=_Commands,
    help="Semantic segmentation that sees at low resolution and answers at high resolution.",
    epilog="Start with: dualseg quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    name = command.__name__.rpartition(".")[2]  # with _ at the end where Python has the word
    app.command(name.strip("_").replace("_", "-"), epilog=command.EXAMPLE)(getattr(command, name))
app.add_typer(data.app, name="data")


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help=f"Show the traceback of an internal error, as {DEBUG_VARIABLE}=1 does; stands "
            "before the command.",
        ),
    ] = False,
) -> None:
    if version:
        print(f"dualseg {dualseg.__version__}")
        raise typer.Exit
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> NoReturn:
    """Runs the command line; leaves with 0 done, 2 wrong input, 1 our fault, 130 or 143 stopped."""
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path goes out as the bytes that it is
        sys.stdout.reconfigure(errors="surrogateescape")
    keep_freed_memory()
    sleep_soon_when_waiting()
    os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")  # nothing untrusted is unpickled
    if hasattr(signal, "SIGUSR1"):  # asks a training to save; around its steps there is nothing to
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(_run())


def _run() -> int:
    from dualseg.training.interruption import Interrupted

    try:
        return _call()
    except typer.Exit as leave:
        return leave.exit_code
    except InputError as error:
        say(f"error: {error}")
        return USER_ERROR
    except Interrupted as interruption:
        say(f"{interruption}; go on with `dualseg resume RUN`, or repeat an ablate or quickstart")
        return interruption.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    except _Terminated:
        say("terminated")
        return TERMINATED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # the option parser's own
            error.show()  # type: ignore[attr-defined]
            return USER_ERROR
        _tell_our_fault(error)
        return OUR_FAULT


def _call() -> int:
    try:
        return app(standalone_mode=False) or DONE
    except _Raised as raised:
        error = raised.error
    raise error


def _tell_our_fault(error: Exception) -> None:
    """What failed, and where; the traceback where it was asked for.

    Processes of torchrun show it always: their logs are all that is left of them.
    """
    if os.environ.get(DEBUG_VARIABLE) or os.environ.get("WORLD_SIZE", "1") != "1":
        traceback.print_exception(error)
        say("this is a fault of dualseg, not yours; please report it with the lines above")
        return
    what = "".join(traceback.format_exception_only(error)).strip()
    say(
        f"error: {what} ({_innermost(error)})\n"
        "this is a fault of dualseg, not yours; please report it with the traceback, which "
        f"`dualseg --debug COMMAND ...` shows, or {DEBUG_VARIABLE}=1"
    )


def _innermost(error: Exception) -> str:
    """File and line of the last call within this package."""
    package = Path(__file__).parents[1]
    calls = [
        (Path(call.filename), call.lineno) for call in traceback.extract_tb(error.__traceback__)
    ]
    path, line = [call for call in calls if call[0].is_relative_to(package)][-1]
    return f"{path.relative_to(package.parent)}, line {line}"


class _Terminated(BaseException):
    """SIGTERM outside training: temporary files are removed on the way out."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _show_warning(
    message: Warning | str, category: type[Warning], *_: object, **__: object
) -> None:
    if not issubclass(category, DeprecationWarning | FutureWarning):
        say(f"warning: {message}")
