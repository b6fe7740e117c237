"""`honeyguide serve`: a saved recommender over HTTP."""

from honeyguide.cli.flags import Bundle, Host, Port


def serve(bundle: Bundle, host: Host = "127.0.0.1", port: Port = 8088) -> None:
    """Answer over HTTP until Ctrl-C."""
    from honeyguide.cli import show
    from honeyguide.serve.server import serve as serve_bundle

    def ready(url: str) -> None:
        show.say(f"Serving {bundle} on {url} (Ctrl-C stops)")

    serve_bundle(bundle, host, port, ready)
