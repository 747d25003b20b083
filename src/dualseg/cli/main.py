"""The `dualseg` command: its subcommands, and what each of them does with errors and signals."""

import io
import os
import signal
import sys
import traceback
import warnings
from types import FrameType
from typing import Annotated, NoReturn

import typer

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

app = typer.Typer(
    name="dualseg",
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
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"dualseg {dualseg.__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Runs the command line; leaves with 0 done, 2 wrong input, 1 our fault, 130 or 143 stopped."""
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGUSR1"):  # asks a training to save; around its steps there is nothing to
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path goes out as the bytes that it is
        sys.stdout.reconfigure(errors="surrogateescape")
    keep_freed_memory()
    sleep_soon_when_waiting()
    os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")  # nothing untrusted is unpickled
    sys.exit(_run())


def _run() -> int:
    from dualseg.training.interruption import Interrupted

    try:
        return app(standalone_mode=False) or DONE
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
        traceback.print_exc()
        say("this is a fault of dualseg, not yours; please report it with the lines above")
        return OUR_FAULT


class _Terminated(BaseException):
    """SIGTERM outside training: temporary files are removed on the way out."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _show_warning(
    message: Warning | str, category: type[Warning], *_: object, **__: object
) -> None:
    if not issubclass(category, DeprecationWarning | FutureWarning):
        say(f"warning: {message}")
