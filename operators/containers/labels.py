"""Labels of a container beside those that say whose it is (see operators.task_try)."""

from __future__ import annotations

from operators.task_try import PREFIX

STEP = PREFIX + "step"
IMAGE = PREFIX + "image"
# The folder docker.scratch: an engine may serve two clusters, and each leaves alone what the other has.
SCRATCH = PREFIX + "scratch"
# sha256 of the image's name and the command: whether a container does what a step wants done.
WORK = PREFIX + "work"
