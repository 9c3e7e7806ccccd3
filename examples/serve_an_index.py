"""Serve an index over HTTP, and ask it one query as any program would.

    python examples/serve_an_index.py [FOLDER] [--stay]

Needs the extra `serve`. With --stay the server goes on until Ctrl-C, with a page for people.
"""

import json
import subprocess
import sys
from urllib.parse import urlencode
from urllib.request import urlopen

import shapes

import polyglance

folder = shapes.output_folder()
polyglance.index(
    shapes.draw_pictures(folder / "pictures"),
    model=shapes.save_model(folder / "model"),
    out=folder / "index",
)

# The server is a process of its own: `polyglance serve`. Port 0 takes a free one; the first line
# says which. By default it listens at this machine alone.
command = [sys.executable, "-m", "polyglance", "serve", "--index", str(folder / "index")]
with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            sys.exit("the server did not start; what it said is above")
        address = line.split()[0]
        print(f"serving at {address}", flush=True)

        question = urlencode({"q": "rotes Herz", "language": "de", "top": 3})
        with urlopen(f"{address}/api/search?{question}", timeout=30) as answer:
            found = json.load(answer)
        for hit in found["hits"]:
            print(f"{hit['rank']}. {hit['id']}  {hit['score']:.3f}", flush=True)

        if "--stay" in sys.argv:
            print("stop with Ctrl-C", flush=True)
            server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()  # it finishes what it is answering, and says that it stopped
