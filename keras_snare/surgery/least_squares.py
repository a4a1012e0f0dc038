"""Linear least squares from sums over rows, so that the rows need not be kept."""

import numpy as np

# Shares of the inputs' mean variance by which weights may be held to what they were.
_RIDGES = 10.0 ** np.arange(-8, 1.1, 0.5)


class RowMeans:
    """The means over rows of inputs and of what they are to be turned into.

    Args:
        inputs, targets: int, widths of the two.
    """

    def __init__(self, inputs: int, targets: int) -> None:
        self.rows = 0
        self._sums = np.zeros(inputs), np.zeros(targets)

    def add(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Adds rows."""
        self.rows += len(inputs)
        for total, rows in zip(self._sums, (inputs, targets), strict=True):
            total += rows.sum(axis=0)

    @property
    def inputs(self) -> np.ndarray:
        """Mean of the inputs."""
        return self._sums[0] / self.rows

    @property
    def targets(self) -> np.ndarray:
        """Mean of the targets."""
        return self._sums[1] / self.rows

    def constant(self, weights: np.ndarray) -> np.ndarray:
        """Returns the constant that, added to what `weights` give, errs least."""
        return self.targets - self.inputs @ weights


class NormalEquations:
    """What follows from rows of inputs about the weights that turn them into targets.

    Memory is that of the square of the inputs, however many rows there are, and less as long as
    there are fewer rows than inputs.

    Args:
        inputs, targets: int, widths of the two.
        constant: bool, whether the best constant is added to what the weights give.
    """

    def __init__(self, inputs: int, targets: int, constant: bool) -> None:
        self.means = RowMeans(inputs, targets)
        self._constant = constant
        self._few: list[tuple[np.ndarray, np.ndarray]] | None = []
        self._squares = np.zeros((0, 0))
        self._products = np.zeros((0, 0))
        self._energy = 0.0

    def add(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Adds rows."""
        self.means.add(inputs, targets)
        if self._few is None:
            self._sum(inputs, targets)
            return
        self._few.append((inputs, targets))
        if self.means.rows > inputs.shape[1]:
            self.sum_up()

    def sum_up(self) -> None:
        """Holds sums from here on, in the place of the rows themselves."""
        few, self._few = self._few or [], None
        inputs, targets = len(self.means.inputs), len(self.means.targets)
        self._squares, self._products = np.zeros((inputs, inputs)), np.zeros((inputs, targets))
        for rows in few:
            self._sum(*rows)

    def _sum(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self._squares += inputs.T @ inputs
        self._products += inputs.T @ targets
        self._energy += float(np.square(targets).sum())

    def weights(self, held: np.ndarray) -> np.ndarray:
        """Returns the weights that err least, by ridge regression.

        How much they are held to what they were is decided by generalised cross-validation: hardly
        where there are many rows or the targets can be met, more where few rows would be learned by
        heart. Their squared error over the rows is never above that of the weights as they were.

        Args:
            held: array `(inputs, targets)`, the weights as they were.

        Reference:
            Golub, Heath and Wahba, "Generalized Cross-Validation as a Method for Choosing a Good
            Ridge Parameter", Technometrics 1979.
        """
        sizes, axes, missing, error = self._from_few(held) if self._few else self._from_sums(held)
        ridges = _RIDGES * sizes.sum() / len(held)
        found = []
        for ridge in ridges[ridges > 0]:
            shrunk = 1 / (sizes + ridge)
            gained = np.square(missing).sum(axis=1) * shrunk * (2 - sizes * shrunk)
            free = 1 - (float((sizes * shrunk).sum()) + self._constant) / self.means.rows
            if free > 0.01:
                found.append((max(error - float(gained.sum()), 0.0) / free**2, ridge))
        ridge = min(found)[1] if found else ridges[-1]
        return held + axes @ (missing / (sizes + ridge)[:, np.newaxis]) if ridge else held

    def _from_few(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """What is known when the weights are as they were.

        Returns:
            The inputs' variances along their principal axes; these axes, as columns; along them,
            the covariance with what is left of the targets; and the mean square of what is left.
        """
        inputs, targets = (np.concatenate(rows) for rows in zip(*self._few or (), strict=True))
        left = targets - inputs @ held
        if self._constant:
            inputs, left = inputs - self.means.inputs, left - left.mean(axis=0)
        inputs, left = inputs / np.sqrt(len(inputs)), left / np.sqrt(len(inputs))
        sizes, rows = np.linalg.eigh(inputs @ inputs.T)
        real = sizes > 1e-12 * sizes.max(initial=0.0)
        sizes, rows = sizes[real], rows[:, real]
        axes = inputs.T @ rows / np.sqrt(sizes)
        return sizes, axes, axes.T @ (inputs.T @ left), float(np.square(left).sum())

    def _from_sums(self, held: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """The same."""
        rows = self.means.rows
        squares, products, energy = self._squares / rows, self._products / rows, self._energy / rows
        if self._constant:
            inputs, targets = self.means.inputs, self.means.targets
            squares = squares - np.outer(inputs, inputs)
            products = products - np.outer(inputs, targets)
            energy -= float(np.square(targets).sum())
        missing = products - squares @ held
        error = energy - float((held * (products + missing)).sum())
        sizes, axes = np.linalg.eigh(squares)
        return np.maximum(sizes, 0.0), axes, axes.T @ missing, error
