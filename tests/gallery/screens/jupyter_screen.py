"""The notebook in a kernel, without a browser: buttons are pressed and widgets read in further cells."""

import json

import nbformat
from commands import EXAMPLES, answer, command
from nbclient import NotebookClient

READ = """
import json
print(json.dumps({"text": "\\n".join([llm.value, bard.value, failed.value]), "picture": str(hash(picture.value))}))
"""

notebook = nbformat.read(EXAMPLES / "jupyter_app.ipynb", as_version=4)
client = NotebookClient(notebook, kernel_name="python3", timeout=60)


def run(source: str) -> str:
    """What a further cell prints."""
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    cell = client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    return "".join(output["text"] for output in cell.outputs if output.output_type == "stream")


with client.setup_kernel():
    for index, cell in enumerate(notebook.cells[:]):
        if cell.cell_type == "code":
            client.execute_cell(cell, index)
    while True:
        match command():
            case ["press", name]:
                run(f"{name.lower()}.click()")
                answer()
            case ["read"]:
                answer(json.loads(run(READ)))
            case _:
                break
answer([])
