"""`EarlyStopping` beside a callback that changes the network."""

import keras


def check_early_stopping(callbacks: list, epoch: int, event: str) -> None:
    """Checks that no `EarlyStopping` brings back weights from before an epoch.

    Args:
        callbacks: those of the running `fit`.
        epoch: int, counted from 0.
        event: str, what happens at its beginning, for the message.

    Raises:
        ValueError: when one would.
    """
    for one in callbacks:
        early = isinstance(one, keras.callbacks.EarlyStopping) and one.restore_best_weights
        if early and one.start_from_epoch < epoch:
            raise ValueError(
                "EarlyStopping(restore_best_weights=True) would bring back weights from before "
                f"epoch {epoch}, in which {event}. Give it start_from_epoch={epoch}. Received: "
                f"start_from_epoch={one.start_from_epoch}."
            )
