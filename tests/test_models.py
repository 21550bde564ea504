"""Models compute the paper's equations, and nothing leaks through time, padding or labels."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from emotrace.models import build_model
from emotrace.models.families import list_families, parse_model_name
from emotrace.models.layers import (
    AdditiveAlignment,
    ClipDropout,
    LSTMStack,
    Output,
    shuffle_attention,
)

FAMILIES = [
    "LSTM_5",
    "AT_5",
    "BAT_5",
    "TwoLevel_5",
    "UniformAT_5",
    "UniformTwoLevel_5",
    "BiLSTM_5",
    "Transformer_1",
]
N_FEATURES = 6


def build_random(name: str, *, seed: int = 3, **options: object) -> nn.Module:
    """Build a model whose every weight, biases too, differs from zero."""
    torch.manual_seed(seed)
    options = {"dropout": 0.0, "feedback": True} | options
    model = build_model(name, N_FEATURES, **options).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return model


def draw_clips(*lengths: int, seed: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(lengths), max(lengths), N_FEATURES, generator=generator)
    return features, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def run_lstm(
    weights: dict[str, np.ndarray], layer: int, inputs: np.ndarray, stack: str = "recurrent"
) -> np.ndarray:
    """Run the gates of one layer frame by frame, ``(frames, units)``."""
    prefix = f"{stack}.layers.{layer}."
    input_weights, recurrent_weights = (
        weights[f"{prefix}weight_{kind}_l0"] for kind in ("ih", "hh")
    )
    bias = weights[f"{prefix}bias_ih_l0"] + weights[f"{prefix}bias_hh_l0"]
    units = recurrent_weights.shape[1]
    hidden, cell, states = np.zeros(units), np.zeros(units), []
    for frame in inputs:
        gates = input_weights @ frame + recurrent_weights @ hidden + bias
        enter, forget, candidate, leave = gates.reshape(4, units)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def write_out(
    family: str, n_layers: int, weights: dict[str, np.ndarray], clip: np.ndarray, feedback: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Compute y and alpha of one clip from the paper's equations."""
    hidden = clip
    for layer in range(n_layers):
        hidden = run_lstm(weights, layer, hidden)
    n_frames, units = hidden.shape
    alphas, outputs, previous_output = np.zeros((n_frames, n_frames)), [], 0.0
    for t in range(n_frames):
        context = np.zeros(units)
        previous_state = hidden[t - 1] if t > 0 else np.zeros(units)
        attended = {"LSTM": [], "AT": range(n_frames), "BAT": range(t)}[family]
        if len(attended):
            query = weights["alignment.query.weight"] @ previous_state
            query = query + weights["alignment.query.bias"]
            scores = [
                weights["alignment.score.weight"][0]
                @ np.tanh(query + weights["alignment.key.weight"] @ hidden[j])
                for j in attended
            ]
            for j, score in zip(attended, scores, strict=True):
                alphas[t, j] = math.exp(score) / sum(math.exp(other) for other in scores)
                context += alphas[t, j] * hidden[j]
        state = [*hidden[t], *(context if family != "LSTM" else [])]
        state += [previous_output] if feedback else []
        previous_output = weights["output.linear.weight"][0] @ state
        previous_output += weights["output.linear.bias"][0]
        outputs.append(previous_output)
    return np.array(outputs), alphas


@pytest.mark.parametrize("feedback", [True, False])
@pytest.mark.parametrize("name", ["LSTM_5", "LSTM_7_4", "AT_5", "AT_7_4", "BAT_5", "BAT_7_4"])
def test_models_compute_the_equations_of_the_paper(name: str, feedback: bool) -> None:
    model = build_random(name, feedback=feedback).double()
    features, valid = draw_clips(9)
    predictions, alphas = model(features.double(), valid)
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    family, sizes = parse_model_name(name)
    clip = features[0].double().numpy()
    expected, expected_alphas = write_out(family, len(sizes), weights, clip, feedback)
    np.testing.assert_allclose(predictions[0].detach().numpy(), expected, rtol=1e-9)
    if family == "LSTM":
        assert alphas is None
    else:
        np.testing.assert_allclose(alphas[0].detach().numpy(), expected_alphas, rtol=1e-9)


