"""Every model of the table keeps every contract; none is left out, none may skip."""

import inspect
from typing import Any

import pytest

import contracts
from contracts import CONTRACTS
from declared import Declared
from honeyguide.errors import UnknownName
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
from honeyguide.models.spectral_mf import SpectralMF
from honeyguide.models.table import MODELS, spec_named
from honeyguide.models.user_knn import UserKNN
from honeyguide.models.xsimgcl import XSimGCL

SMALL_MF = MF(width=2, epochs=60, learning_rate=0.05, batch=64, l2=0.1)
SMALL_SEQUENCE: dict[str, Any] = {
    "width": 8,
    "layers": 1,
    "history": 12,
    "epochs": 10,
    "batch": 8,
    "learning_rate": 0.01,
}
SMALL_SASREC = SASRec(**SMALL_SEQUENCE)
SMALL_NEUMF = NeuMF(
    width=4, hidden=(8,), epochs=15, learning_rate=0.02, batch=64, dropout=0.0, l2=0.1
)
# the days of the checkerboard differ, its hours do not
SMALL_CP = CP(context="weekday", width=2, epochs=30, learning_rate=0.03, batch=64)
# Few epochs: what a user has not taken of their own block is drawn as a negative, too, and in more
# of them is learned by heart. With fewer channels every other draw does not learn the board.
SMALL_CONV = ConvNCF(width=4, channels=32, epochs=3, learning_rate=0.005, batch=64, l2=0.03)
SMALL_VAE = MultVAE(
    width=4, hidden=(8,), epochs=60, learning_rate=0.01, batch=32, dropout=0.2, beta=0.02, warmup=50
)
SMALL_DMF = DMF(
    width=4, hidden=(8,), epochs=40, learning_rate=0.02, batch=32, dropout=0.2, temperature=0.3
)
SMALL_SPARSE = SparseFC(hidden=(8, 8), l2=0.1, epochs=40)
SMALL_GCN = LightGCN(width=4, epochs=30, learning_rate=0.05, batch=64)

