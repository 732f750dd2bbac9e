"""Distributions of response times, by their characteristic functions.

Times that follow one another add up, so their characteristic functions multiply. Percentiles come from a
Fourier cosine series (Fang and Oosterlee, A novel pricing method for European options based on Fourier-cosine
series expansions, 2008), which gives the distribution at all points at once.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Spectrum = NDArray[np.complex128]

_TERMS = 1024
_SPREAD = 10.0  # standard deviations beyond the mean that the series covers
_LEAST_SCV = 1e-4  # a constant is drawn as this narrow, so that the series resolves it
_ORDERS = np.arange(1, _TERMS, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Distribution:
    """A time that is never negative: mean (s), variance (s²), characteristic function.

    transform: the characteristic function at pi/width, 2 pi/width, ... for a given width, in seconds.
    """

    mean: float
    variance: float
    transform: Callable[[float], Spectrum]
    _known: dict[float, Spectrum] = field(default_factory=dict, init=False, repr=False)

    @property
    def scv(self) -> float:
        """Squared coefficient of variation; 0 for a time that is always 0."""
        return self.variance / (self.mean * self.mean) if self.mean > 0 else 0.0

    def spectrum(self, width: float) -> Spectrum:
        """The characteristic function for this width, computed once."""
        if width not in self._known:
            self._known[width] = self.transform(width)
        return self._known[width]

    def after(self, other: "Distribution") -> "Distribution":
        """This time and an independent other one, added."""
        if other.mean == 0:
            return self
        if self.mean == 0:
            return other
        return Distribution(
            self.mean + other.mean,
            self.variance + other.variance,
            lambda width: self.spectrum(width) * other.spectrum(width),
        )

    def repeated(self, count: float, share: float) -> "Distribution":
        """The sum of `count` independent such times in `share` of the cases, else 0.

        A count between two whole numbers is a mix of both with that mean.
        """
        fewer = math.floor(count)
        more = count - fewer
        mean = count * self.mean
        variance = count * self.variance + more * (1 - more) * self.mean**2

        def transform(width: float) -> Spectrum:
            one = self.spectrum(width)
            several = _power(one, fewer)
            if more:
                several = several * (1 - more + more * one)
            return np.asarray(1 - share + share * several, dtype=np.complex128)

        return Distribution(share * mean, share * variance + share * (1 - share) * mean**2, transform)

    def cumulative(self, width: float) -> NDArray[np.float64]:
        """Probability of staying within each of the grid points 0 … `width`, `_TERMS` + 1 of them."""
        coefficients = 2 / (_ORDERS * np.pi) * np.asarray(self.spectrum(width).real, dtype=np.float64)
        inner = np.asarray(fft.dst(coefficients, type=1), dtype=np.float64) / 2
        values = np.concatenate([[0.0], inner + _ORDERS / _TERMS, [1.0]])
        return np.asarray(np.maximum.accumulate(np.clip(values, 0.0, 1.0)), dtype=np.float64)

    @property
    def width(self) -> float:
        """A time that this one practically never exceeds, a power of two so that others use the same."""
        reach = max(self.mean + _SPREAD * math.sqrt(self.variance), 1.5 * self.mean)
        return math.ldexp(1.0, math.ceil(math.log2(reach)))

    def percentiles(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Times that these shares of the cases stay within."""
        if self.mean == 0:
            return tuple(0.0 for _ in shares)
        width = self.width
        cumulative = self.cumulative(width)
        result = []
        for share in shares:
            right = int(np.searchsorted(cumulative, share))
            low, high = cumulative[right - 1], cumulative[right]
            result.append((right - 1 + (share - low) / (high - low)) * width / _TERMS)
        return tuple(float(value) for value in result)


def gamma(mean: float, scv: float) -> Distribution:
    """The gamma distribution with this mean and squared coefficient of variation; exponential at scv 1."""
    if mean == 0:
        return Distribution(0.0, 0.0, _nothing)
    spread = max(scv, _LEAST_SCV)
    shape, scale = 1 / spread, mean * spread

    def transform(width: float) -> Spectrum:
        u = _ORDERS * (np.pi / width)
        # (1 - i·scale·u)^-shape by modulus and angle, several times faster than with complex logarithms
        angle = shape * np.arctan(scale * u)
        modulus = np.exp(-0.5 * shape * np.log1p((scale * u) ** 2))
        return np.asarray(modulus * np.cos(angle) + 1j * (modulus * np.sin(angle)), dtype=np.complex128)

    return Distribution(mean, mean * mean * scv, transform)


def waiting(probability: float, mean: float, scv: float) -> Distribution:
    """A wait that happens with this probability; mean over all cases, scv of those that wait."""
    if probability == 0 or mean == 0:
        return Distribution(0.0, 0.0, _nothing)
    wait = gamma(mean / probability, scv)
    return wait.repeated(1, min(probability, 1.0))


def longest(branches: Sequence[tuple[Distribution, float, float]]) -> Distribution:
    """The longest of independent times, each (distribution, count, share) in parallel.

    Its moments are computed from the product of the distributions; the result is a gamma distribution with
    the same mean and variance, which is an approximation.
    """
    width = 2 * max(
        (distribution.width for distribution, _, _ in branches if distribution.mean > 0), default=0.0
    )
    if width == 0:
        return gamma(0.0, 0.0)
    together = np.ones(_TERMS + 1)
    for distribution, count, share in branches:
        if distribution.mean > 0:
            together = together * (1 - share + share * distribution.cumulative(width) ** count)
    grid = np.linspace(0, width, _TERMS + 1)
    beyond = 1 - together
    mean = float(np.trapezoid(beyond, grid))
    variance = max(float(np.trapezoid(2 * grid * beyond, grid)) - mean * mean, 0.0)
    return gamma(mean, variance / (mean * mean) if mean else 0.0)


def _power(base: Spectrum, exponent: int) -> Spectrum:
    """Power by squaring, much faster than numpy's for complex numbers."""
    result = np.ones_like(base)
    while exponent:
        if exponent & 1:
            result = result * base
        base, exponent = base * base, exponent >> 1
    return result


def _nothing(_: float) -> Spectrum:
    return np.ones_like(_ORDERS, dtype=np.complex128)
