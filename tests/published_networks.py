"""Networks of the research code in tests/data: weights, Architectures, and what they compute."""

import json

import numpy as np
import torch
from reference import PARITY

from hat.config.networks import Network, Space
from hat.model.published import import_weights
from hat.model.supertransformer import SuperTransformer
from hat.space.architecture import Architecture
from hat.space.published_form import PUBLISHED_SPANS
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape

NAMES = ("A_shared", "B_sep", "C_encdecdim")


def arrays(name: str, part: str) -> dict[str, np.ndarray]:
    with np.load(PARITY / f"{name}_{part}.npz") as file:
        return dict(file)


def load(name: str) -> tuple[dict, SearchSpace, SuperTransformer]:
    description = json.loads((PARITY / f"{name}.json").read_text())
    args = description["args"]
    space = SearchSpace(
        Space(
            qkv_dim=args["qkv_dim"],
            encoder_embed_dim=args["encoder_embed_choice"],
            encoder_layers=args["encoder_layer_num_choice"],
            encoder_ffn_dim=args["encoder_ffn_embed_dim_choice"],
            encoder_heads=args["encoder_self_attention_heads_choice"],
            decoder_embed_dim=args["decoder_embed_choice"],
            decoder_layers=args["decoder_layer_num_choice"],
            decoder_ffn_dim=args["decoder_ffn_embed_dim_choice"],
            decoder_self_heads=args["decoder_self_attention_heads_choice"],
            decoder_cross_heads=args["decoder_ende_attention_heads_choice"],
            decoder_cross_span=[PUBLISHED_SPANS[code] for code in args["decoder_arbitrary_ende_attn_choice"]],
        )
    )
    network = Network(share_embeddings="all" if args["share_all_embeddings"] else "none")
    shape = Shape.of(space.space, network, description["src_vocab"], description["tgt_vocab"])
    model = SuperTransformer(space, shape)
    state = {key: torch.from_numpy(value) for key, value in arrays(name, "state").items()}
    model.load_state_dict(import_weights(state))
    return description, space, model.eval()


def architecture_of(config: dict) -> Architecture:
    encoder, decoder = config["encoder"], config["decoder"]
    depth = decoder["decoder_layer_num"]
    return Architecture(
        encoder_embed_dim=encoder["encoder_embed_dim"],
        encoder_ffn_dim=tuple(encoder["encoder_ffn_embed_dim"]),
        encoder_heads=tuple(encoder["encoder_self_attention_heads"]),
        decoder_embed_dim=decoder["decoder_embed_dim"],
        decoder_ffn_dim=tuple(decoder["decoder_ffn_embed_dim"][:depth]),
        decoder_self_heads=tuple(decoder["decoder_self_attention_heads"][:depth]),
        decoder_cross_heads=tuple(decoder["decoder_ende_attention_heads"][:depth]),
        decoder_cross_span=tuple(PUBLISHED_SPANS[code] for code in decoder["decoder_arbitrary_ende_attn"][:depth]),
    )
