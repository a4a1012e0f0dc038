"""How much of a matrix is signal: its rank by variational Bayes."""

import numpy as np

# Where a signal begins to be worth its complexity, for matrices of any shape, by the square root of
# their ratio of sides; the paper's approximation of a root that has no closed form.
_THRESHOLD = 2.5129
_GRID = 512


def vbmf_rank(singular_values: np.ndarray, shape: tuple[int, int]) -> int:
    """Returns how many singular values of a matrix stand out of noise of unknown strength.

    Empirical variational Bayesian matrix factorisation has an analytic solution but for the
    strength of the noise, which is found along a line.

    Args:
        singular_values: all of them, in any order.
        shape: of the matrix.

    Returns:
        The rank, 0 where the matrix looks like noise alone.

    Reference:
        Nakajima et al., "Global Analytic Solution of Fully-observed Variational Bayesian Matrix
        Factorization", JMLR 2013.
    """
    short, long = min(shape), max(shape)
    squares = np.sort(np.square(singular_values))[::-1][:short]
    if squares[0] <= 0:
        return 0
    squares = np.maximum(squares, squares[0] * 1e-24)  # Its logarithm is taken.
    ratio = short / long
    edge = _THRESHOLD * np.sqrt(ratio)
    least = (1 + edge) * (1 + ratio / edge)
    noise = _noise(squares, short, long, least)
    return int(np.sum(squares > long * noise * least))


def _noise(squares: np.ndarray, short: int, long: int, least: float) -> float:
    """The variance of the noise that explains a matrix best."""
    ratio = short / long
    # So many directions at most are signal, and what is behind them is noise.
    most = min(int(np.ceil(short / (1 + ratio))) - 1, short - 1)
    upper = squares.sum() / (short * long)
    lower = max(squares[most] / (long * least), squares[most:].mean() / long)
    lower = min(max(lower, upper * 1e-12), upper)
    best = upper
    for _ in range(2):
        tried = np.geomspace(lower, upper, _GRID)
        at = int(np.argmin([_energy(squares / (long * one), ratio, least) for one in tried]))
        best, lower, upper = tried[at], tried[max(at - 1, 0)], tried[min(at + 1, _GRID - 1)]
    return float(best)


def _energy(ratios: np.ndarray, ratio: float, least: float) -> float:
    """The free energy, but for what is the same for every strength of the noise.

    Args:
        ratios: squares of singular values by what noise alone would make them.
        ratio: short by long side.
        least: where signal begins.
    """
    signal = ratios[ratios > least]
    middle = signal - (1 + ratio)
    gain = (middle + np.sqrt(np.maximum(middle**2 - 4 * ratio, 0))) / 2
    bought = np.log1p(gain) + ratio * np.log1p(gain / ratio) - gain
    return float(np.sum(ratios - np.log(ratios)) + bought.sum())
