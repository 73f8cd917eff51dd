"""The program of the child process: llama.cpp's server on loopback, which lives as long as whoever started it.

Started by path, with nothing else of this package on its import path. Its standard input brings one line of settings as
JSON, then nothing; that it ends means that whoever started it has. Its standard output brings one line, as JSON:
where the server listens, or why there is none.
"""

import contextlib
import json
import os
import select
import signal
import sys
from typing import Any

LOOKS_S = 0.5  # between two looks at who started it


def main() -> None:
    """Serve until standard input ends, or whoever started it has gone."""
    settings: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever llama.cpp prints is no answer
    _end_with(0)
    try:
        server = _served(settings)
        said = {"url": server.listening_address}
    except Exception as failure:  # noqa: BLE001  (whatever it is, it is what is to be reported)
        said = {"error": f"{type(failure).__name__}: {failure}"}
    with contextlib.suppress(OSError), told:
        told.write(json.dumps(said) + "\n")
    if "url" in said:
        _wait(settings["parent"])
    os._exit("error" in said)  # the server's threads have nothing to finish


def _served(settings: dict[str, Any]) -> Any:
    """Start the server; it returns once the model is loaded."""
    from importlib import import_module

    llama: Any = import_module("xllamacpp")  # an extension without types
    params = llama.CommonParams()
    params.model.path = settings["path"]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings["key"]]
    params.n_parallel, params.n_ctx = settings["slots"], settings["slots"] * settings["context"]
    params.cache_ram_mib = 0  # of prompts that no slot works on: a second copy of what the slots have
    params.ui, params.endpoint_props, params.endpoint_slots = False, False, True
    params.cors_origins, params.cors_credentials = "", False
    params.warmup = False  # the first call warms it up as well
    params.fit_params = False  # what fits today would change what is answered
    params.verbosity = 1  # errors
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    return llama.Server(params)


def _end_with(pipe: int) -> None:
    """Let the kernel end this process when a pipe's other end is closed, also while the model is loaded.

    The loading holds the interpreter's lock, so no thread could look.
    """
    if sys.platform == "win32":
        return
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC)


def _wait(parent: int) -> None:
    """Return when standard input ends, or another process has become the parent: a copy of it may hold the pipe."""
    while os.getppid() == parent:
        if sys.platform == "win32":
            if not sys.stdin.buffer.read(1):
                return
        elif select.select([0], [], [], LOOKS_S)[0] and not os.read(0, 1):
            return


if __name__ == "__main__":
    main()
