import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dualseg.checkpoints import model_files
from dualseg.checkpoints.checksums import CHECKSUMS_FILE, checksums
from dualseg.checkpoints.initial_weights import load_initial_weights
from dualseg.checkpoints.model_files import load_model, load_unpruned, read_run_config, save_model
from dualseg.checkpoints.tensors import pack_tensors, read_tensors
from dualseg.core.errors import InputError
from dualseg.core.facts import ModelFacts, default_labels
from dualseg.core.files import DiskFullError
from dualseg.core.labels import LabelSpec, voc_palette
from dualseg.models.catalog import create_model

STAGED = ("sisr_decoder.", "ftm.")


@pytest.fixture
def saved(tmp_path: Path, network: nn.Module, facts: ModelFacts) -> Path:
    save_model(tmp_path / "model", network, facts)
    return tmp_path / "model"


def change_json(folder: Path, **changes) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_saved_network_gives_the_same_logits(saved, network, facts):
    images = torch.randn(1, 3, 33, 47)
    network.eval()
    loaded = load_model(saved)
    assert not loaded.training
    assert loaded.facts == facts
    with torch.no_grad():
        assert torch.equal(loaded(images).logits, network(images).logits)


def test_a_model_is_found_as_a_file_a_folder_or_a_run(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run" / "checkpoints" / "last")
    shutil.copy(saved / "model.safetensors", tmp_path / "mine.safetensors")
    shutil.copy(saved / "model.json", tmp_path / "mine.json")
    for path in (
        saved,
        saved / "model.safetensors",
        tmp_path / "run",
        tmp_path / "mine.safetensors",
    ):
        assert load_model(str(path)).facts.score == 0.5


def test_the_best_checkpoint_of_a_run_is_preferred(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run" / "checkpoints" / "last")
    shutil.copytree(saved, tmp_path / "run" / "checkpoints" / "best")
    change_json(tmp_path / "run" / "checkpoints" / "best", score=0.75)
    assert load_model(tmp_path / "run").facts.score == 0.75


def test_a_dsrl_network_is_loaded_pruned_and_unpruned(tmp_path):
    torch.manual_seed(0)
    model = create_model("fcn", backbone="resnet18", num_classes=3, dsrl=True, auxiliary=True)
    facts = ModelFacts(architecture=model.architecture, labels=default_labels(3), input_scale=0.5)
    save_model(tmp_path, model, facts)
    whole, _ = load_unpruned(tmp_path)
    pruned = load_model(tmp_path)
    assert set(whole.state_dict()) == set(model.state_dict())
    assert not any("sisr" in name or "auxiliary" in name for name in pruned.state_dict())
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(pruned(images).logits, model.eval()(images).logits)


def test_a_pruned_network_can_be_saved_and_loaded_again(tmp_path):
    model = create_model("fcn", backbone="resnet18", num_classes=3, dsrl=True).prune()
    facts = ModelFacts(architecture=model.architecture, labels=default_labels(3), input_scale=0.5)
    save_model(tmp_path, model, facts)
    assert set(load_model(tmp_path).state_dict()) == set(model.state_dict())


def test_what_was_loaded_can_be_saved_and_loaded_again(tmp_path):
    model = create_model("fcn", backbone="resnet18", num_classes=3, dsrl=True, auxiliary=True)
    facts = ModelFacts(architecture=model.architecture, labels=default_labels(3), input_scale=0.5)
    save_model(tmp_path / "whole", model, facts)
    loaded = load_model(tmp_path / "whole")
    assert loaded.facts.architecture == loaded.architecture
    save_model(tmp_path / "pruned", loaded, loaded.facts)
    again = load_model(tmp_path / "pruned")
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(images).logits, loaded(images).logits)


def test_facts_are_written_only_beside_weights_that_are_there(
    tmp_path, monkeypatch, network, facts
):
    def full(path, content):
        raise DiskFullError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(model_files, "write_bytes", full)
        with pytest.raises(DiskFullError):
            model_files.save_model_file(tmp_path / "mine.safetensors", network, facts)
    assert list(tmp_path.iterdir()) == []
    model_files.save_model_file(tmp_path / "mine.safetensors", network, facts)
    assert load_model(tmp_path / "mine.safetensors").facts == facts


@pytest.mark.parametrize("save", [model_files.save_model_file, save_model])
def test_no_weights_are_written_beside_facts_that_json_cannot_hold(tmp_path, network, facts, save):
    wrong = replace(facts, protocol={"scale": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(tmp_path / "mine.safetensors", network, wrong)
    assert list(tmp_path.rglob("*")) == []


def test_the_recipe_of_a_run_is_found_from_the_run_its_links_and_its_files(saved, tmp_path):
    step = tmp_path / "run" / "checkpoints" / "step_00000120"
    shutil.copytree(saved, step)
    (step.parent / "best").symlink_to(step.name)
    (tmp_path / "link").symlink_to(step)
    (tmp_path / "run" / "config.yaml").write_text("seed: 17")
    for path in (tmp_path / "run", step, step / "model.safetensors", tmp_path / "link"):
        assert read_run_config(path).seed == 17


def test_a_recipe_that_stands_near_a_model_is_not_taken_for_its_runs(saved, tmp_path):
    other = tmp_path / "run" / "exports" / "mine"
    shutil.copytree(saved, other)
    in_checkpoints = tmp_path / "run" / "checkpoints" / "step_00000120"
    shutil.copytree(saved, in_checkpoints)
    shutil.copy(saved / "model.safetensors", in_checkpoints / "mine.safetensors")
    shutil.copy(saved / "model.json", in_checkpoints / "mine.json")
    for folder in (tmp_path, saved, tmp_path / "run", other, other.parent):
        (folder / "config.yaml").write_text("strange: yes")
    for path in (saved, other, in_checkpoints / "mine.safetensors"):
        assert read_run_config(path) is None


def test_no_pretrained_weights_are_looked_for_when_loading(saved, facts):
    change_json(saved, architecture={**facts.architecture, "pretrained": "/nowhere/at/all"})
    load_model(saved)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing", "no such file or folder"),
        (".", "looked for checkpoints/best"),
        ("picture.png", "is no model"),
        ("alone.safetensors", r"alone\.json is missing"),
    ],
)
def test_where_no_model_is_the_message_says_what_was_looked_for(tmp_path, monkeypatch, path, said):
    monkeypatch.chdir(tmp_path)
    Path("picture.png").touch()
    Path("alone.safetensors").touch()
    with pytest.raises(InputError, match=said):
        load_model(path)


def test_weights_that_do_not_fit_are_listed(saved):
    weights = read_tensors(saved / "model.safetensors")
    name = next(iter(weights))
    weights["extra"] = weights.pop(name)
    (saved / "model.safetensors").write_bytes(pack_tensors(weights))
    with pytest.raises(InputError) as caught:
        load_model(saved)
    assert caught.value.problems == (f"missing: {name}", "unexpected: extra")


def test_nan_weights_are_refused_on_saving_and_on_loading(saved, tmp_path, network, facts):
    weights = read_tensors(saved / "model.safetensors")
    name = next(name for name in weights if weights[name].ndim == 4)
    weights[name].view(-1)[3] = float("nan")
    (saved / "model.safetensors").write_bytes(pack_tensors(weights))
    with pytest.raises(InputError, match=f"NaN or infinity.*\n.*{name}: 1 of"):
        load_model(saved)
    broken = create_model("fcn", backbone="resnet18", num_classes=3)
    broken.load_state_dict(weights)
    with pytest.raises(InputError, match="NaN or infinity"):
        save_model(tmp_path / "broken", broken, facts)
    assert not (tmp_path / "broken").exists()


def test_weights_that_would_be_infinite_as_float32_are_refused_on_loading(saved):
    weights = read_tensors(saved / "model.safetensors")
    name = next(name for name in weights if weights[name].ndim == 4)
    weights[name] = weights[name].double()
    weights[name].view(-1)[3] = -1e300
    (saved / "model.safetensors").write_bytes(pack_tensors(weights))
    with pytest.raises(InputError, match=f"numbers too large for float32.*\n.*{name}: 1 of"):
        load_model(saved)


def test_a_flipped_bit_is_found_where_checksums_are_known(saved):
    path = saved / "model.safetensors"
    content = bytearray(path.read_bytes())
    sums = checksums({"model.safetensors": bytes(content)})
    (saved / CHECKSUMS_FILE).write_text(json.dumps(sums))
    load_model(saved)
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged.*model\.safetensors has changed"):
        load_model(saved)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "expected a JSON object"),
        ('{"format": "other/9"}', "other/9"),
        ('{"format": "dualseg-model/1"}', "'architecture' is missing"),
    ],
)
def test_a_wrong_facts_file_is_explained(saved, content, said):
    (saved / "model.json").write_text(content)
    with pytest.raises(InputError, match=said):
        load_model(saved)


