"""RecBole's sequence models: run by recbole_sequences.py with the interpreter of its environment.

    python recbole_sequences.py FOLDER MODEL HISTORY BATCHES OUT

FOLDER holds data/data.inter. BATCHES 0: a whole epoch, then nDCG@10 of all validation users; else
the seconds of so many batches only, from which those of the epoch follow.
"""

import json
import sys
import time
from itertools import islice
from logging import getLogger

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed

SETTINGS = {
    "SASRec": {
        "n_layers": 2,
        "n_heads": 1,
        "hidden_size": 64,
        "inner_size": 64,
        "hidden_dropout_prob": 0.2,
        "attn_dropout_prob": 0.2,
    },
    "GRU4Rec": {"embedding_size": 64, "hidden_size": 128, "num_layers": 1, "dropout_prob": 0.2},
}
WARM = 2  # batches before the clock starts


def main() -> None:
    folder, name, history, batches, out = sys.argv[1:]
    settings = {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": int(history),
        "train_neg_sample_args": None,
        "loss_type": "CE",
        "train_batch_size": 2048,
        "eval_batch_size": 2048,
        "metrics": ["NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "group_by": "user",
            "order": "TO",
            "mode": "full",
        },
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
        "seed": 0,
        **SETTINGS[name],
    }
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
    told = {"targets": len(train.dataset), "threads": torch.get_num_threads()}
    if int(batches) == 0:
        started = time.perf_counter()
        trainer._train_epoch(train, 0, show_progress=False)
        told["epoch_seconds"] = time.perf_counter() - started
        found = trainer.evaluate(valid, load_best_model=False, show_progress=False)
        told["ndcg@10"] = found["ndcg@10"]
    else:
        told["batches"] = int(batches)
        model.train()
        for number, interaction in enumerate(islice(train, WARM + int(batches))):
            if number == WARM:
                started = time.perf_counter()
            trainer.optimizer.zero_grad()
            model.calculate_loss(interaction).backward()
            trainer.optimizer.step()
        told["epoch_seconds"] = (time.perf_counter() - started) / int(batches) * len(train)
    with open(out, "w") as file:
        json.dump(told, file)


main()
