"""A job that outlives the program that submits it: its handle is kept as JSON, and whoever has it follows the job."""

from pathlib import Path
from tempfile import TemporaryDirectory

from _embedded import client_or_demo

import rxfal

MODEL = "fal-ai/fast-julia"

with client_or_demo() as client, TemporaryDirectory() as folder:
    kept = Path(folder, "job.json")

    # The first program: it submits the job, keeps its handle, and could end now.
    handle = client.queue.submit(MODEL, {"prompt": "a fern", "size": 96}).run()
    kept.write_text(handle.model_dump_json())
    print("submitted:", handle.request_id)

    # Another program, later: it finds the job by its handle, wherever it is by then.
    found = rxfal.RequestHandle.model_validate_json(kept.read_text())
    for update in client.queue.updates(found):
        match update:
            case rxfal.Queued(position=position):
                print("waiting, with", position, "before it")
            case rxfal.InProgress(logs=logs):
                print("working:", *(log.message for log in logs))
            case rxfal.Completed() as done:
                print("done:", done.output["images"][0]["width"], "pixels wide")
    print("too late to cancel:", client.queue.cancel(found).run())
