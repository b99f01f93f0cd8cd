"""What is known to be wrong already: an agent says a thing once, however often it sees it."""

from ...state.models.facts import Observation


def told(observation: Observation, class_: str, subject: str) -> bool:
    """Whether an incident of this class and subject is open."""
    return any(one.class_ == class_ and one.subject == subject for one in observation.incidents.values())
