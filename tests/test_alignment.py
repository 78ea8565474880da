"""Labels are compared with the outputs that their classes are called by, in whatever order and part of them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import photos
import pytest
import torch
from conftest import Symbench
from PIL import Image as Pil
from test_pretrained import offline, saved, source
from torchvision.models import get_model, get_model_weights

from symbench import open_run
from symbench.base.errors import ConfigError, DataError
from symbench.base.events import Advanced, Event, Finished, Note, Started
from symbench.domains.common.datasets import DATASETS
from symbench.domains.common.datasets.base import Aligned, Arrays
from symbench.domains.images.models.huggingface import Huggingface
from symbench.domains.images.models.timm import Timm
from symbench.domains.images.models.torchvision import Torchvision, imagenet_names
from symbench.face.api import Choices, prepare
from symbench.fields import Category, Image
from symbench.measure.assemble.labels import Labels, match

__all__ = ["offline", "saved"]

MOBILENET = "  m: {use: torchvision/mobilenet_v3_small, pretrained: IMAGENET1K_V1, size: 32}"
TIMM: Any = importlib.import_module("timm.data")
SYNSETS: list[str] = TIMM.ImageNetInfo().label_names()


@pytest.fixture
def network(offline: Path) -> torch.nn.Module:
    """A network of torchvision's whose weights are drawn at random, where its own would have been downloaded to."""
    offline.mkdir(parents=True)
    torch.manual_seed(0)
    module = get_model("mobilenet_v3_small").eval()
    torch.nn.init.normal_(module.classifier[3].weight, std=1.0)  # so that not all images are one class
    torch.save(module.state_dict(), offline / "mobilenet_v3_small-047dcff4.pth")
    return module


def observations(results: Path) -> pd.DataFrame:
    run = open_run(results=results)
    frame = run.store.observations(run.manifest.cells[0].key).to_pandas()
    found: pd.DataFrame = frame[frame.element == 0].sort_values("sample")
    return found


def by_torchvision(network: torch.nn.Module, file: Path) -> int:
    """What the network answers behind the transforms that come with its weights."""
    seen = get_model_weights("mobilenet_v3_small")["IMAGENET1K_V1"].transforms(crop_size=32, resize_size=36)
    with torch.no_grad():
        return int(network(seen(Pil.open(file))[None]).argmax())


