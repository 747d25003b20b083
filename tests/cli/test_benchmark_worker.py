"""What one process of a benchmark measures, without the process."""

import torch

from dualseg.cli.benchmark_worker import _images, _start
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.image_spec import ImageSpec

SPEC = {"size": [32, 48], "batch": 1, "threads": 1}


def test_a_host_of_four_bands_is_given_images_of_four_bands():
    architecture = {"name": "fcn", "backbone": "mobilenet_v2", "output_stride": 32}
    architecture |= {"num_classes": 3, "in_channels": 4}
    own = {"architecture": architecture, "model": "", "scale": 1.0}
    run, ready = _start({**SPEC, **own, "runtime": "eager", "rewrites": "none"})
    assert run()["network"] > 0
    assert ready["input_size"] == [32, 48]


def test_images_are_of_the_kind_that_the_file_takes():
    facts = ModelFacts({}, default_labels(3))
    deep = ModelFacts({}, default_labels(3), images=ImageSpec(max_value=65_535))
    assert _images(SPEC, facts).dtype == torch.uint8
    assert _images(SPEC, deep).dtype == torch.float32
    assert torch.equal(_images(SPEC, deep), _images(SPEC, facts).float())
