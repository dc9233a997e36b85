"""Where values enter and leave a flow."""
