"""The least that a server of starlette and uvicorn costs: it reads the request, and has the answer ready.

What it takes is in the time of every server that stands on them, however quick its engine is.
"""

import argparse

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


async def chat(request: Request) -> Response:
    """One token, streamed if that was asked for."""
    asked = await request.json()
    if not asked["stream"]:
        message = {"role": "assistant", "content": "Hello"}
        return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": _USAGE})
    chunk = JSONResponse({"choices": [{"index": 0, "delta": {"content": "Hello"}}], "usage": _USAGE}).body
    return Response(b"data: %b\n\ndata: [DONE]\n\n" % bytes(chunk), media_type="text/event-stream")


async def health(_: Request) -> Response:
    return JSONResponse({})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.engine.hello", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/health", health)]
    uvicorn.run(Starlette(routes=routes), port=parser.parse_args().port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
