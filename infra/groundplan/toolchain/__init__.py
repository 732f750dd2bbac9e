"""How each tool that groundplan starts is obtained: found, downloaded as a release, built, or installed.

Everything lands in one folder, `home()`, outside the checkout. `ensure` obtains what is missing,
`find` only looks.
"""

from groundplan.toolchain.folders import bin_directory, home
from groundplan.toolchain.obtain import ensure, find, install, search_path, status
from groundplan.toolchain.recipes import Recipe, catalogue

__all__ = [
    "Recipe",
    "bin_directory",
    "catalogue",
    "ensure",
    "find",
    "home",
    "install",
    "search_path",
    "status",
]
