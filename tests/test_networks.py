"""Networks side by side: equal to their reference, one decode for all, any file as a third."""

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from films import film_of_shots

from video2gif.core.config import ExtractParams, Params
from video2gif.core.errors import EnvironmentProblem, UserError
from video2gif.core.items import Context, compute
from video2gif.core.work import Item
from video2gif.features import lite0, sampled
from video2gif.features.efficientnet import EfficientNetLite0
from video2gif.features.formats.onnx import Graph
from video2gif.features.network import Extraction
from video2gif.features.registry import extraction, extractions, feature_sources, folder_name
from video2gif.features.together import WantedVideo, compute_features
from video2gif.fingerprint.decode import fingerprinting
from video2gif.media import together
from video2gif.media.decode import Decoder
from video2gif.media.together import Reading, read_together, shared

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def extract() -> ExtractParams:
    return Params.load(REPO / "params.yaml").extract


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / "film.mp4")


def pictures() -> np.ndarray:
    """Four pictures of smooth noise, uint8 (4, 224, 224, 3)."""
    small = torch.from_numpy(np.random.default_rng(3).random((4, 3, 9, 9), np.float32))
    large = torch.nn.functional.interpolate(small, (224, 224), mode="bilinear")
    return (255 * large.permute(0, 2, 3, 1).numpy()).astype(np.uint8)


# --- EfficientNet-Lite0 ---


@pytest.mark.skipif(not find_spec("efficientnet_lite_pytorch"), reason="the reference is no extra")
def test_outputs_are_those_of_the_reference_package():
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found]

    reference = EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(lite0.weights_file(), weights_only=True))
    x = torch.from_numpy(sampled.normalised(pictures()))
    with torch.inference_mode():
        appearance, classes = EfficientNetLite0.pretrained()(x)
        expected = reference.eval().extract_features(x).mean(dim=(2, 3))
        torch.testing.assert_close(appearance, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(classes, reference(x), rtol=0, atol=1e-5)


def test_outputs_are_the_ones_on_record():
    """Of the reference package 0.1.0 on these pictures: needs nothing but the weights."""
    appearance, classes = sampled.lite0("torch-fp32", threads=1)(pictures())
    assert appearance.shape == (4, 1280)
    assert classes.argmax(axis=1).tolist() == RECORDED_CLASSES
    np.testing.assert_allclose(classes.max(axis=1), RECORDED_SCORES, atol=1e-4)


@pytest.mark.parametrize("backend", ["openvino-fp32", "opencv-fp32"])
def test_other_runtimes_give_the_same_to_a_hundredthousandth(backend: str):
    # PyTorch first: once OpenVINO has run in a process, PyTorch's own sums differ by 5e-4.
    expected = sampled.lite0("torch-fp32", threads=1)(pictures())
    found = sampled.lite0(backend, threads=1)(pictures())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-5)  # Sums in another order.


def test_the_written_network_is_the_one_that_openvino_makes_of_pytorchs_own():
    """Bit for bit: features of before the ONNX file are those of after."""
    import openvino

    shape = [sampled.BATCH, 3, lite0.SIDE, lite0.SIDE]
    with torch.inference_mode():
        converted = openvino.convert_model(
            EfficientNetLite0.pretrained(),
            example_input=torch.zeros(shape),
            input=openvino.PartialShape(shape),
        )
    expected = sampled._compiled(converted, sampled.normalised, 1)(pictures())
    found = sampled.lite0("openvino-fp32", threads=1)(pictures())
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_weights_read_without_pytorch_are_those_that_pytorch_reads():
    expected = torch.load(lite0.weights_file(), weights_only=True)
    found = lite0.weights()
    assert len(found) == len(expected)
    for name, tensor in expected.items():
        assert np.array_equal(found[name.replace("._", ".").removeprefix("_")], tensor.numpy())


