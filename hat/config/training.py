"""How networks are trained."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import NO_EFFECT, Positive, Section

Probability = Annotated[float, Field(ge=0, lt=1)]


class Training(Section):
    """One run of the training loop."""

    updates: Positive = Field(40000, description="Optimiser updates")
    batch_tokens: Positive = Field(
        4096, description="Largest number of target or source tokens of a batch, padding included"
    )
    accumulate: Positive = Field(1, description="Batches of an update")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate")
    warmup_updates: int = Field(4000, ge=0, description="Updates of linear warm-up")
    schedule: Literal["cosine", "inverse_sqrt"] = Field("cosine", description="Learning rate after the warm-up")
    final_learning_rate: float = Field(
        1e-7, ge=0, description="Learning rate at the end of the cosine schedule and at the start of the warm-up"
    )
    adam_betas: tuple[float, float] = Field((0.9, 0.98), description="Decay rates of Adam")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of Adam, decoupled from the gradient (published)")
    clip_norm: float = Field(0.0, ge=0, description="Largest gradient norm; 0 for no clipping")
    label_smoothing: Probability = Field(0.1, description="Label smoothing")
    dropout: Probability = Field(0.3, description="Dropout on residuals and embeddings, at the super width")
    attention_dropout: Probability = Field(
        0.0, description="Dropout on attention weights (above 0 the slower unfused kernel is used)"
    )
    activation_dropout: Probability = Field(0.0, description="Dropout inside the feed-forward network")
    dropout_scaling: Literal["all", "published", "none"] = Field(
        "all",
        description="Which dropout is scaled by sampled width / super width; published: all but that on the encoder's"
        " self-attention residual",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Precision of matrix products; weights and optimiser state stay in fp32; fp16 needs a GPU"
    )
    threads: Annotated[int, NO_EFFECT] = Field(
        0,
        ge=0,
        description="CPU threads of a process; with 16, a rule that is given 64 cores runs 4 processes; 0 for one"
        " process with all cores",
    )
    validate_every: Positive = Field(1000, description="Updates between validations")
    save_every: Positive = Field(500, description="Updates between checkpoints")
    keep_checkpoints: Annotated[Positive, NO_EFFECT] = Field(
        2, description="Latest checkpoints that are kept while training"
    )
    final_weights: Literal["average", "best"] = Field(
        "average", description="Weights at the end: the mean of the last checkpoints, or those of the best validation"
    )
    average_checkpoints: Positive = Field(1, description="Last checkpoints whose weights are averaged at the end")
    tensorboard: Annotated[bool, NO_EFFECT] = Field(False, description="Write the metrics for TensorBoard too")


class SubTraining(Training):
    """Training of a SubTransformer."""

    initial_weights: Literal["random", "inherited"] = Field(
        "random", description="Start from random weights (published), or from those that the SuperTransformer has"
    )
    teacher: str | None = Field(
        None,
        description="What is learnt from beside the text: `supertransformer`, its largest network, or the name of a"
        " baseline, such as `transformer-big`, which is trained for it; nothing (published) where absent",
    )
    distillation: Literal["word", "sequence", "both"] = Field(
        "word",
        description="What is learnt from the teacher: the distribution of each token, its translations of the training"
        " set in place of the targets, or both",
    )
    teacher_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="With `word` and `both`: part of the loss that is the teacher's; the rest is that of the labels",
    )


class SuperTraining(Training):
    """Training of the SuperTransformer."""

    sampling: Literal["uniform", "sandwich"] = Field(
        "uniform",
        description="Architectures of an update: one drawn uniformly (published), or the largest, which teaches the"
        " others, the smallest and random ones",
    )
    sandwich_random: int = Field(2, ge=0, description="Random Architectures of an update with `sandwich`")
    sample_for: Literal["update", "batch"] = Field(
        "update",
        description="Architectures are drawn for each update, the same in all its batches and processes (published),"
        " or for each batch",
    )
    sampling_seed: Literal["run", "none"] = Field(
        "run",
        description="Architectures depend on the seed and the update's number, or (published) on the number alone",
    )
