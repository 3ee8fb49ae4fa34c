"""Where Stream's fluent methods come from: reactivex's Observable, under a name of ours.

At run time there is nothing to add, since those methods all go through `pipe`, which Stream overrides. Type checkers
read `fluent.pyi` beside this file, which says for each of them that a Stream comes out.
"""

from reactivex import Observable as Fluent

__all__ = ["Fluent"]
