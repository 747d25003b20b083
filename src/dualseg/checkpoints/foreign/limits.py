"""How much a foreign file may ask for before it is refused. Published networks stay far below."""

MAX_DIRECTORY_BYTES = 2_500_000  # of a zip archive's list of members: about 30 000 of them
MAX_GROWTH = 4  # bytes that tensors may take together, in sizes of the file
MAX_TENSORS = 10_000  # 2 500 parameters with the moments and counters of Adam
MAX_STEPS = 400_000  # of a pickle: a tensor takes about thirty; each may cost 100 bytes of memory
MAX_PICKLE_TEXT = 24_000_000  # bytes of texts and numbers that are kept of a pickle
MAX_NAMES = 2_000  # of classes and functions in a pickle
MAX_TEXT = 1_000_000  # bytes of one text; longer ones are skipped, not read
MAX_HEADER_BYTES = 2_500_000  # of a safetensors file: about 20 000 tensors
MAX_DEPTH = 64  # of lists and dictionaries inside each other
MAX_VALUES = 200_000  # plain values beside the weights
MAX_DIMENSIONS = 8
MAX_NAME = 300  # letters of a tensor's name
MAX_PARTS = 64  # networks that a file keeps side by side


class RefusalError(Exception):
    """Why a file is not read, in one line and without its name, which the caller adds."""


def printable(text: str) -> str:
    """The start of a text out of a file, without anything that a terminal would obey."""
    return text[:100].encode("unicode_escape").decode()
