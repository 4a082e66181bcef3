"""The routes of the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

import aeedge_runtime
from aeedge.service.calls import Calls
from aeedge.service.limits import Admission, RefusedError, ServiceLimits
from aeedge.service.metrics import CONTENT_TYPE, Metrics
from aeedge.service.page import add_page
from aeedge_runtime import (
    AeedgeError,
    ArgumentError,
    Codec,
    DeviceError,
    InputError,
    LimitError,
    MissingHalfError,
    ModelError,
    TargetNotReachedError,
    stream_info,
)
from aeedge_runtime.images.save import picture_bytes

Result = TypeVar("Result")

STREAM_TYPE = "image/x-aeedge"

STATUSES: tuple[tuple[type[AeedgeError], int], ...] = (
    (LimitError, 413),
    (MissingHalfError, 501),
    (DeviceError, 503),
    (InputError, 422),
    (ArgumentError, 422),
    (ModelError, 422),
    (TargetNotReachedError, 422),
)
"""HTTP status of errors; the first class that fits counts."""

ERRORS: dict[int | str, dict[str, Any]] = {
    408: {"description": "The request took too long."},
    413: {"description": "Too many bytes or pixels."},
    422: {"description": "Not an image or not a stream, a stream of another model, or a value out of range."},
    429: {"description": "Too many requests of this client at once."},
    503: {"description": "The service is full, stopping, or its device fails."},
}


@dataclass
class _Service:
    """The state of one app."""

    codec: Codec
    limits: ServiceLimits
    calls: Calls
    admission: Admission
    metrics: Metrics = field(default_factory=Metrics)

    async def answer(
        self, request: Request, endpoint: str, work: Callable[[bytes], Result], respond: Callable[[Result], Response]
    ) -> Response:
        """Read the body, run the codec and make the response, within the limits."""
        start, received = time.monotonic(), 0
        try:
            with self.admission.of(request.client.host if request.client else ""):
                async with asyncio.timeout(self.limits.seconds):
                    body = await self._body(request)
                    received = len(body)
                    result, notices = await self.calls.run(lambda: work(body))
                    response = respond(result)
            if notices:
                response.headers["X-Aeedge-Warning"] = _header("; ".join(notices))
        except RefusedError as error:
            response = _error(error.status, str(error), "RefusedError")
        except TimeoutError:
            waited = f"no answer within {self.limits.seconds:g} s"
            response = _error(503 if received else 408, f"{waited}; send a smaller image, or try again", "TimeoutError")
        except AeedgeError as error:
            status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
            response = _error(status, str(error), type(error).__name__)
        self.metrics.answered(endpoint, response.status_code, time.monotonic() - start, received, len(response.body))
        return response

    async def _body(self, request: Request) -> bytes:
        most = self.limits.body_bytes
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > most:
            raise RefusedError(413, f"a body of {stated} bytes, the limit is {most}")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise RefusedError(413, f"a body of more than {most} bytes")
        if not body:
            raise RefusedError(422, "the body is empty; send the bytes of a file, as with curl --data-binary @FILE")
        return bytes(body)


def create_app(codec: Codec, limits: ServiceLimits | None = None) -> FastAPI:
    """Make the application of a service, for uvicorn or any other ASGI server.

    Args:
        codec: compresses and decompresses; its threads are those of one call.
        limits: what the service accepts; None for the defaults.
    """
    limits = limits or ServiceLimits()
    service = _Service(codec, limits, Calls(limits.concurrent), Admission(limits))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.admission.closing = True
        await asyncio.to_thread(service.calls.close)

    app = FastAPI(title="aeedge", version=aeedge_runtime.__version__, lifespan=lifespan, docs_url="/docs")
    app.state.service = service
    _add_codec_routes(app, service)
    _add_state_routes(app, service)
    add_page(app)

    @app.exception_handler(RequestValidationError)
    async def refuse(_request: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors())
        return _error(422, faults, "ArgumentError")

    return app


def _add_codec_routes(app: FastAPI, service: _Service) -> None:
    pixels = service.limits.pixels

    @app.post("/compress", responses=ERRORS, response_class=Response)
    async def compress(
        request: Request,
        quality: Annotated[int | None, Query(ge=1, le=100)] = None,
        max_bytes: Annotated[int | None, Query(ge=1)] = None,
        target_bpp: Annotated[float | None, Query(gt=0)] = None,
        target_psnr: Annotated[float | None, Query(gt=0)] = None,
        max_error: Annotated[int | None, Query(ge=0, le=255)] = None,
        metadata: bool = True,
        stored_tiles: bool = True,
    ) -> Response:
        """Compress an image file, sent as the body, to a stream."""
        rate = {
            "quality": quality,
            "max_bytes": max_bytes,
            "target_bpp": target_bpp,
            "target_psnr": target_psnr,
            "max_error": max_error,
        }

        def work(body: bytes) -> bytes:
            options = {"metadata": metadata, "stored_tiles": stored_tiles, "max_pixels": pixels}
            return service.codec.compress(body, **rate, **options)  # type: ignore[arg-type]

        return await service.answer(request, "/compress", work, _stream_response)

    @app.post("/decompress", responses=ERRORS, response_class=Response)
    async def decompress(
        request: Request,
        format: Literal["png", "jpg", "webp"] = "png",  # noqa: A002 - the name of the query parameter
        index: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """Decompress a stream, sent as the body, to an image file; of a packed stream, the image `index`."""

        def work(body: bytes) -> bytes:
            pictures = service.codec.decompress_pictures(body, max_pixels=pixels)
            if index >= len(pictures):
                raise ArgumentError(f"index: found {index}, the stream holds {len(pictures)} images, counted from 0")
            return picture_bytes(pictures[index], f".{format}")[0]

        return await service.answer(request, "/decompress", work, lambda data: _image_response(data, format))

    @app.post("/preview", responses=ERRORS, response_class=Response)
    async def preview(
        request: Request,
        format: Literal["png", "jpg", "webp"] = "webp",  # noqa: A002 - the name of the query parameter
    ) -> Response:
        """Turn a stream, sent as the body, into an image file of 1/8 of its rows and columns."""

        def work(body: bytes) -> bytes:
            return picture_bytes(service.codec.preview_picture(body, max_pixels=pixels), f".{format}")[0]

        return await service.answer(request, "/preview", work, lambda data: _image_response(data, format))


def _add_state_routes(app: FastAPI, service: _Service) -> None:
    manifest, limits = service.codec.bundle.manifest, service.limits

    @app.get("/info")
    async def info() -> dict[str, Any]:
        """Return facts of the bundle and the limits of the service."""
        return {
            "version": aeedge_runtime.__version__,
            "bundle": manifest.name,
            "stream_id": manifest.stream_id,
            "halves": list(manifest.halves),
            "channels": manifest.image.channels,
            "device": service.codec.options.device,
            "max_body_bytes": limits.body_bytes,
            "max_pixels": limits.pixels,
        }

    @app.get("/healthz")
    async def healthz() -> Response:
        """Answer 200 while the service takes requests."""
        if service.admission.closing:
            return _error(503, "the service is stopping", "RefusedError")
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return counts and times in Prometheus' text format."""
        return Response(service.metrics.text(service.admission.admitted), media_type=CONTENT_TYPE)


def _stream_response(data: bytes) -> Response:
    facts = stream_info(data)
    headers = {
        "X-Aeedge-Stream-Id": facts.stream_id,
        "X-Aeedge-Quality": str(facts.quality),
        "X-Aeedge-Bits-Per-Pixel": f"{facts.bits_per_pixel:.4f}",
    }
    return Response(data, media_type=STREAM_TYPE, headers=headers)


def _image_response(data: bytes, format: str) -> Response:  # noqa: A002 - as in the query
    return Response(data, media_type="image/jpeg" if format == "jpg" else f"image/{format}")


def _error(status: int, message: str, kind: str) -> Response:
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return JSONResponse({"error": message, "kind": kind}, status, headers)


def _header(text: str) -> str:
    """Return a text as a header can hold it."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:1000]
