"""Files in and out: an upload with its progress, and the pictures of a result saved to a folder."""

import os
import tempfile
from pathlib import Path

from _embedded import client_or_demo

import rxfal

with client_or_demo() as client, tempfile.TemporaryDirectory() as folder:
    recording = Path(folder, "recording.wav")
    recording.write_bytes(os.urandom(1_000_000))

    for step in client.upload(recording, lifecycle="1h"):
        match step:
            case rxfal.UploadProgress(sent, total):
                print(f"sent {sent / total:.0%}")
            case rxfal.Uploaded(url=url):
                print("it is at", url)

    done = client.subscribe("fal-ai/fast-julia", {"prompt": "rivers from above"}).run()
    for item in client.download(done, f"{folder}/{{index}}{{ext}}"):
        match item:
            case rxfal.DownloadProgress(received, size):
                print(f"received {received} of {size} bytes")
            case rxfal.Downloaded(path=path, content_type=content_type):
                print(f"saved {path and path.name}, {content_type}")
