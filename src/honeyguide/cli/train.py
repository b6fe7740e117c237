"""`honeyguide train`: one model, everything learned from, saved as a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from honeyguide.cli import flags
from honeyguide.cli.flags import Config, Given, Settings, takes

INTERRUPTED = 130


@takes(flags.inputs)
def train(
    given: Given,
    out: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="The folder to save to.")],
    model: Annotated[str | None, typer.Option("--model", help="A model's name.")] = None,
    settings: Settings = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Most epochs; the same as --set.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed (default 0).")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command was stopped.")
    ] = False,
    config: Config = None,
) -> None:
    """Train a model on everything and save it as a bundle."""
    from honeyguide.bundle.bundle import describe
    from honeyguide.cli import show
    from honeyguide.cli.runs import one_model, refuse_occupied, run_of
    from honeyguide.models.spec import LearnedSpec
    from honeyguide.recommender import Recommender
    from honeyguide.train import checkpoint
    from honeyguide.train.progress import Bar

    run = run_of(given, config, [model] if model else None, settings, seeds=seed)
    run = one_model(run, epochs)
    refuse_occupied(out)
    show.fetch(run.data, run.inputs)
    (spec,) = run.specs()
    rec = Recommender(spec, training=run.training.but(seed=run.seeds[0]))
    folder = out.with_name(out.name + ".run")
    if resume and not isinstance(spec, LearnedSpec):
        show.err().print(f"Nothing to resume: {spec.name} is solved in one step, from the start.")
    elif resume and not (folder / checkpoint.FILE).exists():
        show.err().print(
            f"Nothing to resume: {folder} holds no checkpoint. Training starts anew.",
            soft_wrap=True,
        )
    try:
        with Bar(spec.name) as bar:
            rec.fit(run.data, inputs=run.inputs, folder=folder, resume=resume, reporter=bar)
    except KeyboardInterrupt:
        kept = (folder / checkpoint.FILE).exists()
        show.err().print(
            f"Stopped. What was learned is kept in {folder}.\n"
            "Give the same command with --resume to go on."
            if kept
            else "Stopped. Nothing was kept, for no step of training was done.\n"
            "Give the same command to start again.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    rec.save(out)
    if (folder / checkpoint.FILE).exists():
        checkpoint.remove(folder)  # it holds rows of users; what is of use is in the bundle
    state, fitted = rec.state, rec.fitted
    assert fitted is not None
    show.notes(rec.notes)
    show.say(
        f"{spec.name} learned from {len(state.histories):,} events of "
        f"{state.histories.n_users:,} users and {state.scorable - 1:,} items "
        f"in {fitted.seconds:.1f} s{_epochs(fitted.epochs, fitted.best_epoch)}.",
        f"Saved to {out} ({describe(out).bytes / 1e6:.1f} MB).",
        f"Ask it: honeyguide recommend {out} --user {state.users.vocab.names[0]} -k 10",
        f"Serve it: honeyguide serve {out}",
    )


def _epochs(epochs: int, best: int | None) -> str:
    return "" if best is None else f" ({epochs} epochs, the best was number {best + 1})"
