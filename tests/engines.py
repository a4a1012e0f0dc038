"""An engine that makes trials in the process of the test, and lies about the order they end in."""

import pickle

import keras

from keras_snare.search import remote_job, remote_trial


class InProcess:
    """Makes trials when they are waited for, in an order that a test chooses.

    What a worker would be sent and would send is pickled on the way.
    """

    def __init__(self, workers, latest_first=False):
        self.workers = workers
        self.latest_first = latest_first
        self.submitted, self.cancelled, self.most = [], [], 0
        self.waiting = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def check(self, job):
        self.job = pickle.dumps(job)
        remote_job.check_job(pickle.loads(self.job))

    def share(self, network):
        return pickle.dumps(network)

    def submit(self, network, order, name):
        trial = [name, network, pickle.dumps(order), None]
        self.submitted.append(name)
        self.waiting[name] = trial
        self.most = max(self.most, len(self.waiting))
        return trial

    def wait(self, trials):
        trial = trials[-1 if self.latest_first else 0]
        sent = map(pickle.loads, (self.job, trial[1], trial[2]))
        state = keras.config.floatx()
        trial[3] = pickle.loads(pickle.dumps(remote_trial.make_trial(*sent)))
        assert keras.config.floatx() == state
        del self.waiting[trial[0]]
        return [trial]

    def row(self, trial):
        return trial[3][0]

    def network(self, trial):
        return trial[3][1]

    def cancel(self, trial):
        self.cancelled.append(trial[0])
        del self.waiting[trial[0]]