@pytest.mark.parametrize(("name", "causal"), [("LSTM_5", True), ("BAT_5", True), ("AT_5", False)])
def test_only_attention_over_the_whole_clip_sees_the_future(name: str, causal: bool) -> None:
    model = build_random(name)
    features, valid = draw_clips(12, 12)
    frame = 7
    changed = features.clone()
    changed[:, frame:] = 100 * torch.randn(2, 12 - frame, N_FEATURES)
    with torch.no_grad():
        before, weights_before = model(features, valid)
        after, weights_after = model(changed, valid)
    assert torch.equal(before[:, :frame], after[:, :frame]) is causal
    assert not torch.isclose(before[:, frame:], after[:, frame:]).any()
    if name == "BAT_5":  # the weights of frame 7 rest on frames 0 to 6
        assert torch.equal(weights_before[:, : frame + 1], weights_after[:, : frame + 1])
    if name == "AT_5":
        assert not torch.isclose(weights_before[:, :frame], weights_after[:, :frame]).all()


def write_outputs(
    weights: dict[str, np.ndarray], states: np.ndarray, output: str = "output"
) -> list[float]:
    """Compute y from states, ``(frames, values)``, and the previous y."""
    outputs, previous = [], 0.0
    for state in states:
        previous = weights[f"{output}.linear.weight"][0] @ [*state, previous]
        previous += weights[f"{output}.linear.bias"][0]
        outputs.append(previous)
    return outputs


