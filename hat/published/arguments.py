"""The ``args`` of the research code's checkpoints: reading the network that they describe, and writing them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from hat.config.networks import Space
from hat.config.settings import describe
from hat.errors import InputError
from hat.space.architecture import Architecture
from hat.space.published_form import PUBLISHED_DEPTHS, PUBLISHED_NAMES, PUBLISHED_SPANS, from_published, to_published
from hat.space.shape import Shape

# Choices of a space, by the names of the research code.
_CHOICES = {
    "encoder_embed_choice": "encoder_embed_dim",
    "encoder_layer_num_choice": "encoder_layers",
    "encoder_ffn_embed_dim_choice": "encoder_ffn_dim",
    "encoder_self_attention_heads_choice": "encoder_heads",
    "decoder_embed_choice": "decoder_embed_dim",
    "decoder_layer_num_choice": "decoder_layers",
    "decoder_ffn_embed_dim_choice": "decoder_ffn_dim",
    "decoder_self_attention_heads_choice": "decoder_self_heads",
    "decoder_ende_attention_heads_choice": "decoder_cross_heads",
    "decoder_arbitrary_ende_attn_choice": "decoder_cross_span",
}
_SPAN_CHOICE = "decoder_arbitrary_ende_attn_choice"
# Sizes of the SuperTransformer, by the names of the research code.
_SUPER_SIZES = {
    "encoder_embed_dim": "encoder_embed_dim",
    "encoder_layers": "encoder_layers",
    "encoder_ffn_embed_dim": "encoder_ffn_dim",
    "decoder_embed_dim": "decoder_embed_dim",
    "decoder_layers": "decoder_layers",
    "decoder_ffn_embed_dim": "decoder_ffn_dim",
}
# Properties of every network of this project; they also hold if the argument is missing.
_FIXED = {
    "activation_fn": "relu",
    "encoder_learned_pos": False,
    "decoder_learned_pos": False,
    "no_token_positional_embeddings": False,
    "adaptive_softmax_cutoff": None,
    "adaptive_input": False,
    "no_decoder_final_norm": False,
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The network in a published checkpoint.

    ``space`` has the sizes of the SuperTransformer as its largest choices. ``architecture`` is None for a
    SuperTransformer. For a SubTransformer, the only other choices of ``space`` are its Architecture's.
    """

    space: Space
    shape: Shape
    architecture: Architecture | None


def subject_of(args: Mapping[str, Any], vocabularies: tuple[int, int], where: str) -> Subject:
    """Return the network that the arguments of a checkpoint describe.

    Args:
        args: the checkpoint's arguments.
        vocabularies: sizes of the source and target dictionary.
        where: the file, for messages.

    Raises:
        InputError: an argument is missing, malformed, or describes a network that this project does not have.
    """
    fixed = _FIXED | {"decoder_output_dim": args.get("decoder_embed_dim")}
    for name, expected in fixed.items():
        if (value := args.get(name, expected)) != expected:
            raise InputError(f"{where}, args.{name}: {value!r}, expected {expected!r}")
    pre_norm = bool(args.get("encoder_normalize_before", False))
    if bool(args.get("decoder_normalize_before", False)) != pre_norm:
        raise InputError(
            f"{where}, args.decoder_normalize_before: {not pre_norm}, expected {pre_norm}, as in the encoder"
        )
    try:
        architecture = _architecture_of(args)
        space = _space_of(args) if architecture is None else _hull_of(args, architecture)
    except KeyError as error:
        raise InputError(f"{where}: args have no {error.args[0]}") from None
    except ValidationError as error:
        raise InputError("\n".join(describe(error, Space, f"{where}, args"))) from None
    except InputError as error:
        raise InputError(f"{where}, args: {error}") from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: args are malformed ({error})") from None
    for argument, field in _SUPER_SIZES.items():
        largest = max(getattr(space, field))
        if args[argument] != largest:
            raise InputError(f"{where}, args.{argument}: {args[argument]}, expected {largest}, the largest choice")
    shape = Shape(
        source_vocabulary=vocabularies[0],
        target_vocabulary=vocabularies[1],
        qkv_dim=space.qkv_dim,
        super_encoder_dim=args["encoder_embed_dim"],
        super_decoder_dim=args["decoder_embed_dim"],
        super_encoder_layers=args["encoder_layers"],
        norm="pre-published" if pre_norm else "post",
        share_embeddings="all"
        if args.get("share_all_embeddings")
        else "decoder"
        if args.get("share_decoder_input_output_embed")
        else "none",
        vocab_original_scaling=bool(args.get("vocab_original_scaling", False)),
    )
    return Subject(space=space, shape=shape, architecture=architecture)


def _architecture_of(args: Mapping[str, Any]) -> Architecture | None:
    """Return the Architecture of a trained SubTransformer; None for a SuperTransformer."""
    if not args.get("train_subtransformer"):
        return None
    return from_published({key: args[key.replace("-", "_")] for key in (PUBLISHED_NAMES | PUBLISHED_DEPTHS)})


def _qkv_dim(args: Mapping[str, Any]) -> int:
    """Return the width of queries, keys and values. Default: the width of the encoder."""
    value = args.get("qkv_dim")
    return int(args["encoder_embed_dim"] if value is None else value)


