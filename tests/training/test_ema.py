import torch
from torch import nn

from dualseg.training.optimization.ema import WeightAverage


class Counted(nn.Module):
    """One parameter, one float buffer, one counter."""

    def __init__(self, value: float):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("statistic", torch.tensor([value]))
        self.register_buffer("count", torch.tensor(int(value)))


def test_parameters_and_statistics_are_averaged_and_counters_copied():
    average = WeightAverage(Counted(0.0), decay=0.75)
    # far into the run the decay is 0.75: 0 -> 0.25 * 8 = 2 -> 0.75 * 2 + 0.25 * 8 = 3.5
    for expected in (2.0, 3.5):
        average.update(Counted(8.0), step=1000)
        values = average.state_dict()
        assert values["weight"].item() == expected
        assert values["statistic"].item() == expected
        assert values["count"].item() == 8


def test_early_averages_forget_faster():
    average = WeightAverage(Counted(0.0), decay=0.999)
    average.update(Counted(10.0), step=0)  # decay (1 + 0) / (10 + 0) = 0.1
    assert average.state_dict()["weight"].item() == 9.0


def test_the_average_does_not_share_memory_with_the_network_and_learns_nothing():
    model = Counted(1.0)
    average = WeightAverage(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(5.0)
    assert average.state_dict()["weight"].item() == 1.0
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert model.weight.requires_grad


def test_a_restored_average_goes_on_bit_for_bit():
    torch.manual_seed(0)
    networks = [nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last) for _ in range(4)]
    through = WeightAverage(networks[0], decay=0.9)
    for step, network in enumerate(networks):
        through.update(network, step)
        if step == 1:
            saved = {name: value.clone() for name, value in through.state_dict().items()}
    resumed = WeightAverage(networks[3], decay=0.9)
    resumed.load_state_dict(saved)
    for step in (2, 3):
        resumed.update(networks[step], step)
    assert torch.equal(resumed.state_dict()["weight"], through.state_dict()["weight"])
