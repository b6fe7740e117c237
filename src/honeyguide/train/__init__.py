"""The only training loop, and what it leaves behind: a journal and a checkpoint to go on from."""

from honeyguide.train.progress import Bar, Moment, Quiet, Reporter
from honeyguide.train.trainer import Fitted, Training, build, fit

__all__ = ["Bar", "Fitted", "Moment", "Quiet", "Reporter", "Training", "build", "fit"]
