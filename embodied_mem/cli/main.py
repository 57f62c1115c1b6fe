"""The command `embodied-mem`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

from embodied_mem.cli.console import Console
from embodied_mem.cli.exits import Exit, exit_code
from embodied_mem.cli.parser import build_parser
from embodied_mem.errors import EmbodiedMemError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see exits.py). Errors become one sentence, unless --debug."""
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as leaving:  # argparse printed its sentence or the help
        return int(leaving.code or 0)
    console = Console(machine=args.json, quiet=args.quiet)
    _end_in_order_on_sigterm()
    try:
        return int(args.run(args, console))
    except KeyboardInterrupt:
        console.failure("stopped; what was written stays usable.", Exit.INTERRUPTED, "Interrupted")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # `embodied-mem records | head`
        sys.stderr.close()
        return int(Exit.OK)
    except (EmbodiedMemError, OSError) as error:
        if args.debug:
            raise
        code = exit_code(error) if isinstance(error, EmbodiedMemError) else Exit.STORAGE
        console.failure(_sentence(error), code, type(error).__name__)
        return int(code)
    except Exception as error:
        if args.debug:
            raise
        console.failure(
            f"an unexpected {type(error).__name__} ({_sentence(error)}): run again with --debug and report it.",
            Exit.ERROR,
            "Bug",
        )
        return int(Exit.ERROR)


def _end_in_order_on_sigterm() -> None:
    """What systemd, containers and launch send ends a command as Ctrl-C does. Only the main thread may say so."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and not isinstance(error, EmbodiedMemError):
        return f"{error.filename or 'a file'}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
