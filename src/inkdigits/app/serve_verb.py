"""The verb `serve`."""

from __future__ import annotations

import logging
import os
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import click

from .options import FILE, say

TOKEN = "INKDIGITS_TOKEN"


@click.command()
@click.option("-m", "--model", default="reader", show_default=True, help="Run folder, .onnx file or shipped model.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for the network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 for any that is free.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--corrections", type=FILE, metavar="FILE", help="Keep what is put right on the page; .sqlite.")
@click.option("--token", envvar=TOKEN, help="That clients have to bring; better as $INKDIGITS_TOKEN.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Let pages from there call it; repeatable.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name under which it is called; repeatable.")
@click.option("--max-body", type=click.IntRange(1, 1024), default=32, show_default=True, help="MB of one request.")
@click.option("--max-pixels", type=click.IntRange(1, 100), default=50, show_default=True, help="Millions, a picture.")
@click.option("--max-pictures", type=click.IntRange(1), default=20, show_default=True, help="In one request.")
@click.option("--max-digits", type=click.IntRange(1), default=10_000, show_default=True, help="In one request.")
@click.option("--max-seconds", type=click.FloatRange(0.1), default=30, show_default=True, help="For one request.")
@click.option("--max-waiting", type=click.IntRange(1), default=256, show_default=True, help="Requests in the queue.")
@click.option("--max-corrections", type=click.IntRange(1), default=256, show_default=True, help="MB of their file.")
@click.option("--threads", type=click.IntRange(1, 1024), help="That read.  [default: all processors]")
@click.option("--log", is_flag=True, help="A line on stderr for each request, without what was in it.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr, errors apart.")
def serve(
    model: str,
    host: str,
    port: int,
    open_page: bool,
    corrections: Path | None,
    token: str | None,
    cors: tuple[str, ...],
    allow_host: tuple[str, ...],
    max_body: int,
    max_pixels: int,
    max_pictures: int,
    max_digits: int,
    max_seconds: float,
    max_waiting: int,
    max_corrections: int,
    threads: int | None,
    log: bool,
    quiet: bool,
) -> None:
    """Open a page to draw digits on, and the same over HTTP for programs.

    Prints its address when it is ready. Listens to this machine alone unless told otherwise, keeps nothing unless
    --corrections is given. /docs describes the interface. Ctrl-C ends it, after what it accepted is answered.

    \b
    inkdigits serve --open
    inkdigits serve --corrections corrections.sqlite
    inkdigits serve --host 0.0.0.0 --port 80 --allow-host digits.example.org
    """
    from .serve import is_local
    from .serve import serve as run_server
    from .serving.settings import Limits, Settings, default_threads

    limits = Limits(
        body_bytes=max_body << 20,
        pixels=max_pixels * 1_000_000,
        pictures=max_pictures,
        digits=max_digits,
        seconds=max_seconds,
        waiting=max_waiting,
    )
    settings = Settings(
        limits=limits,
        token=os.environ.get(TOKEN) if token is None else token,  # an empty one is a mistake, not none
        cors=cors,
        corrections=corrections,
        corrections_bytes=max_corrections << 20,
        threads=threads or default_threads(),
        log=log,
    )
    if log:
        logging.basicConfig(format="%(asctime)s %(message)s")
        logging.getLogger("inkdigits.serve").setLevel(logging.INFO)

    def ready(address: str) -> None:
        print(f"inkdigits reads at {address} (Ctrl-C ends it)", flush=True)
        if not is_local(urlsplit(address).hostname or "") and not token:
            say("warning: whoever reaches this machine may use it; --token asks for a token")
        if open_page:
            webbrowser.open(address)

    run_server(model, host=host, port=port, settings=settings, allow_hosts=allow_host, ready=ready)
