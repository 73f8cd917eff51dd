"""`stratagem completion`: the function that lets a shell complete `stratagem`."""

import click

from stratagem.cli._output import Mode, say
from stratagem.cli._settings import Verb, speaking

SHELLS = ("bash", "zsh", "fish")
WHERE = {
    "bash": 'eval "$(stratagem completion bash)"   in ~/.bashrc (bash 4.4 or later)',
    "zsh": 'eval "$(stratagem completion zsh)"   in ~/.zshrc, below `compinit`',
    "fish": "stratagem completion fish > ~/.config/fish/completions/stratagem.fish",
}


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(SHELLS))
@speaking("debug")
@click.pass_obj
def completion(mode: Mode, shell: str) -> int:
    """Print the function by which SHELL completes verbs, options, runs, strategies, models and tools.

    Bash: `eval "$(stratagem completion bash)"` in ~/.bashrc. Zsh: likewise in ~/.zshrc, below `compinit`. Fish:
    `stratagem completion fish > ~/.config/fish/completions/stratagem.fish`.
    """
    import sys

    from click.shell_completion import get_completion_class

    from stratagem.cli import verbs
    from stratagem.cli._completing import VARIABLE

    made = get_completion_class(shell)
    assert made is not None
    function = made(verbs, {}, "stratagem", VARIABLE)
    say((function.source_template % function.source_vars()).strip("\n"))
    if sys.stdout.isatty():
        mode.tell(f"to keep it: {WHERE[shell]}")
    return 0
