"""Pure functions behind the processing components; they know values, and neither components nor runs."""
