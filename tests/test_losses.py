"""The pair losses against scalar formulas and numerical derivatives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from video2gif.ranking.losses import LossName, curves, pair_loss

NAMES: list[LossName] = ["l1", "l2", "huber", "adaptive_huber"]


def scalar(name: LossName, u: float, delta: float, popularity: float) -> float:
    """PAPER.md, 'Loss', for one pair."""
    l1, l2 = max(0.0, u), max(0.0, u) ** 2
    if name == "l1":
        return l1
    if name == "l2":
        return l2
    if name == "adaptive_huber":
        delta += popularity
    return l2 / 2 if u <= delta else delta * l1 - delta**2 / 2


@pytest.mark.parametrize("name", NAMES)
@given(
    u=st.floats(-5, 10),
    delta=st.floats(0.1, 4),
    popularity=st.floats(0, 1),
)
def test_each_loss_equals_its_scalar_formula(
    name: LossName, u: float, delta: float, popularity: float
) -> None:
    us, popular = torch.tensor([u, 0.3], dtype=torch.float64), torch.tensor([popularity, 0.0])
    loss = pair_loss(name, us, delta=delta, popularity=popular.double())
    expected = [scalar(name, u, delta, float(popular[0])), scalar(name, 0.3, delta, 0)]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: LossName) -> None:
    # Away from the kink of l1 at 0; δ = 1.5 and 1.5 + p lie between the points.
    u = torch.tensor([-2.0, -0.5, 0.4, 1.2, 1.8, 2.2, 4.0], dtype=torch.float64)
    popularity = torch.linspace(0, 1, 7, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: pair_loss(name, x, delta=1.5, popularity=popularity), u.requires_grad_()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_beyond_the_margin_costs_nothing(name: LossName) -> None:
    u = torch.tensor([-3.0, 0.0], requires_grad=True)
    loss = pair_loss(name, u, delta=1.5, popularity=torch.ones(2))
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.tolist() == [0, 0]
    assert u.grad is not None
    assert u.grad[0] == 0


def test_huber_meets_its_line_in_value_and_slope() -> None:
    u = torch.tensor([1.5 - 1e-9, 1.5 + 1e-9], dtype=torch.float64, requires_grad=True)
    loss = pair_loss("huber", u, delta=1.5, popularity=torch.zeros(2))
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert u.grad is not None
    assert loss.detach().numpy() == pytest.approx([1.125, 1.125], abs=1e-8)
    assert u.grad.numpy() == pytest.approx([1.5, 1.5], abs=1e-8)


def test_a_popular_gif_is_penalised_quadratically_for_longer() -> None:
    u = torch.full((2,), 2.4, dtype=torch.float64)
    doubtful, popular = pair_loss(
        "adaptive_huber", u, delta=1.5, popularity=torch.tensor([0.0, 1.0])
    ).tolist()
    assert popular == pytest.approx(0.5 * 2.4**2)
    assert doubtful == pytest.approx(1.5 * 2.4 - 0.5 * 1.5**2)


def test_curves_for_the_figure_hold_every_loss_over_the_same_u() -> None:
    frame = curves(1.5)
    assert list(frame) == ["u", "l1", "l2", "huber", "adaptive_huber_p0", "adaptive_huber_p1"]
    row = frame[frame["u"] == 2].iloc[0]
    assert row["l1"] == pytest.approx(2)
    assert row["l2"] == pytest.approx(4)
    np.testing.assert_allclose(frame["adaptive_huber_p0"], frame["huber"])
