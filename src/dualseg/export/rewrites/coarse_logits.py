"""Logits at the classifier's own size, for a tail that enlarges them without storing them."""

from torch import Tensor, nn

from dualseg.core.geometry import Size
from dualseg.export.rewrites.copying import replace_module, shared_copy
from dualseg.models.dsrl.sssr_decoder import Bilinear, SSSRDecoder
from dualseg.models.segmentation import Classifier, Prediction, Resizer, SegmentationModel


def stop_before_resizing(model: nn.Module) -> nn.Module:
    """A network whose logits have the size of its head's map.

    `label_map_of(logits, size)` then gives the label map that the network's own enlarged logits
    give, but for exact ties, as long as `size` is the network's input size; with DSRL's label
    decoders that only enlarge twice that, if it is a multiple of the head's stride. Predictors that
    resize with aligned corners, and DSRL's other label decoders, stay as they are.

    Args:
        model: Left as it is; all weights are shared.
    """
    rewritten = shared_copy(model)
    if isinstance(rewritten, SegmentationModel):
        predictor = rewritten.predictor
        if isinstance(predictor, Classifier | Resizer) and not predictor.align_corners:
            replace_module(rewritten, "predictor", CoarsePredictor(predictor))
        if isinstance(predictor, SSSRDecoder) and predictor.only_enlarges:
            replace_module(rewritten, "predictor", CoarseDecoder(predictor))
    return rewritten


class CoarsePredictor(nn.Module):
    """A `Classifier` without its dropout and resizing, or nothing in place of a `Resizer`.

    Shape: (B, C, h, w) -> logits (B, K, h, w)
    """

    def __init__(self, predictor: Classifier | Resizer):
        super().__init__()
        self.conv = predictor.conv if isinstance(predictor, Classifier) else nn.Identity()

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        return Prediction(self.conv(features), features)


class CoarseDecoder(nn.Module):
    """An `SSSRDecoder` that only enlarges, without its last enlargement.

    Shape: (B, C, h, w) -> logits (B, K, ., .) at stride 4 of the input or finer
    """

    def __init__(self, decoder: SSSRDecoder):
        super().__init__()
        assert isinstance(decoder.predict, nn.Sequential)
        self.enlarge = Bilinear(decoder.enlarge)
        self.upsample = decoder.upsample
        self.predict = decoder.predict[:1]  # weights keep their names

    def forward(self, features: Tensor, input_size: Size) -> Prediction:
        features = self.upsample(self.enlarge(features))
        return Prediction(self.predict(features), features)
