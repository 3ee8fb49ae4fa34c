"""An extension of the documentation's parser: verbs show their options one by one, as `inspect.signature` has them."""

import griffe


class ShowOptions(griffe.Extension):
    """Puts the options that `rxfal.verbs.options` finds in a TypedDict where `**options: Unpack[...]` stands."""

    def on_function(self, *, func: griffe.Function, **_: object) -> None:
        if "rxfal.verbs.options.show_options" not in {decorator.callable_path for decorator in func.decorators}:
            return
        kind = func.modules_collection[func.parameters["options"].annotation.slice.canonical_path]
        del func.parameters["options"]
        for name, option in kind.all_members.items():
            annotation, default = option.annotation.slice.elements
            func.parameters.add(
                griffe.Parameter(
                    name,
                    kind=griffe.ParameterKind.keyword_only,
                    annotation=annotation,
                    default=default.arguments[0],
                )
            )
