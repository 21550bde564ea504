"""A fit that is killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from emotrace.training import checkpoint as module
from emotrace.training.checkpoint import Checkpoint
from emotrace.training.fitting import Fitted, fit_model
from tests.training import list_entries, make_corpus, make_part, make_settings, read_run, train
from tests.workflow import ROOT

CPU = torch.device("cpu")
SETTINGS = make_settings(dropout=0.3, weight_decay=0.01, max_epochs=20, patience=4, min_delta=0.02)


def fit(name: str, checkpoint: Checkpoint | None = None, **settings: object) -> Fitted:
    parts = make_part(25, seed=1, noise=0.2), make_part(12, seed=2, noise=0.2)
    return fit_model(name, *parts, replace(SETTINGS, **settings), 5, checkpoint)


def assert_equal(found: Fitted, expected: Fitted) -> None:
    assert found.history == expected.history
    weights = expected.model.state_dict()
    assert found.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(found.model.state_dict()[key], weights[key]) for key in weights)


@pytest.fixture(autouse=True)
def after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 0.0)


class Killed(Exception):
    pass


class Killing(Checkpoint):
    """Interrupts the fit whenever it has saved."""

    def save(self, state: dict[str, Any], device: torch.device) -> None:
        super().save(state, device)
        raise Killed


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
@pytest.mark.parametrize("name", ["LSTM_5", "AT_5_4", "TwoLevel_5", "Transformer_1"])
def test_killed_after_every_epoch_a_fit_ends_with_the_same_bits(
    name: str, optimizer: str, tmp_path: Path
) -> None:
    expected = fit(name, optimizer=optimizer)
    checkpoint = Killing(tmp_path / "checkpoint")
    for epoch in range(1, len(expected.history) + 1):
        with pytest.raises(Killed):
            fit(name, checkpoint, optimizer=optimizer)
        assert len(checkpoint.load(CPU)["history"]) == epoch
        torch.rand(epoch)  # what else draws random numbers meanwhile does not matter
    assert 4 <= len(expected.history) < SETTINGS.max_epochs  # patience came to its end
    assert_equal(fit(name, checkpoint, optimizer=optimizer), expected)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_not_taken(content: bytes | None, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    expected = fit("AT_5", checkpoint)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert checkpoint.load(CPU) is None
    assert_equal(fit("AT_5", checkpoint), expected)


@pytest.mark.parametrize("other", [["cuda", torch.__version__], ["cpu", "2.0.0"]])
def test_a_checkpoint_of_another_device_or_torch_is_not_used(
    other: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    fit("AT_5", checkpoint)
    assert checkpoint.load(CPU) is not None
    monkeypatch.setattr(module, "_name_maker", lambda device: other)
    assert checkpoint.load(CPU) is None


def test_a_state_is_saved_only_when_the_last_is_long_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INTERVAL_S", 3600.0)
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    fit("AT_5", checkpoint)
    assert not checkpoint.path.exists()


KILLED = """
import os, signal
from pathlib import Path
from emotrace.training import checkpoint
from tests.training import make_corpus, train
checkpoint.INTERVAL_S = 0.0
save, saved = checkpoint.Checkpoint.save, []
def save_and_die(self, state, device):
    save(self, state, device)
    saved.append(self.path)
    if len(saved) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.save = save_and_die
train(Path({folder!r}), make_corpus(), max_epochs=3)
"""


@pytest.mark.slow
def test_a_killed_job_leaves_a_checkpoint_and_the_next_one_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "undisturbed", make_corpus(), max_epochs=3)
    folder = tmp_path / "killed"
    program = KILLED.format(folder=str(folder))
    completed = subprocess.run([sys.executable, "-c", program], cwd=ROOT)
    assert completed.returncode == -signal.SIGKILL
    names = [entry.name for entry in list_entries(folder / "store")]
    assert sorted(name.endswith(".checkpoint") for name in names) == [False, True]
    epochs = []
    load = Checkpoint.load

    def count(self: Checkpoint, device: torch.device) -> dict[str, Any] | None:
        state = load(self, device)
        epochs.append(state and len(state["history"]))
        return state

    monkeypatch.setattr(Checkpoint, "load", count)
    train(folder, make_corpus(), max_epochs=3)
    assert epochs == [1]
    assert read_run(folder) == read_run(tmp_path / "undisturbed")
    assert all(not entry.name.startswith(".") for entry in list_entries(folder / "store"))
