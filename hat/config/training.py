"""Models of the training sections of a task."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import NO_EFFECT, Positive, Section

Probability = Annotated[float, Field(ge=0, lt=1)]


class Training(Section):
    """Settings of one training run."""

    updates: Positive = Field(40000, description="Optimiser updates")
    batch_tokens: Positive = Field(
        4096, description="Largest number of source or target tokens in a batch, padding included"
    )
    accumulate: Positive = Field(1, description="Batches per update (gradient accumulation)")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate")
    warmup_updates: int = Field(4000, ge=0, description="Updates of linear warm-up")
    schedule: Literal["cosine", "inverse_sqrt"] = Field("cosine", description="Learning rate after the warm-up")
    final_learning_rate: float = Field(
        1e-7, ge=0, description="Learning rate at the end of the cosine schedule and at the start of the warm-up"
    )
    adam_betas: tuple[float, float] = Field((0.9, 0.98), description="Decay rates of Adam's moments")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay of Adam (published)")
    clip_norm: float = Field(0.0, ge=0, description="Clip gradients to this norm; 0 disables clipping")
    label_smoothing: Probability = Field(0.1, description="Label smoothing")
    dropout: Probability = Field(0.3, description="Dropout on residuals and embeddings, at the super width")
    attention_dropout: Probability = Field(
        0.0, description="Dropout on attention weights; above 0 the slower unfused kernel is used"
    )
    activation_dropout: Probability = Field(0.0, description="Dropout inside the feed-forward network")
    dropout_scaling: Literal["all", "published", "none"] = Field(
        "all",
        description="Which dropout rates are multiplied by sampled width / super width; `published` leaves out the"
        " residual of the encoder's self-attention",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Precision of matrix products; weights and optimiser state stay in fp32, and fp16 needs a GPU",
    )
    threads: Annotated[int, NO_EFFECT] = Field(
        0,
        ge=0,
        description="CPU threads per training process: with 16, a rule with 64 cores runs 4 processes. 0: one process"
        " with all cores",
    )
    validate_every: Positive = Field(1000, description="Updates between validations")
    save_every: Positive = Field(500, description="Updates between checkpoints")
    keep_checkpoints: Annotated[Positive, NO_EFFECT] = Field(
        2, description="Number of recent checkpoints kept during training"
    )
    final_weights: Literal["average", "best"] = Field(
        "average",
        description="Final weights: the average of the last checkpoints, or those with the best validation loss",
    )
    average_checkpoints: Positive = Field(1, description="Number of last checkpoints to average")
    tensorboard: Annotated[bool, NO_EFFECT] = Field(False, description="Also write metrics for TensorBoard")


class SubTraining(Training):
    """Training of a SubTransformer."""

    initial_weights: Literal["random", "inherited"] = Field(
        "random", description="Start from random weights (published) or from the SuperTransformer's"
    )
    teacher: str | None = Field(
        None,
        description="Teacher for knowledge distillation: `supertransformer` (its largest network) or a baseline such as"
        " `transformer-big`, which is trained first. Default: no teacher (published)",
    )
    distillation: Literal["word", "sequence", "both"] = Field(
        "word",
        description="What the network learns from the teacher: its distribution for each token (`word`), its"
        " translations of the training set instead of the targets (`sequence`), or both",
    )
    teacher_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="With `word` and `both`: the teacher's share of the loss; the labels have the rest",
    )


class SuperTraining(Training):
    """Training of the SuperTransformer."""

    sampling: Literal["uniform", "sandwich"] = Field(
        "uniform",
        description="Architectures trained in an update: one drawn uniformly (published), or the largest, the"
        " smallest and some random ones, which learn from the largest (`sandwich`)",
    )
    sandwich_random: int = Field(2, ge=0, description="With `sandwich`: random Architectures per update")
    sample_for: Literal["update", "batch"] = Field(
        "update",
        description="Draw Architectures once per update, the same in all its batches and processes (published), or"
        " for each batch",
    )
    sampling_seed: Literal["run", "none"] = Field(
        "run",
        description="Seed the drawn Architectures with the run's seed and the number of the update, or (published)"
        " with the number alone",
    )
