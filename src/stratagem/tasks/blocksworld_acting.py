"""Blocksworld to be acted out: an environment in which moves are tools, and the goal brings a reward."""

from stratagem.tasks.blocksworld import Blocksworld


class BlocksworldActing(Blocksworld):
    """The problems of `blocksworld` with its environment, for strategies that act, and for those that need a reward."""

    name = "blocksworld_acting"
    about = "moves in an environment that stack blocks as wanted, with a reward"

    def __init__(self) -> None:
        super().__init__(acting=True)
