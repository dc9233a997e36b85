"""Components that ask a model about data: extract, judge, choose a branch, work through rows."""
