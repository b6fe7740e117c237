"""RecBole, epoch by epoch: run by recbole_speed.py with the interpreter of RecBole's environment.

    python recbole_epochs.py FOLDER MODEL EPOCHS OUT

FOLDER holds data/data.{train,valid,test}.inter. Prints nothing but progress; OUT gets the seconds
of each epoch and nDCG@10 of the validation users after the epochs 5 and 20.
"""

import json
import sys
import time
from logging import getLogger

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed

ASKED_AFTER = (5, 20)
SETTINGS = {
    "BPR": {"embedding_size": 64},
    "NeuMF": {
        "mf_embedding_size": 64,
        "mlp_embedding_size": 64,
        "mlp_hidden_size": [128, 64],
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 4},
    },
    "LightGCN": {"embedding_size": 64, "n_layers": 3},
    "MultiVAE": {"mlp_hidden_size": [600], "latent_dimension": 128},
}


def main() -> None:
    folder, name, epochs, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    settings = {
        "data_path": folder,
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {"inter": ["user_id", "item_id"]},
        "train_batch_size": 2048,
        "eval_batch_size": 4096,
        "metrics": ["NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "eval_args": {"group_by": "user", "order": "RO", "mode": "full"},
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "seed": 0,
        "reproducibility": True,
        **SETTINGS[name],
    }
    if name == "MultiVAE":
        settings["train_neg_sample_args"] = None
    sys.argv = sys.argv[:1]
    config = Config(model=name, dataset="data", config_dict=settings)
    init_seed(0, True)
    init_logger(config)
    getLogger().setLevel("ERROR")
    dataset = create_dataset(config)
    train, valid, _ = data_preparation(config, dataset)
    init_seed(0, True)
    model = get_model(config["model"])(config, train._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    trainer.eval_collector.data_collect(train)
    seconds, quality = [], {}
    for epoch in range(epochs):
        started = time.perf_counter()
        trainer._train_epoch(train, epoch, show_progress=False)
        seconds.append(time.perf_counter() - started)
        if epoch + 1 in ASKED_AFTER:
            told = trainer.evaluate(valid, load_best_model=False, show_progress=False)
            quality[epoch + 1] = told["ndcg@10"]
        print(name, epoch, round(seconds[-1], 2), quality, flush=True)
    with open(out, "w") as file:
        told = {"epochs": seconds, "ndcg@10": quality, "threads": torch.get_num_threads()}
        json.dump(told, file)


main()
