"""CamVid as Cambridge published it: 701 frames of 960x720, labels drawn in 32 colours.

The 11 classes of `GROUPS` are those of the SegNet edition (`camvid`), made of the full ones.
"""

from pathlib import Path

from dualseg.core.labels import IGNORE_INDEX, Color, LabelSpec
from dualseg.data.dataset import FileDataset, Pair, RawValues
from dualseg.data.datasets.camvid import CAMVID_LABELS
from dualseg.data.datasets.layout import Layout
from dualseg.data.labels.color_labels import read_color_values

# Name and colour as in label_colors.txt, and the one of the 11 classes it belongs to.
CLASSES = (
    ("Animal", (64, 128, 64), "pedestrian"),
    ("Archway", (192, 0, 128), "building"),
    ("Bicyclist", (0, 128, 192), "bicyclist"),
    ("Bridge", (0, 128, 64), "building"),
    ("Building", (128, 0, 0), "building"),
    ("Car", (64, 0, 128), "car"),
    ("CartLuggagePram", (64, 0, 192), "pedestrian"),
    ("Child", (192, 128, 64), "pedestrian"),
    ("Column_Pole", (192, 192, 128), "pole"),
    ("Fence", (64, 64, 128), "fence"),
    ("LaneMkgsDriv", (128, 0, 192), "road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "road"),
    ("Misc_Text", (128, 128, 64), "sign"),
    ("MotorcycleScooter", (192, 0, 192), "bicyclist"),
    ("OtherMoving", (128, 64, 64), "car"),
    ("ParkingBlock", (64, 192, 128), "pavement"),
    ("Pedestrian", (64, 64, 0), "pedestrian"),
    ("Road", (128, 64, 128), "road"),
    ("RoadShoulder", (128, 128, 192), "pavement"),
    ("Sidewalk", (0, 0, 192), "pavement"),
    ("SignSymbol", (192, 128, 128), "sign"),
    ("Sky", (128, 128, 128), "sky"),
    ("SUVPickupTruck", (64, 128, 192), "car"),
    ("TrafficCone", (0, 0, 64), "pole"),
    ("TrafficLight", (0, 64, 64), "sign"),
    ("Train", (192, 64, 128), "car"),
    ("Tree", (128, 128, 0), "tree"),
    ("Truck_Bus", (192, 128, 192), "car"),
    ("Tunnel", (64, 0, 64), "building"),
    ("VegetationMisc", (192, 192, 0), "tree"),
    ("Wall", (64, 192, 0), "building"),
)
COLORS: tuple[Color, ...] = (*(color for _, color, _ in CLASSES), (0, 0, 0))  # last: Void
VOID = len(CLASSES)
CAMVID32_LABELS = LabelSpec(
    class_names=tuple(name for name, _, _ in CLASSES),
    palette=COLORS[:VOID],
    values={number: number for number in range(VOID)} | {VOID: IGNORE_INDEX},
)
GROUPED_LABELS = LabelSpec(
    class_names=CAMVID_LABELS.class_names,
    palette=CAMVID_LABELS.palette,
    values={
        number: CAMVID_LABELS.class_names.index(group)
        for number, (_, _, group) in enumerate(CLASSES)
    }
    | {VOID: IGNORE_INDEX},
)
CAMVID32_LAYOUT = Layout(
    title="CamVid (960x720)",
    homes=(".", "CamVid", "camvid"),
    tree="701_StillsRaw_full/*.png and LabeledApproved_full/*_L.png",
    origin="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid",
)
VAL_FRAMES = ("0016E5_07959", "0016E5_08159")  # first and last
TEST_FROM = "0001TP_008550"


def open_camvid32(root: Path, split: str, *, grouped: bool = False) -> FileDataset:
    """One split of the usual division: 367 train, 101 val, 233 test.

    Args:
        root: Holds `701_StillsRaw_full/`, or its parent.
        split: train, val or test.
        grouped: The 11 classes of the SegNet edition in place of 31; Void is ignored in both.

    Raises:
        InputError: The layout is another one, or a frame has no label.

    Source: Brostow et al. 2009, "Semantic object classes in video"; the division is that of
        Sturgess et al. 2009, frame by frame as in the SegNet edition's lists.
    """
    CAMVID32_LAYOUT.require_split(split, ("train", "val", "test"))
    home = CAMVID32_LAYOUT.find(root, "701_StillsRaw_full", "LabeledApproved_full")
    images, labels = home / "701_StillsRaw_full", home / "LabeledApproved_full"
    pairs = CAMVID32_LAYOUT.require_files(
        [
            Pair(image.stem, image, labels / f"{image.stem}_L.png")
            for image in sorted(images.glob("*.png"))
            if split_of(image.stem) == split
        ],
        named_by=images,
    )
    spec = GROUPED_LABELS if grouped else CAMVID32_LABELS
    return FileDataset(pairs, spec, split, read_values=_read)


def split_of(frame: str) -> str:
    """The split of a frame, by its name: half a sequence or a whole one each."""
    if frame.startswith("Seq05VD") or (frame.startswith("0001TP") and frame >= TEST_FROM):
        return "test"
    return "val" if VAL_FRAMES[0] <= frame <= VAL_FRAMES[1] else "train"


def _read(pair: Pair) -> RawValues:
    return read_color_values(pair.label, COLORS)