def test_a_backend_whose_package_is_not_there_names_the_extra(
    extract: ExtractParams, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("video2gif.features.backends.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"openvino-fp32 cannot run here.*video2gif\[openvino\]"):
        extraction("efficientnet-lite0", extract, root=REPO)


def test_weights_that_are_not_the_known_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "other.pth").write_bytes(b"weights")
    monkeypatch.setattr(lite0, "weights_file", lambda: tmp_path / "other.pth")
    with pytest.raises(EnvironmentProblem, match="not the known weights"):
        lite0.weights()


# --- pictures sampled in time ---


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        pytest.param([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0, 3, 5, 8], id="10fps"),
        pytest.param([0.0, 0.2499999, 0.5], [0, 1, 2], id="rounded-times"),
        pytest.param([0.0, 3.0, 3.1, 9.0], [0, 1, 3], id="gaps"),
    ],
)
def test_the_first_frame_of_each_quarter_of_a_second_is_looked_at(
    times_s: list[float], expected: list[int]
):
    frames = [(time_s, None) for time_s in times_s]
    found = [place for place, _ in sampled.sampled(frames, 4.0)]  # type: ignore[arg-type]
    assert found == expected


def test_features_go_to_the_segment_in_which_their_picture_stands(
    extract: ExtractParams, video: Path, context: Context
):
    (made,) = extractions(extract, root=REPO)
    with Decoder(video) as decoder:
        n_frames = sum(1 for _ in decoder.frames())
    spans = np.array([[0, 20], [20, 21], [21, n_frames]])
    film = WantedVideo("film", "sha", video, spans)
    ((outcome,),) = compute_features("extract", [made], [film], context)
    found = made.read(context.store.read(outcome.key), spans)
    assert found.rows.shape[1] == 1280
    assert found.classes.shape == (len(found.rows), 1000)
    for (start, end), n_clips in zip(spans, found.n_clips, strict=True):
        assert n_clips == ((found.frames >= start) & (found.frames < end)).sum()
    # Another division of the film is served by the same item.
    other = made.item("film", sha256="sha", path=video, spans=spans[:1])
    assert made.work.key(other.inputs) == outcome.key


def channel_means(path: Path, *, side: int) -> Path:
    """A network that gives each channel's mean of (1, 3, side, side): one GlobalAveragePool."""
    graph = Graph()
    graph.node("GlobalAveragePool", "x", output="y")
    path.write_bytes(graph.file(inputs={"x": (1, 3, side, side)}, outputs={"y": (1, 3, 1, 1)}))
    return path


# --- several networks over one decode ---


def test_networks_together_give_the_bytes_that_each_gives_alone(
    extract: ExtractParams,
    video: Path,
    tmp_path: Path,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
):
    file = channel_means(tmp_path / "means.onnx", side=32)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    both = dataclasses.replace(extract, networks=["efficientnet-lite0", f"{file}@sha256:{digest}"])
    made = extractions(both, root=tmp_path)
    film = WantedVideo("film", "sha", video, np.array([[0, 20]]))
    stages: list[str] = []
    told = Context(context.store, context.mapper, lambda stage, *_: stages.append(stage))
    ((one,), (other,)) = compute_features("extract", made, [film], told)
    assert (one.status, other.status) == ("reused", "reused")  # Both were decoded for at once.
    alone = Context(type(context.store)(tmp_path / "alone"), context.mapper)
    for extraction_, outcome in zip(made, (one, other), strict=True):
        ((single,),) = compute_features("extract", [extraction_], [film], alone)
        assert single.status == "computed"
        assert alone.store.read(single.key) == context.store.read(outcome.key)


def _readings(path: Path, made: Extraction) -> list[Reading]:
    """A film's fingerprint, and one network that looks at it."""
    params = Params.load(REPO / "params.yaml").fingerprint
    args = {"path": str(path), "kind": "video"}
    print_ = Item(id="film", inputs=("sha",), args=args)
    look = made.item("film", sha256="sha", path=path, spans=np.zeros((0, 2)))
    return [Reading(fingerprinting(params), print_), Reading(made.work, look)]


def test_the_fingerprint_and_a_network_share_a_decode_and_stay_the_same(
    extract: ExtractParams, video: Path, tmp_path: Path, context: Context
):
    (made,) = extractions(extract, root=REPO)
    readings = _readings(video, made)
    read_together("decode", [readings], context)
    alone = Context(type(context.store)(tmp_path / "alone"), context.mapper)
    for one_reading in readings:
        compute("alone", one_reading.work, [one_reading.item], alone)
        assert context.store.read(one_reading.key) == alone.store.read(one_reading.key)


