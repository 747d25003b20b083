"""What `dualseg data download` can fetch, and where the rest is to be had."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualseg.core.errors import InputError, nearest
from dualseg.core.files import remove_stale
from dualseg.data.datasets.camvid import LAYOUT as CAMVID_TREE
from dualseg.data.datasets.camvid import ORIGIN as CAMVID_ORIGIN
from dualseg.data.datasets.camvid32 import CAMVID32_LAYOUT
from dualseg.data.datasets.cityscapes import CITYSCAPES_LAYOUT
from dualseg.data.datasets.coco import COCO_LAYOUT
from dualseg.data.datasets.coco_stuff import COCO_STUFF_LAYOUT
from dualseg.data.datasets.inria import INRIA_LAYOUT
from dualseg.data.datasets.layout import Layout
from dualseg.data.datasets.mapillary import MAPILLARY_LAYOUT
from dualseg.data.datasets.pascal_context import CONTEXT_LAYOUT
from dualseg.data.downloading.archives import Limits, unpack
from dualseg.data.downloading.fetch import RemoteFile, fetch

MOST_MEMBERS = 200_000  # VOC has 40 000, SBD 34 000, ADE20K 44 000


@dataclass(frozen=True)
class Download:
    """Archives of a data set that anyone may fetch.

    Args:
        files: All of them, unpacked into one folder.
        terms: On which terms, in one line.
    """

    files: tuple[RemoteFile, ...]
    terms: str


# Sizes and SHA-256 as TensorFlow Datasets publishes them (voc, ade20k); for SBD as torchvision does
# (prototype data sets), with the size its downloads report.
_VOC = RemoteFile(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    num_bytes=1_999_639_040,
    sha256="e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
)
_SBD = RemoteFile(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
    "benchmark.tgz",
    num_bytes=1_419_539_633,
    sha256="6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
)
_ADE20K = RemoteFile(
    "https://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
    num_bytes=967_382_037,
    sha256="7ff1be44964418441f542a7cc1e1a650e7dc0fc275f5d23252bc9bbdbc977b29",
)
_FLICKR = "images are from Flickr, under its terms of use (https://www.flickr.com/help/terms)"
DOWNLOADS: Mapping[str, Download] = {
    "voc": Download((_VOC,), f"PASCAL VOC 2012: {_FLICKR}"),
    "sbd": Download((_SBD,), f"SBD: {_FLICKR}"),
    "voc_aug": Download((_VOC, _SBD), f"PASCAL VOC 2012 and SBD: {_FLICKR}"),
    "ade20k": Download(
        (_ADE20K,),
        "ADE20K: images for non-commercial research and education, annotations under a BSD "
        "licence; read https://ade20k.csail.mit.edu/terms",
    ),
}
_CAMVID = Layout("CamVid (SegNet edition)", (".",), CAMVID_TREE, CAMVID_ORIGIN)
_NO_LICENCE = "no licence of it is known that lets a program fetch it"
_REGISTRATION = "its licence asks each user to register"
_LARGE = "its 20 GB come in several parts, for which a download manager is better"
REFUSED: Mapping[str, tuple[Layout, str]] = {
    "camvid": (_CAMVID, _NO_LICENCE),
    "camvid32": (CAMVID32_LAYOUT, _NO_LICENCE),
    "cityscapes": (CITYSCAPES_LAYOUT, _REGISTRATION),
    "coco": (COCO_LAYOUT, _LARGE),
    "coco_stuff": (COCO_STUFF_LAYOUT, _LARGE),
    "inria": (INRIA_LAYOUT, _LARGE),
    "mapillary": (MAPILLARY_LAYOUT, _REGISTRATION),
    "pascal_context": (CONTEXT_LAYOUT, "it has to be converted"),
}
_SAME_FILES = {
    "camvid32_grouped": "camvid32",
    "coco_things": "coco",
    "mapillary_v2": "mapillary",
    "pascal_context60": "pascal_context",
}


def find_download(name: str) -> Download:
    """The archives of a data set.

    Raises:
        InputError: There is none of the name, or it is to be had elsewhere; the message says where.
    """
    if name in DOWNLOADS:
        return DOWNLOADS[name]
    name = _SAME_FILES.get(name, name)
    if name in REFUSED:
        layout, reason = REFUSED[name]
        raise layout.error(f"it is not downloaded: {reason}")
    raise InputError(f"there is no download {name!r}; {nearest(name, DOWNLOADS)}")


def download_dataset(
    name: str, folder: Path, *, progress: Callable[[int, int], object] | None = None
) -> None:
    """Fetches and unpacks a data set; a broken download goes on where it ended.

    Archives lie in `FOLDER.download` beside the folder until all is unpacked.

    Args:
        name: See `find_download`.
        folder: Made; must not exist yet.
        progress: Called with (bytes fetched, bytes in all) of each archive.

    Raises:
        InputError: See `find_download`, `fetch` and `unpack`; or the folder exists.
    """
    download = find_download(name)
    if folder.exists():
        raise InputError(f"{folder} exists; choose a new folder")
    place = folder.with_name(f"{folder.name}.download")
    archives = [fetch(file, place, progress=progress) for file in download.files]
    unpack(archives, folder, Limits(members=MOST_MEMBERS))
    for archive in archives:
        archive.unlink()
    remove_stale(place)
    if not any(place.iterdir()):
        place.rmdir()
