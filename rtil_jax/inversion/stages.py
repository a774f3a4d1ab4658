"""What a stage of a method is: the interface between methods and the solver."""

from typing import Any, Literal, Protocol, runtime_checkable

import optax
from jaxtyping import Array, Float

from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.priors.prior import Prior

OptimizerName = Literal["adam", "sgd"]
OPTIMIZERS = {"adam": optax.scale_by_adam(), "sgd": optax.identity()}


@runtime_checkable
class Stage(Protocol):
    """One optimisation. Hashable, so that equal stages share a compiled step."""

    @property
    def steps(self) -> int:
        """Number of updates. Not compiled in, so it need not count for equality."""

    @property
    def learning_rate(self) -> float:
        """At the top of the schedule (see `schedules.ramp`); likewise."""

    @property
    def optimizer(self) -> OptimizerName:
        """`adam` or `sgd`."""

    @property
    def temperature(self) -> float:
        """T of the noise sqrt(2 rate T) N(0, I) added by every update; 0 for none.

        With `sgd`, and so small a rate that its bias does not show, the iterates are
        then draws from the density that exp(-objective / T) is in proportion to
        (unadjusted Langevin). Adam's would be draws from no known density: its steps
        are not along the gradient.
        """

    def begin(self, prior: Prior, variables: Any) -> tuple[Any, Any]:
        """(free, fixed) from the variables that the stage before has left."""

    def decode(self, prior: Prior, free: Any, fixed: Any) -> Solution:
        """The solution that the variables stand for."""

    def penalty(
        self, free: Any, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        """Added to each image's measurement loss; `images` are those of `free`."""

    def constrain(self, free: Any, start: Any) -> Any:
        """Applied after each update; `start` is `free` as `begin` returned it."""

    def end(self, prior: Prior, free: Any, fixed: Any) -> Any:
        """Variables for the stage after."""
