"""Model of config/baselines/*.yaml."""

from typing import Annotated, Any

from pydantic import Field

from hat.config.base import NO_EFFECT, Effect, Section
from hat.config.networks import EvolvedNetwork, TransformerNetwork


class Baseline(Section):
    """A network of fixed dimensions to compare SubTransformers with."""

    description: Annotated[str, NO_EFFECT] = Field("", description="One-line description")
    network: Annotated[TransformerNetwork | EvolvedNetwork, Field(discriminator="kind")] = Field(
        description="Its dimensions"
    )
    training: Annotated[dict[str, Any], Effect.RESOLVED] = Field(
        default_factory=dict, description="Overrides of the task's section `subtransformer` for its training"
    )
