"""What can be known of a component's code without running it: the syntax tree is read, and nothing is compiled, imported or called."""
