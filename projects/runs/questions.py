"""What a waiting run asks of a person, and what the person says: the engine's own words, by the name that faces know."""

from projects.engine.questions import Action, Answer, Question, QuestionKind

__all__ = ["Action", "Answer", "Question", "QuestionKind"]
