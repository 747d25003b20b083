"""Names of files for libraries that take text alone, where a name may be any bytes."""

from pathlib import Path

from dualseg.core.errors import InputError


def utf8_name(path: Path, library: str) -> str:
    """The absolute path, so that a colon or a dash at the start of a name means nothing.

    Args:
        path: Of a file to read or write.
        library: What the message calls the one it is for.

    Raises:
        InputError: The name is no UTF-8, on which OpenCV ends the process.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path} has a name that is no UTF-8, and {library} takes no other; rename it, or the "
            "folder it is in"
        ) from None
    return name