def test_facts_with_another_number_of_classes_than_the_network_are_refused(saved, facts):
    (saved / "model.json").write_text(
        json.dumps(replace(facts, labels=default_labels(4)).to_dict())
    )
    with pytest.raises(InputError, match="names 4 classes, but the network predicts 3"):
        load_model(saved)


def test_an_architecture_of_another_version_is_explained(saved, facts):
    change_json(saved, architecture={**facts.architecture, "telepathy": True})
    with pytest.raises(InputError, match=r"cannot build the network.*telepathy"):
        load_model(saved)


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (100_000, "does not fit the network"),
        (10_000_000, "does not fit the network"),  # 184 TB, were it filled
        (10**16, "no network can be so large"),
        (10**30, "model.json"),
    ],
)
def test_facts_that_ask_for_more_memory_than_the_weights_are_refused(saved, facts, channels, said):
    options = {"head_options": {"channels": channels}}
    change_json(saved, architecture={**facts.architecture, **options})
    with pytest.raises(InputError, match=said):
        load_model(saved)


def test_values_of_options_that_no_layer_can_have_are_explained(saved, facts):
    change_json(saved, architecture={**facts.architecture, "auxiliary_channels": "wide"})
    with pytest.raises(InputError, match=r"model\.json.*cannot build|auxiliary_channels"):
        load_model(saved)


