"""Runs the program of the chosen stack: `pulumi up --stack ecommerce`."""

import ecommerce
import pulumi

from groundplan.errors import SpecError

PROGRAMS = {"ecommerce": ecommerce.program}


def main() -> None:
    """Run the program that is named like the stack. Raises SpecError for a name without a program."""
    stack = pulumi.get_stack()
    program = PROGRAMS.get(stack)
    if program is None:
        raise SpecError(
            "there is no program for this stack",
            where="stacks",
            value=stack,
            bound="one of " + ", ".join(sorted(PROGRAMS)),
            fix="Choose one with --stack, or add a program to stacks/.",
        )
    program()


main()
