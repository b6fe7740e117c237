"""Fitted recommenders for tests, one of each model, on one small simulated shop."""

from functools import cache
from typing import Any

import polars as pl

from honeyguide.data.shop import simulate
from honeyguide.data.table import Table
from honeyguide.models.bert4rec import BERT4Rec
from honeyguide.models.bsarec import BSARec
from honeyguide.models.chebycf import ChebyCF
from honeyguide.models.convncf import ConvNCF
from honeyguide.models.cp import CP
from honeyguide.models.dmf import DMF
from honeyguide.models.ease import EASE
from honeyguide.models.fmlp_rec import FMLPRec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.hstu import HSTU
from honeyguide.models.ials import IALS
from honeyguide.models.item_knn import ItemKNN
from honeyguide.models.lightgcn import LightGCN
from honeyguide.models.lrurec import LRURec
from honeyguide.models.markov import Markov
from honeyguide.models.mf import MF
from honeyguide.models.mult_vae import MultVAE
from honeyguide.models.neumf import NeuMF
from honeyguide.models.nextitnet import NextItNet
from honeyguide.models.popular import Popular
from honeyguide.models.sasrec import SASRec
from honeyguide.models.session_knn import SessionKNN
from honeyguide.models.sparse_fc import SparseFC
from honeyguide.models.spec import Spec
from honeyguide.models.spectral_mf import SpectralMF
from honeyguide.models.user_knn import UserKNN
from honeyguide.models.xsimgcl import XSimGCL
from honeyguide.recommender import Recommender
from honeyguide.train import Training

SHORT: dict[str, Any] = {"width": 16, "layers": 1, "history": 10, "batch": 32, "epochs": 3}
SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Popular(),
        ItemKNN(k=20),
        UserKNN(k=20),
        EASE(l2=50.0),
        ChebyCF(rank=8, k=30),
        IALS(width=8, epochs=4),
        MF(width=8, batch=32, epochs=6, learning_rate=0.03),
        CP(width=8, batch=64, epochs=6, learning_rate=0.02),
        NeuMF(width=8, hidden=(8,), batch=64, epochs=4, learning_rate=0.01),
        ConvNCF(width=8, channels=4, batch=64, epochs=4, learning_rate=0.01),
        MultVAE(width=8, hidden=(16,), batch=16, epochs=20, learning_rate=0.01),
        DMF(width=8, hidden=(16,), batch=32, epochs=10, learning_rate=0.01),
        LightGCN(width=8, batch=32, epochs=6, learning_rate=0.03),
        XSimGCL(width=8, batch=32, epochs=4, learning_rate=0.03),
        SpectralMF(width=8, rank=8, k=30, batch=32, epochs=6, learning_rate=0.03),
        SparseFC(hidden=(8, 8), l2=0.5, epochs=30),
        Markov(k=20, reach=3),
        SessionKNN(k=20, history=10),
        SASRec(**SHORT),
        BSARec(**SHORT),
        LRURec(**SHORT),
        HSTU(**SHORT),
        FMLPRec(**SHORT),
        BERT4Rec(**SHORT),
        NextItNet(**SHORT),
        GRU4Rec(**SHORT, inner=16),
    )
}
PLAIN = Training(seed=3, device="cpu", precision="f32")


@cache
def shop() -> Table:
    return simulate(3_000, users=90, items=70, seed=1).table


@cache
def _fitted(name: str) -> Recommender:
    return Recommender(SPECS[name], training=PLAIN).fit(shop())


def fitted(name: str = "ease") -> Recommender:
    """A recommender of its own around what was learned once."""
    return Recommender.of(_fitted(name).state)


def users() -> list[str]:
    """Those with a history, in the order of their numbers."""
    rec = fitted()
    lengths = rec.state.histories.lengths
    return rec.state.users.vocab.names.filter(pl.Series(lengths > 2)).to_list()


def taken(user: str) -> list[str]:
    """The items of a user's history, first event first."""
    state = fitted().state
    row = state.users.vocab.numbers([user])
    return state.items.vocab.of(state.histories.of_users(row).item).to_list()


def item_names() -> list[str]:
    return fitted().state.items.vocab.names.to_list()


def events(*rows: tuple[object, object, float]) -> pl.DataFrame:
    """Views of (user, item, time)."""
    frame = pl.DataFrame(list(rows), schema=["user_id", "item_id", "time"], orient="row")
    return frame.with_columns(pl.lit("view").alias("kind"))


def late() -> float:
    """A time after all events of the shop."""
    return float(shop().events["time"].to_numpy().max()) + 60