def test_a_damaged_film_is_left_to_each_reading(
    extract: ExtractParams, video: Path, tmp_path: Path, context: Context
):
    content = bytearray(video.read_bytes())
    middle = content.index(b"mdat") + 20_000
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    with Decoder(damaged) as decoder:
        assert len(list(decoder.frames())) > 0
        assert decoder.bad_packets > 0
    (made,) = extractions(extract, root=REPO)
    readings = _readings(damaged, made)
    read_together("decode", [readings], context)
    assert not any(context.store.has(one_reading.key) for one_reading in readings)


def test_shared_items_reach_every_reader_and_one_may_stop_early():
    def first_two(items: Iterator[int]) -> list[int]:
        return [next(items), next(items)]

    assert shared(iter(range(50)), [lambda items: sum(items), first_two]) == [1225, [0, 1]]


def test_an_error_of_a_reader_or_of_the_items_is_raised():
    def failing(items: Iterator[int]) -> None:
        next(items)
        raise ValueError("reader")

    def broken() -> Iterator[int]:
        yield 1
        raise OSError("items")

    before = threading.active_count()
    with pytest.raises(ValueError, match="reader"):
        shared(iter(range(1000)), [failing, list])
    with pytest.raises(OSError, match="items"):
        shared(broken(), [list, sum])
    assert threading.active_count() == before


def test_a_network_that_is_there_already_is_not_run_again(
    extract: ExtractParams,
    video: Path,
    tmp_path: Path,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
):
    file = channel_means(tmp_path / "means.onnx", side=32)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    name = f"{file}@sha256:{digest}"
    film = WantedVideo("film", "sha", video, np.array([[0, 20]]))
    first = extractions(dataclasses.replace(extract, networks=[name]), root=tmp_path)
    compute_features("extract", first, [film], context)
    monkeypatch.setattr(together, "_joint_work", None)  # It would be called for two that lack it.
    both = dataclasses.replace(extract, networks=[name, "efficientnet-lite0"])
    outcomes = compute_features("extract", extractions(both, root=tmp_path), [film], context)
    assert [own[0].status for own in outcomes] == ["reused", "computed"]


# --- a network from a file ---


def test_a_file_is_a_network_by_its_path_and_digest(extract: ExtractParams, tmp_path: Path):
    file = channel_means(tmp_path / "means.onnx", side=32)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    name = f"means.onnx@sha256:{digest}"
    made = extraction(name, extract, root=tmp_path)
    assert (made.network.name, made.network.width) == ("means", 3)
    assert (made.network.rows, made.network.columns) == (32, 32)
    rgb = np.zeros((4, 32, 32, 3), np.uint8)
    rgb[:, :, :, 1] = 255
    appearance, classes = sampled.openvino_file(file, digest, threads=1)(rgb)
    np.testing.assert_allclose(appearance, np.tile([-127 / 128, 1, -127 / 128], (4, 1)), rtol=1e-6)
    assert classes.shape == (4, 0)
    chosen = dataclasses.replace(extract, networks=[name])
    sources = feature_sources(chosen, ["means"], root=tmp_path)
    assert sources["means"]["weights"] == f"sha256:{digest}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("resnet", "'resnet' is unknown", id="no-such-network"),
        pytest.param("a.onnx", "sha256:DIGEST", id="no-digest"),
        pytest.param("none.onnx@sha256:0", "No such file", id="missing"),
        pytest.param("text.onnx@sha256:0", "extract.networks says 0", id="other-digest"),
        pytest.param("text.onnx@sha256:TRUE", "OpenVINO does not read it", id="no-network"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_any_item(
    name: str, message: str, extract: ExtractParams, tmp_path: Path
):
    (tmp_path / "text.onnx").write_text("no network")
    true = hashlib.sha256(b"no network").hexdigest()
    with pytest.raises(UserError, match=message):
        extraction(name.replace("TRUE", true), extract, root=tmp_path)


def test_names_of_folders():
    assert folder_name("c3d") == "c3d"
    assert folder_name("weights/mobile.tflite@sha256:0") == "mobile"


RECORDED_CLASSES = [392, 392, 741, 885]
RECORDED_SCORES = [5.7114, 5.91892, 5.16155, 5.02047]
