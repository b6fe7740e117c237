"""Honeyguide: from a table of what people did to a live recommender.

    import honeyguide as hg
    rec = hg.Recommender(hg.EASE()).fit("log.csv")
    rec.recommend(["ann"], k=10)

Names are loaded when first used, so that importing the package does nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from honeyguide.config import Config as Config
    from honeyguide.data.columns import Columns as Columns
    from honeyguide.data.opening import Inputs as Inputs
    from honeyguide.data.opening import load_data as load_data
    from honeyguide.data.protocol import Protocol as Protocol
    from honeyguide.data.read import read as read
    from honeyguide.data.shop import simulate as simulate
    from honeyguide.data.table import Table as Table
    from honeyguide.errors import HoneyguideError as HoneyguideError
    from honeyguide.experiment.compare import compare as compare
    from honeyguide.experiment.lists import evaluate_lists as evaluate_lists
    from honeyguide.experiment.lists import evaluate_predictions as evaluate_predictions
    from honeyguide.experiment.run import Run as Run
    from honeyguide.experiment.tuning import tune as tune
    from honeyguide.models.bert4rec import BERT4Rec as BERT4Rec
    from honeyguide.models.bsarec import BSARec as BSARec
    from honeyguide.models.chebycf import ChebyCF as ChebyCF
    from honeyguide.models.convncf import ConvNCF as ConvNCF
    from honeyguide.models.cp import CP as CP
    from honeyguide.models.dmf import DMF as DMF
    from honeyguide.models.ease import EASE as EASE
    from honeyguide.models.fmlp_rec import FMLPRec as FMLPRec
    from honeyguide.models.gru4rec import GRU4Rec as GRU4Rec
    from honeyguide.models.hstu import HSTU as HSTU
    from honeyguide.models.ials import IALS as IALS
    from honeyguide.models.item_knn import ItemKNN as ItemKNN
    from honeyguide.models.lightgcn import LightGCN as LightGCN
    from honeyguide.models.lrurec import LRURec as LRURec
    from honeyguide.models.markov import Markov as Markov
    from honeyguide.models.mf import MF as MF
    from honeyguide.models.mult_vae import MultVAE as MultVAE
    from honeyguide.models.neumf import NeuMF as NeuMF
    from honeyguide.models.nextitnet import NextItNet as NextItNet
    from honeyguide.models.popular import Popular as Popular
    from honeyguide.models.sasrec import SASRec as SASRec
    from honeyguide.models.session_knn import SessionKNN as SessionKNN
    from honeyguide.models.sparse_fc import SparseFC as SparseFC
    from honeyguide.models.spectral_mf import SpectralMF as SpectralMF
    from honeyguide.models.user_knn import UserKNN as UserKNN
    from honeyguide.models.xsimgcl import XSimGCL as XSimGCL
    from honeyguide.recommender.recommender import Recommender as Recommender
    from honeyguide.recommender.recommender import load as load
    from honeyguide.reporting.report import report as report
    from honeyguide.train.trainer import Training as Training
    from honeyguide.tuning.search import Search as Search

__version__ = "0.1.0"

_PUBLIC: dict[str, tuple[str, str]] = {  # public name: (module, name in it)
    "BERT4Rec": ("models.bert4rec", "BERT4Rec"),
    "BSARec": ("models.bsarec", "BSARec"),
    "CP": ("models.cp", "CP"),
    "ChebyCF": ("models.chebycf", "ChebyCF"),
    "Columns": ("data.columns", "Columns"),
    "Config": ("config", "Config"),
    "ConvNCF": ("models.convncf", "ConvNCF"),
    "DMF": ("models.dmf", "DMF"),
    "EASE": ("models.ease", "EASE"),
    "FMLPRec": ("models.fmlp_rec", "FMLPRec"),
    "GRU4Rec": ("models.gru4rec", "GRU4Rec"),
    "HoneyguideError": ("errors", "HoneyguideError"),
    "HSTU": ("models.hstu", "HSTU"),
    "IALS": ("models.ials", "IALS"),
    "Inputs": ("data.opening", "Inputs"),
    "ItemKNN": ("models.item_knn", "ItemKNN"),
    "LRURec": ("models.lrurec", "LRURec"),
    "LightGCN": ("models.lightgcn", "LightGCN"),
    "MF": ("models.mf", "MF"),
    "Markov": ("models.markov", "Markov"),
    "MultVAE": ("models.mult_vae", "MultVAE"),
    "NeuMF": ("models.neumf", "NeuMF"),
    "NextItNet": ("models.nextitnet", "NextItNet"),
    "Popular": ("models.popular", "Popular"),
    "Protocol": ("data.protocol", "Protocol"),
    "Recommender": ("recommender.recommender", "Recommender"),
    "Run": ("experiment.run", "Run"),
    "SASRec": ("models.sasrec", "SASRec"),
    "Search": ("tuning.search", "Search"),
    "SessionKNN": ("models.session_knn", "SessionKNN"),
    "SparseFC": ("models.sparse_fc", "SparseFC"),
    "SpectralMF": ("models.spectral_mf", "SpectralMF"),
    "Table": ("data.table", "Table"),
    "Training": ("train.trainer", "Training"),
    "UserKNN": ("models.user_knn", "UserKNN"),
    "XSimGCL": ("models.xsimgcl", "XSimGCL"),
    "compare": ("experiment.compare", "compare"),
    "evaluate_lists": ("experiment.lists", "evaluate_lists"),
    "evaluate_predictions": ("experiment.lists", "evaluate_predictions"),
    "load": ("recommender.recommender", "load"),
    "load_data": ("data.opening", "load_data"),
    "read": ("data.read", "read"),
    "report": ("reporting.report", "report"),
    "simulate": ("data.shop", "simulate"),
    "tune": ("experiment.tuning", "tune"),
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'honeyguide' has no attribute {name!r}")
    module, inner = _PUBLIC[name]
    value = getattr(import_module(f"honeyguide.{module}"), inner)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
