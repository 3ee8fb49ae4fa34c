"""An extension of the documentation's parser: a marble diagram in a docstring is shown as a picture."""

import re

import griffe

_SECTION = re.compile(r"^Marbles:\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)

_SHOWN = """![The marble diagram of {name}](../assets/marbles/{name}.svg){{ .marbles }}

<details class="marbles" markdown><summary>The diagram as text</summary>
```text
{text}
```
</details>

"""


class ShowMarbles(griffe.Extension):
    """Puts `docs/assets/marbles/NAME.svg` in the place of the section `Marbles:` of a function."""

    def on_function(self, *, func: griffe.Function, **_: object) -> None:
        docstring = func.docstring
        if docstring is not None and (section := _SECTION.search(docstring.value)):
            text = re.sub(r"^ {4}", "", section[1].rstrip(), flags=re.MULTILINE)
            shown = _SHOWN.format(name=func.name, text=text)
            docstring.value = docstring.value[: section.start()] + shown + docstring.value[section.end() :]
