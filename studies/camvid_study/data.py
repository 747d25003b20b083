"""Where a run's pictures are, and its recipe."""

from pathlib import Path

from camvid_study.plan import Run, recipe_of
from camvid_study.rows import SIZES
from camvid_study.shrunk import SHRUNK_FOLDER, make_shrunk
from camvid_study.splits import split_digest
from dualseg.config import Recipe
from dualseg.data.datasets.camvid import open_camvid


class StudyData:
    """The data of every row.

    Args:
        root: CamVid.
        out: The study's folder; the copy at half size is made there, when a row asks for it.
        threads: Of the processor, for recipes.
        resident: As of `recipe_of`.

    Raises:
        InputError: `root` is no CamVid.
    """

    def __init__(self, root: Path, out: Path, threads: int | None, *, resident: bool = False):
        self.root = root.resolve()
        self.out = out
        self.threads = threads
        self.resident = resident
        self.digest = split_digest(self.root)
        self.num_images = len(open_camvid(self.root, "train"))
        self._recipes: dict[Path, Recipe] = {}

    def folder(self, run: Run) -> Path:
        """Whose pictures have the size of the run's."""
        if SIZES[run.row.size].shrunk:
            return make_shrunk(self.root, self.out / SHRUNK_FOLDER)
        return self.root

    def recipe(self, run: Run) -> Recipe:
        """What it is trained with."""
        if run.folder not in self._recipes:
            self._recipes[run.folder] = recipe_of(
                run,
                data=self.folder(run),
                num_images=self.num_images,
                threads=self.threads,
                resident=self.resident,
            )
        return self._recipes[run.folder]
