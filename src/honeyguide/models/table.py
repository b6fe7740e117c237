"""All models, by the names of their papers. A new model is one file and one line here."""

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
from honeyguide.models.spec import Spec
from honeyguide.models.spectral_mf import SpectralMF
from honeyguide.models.user_knn import UserKNN
from honeyguide.models.xsimgcl import XSimGCL

_ALL = (
    Popular,
    ItemKNN,
    UserKNN,
    EASE,
    ChebyCF,
    IALS,
    MF,
    CP,
    NeuMF,
    ConvNCF,
    MultVAE,
    DMF,
    LightGCN,
    XSimGCL,
    SpectralMF,
    SparseFC,
    Markov,
    SessionKNN,
    GRU4Rec,
    NextItNet,
    SASRec,
    BSARec,
    LRURec,
    HSTU,
    FMLPRec,
    BERT4Rec,
)
MODELS: dict[str, type[Spec]] = {spec.name: spec for spec in _ALL}


def spec_named(name: str) -> type[Spec]:
    """The Spec with this name; UnknownName lists the known ones."""
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    return MODELS[name]
