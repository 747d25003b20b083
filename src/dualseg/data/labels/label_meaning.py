"""What a data set's reader makes of its labels, as a text that is the same in every process."""

from functools import partial

from dualseg.data.dataset import FileDataset, read_label_file


def reader_meaning(dataset: FileDataset) -> str:
    """All that decides what is found in a label besides its file; empty for plain label files.

    Of what is drawn from polygons, looked up in tables or recoloured, these are the reader with its
    arguments, the classes and the split.
    """
    reader = dataset.read_values
    if reader is read_label_file:
        return ""
    return repr((_reader_name(reader), dataset.labels, dataset.split))


def _reader_name(reader: object) -> str:
    """A function's name, with its arguments; of an object its class and what it shows of itself."""
    if isinstance(reader, partial):
        return f"{_reader_name(reader.func)} {reader.args} {sorted(reader.keywords.items())}"
    name = getattr(reader, "__qualname__", None)
    if name is not None:
        return f"{getattr(reader, '__module__', '')}.{name}"
    shown = repr(reader)
    plain = type(reader).__qualname__
    return f"{type(reader).__module__}.{plain if ' at 0x' in shown else shown}"
