"""A long search needs no more memory than a short one."""

import os
from pathlib import Path

import keras
import pytest
from fitting import decide, short_fit
from training import compiled, dense_model

from keras_snare import SnareCallback

STATM = Path("/proc/self/statm")


class Resident(keras.callbacks.Callback):
    """Notes the resident size of the process after every epoch, in MiB."""

    def on_train_begin(self, logs=None):
        self.sizes = []

    def on_epoch_end(self, epoch, logs=None):
        pages = int(STATM.read_text().split()[1])
        self.sizes.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="reads /proc")
def test_fifty_trials_need_no_more_memory_than_five(monkeypatch):
    decide(monkeypatch)
    model = compiled(dense_model(64, (48,) * 13, 10))
    snare, resident = SnareCallback(eps=0.1, retrain_epochs=1, max_trials=50), Resident()
    short_fit(model, [snare, resident], epochs=60)
    assert len(snare.report.rows) == 50
    after_five = resident.sizes[5]
    assert max(resident.sizes[5:]) < 1.1 * after_five