@pytest.mark.parametrize("sizes", ["5", "7_4"])
def test_controls_differ_from_attention_in_one_thing(sizes: str) -> None:
    features, valid = draw_clips(9)
    clip = features[0].double().numpy()

    uniform = build_random(f"UniformAT_{sizes}").double()
    weights = {key: value.numpy() for key, value in uniform.state_dict().items()}
    hidden = clip
    for layer in range(len(uniform.recurrent.layers)):
        hidden = run_lstm(weights, layer, hidden)
    mean = np.broadcast_to(hidden.mean(axis=0), hidden.shape)
    predictions, _ = uniform(features.double(), valid)
    expected = write_outputs(weights, np.hstack([hidden, mean]))
    np.testing.assert_allclose(predictions[0].detach().numpy(), expected, rtol=1e-9)

    both = build_random(f"BiLSTM_{sizes}").double()
    weights = {key: value.numpy() for key, value in both.state_dict().items()}
    before, after = clip, clip[::-1]
    for layer in range(len(both.forwards.layers)):
        before = run_lstm(weights, layer, before, "forwards")
        after = run_lstm(weights, layer, after, "backwards")
    predictions, _ = both(features.double(), valid)
    expected = write_outputs(weights, np.hstack([before, after[::-1]]))
    np.testing.assert_allclose(predictions[0].detach().numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize(("name", "units"), [("TwoLevel_5", [5]), ("TwoLevel_5_4_3", [4, 3])])
@pytest.mark.parametrize("uniform", [False, True])
def test_two_levels_are_a_weighted_regression_and_a_movement_around_it(
    name: str, units: list[int], uniform: bool
) -> None:
    model = build_random(f"Uniform{name}" if uniform else name).double()
    features, valid = draw_clips(9)
    predictions, alphas = model(features.double(), valid)
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    clip = features[0].double().numpy()
    small = np.tanh(clip @ weights["bottleneck.1.weight"].T + weights["bottleneck.1.bias"])

    scores = [0.0 if uniform else weights["score.weight"][0] @ frame for frame in small]
    shares = [math.exp(score) / sum(math.exp(other) for other in scores) for score in scores]
    mean = sum(share * frame for share, frame in zip(shares, clip, strict=True))
    level = weights["level.1.weight"][0] @ mean * 4 / math.sqrt(N_FEATURES)
    level += weights["level.1.bias"][0]

    before, after = small, small[::-1]
    for layer in range(len(units)):
        before = run_lstm(weights, layer, before, "forwards")
        after = run_lstm(weights, layer, after, "backwards")
    states = np.hstack([before, after[::-1]])
    assert states.shape == (9, 2 * units[-1])
    movement = np.array(write_outputs(weights, states, "movement"))
    expected = level + movement - movement.mean()
    np.testing.assert_allclose(predictions[0].detach().numpy(), expected, rtol=1e-9)
    if uniform:
        assert alphas is None
    else:
        expected_alphas = np.broadcast_to(shares, (9, 9))
        np.testing.assert_allclose(alphas[0].detach().numpy(), expected_alphas, rtol=1e-9)


@pytest.mark.parametrize("name", ["AT_5", "BAT_5", "TwoLevel_5"])
def test_shuffled_attention_deals_each_frames_weights_to_the_frames_it_may_see(name: str) -> None:
    model = build_random(name)
    clips = draw_clips(9, 6)
    with torch.no_grad():
        predictions, weights = model(*clips)
        with shuffle_attention(model, seed=1) as is_shuffled:
            shuffled_predictions, shuffled = model(*clips)
        with shuffle_attention(model, seed=1):
            assert torch.equal(model(*clips)[1], shuffled)
        with shuffle_attention(model, seed=2):
            assert not torch.equal(model(*clips)[1], shuffled)
        assert torch.equal(model(*clips)[0], predictions)  # nothing of it remains
    assert is_shuffled
    assert torch.equal(shuffled.sort().values, weights.sort().values)
    assert torch.equal(shuffled > 0, weights > 0)
    assert not torch.equal(shuffled, weights)
    frame = 4  # a later frame's context is another
    assert not torch.isclose(predictions[:, frame:6], shuffled_predictions[:, frame:6]).any()


@pytest.mark.parametrize(
    "name", ["LSTM_5", "UniformAT_5", "UniformTwoLevel_5", "BiLSTM_5", "Transformer_1"]
)
def test_models_without_their_own_attention_cannot_be_shuffled(name: str) -> None:
    with shuffle_attention(build_random(name), seed=1) as is_shuffled:
        assert not is_shuffled


def test_backward_attention_is_strictly_triangular_and_attention_a_full_square() -> None:
    features, valid = draw_clips(8)
    _, backward = build_random("BAT_5")(features, valid)
    assert torch.equal(backward, backward.tril(-1))
    assert (backward[0].detach().numpy()[np.tril_indices(8, -1)] > 0).all()
    torch.testing.assert_close(backward.sum(-1), torch.tensor([[0.0] + [1.0] * 7]))
    _, full = build_random("AT_5")(features, valid)
    assert (full > 0).all()
    torch.testing.assert_close(full.sum(-1), torch.ones(1, 8))


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_other_clips_change_nothing(name: str) -> None:
    model = build_random(name)
    lengths = (9, 4, 12)
    features, valid = draw_clips(*lengths)
    features = torch.where(valid[..., None], features, 1e3)
    with torch.no_grad():
        together, weights_together = model(features, valid)
        for row, length in enumerate(lengths):
            clip = slice(row, row + 1), slice(0, length)
            alone, weights_alone = model(features[clip], valid[clip])
            torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-5)
            if weights_alone is not None:
                attended = weights_together[row, :length]
                torch.testing.assert_close(
                    attended[:, :length], weights_alone[0], rtol=0, atol=1e-5
                )
                assert not attended[:, length:].any()


@pytest.mark.parametrize("name", FAMILIES)
def test_models_do_not_receive_labels(name: str) -> None:
    model = build_random(name)
    assert list(inspect.signature(model.forward).parameters) == ["features", "valid"]


