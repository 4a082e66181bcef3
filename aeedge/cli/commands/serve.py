"""`aeedge serve`: runs the codec as an HTTP service."""

import socket
from typing import Any

import click

from aeedge.cli.console import note
from aeedge.cli.options.parameters import Number, Whole
from aeedge.cli.options.shared import device_option, model_option
from aeedge.extras import SERVE_MODULES, require_extra
from aeedge_runtime.errors import AeedgeError


@click.command()
@model_option
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", metavar="N", type=Whole(0, 65535), default=8000, show_default=True, help="0 for a free port.")
@click.option("--jobs", metavar="N", type=Whole(1, 64), help="Images to process at once.  [default: one per core]")
@click.option("--threads", metavar="N", type=Whole(), default=1, show_default=True, help="Threads for each image.")
@click.option("--max-body", metavar="MB", type=Number(), default=32, show_default=True, help="Largest request.")
@click.option("--max-pixels", metavar="N", type=Whole(), default=25_000_000, show_default=True, help="Largest image.")
@click.option("--queue", metavar="N", type=Whole(), default=64, show_default=True, help="Requests that may wait.")
@click.option("--timeout", metavar="S", type=Number(), default=30, show_default=True, help="Longest time of a request.")
@device_option
def serve(**options: Any) -> None:
    """Run the codec as an HTTP service, with a page at / and its documentation at /docs.

    POST an image to /compress?quality=60 and a stream to /decompress. Stops on Ctrl-C and SIGTERM after the requests in
    progress. It neither encrypts nor authenticates: put it behind a proxy that does.
    """
    require_extra("serve", SERVE_MODULES, "the service needs")
    import uvicorn

    from aeedge.service.app import create_app
    from aeedge.service.limits import ServiceLimits
    from aeedge_runtime import Codec
    from aeedge_runtime.inference.processors import default_threads

    codec = Codec.load(options["model"], device=options["device"], threads=options["threads"])
    limits = ServiceLimits(
        body_bytes=round(options["max_body"] * 1e6),
        pixels=options["max_pixels"],
        concurrent=options["jobs"] or default_threads(),
        queue=options["queue"],
        seconds=options["timeout"],
    )
    config = uvicorn.Config(
        create_app(codec, limits),
        log_level="warning",
        timeout_graceful_shutdown=int(limits.seconds) + 1,
        server_header=False,
    )
    with _listening(options["host"], options["port"]) as listener:
        host, port = listener.getsockname()[:2]
        note(f"listening at http://{f'[{host}]' if ':' in host else host}:{port}")
        uvicorn.Server(config).run([listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise AeedgeError(f"cannot listen at {host}, port {port} ({error.strerror}); choose another --port") from error
