"""Pareto fronts of objective value and latency."""

from collections.abc import Sequence

from hat.search.problem import Candidate


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the Pareto front of fully evaluated candidates by objective value and upper bound, fastest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda found: (found.bound_ms, found.rank)):
        if candidate.whole and (not front or candidate.objective_value < front[-1].objective_value):
            front.append(candidate)
    return front


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Compute the area that points (latency, loss) dominate below a reference point (Zitzler and Thiele, 1999).

    Args:
        points: any; those outside the reference count nothing.
        reference: the largest latency and loss that count.
    """
    area, loss = 0.0, reference[1]
    inside = sorted(point for point in points if point[0] < reference[0] and point[1] < reference[1])
    for index, (latency, value) in enumerate(inside):
        loss = min(loss, value)
        following = inside[index + 1][0] if index + 1 < len(inside) else reference[0]
        area += (following - latency) * (reference[1] - loss)
    return area