@pytest.mark.parametrize("feedback", [True, False])
def test_feedback_hands_each_output_to_the_next(feedback: bool) -> None:
    torch.manual_seed(0)
    output = Output(3, feedback)
    states = torch.randn(2, 6, 3, requires_grad=True)
    predictions = output(states)
    predictions[:, -1].sum().backward()
    reached = states.grad.abs().sum(dim=(0, 2)) > 0
    assert reached.tolist() == [feedback] * 5 + [True]
    assert predictions.shape == (2, 6)


def test_initial_weights_are_those_of_keras() -> None:
    torch.manual_seed(0)
    stack = LSTMStack(200, (64, 32), 0.0)
    for layer, n_inputs in zip(stack.layers, (200, 64), strict=True):
        units = layer.hidden_size
        limit = math.sqrt(6 / (n_inputs + 4 * units))
        magnitudes = layer.weight_ih_l0.detach().abs()
        assert 0.99 * limit < magnitudes.max() <= limit
        assert magnitudes.mean() == pytest.approx(limit / 2, rel=0.05)
        recurrent = layer.weight_hh_l0.detach()
        torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(units), atol=1e-5, rtol=0)
        forget_only = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(units)
        assert torch.equal(layer.bias_ih_l0 + layer.bias_hh_l0, forget_only)
        biases = (layer.bias_ih_l0, layer.bias_hh_l0)
        assert sorted(bias.requires_grad for bias in biases) == [False, True]


@pytest.mark.parametrize(
    "linear", [AdditiveAlignment(300).query, AdditiveAlignment(300).key, Output(900, True).linear]
)
def test_linear_layers_start_glorot_uniform_without_bias(linear: nn.Linear) -> None:
    limit = math.sqrt(6 / (linear.in_features + linear.out_features))
    magnitudes = linear.weight.detach().abs()
    assert 0.95 * limit < magnitudes.max() <= limit
    assert linear.bias is None or not linear.bias.any()


def test_dropout_removes_the_same_values_from_all_frames_of_a_clip() -> None:
    torch.manual_seed(0)
    dropout = ClipDropout(0.3)
    dropped = dropout(torch.ones(100, 7, 200))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_works_while_training_and_only_then(name: str) -> None:
    model, clips = build_random(name, dropout=0.5), draw_clips(6, 6)
    without = build_random(name, dropout=0.0)
    assert torch.equal(model(*clips)[0], without(*clips)[0])
    model.train()
    assert not torch.isclose(model(*clips)[0], model(*clips)[0]).any()


@pytest.mark.parametrize(
    ("name", "parsed"),
    [("AT_2048_1024", ("AT", (2048, 1024))), ("Transformer_2", ("Transformer", (2,)))],
)
def test_names_are_a_family_and_its_sizes(name: str, parsed: tuple[str, tuple[int, ...]]) -> None:
    assert parse_model_name(name) == parsed


@pytest.mark.parametrize(
    "name", ["AT", "AT_0", "AT_x", "AT_", "AT_64_", "FOO_3", "", "at_64", "AT_²", "AT_064"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"family followed by sizes"):
        parse_model_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AT_4097", "sizes of AT are at most 4096"),
        ("LSTM" + 9 * "_1", "LSTM takes at most 8 sizes"),
        ("Transformer_9", "sizes of Transformer are at most 8"),
        ("Transformer_2_2", "Transformer takes one size"),
    ],
)
def test_models_too_large_to_train_are_refused(name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_model_name(name)


def test_every_family_can_be_built() -> None:
    assert list_families() == sorted(name.split("_")[0] for name in FAMILIES)


def test_sizes_are_layers_of_a_transformer_and_units_of_the_others() -> None:
    with torch.device("meta"):
        assert len(build_model("Transformer_2", 197, dropout=0, feedback=True).layers) == 2
        largest = build_model("AT_2048_1024", 6373, dropout=0, feedback=True)
    assert [layer.hidden_size for layer in largest.recurrent.layers] == [2048, 1024]
    n_weights = sum(weight.numel() for weight in largest.parameters() if weight.requires_grad)
    assert n_weights == pytest.approx(84e6, rel=0.01)