def test_a_network_of_which_little_is_kept_is_loaded_all_the_same(saved, network, monkeypatch):
    monkeypatch.setattr(model_files, "SLACK", -(10**12))
    loaded = load_model(saved)
    assert all(torch.equal(network.state_dict()[k], v) for k, v in loaded.state_dict().items())


def dsrl_network(stage: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return create_model("fcn", backbone="resnet18", num_classes=3, dsrl={"stage": stage})


def save(folder: Path, model: nn.Module) -> Path:
    save_model(folder, model, ModelFacts(architecture=model.architecture, labels=default_labels(3)))
    return folder


@pytest.mark.parametrize(("stage", "fresh"), [(2, "sisr_decoder."), (3, "ftm.")])
def test_each_stage_starts_from_the_one_before(tmp_path, stage, fresh):
    before = dsrl_network(stage - 1, seed=1)
    path = save(tmp_path / "before", before)
    model = dsrl_network(stage, seed=2)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    new = load_initial_weights(model, path, labels=default_labels(3), may_be_new=STAGED).new_tensors
    assert new
    assert all(name.startswith(fresh) for name in new)
    for name, value in model.state_dict().items():
        assert torch.equal(value, own[name] if name in new else before.state_dict()[name])


def test_damaged_initial_weights_are_refused(tmp_path):
    path = save(tmp_path / "before", dsrl_network(1, seed=1))
    content = bytearray((path / "model.safetensors").read_bytes())
    sums = checksums({"model.safetensors": bytes(content)})
    (path / CHECKSUMS_FILE).write_text(json.dumps(sums))
    content[-2] ^= 1
    (path / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged.*model\.safetensors has changed"):
        load_initial_weights(
            dsrl_network(1, seed=2), path, labels=default_labels(3), may_be_new=STAGED
        )


def test_a_later_stage_does_not_fit_an_earlier_one(tmp_path):
    path = save(tmp_path / "later", dsrl_network(2, seed=1))
    with pytest.raises(InputError, match=r"unexpected: sisr_decoder\."):
        load_initial_weights(
            dsrl_network(1, seed=2), path, labels=default_labels(3), may_be_new=STAGED
        )


def test_parts_that_were_not_declared_new_must_be_in_the_file(tmp_path):
    path = save(tmp_path / "before", dsrl_network(1, seed=1))
    with pytest.raises(InputError, match=r"missing: sisr_decoder\."):
        load_initial_weights(
            dsrl_network(2, seed=2), path, labels=default_labels(3), may_be_new=("ftm.",)
        )


def plain_network(*, num_classes: int = 3) -> nn.Module:
    torch.manual_seed(3)
    return create_model("deeplabv3plus", backbone="resnet18", num_classes=num_classes).eval()


def dsrl_network_of(kind: str) -> nn.Module:
    torch.manual_seed(2)
    options = {"stage": 1, "sssr": kind}
    return create_model("deeplabv3plus", backbone="resnet18", num_classes=3, dsrl=options).eval()


def filled_from(path: Path, plain: nn.Module, kind: str) -> tuple[nn.Module, tuple[str, ...]]:
    facts = ModelFacts(
        architecture=plain.architecture,
        labels=default_labels(plain.architecture["num_classes"]),
    )
    save_model(path, plain, facts)
    model = dsrl_network_of(kind)
    start = load_initial_weights(model, path, labels=default_labels(3), may_be_new=STAGED)
    return model, start.new_tensors


def test_a_plain_network_becomes_the_host(tmp_path):
    plain = plain_network()

    model, new = filled_from(tmp_path, plain, "deconvolution")

    assert new
    assert all(name.startswith("host.predictor.") for name in new)
    for name, value in plain.backbone.state_dict().items():
        assert torch.equal(model.host.backbone.state_dict()[name], value)


@pytest.mark.parametrize("kind", ["deconvolution", "bilinear", "official", "dootmaan", "sanje2v"])
def test_its_classifier_goes_where_the_label_decoder_classifies_the_hosts_features(tmp_path, kind):
    plain = plain_network()

    model, new = filled_from(tmp_path, plain, kind)

    decoder = model.host.predictor
    own = decoder.get_submodule(decoder.host_classifier)
    assert torch.equal(own.weight, plain.predictor.conv.weight)
    assert torch.equal(own.bias, plain.predictor.conv.bias)
    assert f"host.predictor.{decoder.host_classifier}.weight" not in new


@pytest.mark.parametrize(("kind", "apart"), [("bilinear", 1e-5), ("deconvolution", 0.2)])
def test_so_a_trained_network_with_a_new_label_decoder_begins_with_what_it_knows(
    tmp_path, kind, apart
):
    plain = plain_network()
    plain.predictor.conv.weight.data.mul_(100)  # logits as far apart as a trained network's
    model, _ = filled_from(tmp_path, plain, kind)
    images = torch.randn(1, 3, 64, 96)

    with torch.no_grad():
        features = plain.encode(images).features
        known = F.interpolate(
            plain.predictor.conv(features), size=(128, 192), mode="bilinear", align_corners=False
        )
        logits = model(images).logits
        random = dsrl_network_of(kind)(images).logits

    assert (logits - known).abs().max() < apart * known.std()
    assert (random - known).abs().max() > known.std()


def test_a_classifier_of_other_classes_is_left_out(tmp_path):
    model, new = filled_from(tmp_path, plain_network(num_classes=4), "deconvolution")

    assert "host.predictor.coarse.0.weight" in new
    own = dsrl_network_of("deconvolution").state_dict()["host.predictor.coarse.0.weight"]
    assert torch.equal(model.state_dict()["host.predictor.coarse.0.weight"], own)


@pytest.mark.parametrize("kind", ["pixel_shuffle", "bilinear_convolution"])
def test_a_label_decoder_without_such_a_classifier_starts_anew(tmp_path, kind):
    _, new = filled_from(tmp_path, plain_network(), kind)

    predictor = [name for name in dsrl_network_of(kind).state_dict() if ".predictor." in name]
    assert set(new) == set(predictor)


def labels_of(*names: str) -> LabelSpec:
    return LabelSpec(class_names=names, palette=voc_palette(len(names)))


def trained_on(folder: Path, *names: str, dsrl: dict | bool = False) -> nn.Module:
    torch.manual_seed(1)
    trained = create_model("fcn", backbone="test_resnet", num_classes=len(names), dsrl=dsrl).eval()
    save_model(folder, trained, ModelFacts(trained.architecture, labels_of(*names)))
    return trained


def started_on(folder: Path, *names: str, dsrl: dict | bool = False) -> tuple[nn.Module, str]:
    torch.manual_seed(2)
    model = create_model("fcn", backbone="test_resnet", num_classes=len(names), dsrl=dsrl).eval()
    start = load_initial_weights(model, folder, labels=labels_of(*names), may_be_new=STAGED)
    return model, start.about_classes


def test_the_same_classes_in_the_same_order_are_taken_as_they_are(tmp_path):
    trained = trained_on(tmp_path, "road", "car")
    model, said = started_on(tmp_path, "road", "car")
    assert said is None
    assert torch.equal(model.predictor.conv.weight, trained.predictor.conv.weight)


@pytest.mark.parametrize("kind", [None, "deconvolution", "pixel_shuffle", "official", "sanje2v"])
def test_the_same_classes_in_another_order_give_their_logits_in_that_order(tmp_path, kind):
    dsrl = {"stage": 1, "sssr": kind} if kind else False
    trained = trained_on(tmp_path, "road", "car", "sky", dsrl=dsrl)
    model, said = started_on(tmp_path, "sky", "road", "car", dsrl=dsrl)
    assert said.endswith("kept by name: sky, road, car; begun anew: none")
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        expected = trained(images).logits[:, [2, 0, 1]]
        torch.testing.assert_close(model(images).logits, expected, rtol=1e-4, atol=1e-5)


def test_classes_the_weights_do_not_know_begin_anew(tmp_path):
    trained = trained_on(tmp_path, "road", "car")
    model, said = started_on(tmp_path, "cat", "Road")
    assert said.endswith("kept by name: Road; begun anew: cat")
    torch.manual_seed(2)
    fresh = create_model("fcn", backbone="test_resnet", num_classes=2).predictor.conv.weight
    assert torch.equal(model.predictor.conv.weight[1], trained.predictor.conv.weight[0])
    assert torch.equal(model.predictor.conv.weight[0], fresh[0])


def test_rows_of_a_plain_network_are_ordered_in_the_label_decoder(tmp_path):
    trained = trained_on(tmp_path, "road", "car")
    model, _ = started_on(tmp_path, "car", "road", dsrl={"stage": 1})
    coarse = model.host.predictor.coarse[0].weight
    assert torch.equal(coarse, trained.predictor.conv.weight.flip(0))


def test_weights_that_only_number_their_classes_keep_their_rows(tmp_path):
    trained = trained_on(tmp_path, "class_0", "class_1")
    model, said = started_on(tmp_path, "cat", "dog")
    assert said == "it does not name its classes; their rows are kept in order for cat, dog"
    assert torch.equal(model.predictor.conv.weight, trained.predictor.conv.weight)


def test_weights_for_another_number_of_classes_are_refused_with_both_lists(tmp_path):
    trained_on(tmp_path, "road", "car", "sky")
    with pytest.raises(InputError, match=r"3 classes \(road, car, sky\).* has 2 \(road, car\)"):
        started_on(tmp_path, "road", "car")


def test_a_label_decoder_says_that_it_leaves_out_a_classifier_for_another_number(tmp_path):
    trained_on(tmp_path, "road", "car", "sky")
    _, said = started_on(tmp_path, "road", "car", dsrl={"stage": 1})
    assert said.endswith("no row of its classifier is used, all begin anew")
