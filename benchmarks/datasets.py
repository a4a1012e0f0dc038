"""Real data for the benchmarks, with one fixed train, validation and test split each.

The validation part decides everything that is decided (epoch, pruned layer, accepted trial);
the test part is for one figure at the very end. Both splits are rules on the order of the
published files, so that they need no random numbers and are the same on every machine.

The environment variable `KERAS_SNARE_DATA` names the folder of the files `mnist.npz` and
`hapt_windows.npz`, and of the folder `fashion-mnist`.
"""

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

DATA_VARIABLE = "KERAS_SNARE_DATA"
FILTER_WIDTH = 10
VALIDATION_SUBJECTS = (1, 8, 17, 25, 30)

_VALIDATION_STRIDE = 12
_FASHION_MNIST_FILES = (
    "train-images-idx3",
    "train-labels-idx1",
    "t10k-images-idx3",
    "t10k-labels-idx1",
)
_ACTIVITY_KEYS = (
    "x_train",
    "y_train",
    "subject_train",
    "x_test",
    "y_test",
    "scale",
    "channels",
)
_ACTIVITY_CHANNELS = ("total_acc_x", "total_acc_y", "total_acc_z")


@dataclass(frozen=True)
class Dataset:
    """A labelled data set in three parts that share no example.

    Args:
        name: Short name of the data set.
        source: The file or loader that the arrays were read from.
        x_train: Training inputs, float32, examples along axis 0.
        y_train: Training labels, int32, of shape `(examples,)`.
        x_validation: Inputs that decide between epochs and between networks.
        y_validation: Labels of `x_validation`.
        x_test: Inputs for the final figure only.
        y_test: Labels of `x_test`.
    """

    name: str
    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_mnist(*, flat: bool = False) -> Dataset:
    """MNIST as 55,000 training, 5,000 validation and 10,000 test images in 0..1.

    Every twelfth of the 60,000 published training images validates, so that the
    validation part covers the whole of the published order. Without a local file,
    `keras.datasets.mnist` is asked.

    Args:
        flat: Whether an image is a row of 784 features instead of `(28, 28, 1)`.

    Returns:
        The data set; `x_*` of shape `(examples, 28, 28, 1)` or `(examples, 784)`.
    """
    path = _local_file("mnist.npz")
    if path is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        source = "keras.datasets.mnist"
    else:
        with np.load(path, allow_pickle=False) as arrays:
            x_train, y_train = arrays["x_train"], arrays["y_train"]
            x_test, y_test = arrays["x_test"], arrays["y_test"]
        source = _describe(path)
    return _split_images("mnist", source, (x_train, y_train), (x_test, y_test), flat)


