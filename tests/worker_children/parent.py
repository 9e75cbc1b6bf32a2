"""A parent to be killed: has a worker load a model, gives it work, says the worker's process id and waits."""

import sys
import threading

from mlxk2.adapters.worker.engine import WorkerLoader
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import GenerationRequest

if __name__ == "__main__":
    prompt, *command = sys.argv[1:]
    engine = WorkerLoader(command).load("anything", LoadOptions())
    engine.start(GenerationRequest(tuple(map(ord, prompt)), 10**6), lambda _: None)
    sys.stdout.write(f"{engine.process_id}\n")
    sys.stdout.flush()
    threading.Event().wait()
