"""Models of every file in config/: config.yaml, tasks/*.yaml, spaces/*.yaml, devices/*.yaml."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hat.config_archives import ArchiveCorpus, Corpus, Preprocessed
from hat.config_cost import Cost, Storage
from hat.config_lengths import Lengths
from hat.config_predictor import PredictorSettings
from hat.config_report import ReportSettings
from hat.config_search import Search
from hat.config_text import Language, Positive, Section, Tokenisation

Probability = Annotated[float, Field(ge=0, lt=1)]


# --- networks and training --------------------------------------------------------------------------


class Network(Section):
    """What all SubTransformers of a task have in common, beside the space."""

    norm: Literal["post", "pre", "pre-published"] = Field(
        "post",
        description="Layer normalisation after (published) or before each sub-layer; with pre-published only the last"
        " of the encoder outputs that a decoder layer attends to passes the final norm, as in the research code",
    )
    share_embeddings: Literal["all", "decoder", "none"] = Field(
        "all", description="Which of source embedding, target embedding and output projection share their weights"
    )
    vocab_original_scaling: bool = Field(
        False, description="Scale embeddings by the square root of the super width instead of the sampled width"
    )


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
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of a process; with 16, a rule that is given 64 cores runs 4 processes; 0 for one"
        " process with all cores",
    )
    validate_every: Positive = Field(1000, description="Updates between validations")
    save_every: Positive = Field(500, description="Updates between checkpoints")
    keep_checkpoints: Positive = Field(2, description="Latest checkpoints that are kept while training")
    final_weights: Literal["average", "best"] = Field(
        "average", description="Weights at the end: the mean of the last checkpoints, or those of the best validation"
    )
    average_checkpoints: Positive = Field(1, description="Last checkpoints whose weights are averaged at the end")
    tensorboard: bool = Field(False, description="Write the metrics for TensorBoard too")


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


# --- measurement, search, scoring -------------------------------------------------------------------


class Latency(PredictorSettings):
    """Latency sampling and the predictor."""

    samples: Positive = Field(2000, description="Architectures measured")
    space: str | None = Field(
        None, description="Name of the space that measured Architectures are drawn from; the task's own where absent"
    )
    shards: Positive = Field(1, description="Files that the samples are spread over; each is resumed by itself")
    precision: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="An Architecture is visited until half its interval (95 %) is within this part of it",
    )
    min_passes: Positive = Field(3, description="Visits to each Architecture, in changing order, at least ...")
    passes: Positive = Field(10, description="... and at most, those that were disturbed included")
    warmup: int = Field(1, ge=0, description="Sentences translated before timing, at each visit")
    repeats: Positive = Field(3, description="Sentences timed at each visit; the median of all visits counts")
    seconds: float = Field(60.0, gt=0, description="No further visit once so many seconds were timed")
    interference: float = Field(
        0.25, gt=0, description="Visits while others kept more cores busy than this are made again"
    )
    drift: float = Field(
        0.05, gt=0, description="Visits while the reference Architecture was off by more than this part are made again"
    )
    held_out: float = Field(0.2, gt=0, lt=1, description="Part of the samples kept for the predictor's reported error")
    source_length: Positive = Field(30, description="Tokens of the source sentence")
    target_length: Positive = Field(30, description="Decoding steps")
    lengths: Lengths = Field(
        "average",
        description="What a latency is the mean over: `average`, sentences of those two lengths alone; `validation`,"
        " five pairs of lengths that stand for the validation data; or a list of source length, target length and"
        " weight, such as [[12, 11, 1], [30, 32, 2]]; each pair is timed at every visit",
    )


class Scoring(Section):
    """How test translations are made and scored."""

    beam: Positive | None = Field(None, description="Beam size; that of the device where absent")
    length_penalty: float = Field(1.0, ge=0, description="Exponent of the length that scores are divided by")
    max_length_ratio: float = Field(1.2, ge=0, description="Longest translation: this times the source length ...")
    max_length_extra: Positive = Field(10, description="... plus this, in tokens")
    batch_tokens: Positive = Field(4096, description="Source tokens translated together, beams included")
    max_sentences: Positive | None = Field(None, description="Score only the first sentences of the test split")
    tokenised: Literal["none", "words", "compounds"] = Field(
        "none",
        description="BLEU of Moses words beside sacreBLEU: none, of the words, or (published) with compounds parted at"
        " hyphens",
    )


class ShortlistSettings(Section):
    """The target tokens that a translation is looked for among, chosen by the source tokens."""

    enabled: bool = Field(True, description="Make a shortlist for this task; devices say whether they use it")
    align_sentences: Positive = Field(
        1_000_000, description="Training pairs that are word-aligned, spread evenly over the split"
    )
    validation_sentences: Positive = Field(
        300, description="Sentences of the validation split that sizes are compared on"
    )
    frequent: tuple[Positive, ...] = Field(
        (50, 100, 200, 500, 1000, 2000), min_length=1, description="Tried numbers of most frequent target tokens"
    )
    translations: tuple[Annotated[int, Field(ge=1, le=200)], ...] = Field(
        (5, 10, 20, 50, 100), min_length=1, description="Tried numbers of best translations of each source token"
    )
    max_bleu_loss: float = Field(
        0.1,
        gt=0,
        description="The smallest size is taken that loses less BLEU than this against the whole vocabulary,"
        " or no more than chance",
    )


class Compression(Section):
    """K-means quantisation of trained networks."""

    embeddings: bool = Field(
        True,
        description="Quantise embedding tables and output projection too; in the research code they stay in fp32",
    )


class Task(Section):
    """A language pair with its data, tokenisation, design space, training settings and scoring."""

    description: str = Field("", description="One line for people")
    source_language: Language = Field(description="ISO 639 code of the source language")
    target_language: Language = Field(description="ISO 639 code of the target language")
    data_licence: str = Field("not stated", description="Licence of the text, for the model card")
    space: str = Field("small", description="Name of the SearchSpace in config/spaces")
    corpus: Corpus = Field(description="Where the text comes from and how it is split")
    data: Preprocessed = Field(default_factory=Preprocessed, description="Binarised splits in place of the corpus")
    tokenisation: Tokenisation = Field(default_factory=Tokenisation, description="From text to tokens")
    network: Network = Field(default_factory=Network, description="Shared by all SubTransformers")
    supertransformer: SuperTraining = Field(
        default_factory=SuperTraining, description="Training of the SuperTransformer"
    )
    subtransformer: SubTraining = Field(default_factory=SubTraining, description="Training of a found SubTransformer")
    latency: Latency = Field(default_factory=Latency, description="Latency sampling")
    search: Search = Field(default_factory=Search, description="Search")
    scoring: Scoring = Field(default_factory=Scoring, description="Translation and scoring of the test split")
    shortlist: ShortlistSettings = Field(
        default_factory=ShortlistSettings, description="Target tokens that a translation is looked for among"
    )
    compression: Compression = Field(default_factory=Compression, description="K-means quantisation")

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.network.share_embeddings == "all" and not self.tokenisation.joint_dictionary:
            raise ValueError("network.share_embeddings is 'all', which needs tokenisation.joint_dictionary: true")
        return self

    @model_validator(mode="after")
    def _counted(self) -> Self:
        plain = isinstance(self.corpus, ArchiveCorpus) and self.corpus.text == "raw"
        if self.tokenisation.limits == "words" and not plain:
            raise ValueError("tokenisation.limits is 'words', which needs a corpus of kind archives with text: raw")
        return self


Widths = Annotated[tuple[Positive, ...], Field(min_length=1)]
Spans = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


def _check_heads(section: Any) -> None:
    """Refuse head counts that do not divide ``qkv_dim``."""
    for key in ("encoder_heads", "decoder_self_heads", "decoder_cross_heads"):
        for heads in getattr(section, key):
            if section.qkv_dim % heads:
                raise ValueError(f"{key} contains {heads}, expected divisors of qkv_dim ({section.qkv_dim})")


class Space(Section):
    """Choices for every dimension of an Architecture."""

    qkv_dim: Positive = Field(512, description="Width of queries, keys and values together; heads only divide it")
    encoder_embed_dim: Widths = Field(description="Width of the encoder")
    encoder_layers: Widths = Field(description="Encoder layers")
    encoder_ffn_dim: Widths = Field(description="Feed-forward width, per encoder layer")
    encoder_heads: Widths = Field(description="Self-attention heads, per encoder layer")
    decoder_embed_dim: Widths = Field(description="Width of the decoder")
    decoder_layers: Widths = Field(description="Decoder layers")
    decoder_ffn_dim: Widths = Field(description="Feed-forward width, per decoder layer")
    decoder_self_heads: Widths = Field(description="Self-attention heads, per decoder layer")
    decoder_cross_heads: Widths = Field(description="Cross-attention heads, per decoder layer")
    decoder_cross_span: Spans = Field(
        description="Last encoder layers that a decoder layer attends to (published codes -1, 1, 2 are 1, 2, 3)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_heads(self)
        if max(self.decoder_cross_span) > max(self.encoder_layers):
            raise ValueError(
                f"decoder_cross_span contains {max(self.decoder_cross_span)},"
                f" expected at most the largest encoder_layers ({max(self.encoder_layers)})"
            )
        for key, choices in self:
            if isinstance(choices, tuple) and len(set(choices)) != len(choices):
                raise ValueError(f"{key} names a choice twice: {list(choices)}")
        return self


class TransformerNetwork(Section):
    """A Transformer of fixed dimensions; a list has one entry a layer."""

    kind: Literal["transformer"] = "transformer"
    norm: Literal["post", "pre"] = Field("post", description="Layer normalisation after or before each sub-layer")
    qkv_dim: Positive = Field(description="Width of queries, keys and values together; heads only divide it")
    encoder_embed_dim: Positive = Field(description="Width of the encoder")
    encoder_ffn_dim: Widths = Field(description="Feed-forward width of each encoder layer")
    encoder_heads: Widths = Field(description="Self-attention heads of each encoder layer")
    decoder_embed_dim: Positive = Field(description="Width of the decoder")
    decoder_ffn_dim: Widths = Field(description="Feed-forward width of each decoder layer")
    decoder_self_heads: Widths = Field(description="Self-attention heads of each decoder layer")
    decoder_cross_heads: Widths = Field(description="Cross-attention heads of each decoder layer")
    decoder_cross_span: Widths = Field(description="Last encoder layers that each decoder layer attends to")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_heads(self)
        for first, *others in (
            ("encoder_ffn_dim", "encoder_heads"),
            ("decoder_ffn_dim", "decoder_self_heads", "decoder_cross_heads", "decoder_cross_span"),
        ):
            layers = len(getattr(self, first))
            for key in others:
                if len(getattr(self, key)) != layers:
                    raise ValueError(f"{key} has {len(getattr(self, key))} entries, expected {layers} as {first}")
        if max(self.decoder_cross_span) > len(self.encoder_heads):
            raise ValueError(
                f"decoder_cross_span contains {max(self.decoder_cross_span)},"
                f" expected at most the number of encoder layers ({len(self.encoder_heads)})"
            )
        return self


class EvolvedNetwork(Section):
    """An Evolved Transformer (arXiv 1901.11117); its feed-forward width is four times its width."""

    kind: Literal["evolved"] = "evolved"
    width: Positive = Field(description="Width of encoder and decoder")
    heads: Positive = Field(description="Attention heads")
    wide_heads: Positive = Field(16, description="Heads of the first self-attention of a decoder cell")
    encoder_cells: Positive = Field(3, description="Encoder cells, each about two Transformer layers")
    decoder_cells: Positive = Field(4, description="Decoder cells")

    @model_validator(mode="after")
    def _divided(self) -> Self:
        for what, parts in (("heads", self.heads), ("wide_heads", self.wide_heads), ("halves", 2)):
            if self.width % parts:
                raise ValueError(f"width is {self.width}, expected a multiple of {parts} ({what})")
        return self


class Baseline(Section):
    """A network of fixed dimensions that SubTransformers are compared with."""

    description: str = Field("", description="One line for people")
    network: Annotated[TransformerNetwork | EvolvedNetwork, Field(discriminator="kind")] = Field(
        description="What it is"
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="Overrides of the task's `subtransformer`, by which it is trained"
    )


BudgetName = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s)$")]


class Budgets(Section):
    """What the default target asks for; its budgets are read off the measured range."""

    task: str = Field("demo", description="Task of the default target")
    device: str = Field("local", description="Device of the default target")
    count: Annotated[int, Field(ge=2, le=9)] = Field(
        3, description="Budgets, spread over the predicted range of the space"
    )
    budgets: tuple[BudgetName, ...] = Field((), description="Further budgets, such as 70ms, beside those")


class Configuration(Section):
    """config/config.yaml: what is true for all tasks, and overrides of the other files."""

    seed: int = Field(1, ge=0, description="Seed of everything random")
    gpus: int = Field(
        0, ge=0, description="GPUs of a training job on each machine, each for a process of its own; 0 for the CPU"
    )
    nodes: Positive = Field(1, description="Machines of a training job; more than one needs SLURM (docs/cluster.md)")
    gpu_type: str = Field(
        "", description="Model of GPU that training asks a cluster for, as it calls it; empty for any"
    )
    demo: Budgets = Field(default_factory=Budgets, description="The default target")
    cost: Cost = Field(default_factory=Cost, description="What `hat cost` and `hat plan` estimate with")
    storage: Storage = Field(default_factory=Storage, description="Where finished results are copied to")
    report: ReportSettings = Field(
        default_factory=ReportSettings, description="What figures, tables and the report cover"
    )
    latency: dict[str, Any] = Field(default_factory=dict, description="Overrides of `latency` in every task")
    search: dict[str, Any] = Field(default_factory=dict, description="Overrides of `search` in every task")
    scoring: dict[str, Any] = Field(default_factory=dict, description="Overrides of `scoring` in every task")
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single tasks, by name")
    spaces: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single spaces, by name")
    devices: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Overrides of single devices, by name")
    baselines: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Overrides of single baselines, by name"
    )