def load_fashion_mnist(*, flat: bool = False) -> Dataset:
    """Fashion-MNIST, split and shaped as `load_mnist` does it.

    The local files are the four published ones, in the folder `fashion-mnist`. Without them,
    `keras.datasets.fashion_mnist` is asked.

    Args:
        flat: Whether an image is a row of 784 features instead of `(28, 28, 1)`.

    Returns:
        The data set; `x_*` of shape `(examples, 28, 28, 1)` or `(examples, 784)`.
    """
    paths = [_local_file(f"fashion-mnist/{name}-ubyte.gz") for name in _FASHION_MNIST_FILES]
    if None in paths:
        (x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
        source = "keras.datasets.fashion_mnist"
    else:
        x_train, y_train, x_test, y_test = map(_read_idx, filter(None, paths))
        source = _describe(paths[0])
    return _split_images("fashion_mnist", source, (x_train, y_train), (x_test, y_test), flat)


def _read_idx(path: Path) -> np.ndarray:
    """An array of bytes: four of them say the type and the rank, then four each the length."""
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def load_activity_windows(*, unseen_people: bool = False) -> Dataset:
    """Accelerometer windows of six activities.

    Windows of 128 samples (2.56 s at 50 Hz) of a waist-worn smartphone, cut from the raw
    HAPT recordings. As in the thesis: the three axes of the total acceleration, a moving
    average of width 10, then each channel to mean 0 and deviation 1 by the statistics of
    the training part. The 9 official test persons stay as they are.

    Of each activity of each of the 21 training persons, the last fifth of the windows
    validates. Neighbouring windows overlap by half, so the window before that fifth is left
    out; training and validation share no sample.

    Args:
        unseen_people: Whether whole persons validate instead: the first of the 21 and every
            fifth after that (1, 8, 17, 25, 30). Persons differ more than networks do: by which
            of the five such choices validates, the uncut network scores 83 to 97 %. This one
            is the median of the five.

    Returns:
        The data set; `x_*` of shape `(windows, 128, 3)`: time, then axes x, y, z.

    Raises:
        FileNotFoundError: `hapt_windows.npz` is not in the folder `KERAS_SNARE_DATA`.
        ValueError: The file lacks an array, or the channels in question.
    """
    path = _local_file("hapt_windows.npz")
    if path is None:
        raise FileNotFoundError(
            "The activity windows need the file 'hapt_windows.npz' in the folder that the "
            f"environment variable {DATA_VARIABLE} names. Received: {DATA_VARIABLE}="
            f"{os.environ.get(DATA_VARIABLE)!r}. Set it to a folder that holds the file "
            f"(arrays {', '.join(_ACTIVITY_KEYS)}); there is no download to fall back to."
        )
    arrays = _read_activity_arrays(path)
    channel_names = [str(name) for name in arrays["channels"]]
    axes = [channel_names.index(name) for name in _ACTIVITY_CHANNELS]
    x_train, x_test = (
        moving_average(arrays[key][:, :, axes] * arrays["scale"], FILTER_WIDTH)
        for key in ("x_train", "x_test")
    )
    if unseen_people:
        in_validation = np.isin(arrays["subject_train"], VALIDATION_SUBJECTS)
        left_out = np.zeros_like(in_validation)
    else:
        in_validation, left_out = _last_fifths(arrays["subject_train"], arrays["y_train"])
    x_train, y_train, in_validation = (
        held[~left_out] for held in (x_train, arrays["y_train"], in_validation)
    )
    mean = x_train[~in_validation].mean(axis=(0, 1), dtype="float64")
    deviation = x_train[~in_validation].std(axis=(0, 1), dtype="float64")
    x_train, x_test = (
        ((windows - mean) / deviation).astype("float32") for windows in (x_train, x_test)
    )
    return _split(
        "activity_windows",
        f"{_describe(path)}, {'unseen people' if unseen_people else 'last fifths'} validate",
        (x_train, y_train),
        (x_test, arrays["y_test"]),
        in_validation=in_validation,
    )


def _last_fifths(people: np.ndarray, activities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which windows validate, and which are left out since they overlap with one that does."""
    in_validation, left_out = np.zeros((2, len(people)), dtype=bool)
    for person in np.unique(people):
        for activity in np.unique(activities):
            windows = np.flatnonzero((people == person) & (activities == activity))
            count = max(1, round(len(windows) / 5))
            in_validation[windows[-count:]] = True
            left_out[windows[-count - 1]] = True
    return in_validation, left_out


def moving_average(windows: np.ndarray, width: int) -> np.ndarray:
    """Smooth along time and keep the length; both ends are continued by their last value.

    Args:
        windows: Signals of shape `(windows, time, channels)`.
        width: Number of samples in one mean, at least 1; for an even width the odd
            sample lies before the centre.

    Returns:
        The smoothed signals, of the same shape.
    """
    before, after = width // 2, (width - 1) // 2
    padded = np.pad(windows, ((0, 0), (before, after), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width, axis=1).mean(axis=-1)


def _read_activity_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        missing = [key for key in _ACTIVITY_KEYS if key not in archive.files]
        arrays = {key: archive[key] for key in _ACTIVITY_KEYS if key in archive.files}
    if missing:
        raise ValueError(
            f"'{path.name}' should hold the arrays {', '.join(_ACTIVITY_KEYS)}. Missing: "
            f"{', '.join(missing)}. Use the file of the activity windows as it was made."
        )
    names = [str(name) for name in arrays["channels"]]
    if not set(_ACTIVITY_CHANNELS) <= set(names):
        raise ValueError(
            f"'{path.name}' should name the channels {', '.join(_ACTIVITY_CHANNELS)}. "
            f"Received: channels={names}. Use the file of the activity windows as it was made."
        )
    return arrays


def _local_file(file_name: str) -> Path | None:
    directory = os.environ.get(DATA_VARIABLE)
    path = Path(directory, file_name) if directory else None
    return path if path is not None and path.is_file() else None


def _describe(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{path.name} in {DATA_VARIABLE}, sha256 {digest[:16]}"


def _split_images(
    name: str,
    source: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    flat: bool,
) -> Dataset:
    (x_train, y_train), (x_test, y_test) = train, test
    shape = (-1, 784) if flat else (-1, 28, 28, 1)
    x_train, x_test = (
        (images.astype("float32") / 255.0).reshape(shape) for images in (x_train, x_test)
    )
    stride = _VALIDATION_STRIDE
    in_validation = np.arange(len(x_train)) % stride == stride - 1
    return _split(name, source, (x_train, y_train), (x_test, y_test), in_validation=in_validation)


def _split(
    name: str,
    source: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    in_validation: np.ndarray,
) -> Dataset:
    (x_train, y_train), (x_test, y_test) = train, test
    y_train, y_test = y_train.astype("int32"), y_test.astype("int32")
    return Dataset(
        name=name,
        source=source,
        x_train=x_train[~in_validation],
        y_train=y_train[~in_validation],
        x_validation=x_train[in_validation],
        y_validation=y_train[in_validation],
        x_test=x_test,
        y_test=y_test,
    )