# A model of the table that is missing here fails the collection; a variant is one more line.
DECLARED: dict[str, dict[str, Declared]] = {
    "popular": {"popular": Declared(Popular(), personal=False)},
    "item-knn": {
        "item-knn": Declared(ItemKNN(k=8)),
        "item-knn-weighed": Declared(ItemKNN(weigh_users=True, shrink=1.0)),
    },
    "user-knn": {
        "user-knn": Declared(UserKNN(k=20)),
        "user-knn-plain": Declared(UserKNN(weigh_items=False, shrink=1.0)),
    },
    "ease": {"ease": Declared(EASE(l2=50.0))},
    "ials": {"ials": Declared(IALS(width=4, l2=0.05))},
    "mf": {
        "mf": Declared(SMALL_MF),
        "mf-bpr": Declared(SMALL_MF.but(loss="bpr", negatives=4, l2=0.03)),
        "mf-cosine": Declared(SMALL_MF.but(similarity="cosine", width=4, temperature=0.3, l2=0.01)),
        "mf-bce": Declared(SMALL_MF.but(loss="bce", negatives=4, l2=0.01)),
        "mf-gbce": Declared(SMALL_MF.but(loss="gbce", negatives=4, l2=0.01)),
        "mf-mse": Declared(SMALL_MF.but(loss="mse", negatives=4, l2=0.01)),
        "mf-ccl": Declared(SMALL_MF.but(loss="ccl", similarity="cosine", negatives=4, l2=1e-4)),
        "mf-directau": Declared(
            SMALL_MF.but(loss="directau", similarity="cosine", weight=0.2, epochs=30)
        ),
        "mf-sampled": Declared(SMALL_MF.but(loss="sampled-softmax", negatives=8)),
    },
    "cp": {
        "cp": Declared(SMALL_CP),
        "cp-bpr": Declared(SMALL_CP.but(loss="bpr", context="hour-of-week", negatives=32)),
        "cp-sampled": Declared(SMALL_CP.but(loss="sampled-softmax", negatives=32)),
    },
    "chebycf": {"chebycf": Declared(ChebyCF(rank=4, k=30))},
    "neumf": {
        "neumf": Declared(SMALL_NEUMF),
        "gmf": Declared(SMALL_NEUMF.but(parts="gmf")),
        "mlp": Declared(SMALL_NEUMF.but(parts="mlp", width=2, loss="bpr")),
    },
    "convncf": {
        "convncf": Declared(SMALL_CONV),
        "convncf-random": Declared(
            SMALL_CONV.but(start="random", width=8, channels=4, epochs=15, learning_rate=0.02)
        ),
    },
    "mult-vae": {"mult-vae": Declared(SMALL_VAE)},
    "dmf": {
        "dmf": Declared(SMALL_DMF),
        "dmf-dot": Declared(SMALL_DMF.but(similarity="dot", temperature=1.0)),
        "dmf-euclid": Declared(SMALL_DMF.but(similarity="euclid", temperature=1.0)),
    },
    "lightgcn": {
        "lightgcn": Declared(SMALL_GCN),
        "lightgcn-bpr": Declared(SMALL_GCN.but(loss="bpr", negatives=2, epochs=20)),
    },
    "xsimgcl": {
        "xsimgcl": Declared(
            XSimGCL(width=8, epochs=30, learning_rate=0.03, batch=64, noise=0.1, contrast=0.05)
        ),
        "xsimgcl-softmax": Declared(XSimGCL(**SMALL_GCN.but(layers=2).model_dump())),
    },
    "spectral-mf": {
        "spectral-mf": Declared(
            # two blocks are two directions; a third would be any, and differ with the last bit
            SpectralMF(width=2, rank=2, k=30, epochs=30, learning_rate=0.05, batch=64)
        )
    },
    "sparse-fc": {
        "sparse-fc": Declared(SMALL_SPARSE),
        "sparse-fc-items": Declared(SMALL_SPARSE.but(users_share=0.0)),
    },
    "markov": {"markov": Declared(Markov(reach=8))},
    "session-knn": {"session-knn": Declared(SessionKNN(k=30, recent=100))},
    "gru4rec": {
        "gru4rec": Declared(GRU4Rec(**SMALL_SEQUENCE, inner=8)),
        "lstm": Declared(GRU4Rec(**SMALL_SEQUENCE, inner=8, cell="lstm")),
    },
    "nextitnet": {"nextitnet": Declared(NextItNet(**SMALL_SEQUENCE))},
    "bsarec": {"bsarec": Declared(BSARec(**SMALL_SEQUENCE))},
    "lrurec": {
        "lrurec": Declared(LRURec(**SMALL_SEQUENCE)),
        "lrurec-cosine": Declared(LRURec(**SMALL_SEQUENCE, similarity="cosine", temperature=0.3)),
    },
    "hstu": {
        "hstu": Declared(HSTU(**SMALL_SEQUENCE)),
        "hstu-heads": Declared(HSTU(**SMALL_SEQUENCE, heads=2)),
    },
    "fmlp-rec": {
        "fmlp-rec": Declared(FMLPRec(**SMALL_SEQUENCE)),
        "fmlp-rec-projection": Declared(FMLPRec(**SMALL_SEQUENCE, similarity="projection")),
    },
    "bert4rec": {
        "bert4rec": Declared(BERT4Rec(**SMALL_SEQUENCE)),
        "bert4rec-kinds-gaps": Declared(BERT4Rec(**SMALL_SEQUENCE, kinds=True, gaps=True)),
        "bert4rec-cosine": Declared(
            BERT4Rec(**SMALL_SEQUENCE, similarity="cosine", temperature=0.3)
        ),
        "bert4rec-sampled": Declared(
            BERT4Rec(**SMALL_SEQUENCE, loss="sampled-softmax", negatives=16)
        ),
    },
    "sasrec": {
        "sasrec": Declared(SMALL_SASREC),
        "sasrec-kinds-gaps": Declared(SMALL_SASREC.but(kinds=True, gaps=True)),
        "sasrec-sampled": Declared(SMALL_SASREC.but(loss="sampled-softmax", negatives=16)),
    },
}
VARIANTS = {id_: declared for name in MODELS for id_, declared in DECLARED[name].items()}
PAIRS = [(variant, contract) for variant in VARIANTS for contract in CONTRACTS]


@pytest.mark.parametrize(("variant", "contract"), PAIRS)
def test_contract(variant, contract):
    try:
        CONTRACTS[contract](VARIANTS[variant])
    except pytest.skip.Exception as skipped:
        pytest.fail(f"a contract may not skip: {skipped}")


def test_every_model_meets_every_contract(request):
    # The items that pytest collected, not what ran before this test: workers share the tests out.
    found = {}
    for item in request.session.items:
        if item.path == request.path and item.originalname == "test_contract":
            found[item.callspec.params["variant"], item.callspec.params["contract"]] = item
    assert {spec.name for spec in (d.spec for d in VARIANTS.values())} == set(MODELS)
    assert set(found) == {(v, c) for v in VARIANTS for c in CONTRACTS}
    for item in found.values():
        marks = {mark.name for mark in item.iter_markers()}
        assert not marks & {"skip", "skipif", "xfail", "faults", "long"}, item.name


def test_every_contract_of_the_library_is_in_its_table():
    takes_one = {
        name
        for name, function in inspect.getmembers(contracts, inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["declared"]
    }
    assert takes_one == set(CONTRACTS)


def test_an_unknown_model_is_refused_and_the_nearest_suggested():
    assert spec_named("ease") is EASE
    with pytest.raises(UnknownName, match="Did you mean 'sasrec'") as caught:
        spec_named("sasrex")
    assert all(name in caught.value.do for name in MODELS)