@pytest.mark.parametrize("naming", ["names", "synsets", "csv", "by index"])
def test_part_of_imagenet_in_another_order(
    tmp_path: Path, symbench: Symbench, network: torch.nn.Module, naming: str
) -> None:
    """Half of the images are in the class that the network answers: accuracy is that half, unless indices count."""
    names = [each[0] for each in imagenet_names()]
    files = photos.folders(tmp_path / "made", 6)
    answers = [by_torchvision(network, file) for file in files]
    assert len(set(answers)) > 1, "a network that tells nothing apart would pass with other labels"
    assert 0 not in answers
    targets = [answer if i % 2 else 0 for i, answer in enumerate(answers)]
    rows = ["image,label"]
    for file, target in zip(files, targets, strict=True):
        name = SYNSETS[target] if naming == "synsets" else names[target].upper().replace(" ", "_").replace("'", "")
        place = tmp_path / "photos" / name / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.read_bytes())
        rows.append(f"{place.relative_to(tmp_path)},{name}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = "use: csv, path: t.csv, label: label" if naming == "csv" else "use: images, root: photos"
    model = MOBILENET.replace("size: 32", "size: 32, labels: index") if naming == "by index" else MOBILENET
    suite = photos.suite(tmp_path, data, model)
    one = "{group: translations, on: image, reach: 1, border: zero, elements: 1}"
    suite.write_text(suite.read_text().replace("{group: C4, on: image}", one))
    space, _ = prepare(suite, Choices())
    labels = space.dataset_of(space.plan.cells[0]).batch(range(6), canvas=32).targets["label"].tolist()
    expected = pd.factorize(pd.Series(targets).map(lambda target: names[target].upper()), sort=True)[0]
    assert sorted(labels) == sorted(expected.tolist() if naming == "by index" else targets)
    if naming != "names":
        return
    ran = symbench("run", suite, "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    seen = observations(tmp_path / "results")
    assert sorted(seen.prediction) == sorted(answers), "the same pixels as torchvision's transforms make"
    assert sorted(seen.target) == sorted(targets)
    assert (seen.correct == (seen.target == seen.prediction)).all()
    assert seen.correct.sum() == 3


@pytest.mark.usefixtures("network")
def test_a_dry_run_says_how_labels_are_read(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 4, classes=("tench", "goldfish"))
    for more, said in (("", "by name"), (", labels: index", "by index")):
        suite = photos.suite(tmp_path, models=MOBILENET.replace("size: 32", f"size: 32{more}"))
        assert f" {said} " in symbench("run", suite, "--dry-run").out
    photos.folders(tmp_path / "photos", 4, classes=("tench", "godfish"))
    ran = symbench("run", photos.suite(tmp_path, models=MOBILENET), "--dry-run")
    assert ran.code == 2
    assert "models.m: 1 of 3 classes of photos are no output of m: 'godfish' (nearest: 'goldfish')." in ran.err


@pytest.mark.usefixtures("network")
def test_the_outputs_are_part_of_the_key(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 2, classes=("a", "b"))
    found = {}
    for labels in ("index", "{a: 0, b: 1}", "{a: 1, b: 0}", "{a: tench, b: 2}"):
        model = MOBILENET.replace("size: 32", f"size: 32, labels: {labels}")
        space, _ = prepare(photos.suite(tmp_path, models=model), Choices())
        found[labels] = space.plan.cells[0]
    assert found["index"].key == found["{a: 0, b: 1}"].key, "what is the same is measured once"
    assert len({cell.key for cell in found.values()}) == 3
    assert found["{a: tench, b: 2}"].identity["labels"] == (0, 2)


def test_without_timm_synsets_need_it(
    tmp_path: Path, symbench: Symbench, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    del network
    monkeypatch.setitem(sys.modules, "timm", None)
    photos.folders(tmp_path / "photos", 2, classes=("n01440764", "n01484850"))
    ran = symbench("run", photos.suite(tmp_path, models=MOBILENET), "--results", tmp_path / "results")
    assert ran.code == 2
    assert 'models.m: needs the package timm, which is not installed. pip install "symbench[timm]"' in ran.err


# Names.

FULL = [", ".join(lemmas.split(", ")) for lemmas in TIMM.ImageNetInfo().label_descriptions()]
CATEGORIES: list[str] = get_model_weights("resnet18")["IMAGENET1K_V1"].meta["categories"]
OWN = [["cat", "house cat"], ["dog"], ["0"]]


def find(
    classes: Sequence[str] | None,
    names: Sequence[Sequence[str]] | None = None,
    wanted: str | Mapping[str, int | str] | None = None,
    *,
    strict: bool = True,
) -> Labels:
    names = imagenet_names() if names is None else names
    return match(classes, names or None, wanted, strict=strict, model="m", data="d", where="models.m")


@pytest.mark.parametrize(
    ("classes", "outputs"),
    [
        (["tench", "great_white_shark", "Tailed Frog"], (0, 2, 32)),
        (["n02012849", "n01440764"], (134, 0)),
        (["Tinca tinca, tench", "jack_o'_lantern"], (0, 607)),
        (["potters_wheel", "toilet-tissue"], (739, 999)),
        (["crane bird", "crane"], (134, 517)),
        (["maillot", "maillot, tank suit"], (638, 639)),
        (["Cardigan", "cardigan"], (264, 474)),
        (["7", "12"], (7, 12)),
        (SYNSETS, None),
        (FULL, None),
        (CATEGORIES, None),
        ([name.split(",")[0] for name in FULL], None),
        (CATEGORIES[::-1], tuple(range(1000))[::-1]),
    ],
    ids=["marks", "synsets", "synonyms", "more marks", "crane", "maillot", "cardigan", "numbers", "all synsets", "all of WordNet",
         "all of torchvision", "all first names", "backwards"],
)  # fmt: skip
def test_classes_of_imagenet(classes: list[str], outputs: tuple[int, ...] | None) -> None:
    assert find(classes) == Labels("name", outputs)


def test_timm_and_torchvision_mean_the_same_outputs() -> None:
    """Every name of torchvision's that timm knows is the same output, whichever of them the model is from."""
    names = source(Timm, name="resnet10t.c3_in1k", pretrained=True).describe().classes
    assert names[0] == ("tench, Tinca tinca", "tench", "Tinca tinca", "n01440764")
    assert names[134][-1] == "n02012849"
    for i in [
        *range(0, 999, 50),
        CATEGORIES.index("polecat"),
        CATEGORIES.index("skunk"),
        CATEGORIES.index("missile"),
    ]:
        assert find([CATEGORIES[i], "n15075141"], names).outputs == (i, 999)
    assert source(Torchvision, name="resnet18", pretrained=True).describe().classes == imagenet_names()
    assert source(Torchvision, name="resnet18").describe().classes is None
    assert source(Timm, name="resnet10t").describe().classes is None
    larger = source(Timm, name="vit_tiny_patch16_224.augreg_in21k", pretrained=True).describe().classes
    assert (len(larger), larger[0][-1]) == (21843, TIMM.ImageNetInfo("imagenet-21k-goog").label_names()[0])


@pytest.mark.parametrize(
    ("classes", "names", "wanted", "strict", "expected"),
    [
        (None, OWN, None, True, Labels("index")),
        (["x"], (), None, True, Labels("index")),
        (["0", "1", "10", "2"], (), None, True, Labels("number", (0, 1, 10, 2))),
        (["0", "1", "2"], (), None, False, Labels("number")),
        (["0", "1", "10", "2"], (), "index", True, Labels("index")),
        (["0", "x"], (), None, True, Labels("index")),
        (["x", "y"], OWN, None, False, Labels("index")),
        (["x", "y"], OWN, "index", True, Labels("index")),
        (["dog", "cat"], OWN, None, True, Labels("name", (1, 0))),
        (["cat", "dog"], OWN, "name", True, Labels("name")),
        (["0", "cat"], OWN, None, True, Labels("name", (2, 0))),
        (["1", "0"], OWN[:2], None, True, Labels("name", (1, 0))),
        (["x", "cat"], OWN, {"x": 2}, True, Labels("name", (2, 0))),
        (["x", "y"], (), {"x": 7, "y": 3}, True, Labels("name", (7, 3))),
        (["x", "y"], OWN, {"x": "Dog", "y": "house_cat"}, True, Labels("name", (1, 0))),
        (["shark", "tench"], (), "imagenet", True, "1 of 2 classes of d are no output of m: 'shark' (nearest: 'bark')"),
        (["great_white_shark", "tench"], (), "imagenet", True, Labels("name", (2, 0))),
    ],
)  # fmt: skip
def test_when_names_are_compared(
    classes: list[str] | None, names: Any, wanted: Any, strict: bool, expected: Labels | str
) -> None:
    if isinstance(expected, Labels):
        assert match(classes, names or None, wanted, strict=strict, model="m", data="d", where="w") == expected
        return
    with pytest.raises(ConfigError) as caught:
        match(classes, names or None, wanted, strict=strict, model="m", data="d", where="w")
    assert "1 of 2 classes of d are no output of m: 'shark' (nearest: " in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "names", "wanted", "message"),
    [
        (["tench", "gold fish", "goldfich"], None, None, "2 of 3 classes of d are no output of m: 'gold fish' (nearest: 'goldfish'), 'goldfich' (nearest: 'goldfinch')"),
        (["tench", "gold fish"], None, None, "Name them, labels: {'gold fish': 0}, or say labels: index to take label i"),
        ([f"q{i}" for i in range(9)], OWN, None, "9 of 9 classes of d are no output of m: 'q0' (nearest: '0'), 'q1', 'q2', 'q3', 'q4' and 4 more"),
        (["crane", "tench"], None, None, "class 'crane' of d may be output 134 (crane, crane bird) or output 517 (crane) of m"),
        (["maillot"], None, None, "Say which: labels: {'maillot': 638}, or call the class by its WordNet number."),
        (["CARDIGAN"], None, None, "class 'CARDIGAN' of d may be output 264 (Cardigan) or output 474 (cardigan) of m"),
        (["dog", "Dog"], OWN, None, "classes 'dog' and 'Dog' of d are both output 1 of m"),
        (["1", "3"], OWN[:2], None, "class '3' of d is to be output 3 of m, expected 0 to 1."),
        (["x"], OWN, {"x": 3}, "class 'x' of d is to be output 3 of m, expected 0 to 2."),
        (["x"], OWN, {"x": "dogg"}, "got 'dogg', expected one of cat, house cat, dog, 0. Did you mean 'dog'?"),
        (["x"], (), {"x": "dog"}, "got 'dog', expected a number, as the outputs of m have no names."),
        (["1", "01"], (), None, "classes '1' and '01' of d are both output 1 of m"),
        (["x", "y"], (), {"x": 1}, "1 of 2 classes of d are no output of m: 'y'."),
        (["x"], (), "name", "the outputs of m have no names to compare."),
        (None, OWN, "name", "the classes of d have no names to compare."),
        (["n01440764", "n99999999"], None, None, "1 of 2 classes of d are no output of m: 'n99999999'"),
    ],
)  # fmt: skip
def test_what_is_never_guessed(classes: list[str], names: Any, wanted: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(classes, names, wanted)
    assert "models.m: " in str(caught.value)
    assert message in str(caught.value)


def test_names_of_image_classifiers(saved: Path, tmp_path: Path) -> None:
    settings = json.loads((saved / "vit" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "id2label": {"0": "cat, house cat", "1": "dog"}}))
    known = source(Huggingface, path=str(tmp_path), pretrained=True).describe()
    assert known.classes == (("cat, house cat", "cat", "house cat"), ("dog",))
    assert source(Huggingface, path=str(saved / "vit"), pretrained=True).describe().classes is None, (
        "LABEL_0 is no name"
    )
    assert source(Huggingface, path=str(tmp_path)).describe().classes is None


# What a user brings.

NET = (
    "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    classes = ['dog', 'bird', 'cat']\n\n"
    "    def forward(self, x):\n        return torch.eye(3)[[2]].expand(len(x), 3) + 0 * x.mean((1, 2, 3))[:, None]\n\n\n"
    "def build():\n    return Net()\n"
)


def test_a_module_of_ones_own_names_its_outputs(tmp_path: Path, symbench: Symbench) -> None:
    photos.folders(tmp_path / "photos", 6)
    suite = photos.suite(tmp_path, models='  mine: {use: "net.py:build", size: 9}')
    (tmp_path / "net.py").write_text(NET)
    assert symbench("run", suite, "--results", tmp_path / "results").code == 0
    seen = observations(tmp_path / "results")
    assert seen.target.value_counts().to_dict() == {2: 3, 0: 3}
    assert (seen.correct == (seen.target == 2)).all()


def test_what_is_trained_here_knows_its_classes(tmp_path: Path, symbench: Symbench) -> None:
    """Measured on part of the classes that it was trained on: the second one is still its second output."""
    photos.folders(tmp_path / "whole" / "train", 8)
    photos.folders(tmp_path / "whole" / "test", 4)
    photos.folders(tmp_path / "part", 4, classes=("dog",))
    photos.folders(tmp_path / "other", 4, classes=("one", "two"))
    text = photos.suite(tmp_path, 'use: images, root: "whole/{split}"').read_text()
    for data, labels in (("part", [1]), ("other", [0, 1])):
        more = f"  rest: {{use: images, root: {data}}}\nmodels:"
        model = "  m: {use: cnn, width: 2, size: 9, train: {on: photos, epochs: 1}}"
        suite = tmp_path / "photos.yaml"
        suite.write_text(text.replace("models:", more).replace(photos.MINE, model))
        ran = symbench("run", suite, "--results", tmp_path / "results")
        assert ran.code == 0, ran.err
        run = open_run(results=tmp_path / "results")
        key = next(cell.key for cell in run.manifest.cells if cell.dataset == "rest")
        assert sorted(set(run.store.observations(key).to_pandas().target.dropna())) == labels


def test_the_rule_of_valid_labels_hears_the_datas_own() -> None:
    heard: list[int] = []

    def valid(label: int, element: Mapping[str, float]) -> bool:
        del element
        heard.append(label)
        return label == 1

    labels = torch.tensor([0, 1, 2])
    whole = Arrays(
        {"image": torch.rand(3, 1, 4, 4)}, {"label": labels},
        fields={"image": Image()}, target_fields={"label": Category(3)}, valid=valid,
    )  # fmt: skip
    data = Aligned(whole, [7, 5, 9])
    assert data.batch([0, 1, 2]).targets["label"].tolist() == [7, 5, 9]
    assert data.valid is not None
    assert [data.valid(output, {}) for output in (7, 5, 9)] == [False, True, False]
    assert heard == [0, 1, 2]
    with pytest.raises(DataError, match="labels go from 0 to 2, expected 0 to 1"):
        Aligned(whole, [7, 5]).batch([0, 1, 2])


def test_looking_through_files_is_heard_of(tmp_path: Path) -> None:
    photos.folders(tmp_path / "photos", 150)
    for _ in range(2):  # the second time, all is remembered
        heard: list[Event] = []
        prepare_with = photos.suite(tmp_path)
        prepare(prepare_with, Choices(), heard.append)
        assert heard[0] == Started("looking through photos", 150, "images")
        assert [event for event in heard if not isinstance(event, Note)][-1] == Finished()
        assert sum(event.steps for event in heard if isinstance(event, Advanced)) == 150
        assert len(heard) >= 4


def test_progress_ends_where_looking_fails(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0.png").write_bytes(b"")
    heard: list[Event] = []
    row, _ = DATASETS.find("images")
    options = row.options.model_validate({"root": "photos"}).model_dump()
    with pytest.raises(ConfigError, match="none of 1 files can be read"):
        row.load()(**options, folder=tmp_path, where="datasets.photos", listen=heard.append)
    assert [type(event) for event in heard] == [Started, Advanced, Advanced, Finished]


@pytest.mark.parametrize(
    ("names", "model", "outputs"),
    [
        ([str(i) for i in range(12)], '{use: "model.py:build", size: 9, args: {classes: 12}}', (0, 1, 10, 11, *range(2, 10))),
        ([str(i) for i in range(12)], "{use: cnn, size: 9}", (0, 1, 10, 11, *range(2, 10))),
        (["3", "12"], "{use: cnn, size: 9}", None),
    ],
    ids=["own code", "built for all of them", "built for two"],
)  # fmt: skip
def test_folders_called_by_numbers_are_outputs_by_number(
    tmp_path: Path, names: list[str], model: str, outputs: tuple[int, ...] | None
) -> None:
    photos.folders(tmp_path / "photos", len(names), classes=tuple(names))
    suite = photos.suite(tmp_path, models=f"  mine: {model}")
    space, _ = prepare(suite, Choices(results=tmp_path / "results"))
    assert space.plan.cells[0].labels == Labels("index" if outputs is None else "number", outputs)
    if outputs:
        dataset = space.dataset_of(space.plan.cells[0])
        assert dataset.batch(range(12)).targets["label"].tolist() == list(outputs)
