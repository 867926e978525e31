"""The pair losses against scalar formulas and numerical derivatives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from video2gif.ranking.losses import (
    LossName,
    PairLossName,
    classification,
    curves,
    listwise,
    pair_loss,
    ranking_loss,
)

NAMES: list[PairLossName] = ["l1", "l2", "huber", "adaptive_huber"]


def scalar(name: PairLossName, u: float, delta: float, popularity: float) -> float:
    """docs/paper.md, Loss, for one pair."""
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
    name: PairLossName, u: float, delta: float, popularity: float
) -> None:
    us, popular = torch.tensor([u, 0.3], dtype=torch.float64), torch.tensor([popularity, 0.0])
    loss = pair_loss(name, us, delta=delta, popularity=popular.double())
    expected = [scalar(name, u, delta, float(popular[0])), scalar(name, 0.3, delta, 0)]
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: PairLossName) -> None:
    # Away from the kink of l1 at 0; δ = 1.5 and 1.5 + p lie between the points.
    u = torch.tensor([-2.0, -0.5, 0.4, 1.2, 1.8, 2.2, 4.0], dtype=torch.float64)
    popularity = torch.linspace(0, 1, 7, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: pair_loss(name, x, delta=1.5, popularity=popularity), u.requires_grad_()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_beyond_the_margin_costs_nothing(name: PairLossName) -> None:
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


# The losses that are not functions of u


def scalar_listwise(positive: list[float], negative: list[float], group: list[int]) -> list[float]:
    """−log of the softmax share of each pair's positive among its group, one pair at a time."""
    found = []
    for p, g in zip(positive, group, strict=True):
        others = [n for n, other in zip(negative, group, strict=True) if other == g]
        found.append(math.log(sum(math.exp(x - p) for x in [p, *others])))
    return found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-8, 8)), min_size=1, max_size=12),
    st.lists(st.floats(-8, 8), min_size=4, max_size=4),
)
def test_listwise_equals_its_scalar_formula(
    pairs: list[tuple[int, float]], by_group: list[float]
) -> None:
    group, negative = [g for g, _ in pairs], [n for _, n in pairs]
    positive = [by_group[g] for g in group]
    double = {"dtype": torch.float64}
    found = listwise(
        torch.tensor(positive, **double), torch.tensor(negative, **double), torch.tensor(group)
    )
    expected = scalar_listwise(positive, negative, group)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_classification_equals_its_scalar_formula(positive: float, negative: float) -> None:
    found = classification(*torch.tensor([[positive], [negative]], dtype=torch.float64))
    expected = math.log1p(math.exp(-positive)) + math.log1p(math.exp(negative))
    # log1p(exp(x)) is x from 20 on (torch's threshold): off by 2e-9 at most.
    assert float(found) == pytest.approx(expected, rel=1e-8, abs=3e-9)


def test_listwise_does_not_overflow() -> None:
    u = torch.tensor([0.0, 0.0]), torch.tensor([1e4, -1e4])
    assert torch.isfinite(listwise(*u, torch.tensor([0, 0]))).all()


ALL: list[LossName] = [*NAMES, "classification", "listwise"]


@pytest.mark.parametrize("name", ALL)
def test_gradients_by_score_equal_finite_differences(name: LossName) -> None:
    positive = torch.tensor([0.3, 0.3, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    negative = torch.tensor([0.1, 0.9, 3.1, -0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p, n: ranking_loss(
            name,
            positive=p,
            negative=n,
            group=torch.tensor([0, 0, 1, 2]),
            delta=1.5,
            popularity=torch.full((4,), 0.2, dtype=torch.float64),
        ),
        (positive, negative),
    )


@pytest.mark.parametrize("name", ALL)
def test_a_better_order_never_costs_more(name: LossName) -> None:
    def cost(lead: float) -> float:
        loss = ranking_loss(
            name,
            positive=torch.tensor([lead / 2]),
            negative=torch.tensor([-lead / 2]),
            group=torch.tensor([0]),
            delta=1.5,
            popularity=torch.zeros(1),
        )
        return float(loss)

    costs = [cost(lead) for lead in np.linspace(-4, 4, 33)]
    assert costs == sorted(costs, reverse=True)
