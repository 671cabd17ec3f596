"""SubTransformers as models of fairseq, around the network of ``hat.model.transformer``."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from fairseq.models import (
    FairseqDecoder,
    FairseqEncoder,
    FairseqEncoderDecoderModel,
    register_model,
    register_model_architecture,
)
from torch import Tensor

from hat.model.dropout import Dropouts
from hat.model.transformer import Transformer
from hat.published.fairseq_arguments import ARGUMENTS, shape_of_arguments
from hat.space.architecture import Architecture
from hat.space.files import read_architecture

# The encoder's result: `outputs`, each [B, S, D], and the attention mask of padding `mask`, [B, 1, 1, S].
Encoded = dict[str, Any]


class SubTransformerEncoder(FairseqEncoder):  # type: ignore[misc]
    """The encoder of a network that the model owns."""

    def __init__(self, dictionary: Any, network: Transformer, max_positions: int) -> None:
        super().__init__(dictionary)
        # In a list, so that the weights belong to the model only and are not registered twice.
        self._network = [network]
        self._max_positions = max_positions

    def forward(self, src_tokens: Tensor, src_lengths: Tensor | None = None, **_: Any) -> Encoded:
        """Return the outputs of the encoder for token ids [B, S]."""
        outputs, mask = self._network[0].encode(src_tokens)
        sentences, length = src_tokens.shape
        return {
            "outputs": [output[: sentences * length].view(sentences, length, -1) for output in outputs],
            "mask": mask,
        }

    def reorder_encoder_out(self, encoder_out: Encoded, new_order: Tensor) -> Encoded:
        """Return the outputs of the sentences that beam search continues with, by index [B']."""
        mask = encoder_out["mask"]
        return {
            "outputs": [output.index_select(0, new_order) for output in encoder_out["outputs"]],
            "mask": None if mask is None else mask.index_select(0, new_order),
        }

    def max_positions(self) -> int:
        """Return the length of the longest source sentence in tokens."""
        return self._max_positions


class SubTransformerDecoder(FairseqDecoder):  # type: ignore[misc]
    """The decoder of a network that the model owns. It computes whole prefixes, without a KV cache."""

    def __init__(self, dictionary: Any, network: Transformer, max_positions: int) -> None:
        super().__init__(dictionary)
        self._network = [network]
        self._max_positions = max_positions

    def forward(
        self, prev_output_tokens: Tensor, encoder_out: Encoded | None = None, **_: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the logits [B, T, V] for target token ids shifted right, [B, T]."""
        assert encoder_out is not None
        network, (sentences, steps) = self._network[0], prev_output_tokens.shape
        outputs = encoder_out["outputs"]
        memories = [output.reshape(-1, output.size(-1)) for output in outputs]
        x = network.embed_target(prev_output_tokens).flatten(0, 1)
        for layer in network.active_decoder:
            memory = layer.project_memory(memories, sentences, outputs[0].size(1), encoder_out["mask"])
            x = layer(x, sentences, steps, memory)
        if network.decoder_norm is not None:
            x = network.decoder_norm(x)
        return network.logits(x).view(sentences, steps, -1), {"attn": [None]}

    def max_positions(self) -> int:
        """Return the length of the longest target sentence in tokens."""
        return self._max_positions


@register_model("hat_subtransformer")
class SubTransformerModel(FairseqEncoderDecoderModel):  # type: ignore[misc]
    """A SubTransformer with its own weights. Names of its weights begin with ``network.``."""

    def __init__(self, network: Transformer, encoder: SubTransformerEncoder, decoder: SubTransformerDecoder) -> None:
        super().__init__(encoder, decoder)
        self.network = network

    @staticmethod
    def add_args(parser: argparse.ArgumentParser) -> None:
        """Add the arguments of the model to fairseq's parser."""
        for name, (default, kind, meaning) in ARGUMENTS.items():
            flag = f"--{name.replace('_', '-')}"
            if kind is bool:
                parser.add_argument(flag, action="store_true", default=default, help=meaning)
            else:
                parser.add_argument(flag, type=kind, default=default, metavar=kind.__name__.upper(), help=meaning)

    @classmethod
    def build_model(cls, args: argparse.Namespace, task: Any) -> "SubTransformerModel":
        """Build the network of ``--subtransformer``.

        Its Architecture replaces the file's path in the arguments, so that a checkpoint is self-contained.

        Raises:
            ValueError: the Architecture is missing, or embeddings cannot be shared.
        """
        subtransformer(args)
        source, target = task.source_dictionary, task.target_dictionary
        if args.subtransformer is None:
            raise ValueError(
                "--subtransformer: missing, expected a file with an Architecture (from hat search, or published YAML)"
            )
        if not args.subtransformer.lstrip().startswith("{"):
            args.subtransformer = json.dumps(read_architecture(Path(args.subtransformer)).to_dict())
        architecture = Architecture.from_dict(json.loads(args.subtransformer))
        if args.share_all_embeddings and source != target:
            raise ValueError(
                "--share-all-embeddings: needs a joint dictionary, but source and target dictionaries differ"
            )
        network = Transformer(
            architecture,
            shape_of_arguments(vars(args), architecture, (len(source), len(target))),
            dropouts=Dropouts(
                residual=args.dropout,
                attention=args.attention_dropout,
                activation=args.activation_dropout,
                scaling=args.dropout_scaling,
            ),
        )
        encoder = SubTransformerEncoder(source, network, args.max_source_positions)
        return cls(network, encoder, SubTransformerDecoder(target, network, args.max_target_positions))

    def get_normalized_probs(self, net_output: tuple[Tensor, Any], log_probs: bool, sample: Any = None) -> Tensor:
        """Return the probabilities of the next token, or their logarithms, in fp32, [B, T, V]."""
        logits = net_output[0].float()
        return torch.log_softmax(logits, -1) if log_probs else torch.softmax(logits, -1)


@register_model_architecture("hat_subtransformer", "hat_subtransformer")  # type: ignore[untyped-decorator]
def subtransformer(args: argparse.Namespace) -> None:
    """Set the defaults of arguments that a checkpoint does not have."""
    for name, (default, _, _) in ARGUMENTS.items():
        setattr(args, name, getattr(args, name, default))
