"""When to stop before the end: the score has not risen for so many validations."""

from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """Counts validations since the score last rose by more than `min_delta`.

    The best checkpoint is the one with the highest score, whatever `min_delta` is.

    Args:
        patience: Validations without a rise that end the run; None never ends it.
        min_delta: What counts as a rise, in mIoU from 0 to 1.
        reference: Score that the next rise is measured against; None before the first.
        waited: Validations since then.
    """

    patience: int | None = None
    min_delta: float = 0.0
    reference: float | None = None
    waited: int = 0

    def heard(self, miou: float | None) -> None:
        """Counts one validation; a score that does not exist is no rise."""
        if miou is not None and (self.reference is None or miou > self.reference + self.min_delta):
            self.reference, self.waited = miou, 0
        else:
            self.waited += 1

    @property
    def is_over(self) -> bool:
        return self.patience is not None and self.waited >= self.patience