def _space_of(args: Mapping[str, Any]) -> Space:
    choices = {field: tuple(args[argument]) for argument, field in _CHOICES.items()}
    unknown = [code for code in args[_SPAN_CHOICE] if code not in PUBLISHED_SPANS]
    if unknown:
        raise InputError(f"{_SPAN_CHOICE}: {unknown[0]!r}, expected one of {sorted(PUBLISHED_SPANS)}")
    choices["decoder_cross_span"] = tuple(PUBLISHED_SPANS[code] for code in args[_SPAN_CHOICE])
    return Space(qkv_dim=_qkv_dim(args), **choices)


def _hull_of(args: Mapping[str, Any], architecture: Architecture) -> Space:
    """Return a space with the sizes of the SuperTransformer and the Architecture only, since a file may omit others."""
    largest = {field: args[argument] for argument, field in _SUPER_SIZES.items()}
    choices: dict[str, tuple[int, ...]] = {}
    for name in ("encoder_layers", "decoder_layers", *asdict(architecture)):
        value = getattr(architecture, name)
        entries = list(value) if isinstance(value, tuple) else [value]
        choices[name] = tuple(sorted({*entries, largest.get(name, max(entries))}, reverse=True))
    return Space(qkv_dim=_qkv_dim(args), **choices)


def with_architecture(args: Mapping[str, Any], architecture: Architecture | None) -> dict[str, Any]:
    """Return the arguments for another SubTransformer of the same SuperTransformer; None for the SuperTransformer."""
    keys = {key: key.replace("-", "_") for key in (PUBLISHED_NAMES | PUBLISHED_DEPTHS)}
    values = dict.fromkeys(keys) if architecture is None else to_published(architecture)
    return {
        **args,
        "train_subtransformer": architecture is not None,
        **{argument: values[key] for key, argument in keys.items()},
    }


def arguments_of(
    subject: Subject, *, task: str, languages: tuple[str, str], training: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return the arguments of a network of this project: those that the research code's loader reads, and the training.

    Args:
        subject: the network.
        task: name of the task.
        languages: source and target language.
        training: resolved settings of the training run.
        seed: seed of the training run.

    Raises:
        InputError: the research code cannot express the network.
        KeyError: a key of the settings is missing.
    """
    space, shape = subject.space, subject.shape
    if shape.share_embeddings == "all" and shape.super_encoder_dim != shape.super_decoder_dim:
        raise InputError(
            f"the research code shares embeddings only if encoder and decoder are equally wide,"
            f" got {shape.super_encoder_dim} and {shape.super_decoder_dim}"
        )
    codes = {span: code for code, span in PUBLISHED_SPANS.items()}
    if unknown := sorted(set(space.decoder_cross_span) - set(codes)):
        raise InputError(
            f"decoder_cross_span: the research code has no span {unknown[0]}, expected one of {sorted(codes)}"
        )
    choices: dict[str, Any] = {argument: list(getattr(space, field)) for argument, field in _CHOICES.items()}
    choices[_SPAN_CHOICE] = [codes[span] for span in space.decoder_cross_span]
    pre_norm = shape.norm != "post"
    args = {
        "arch": "transformersuper_iwslt_de_en" if task.startswith("iwslt") else "transformersuper_wmt_en_de",
        "task": "translation",
        "data": "data",
        "source_lang": languages[0],
        "target_lang": languages[1],
        "left_pad_source": True,
        "left_pad_target": False,
        "max_source_positions": 1024,
        "max_target_positions": 1024,
        **{argument: max(getattr(space, field)) for argument, field in _SUPER_SIZES.items()},
        "encoder_attention_heads": max(space.encoder_heads),
        "decoder_attention_heads": max(space.decoder_self_heads),
        "qkv_dim": space.qkv_dim,
        **choices,
        "share_all_embeddings": shape.share_embeddings == "all",
        "share_decoder_input_output_embed": shape.share_embeddings != "none",
        "vocab_original_scaling": shape.vocab_original_scaling,
        "encoder_normalize_before": pre_norm,
        "decoder_normalize_before": pre_norm,
        **{name: value for name, value in _FIXED.items() if name != "no_decoder_final_norm"},
        "get_attn": False,
        "encoder_embed_path": None,
        "decoder_embed_path": None,
        "decoder_output_dim": shape.super_decoder_dim,
        "decoder_input_dim": shape.super_decoder_dim,
        "criterion": "label_smoothed_cross_entropy",
        "label_smoothing": training["label_smoothing"],
        "optimizer": "adam",
        "adam_betas": str(tuple(training["adam_betas"])),
        "weight_decay": training["weight_decay"],
        "clip_norm": training["clip_norm"],
        "lr_scheduler": training["schedule"],
        "warmup_updates": training["warmup_updates"],
        "max_update": training["updates"],
        "dropout": training["dropout"],
        "attention_dropout": training["attention_dropout"],
        "activation_dropout": training["activation_dropout"],
        "seed": seed,
        "fp16": False,
    }
    return with_architecture(args, subject.architecture)
